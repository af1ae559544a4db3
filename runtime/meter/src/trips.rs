//! How often a counted loop goes round, as arithmetic on its counter, step and bound.
//!
//! The rules are those of loop strength reduction everywhere, except that nothing may be assumed:
//! steps may wrap, bounds may lie behind the counter, and a loop may never end. So the value that
//! is counted from is the one compared at the end of the *first* round: the often-seen
//! max(1, ⌈(n − i) / c⌉) with `i` before that step is wrong where the step wraps.

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Equal,
    Differs,
    Order {
        less: bool,
        is_signed: bool,
        /// Whether equal values count, too.
        is_inclusive: bool,
    },
}

impl Relation {
    /// The relation that holds where this one does not.
    pub(crate) fn negated(self) -> Self {
        match self {
            Self::Equal => Self::Differs,
            Self::Differs => Self::Equal,
            Self::Order {
                less,
                is_signed,
                is_inclusive,
            } => Self::Order {
                less: !less,
                is_signed,
                is_inclusive: !is_inclusive,
            },
        }
    }

    /// The same relation seen from the other operand.
    pub(crate) fn swapped(self) -> Self {
        match self {
            Self::Order {
                less,
                is_signed,
                is_inclusive,
            } => Self::Order {
                less: !less,
                is_signed,
                is_inclusive,
            },
            other => other,
        }
    }
}

/// A loop that goes round while its counter is in `relation` to a bound that never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trip {
    pub(crate) relation: Relation,
    /// Bits of counter, step and bound.
    pub(crate) width: u32,
    /// What each round adds to the counter, modulo 2^width.
    pub(crate) step: u64,
}

impl Trip {
    /// The trip, if its rounds can be told in advance; `bound` is the bound where it is known.
    ///
    /// A counter that steps by more than one may jump over its bound and wrap, which only a known
    /// bound can rule out.
    pub(crate) fn new(
        relation: Relation,
        width: u32,
        step: u64,
        bound: Option<u64>,
    ) -> Option<Self> {
        let trip = Self {
            relation,
            width,
            step: step & mask(width),
        };
        let ends = match relation {
            Relation::Equal => false,
            Relation::Differs => trip.step != 0,
            Relation::Order { is_inclusive, .. } => trip.stops_before_wrapping(is_inclusive, bound),
        };
        ends.then_some(trip)
    }

    /// Whether a counter in order to its bound cannot wrap by its last step.
    fn stops_before_wrapping(&self, is_inclusive: bool, bound: Option<u64>) -> bool {
        let stride = self.stride();
        if stride == 0 || stride >> (self.width - 1) != 0 {
            return false;
        }
        match bound {
            Some(bound) => stride - u64::from(!is_inclusive) <= self.beyond(bound),
            None => stride == 1,
        }
    }

    /// How much the counter comes closer to the bound each round. Meaningless for
    /// [`Relation::Differs`].
    pub(crate) fn stride(&self) -> u64 {
        if self.counts_up() {
            self.step
        } else {
            self.step.wrapping_neg() & mask(self.width)
        }
    }

    /// Whether the counter is below the bound while the loop goes on.
    pub(crate) fn counts_up(&self) -> bool {
        matches!(self.relation, Relation::Order { less: true, .. })
    }

    /// The values beyond `bound`, in the direction of the steps.
    fn beyond(&self, bound: u64) -> u64 {
        let edge = self.edge();
        let room = if self.counts_up() {
            edge.wrapping_sub(bound)
        } else {
            bound.wrapping_sub(edge)
        };
        room & mask(self.width)
    }

    /// The last value in the direction of the steps: no counter is beyond it.
    pub(crate) fn edge(&self) -> u64 {
        let sign = 1 << (self.width - 1);
        let is_signed = matches!(
            self.relation,
            Relation::Order {
                is_signed: true,
                ..
            }
        );
        match (self.counts_up(), is_signed) {
            (true, false) => mask(self.width),
            (true, true) => sign - 1,
            (false, false) => 0,
            (false, true) => sign,
        }
    }

    /// The rounds after the first, or nothing if the loop never ends. `counter` is the value that is
    /// compared at the end of the first round.
    pub(crate) fn more(&self, counter: u64, bound: u64) -> Option<u64> {
        let all = mask(self.width);
        let Relation::Order { is_inclusive, .. } = self.relation else {
            let (twos, inverse) = odd_inverse(self.step, self.width);
            let distance = bound.wrapping_sub(counter) & all;
            let is_met = distance & mask(twos) == 0;
            let rounds = (distance >> twos).wrapping_mul(inverse) & mask(self.width - twos);
            return is_met.then_some(rounds);
        };
        if is_inclusive && bound == self.edge() {
            return None;
        }
        if !self.goes_on(counter, bound) {
            return Some(0);
        }
        let distance = if self.counts_up() {
            bound.wrapping_sub(counter) & all
        } else {
            counter.wrapping_sub(bound) & all
        };
        Some((distance + u64::from(is_inclusive)).div_ceil(self.stride()))
    }

    fn goes_on(&self, counter: u64, bound: u64) -> bool {
        match self.relation {
            Relation::Equal => counter == bound,
            Relation::Differs => counter != bound,
            Relation::Order {
                less,
                is_signed,
                is_inclusive,
            } => {
                // Flipping the sign makes the order of signed values that of unsigned ones.
                let flip = u64::from(is_signed) << (self.width - 1);
                let (counter, bound) = (counter ^ flip, bound ^ flip);
                let is_before = if less {
                    counter < bound
                } else {
                    counter > bound
                };
                is_before || (is_inclusive && counter == bound)
            }
        }
    }
}

/// The bits of a value.
pub(crate) fn mask(width: u32) -> u64 {
    match width {
        0 => 0,
        width => u64::MAX >> (64 - width),
    }
}

/// Takes `step` = 2^s · m apart, m odd: s, and the inverse of m modulo 2^width.
pub(crate) fn odd_inverse(step: u64, width: u32) -> (u32, u64) {
    let twos = step.trailing_zeros().min(width);
    let odd = step.checked_shr(twos).unwrap_or(0);
    // Newton's iteration doubles the number of right bits, of which an odd number has three.
    let mut inverse = odd;
    for _ in 0..5 {
        let error = odd.wrapping_mul(inverse);
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(error));
    }
    (twos, inverse & mask(width))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Every relation there is.
    pub(crate) fn relations() -> Vec<Relation> {
        let mut all = vec![Relation::Equal, Relation::Differs];
        for bits in 0..8 {
            all.push(Relation::Order {
                less: bits & 1 == 0,
                is_signed: bits & 2 == 0,
                is_inclusive: bits & 4 == 0,
            });
        }
        all
    }

    /// Goes round.
    fn count(trip: &Trip, mut counter: u64, bound: u64) -> Option<u64> {
        for rounds in 0..=1 << trip.width {
            if !trip.goes_on(counter, bound) {
                return Some(rounds);
            }
            counter = (counter + trip.step) & mask(trip.width);
        }
        None
    }

    #[test]
    fn every_trip_of_six_bits_is_counted_exactly() {
        const WIDTH: u32 = 6;
        let mut trips = 0;
        for relation in relations() {
            for step in 0..1 << WIDTH {
                for bound in 0..1 << WIDTH {
                    for known in [None, Some(bound)] {
                        let Some(trip) = Trip::new(relation, WIDTH, step, known) else {
                            continue;
                        };
                        trips += 1;
                        for counter in 0..1 << WIDTH {
                            let found = trip.more(counter, bound);
                            assert_eq!(
                                found,
                                count(&trip, counter, bound),
                                "{trip:?} from {counter} to {bound}"
                            );
                        }
                    }
                }
            }
        }
        // Differs: all steps but 0, known or not. Order: step one unknown, and many known.
        assert!(trips > 2 * 63 * 64 + 8 * 64 * 10, "{trips}");
    }

    #[test]
    fn relations_know_their_opposites() {
        for relation in relations() {
            let trip = |relation| Trip {
                relation,
                width: 3,
                step: 1,
            };
            for (a, b) in (0..8).flat_map(|a| (0..8).map(move |b| (a, b))) {
                let holds = trip(relation).goes_on(a, b);
                assert_eq!(trip(relation.negated()).goes_on(a, b), !holds);
                assert_eq!(trip(relation.swapped()).goes_on(b, a), holds);
            }
        }
    }

    #[test]
    fn odd_numbers_have_inverses() {
        for step in [1u64, 3, 5, 12, 24, 0xffff_ffff, 0x8000_0001, 1 << 31] {
            let (twos, inverse) = odd_inverse(step, 32);
            assert_eq!((step >> twos).wrapping_mul(inverse) & mask(32), 1, "{step}");
        }
    }
}
