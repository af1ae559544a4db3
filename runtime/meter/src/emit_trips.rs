//! Writes the arithmetic of [`crate::trips`]: what a counted loop costs beyond its first round.

use wasm_encoder::Instruction;

use crate::emit::Emitter;
use crate::flow::Ahead;
use crate::loops::Bound;
use crate::trips::{Relation, Trip, mask, odd_inverse};

/// More fuel than any run has, as a power of two.
const BEYOND_FUEL: u32 = 49;
/// A round that costs less cannot overflow the counter in 2^32 rounds.
const ROUND_COST_MAX: u64 = 1 << 30;

impl Emitter<'_> {
    /// Charges for all rounds of a counted loop but the first, which is charged with what stands
    /// before it, and checks.
    pub(crate) fn write_ahead(&mut self, ahead: &Ahead) {
        let fuel = self.locals.fuel();
        self.put(Instruction::LocalGet(fuel));
        match ahead.counted.more {
            Some(more) => {
                let amount = more.min(too_many(ahead.round)).saturating_mul(ahead.round);
                self.put(Instruction::I64Const(amount.cast_signed()));
            }
            None => {
                let rounds = Rounds {
                    trip: ahead.counted.trip,
                    counter: self.locals.of_guest(ahead.counted.counter),
                    ahead: ahead.counted.ahead,
                    bound: match ahead.counted.bound {
                        Bound::Local(local) => Bound::Local(self.locals.of_guest(local)),
                        constant @ Bound::Constant(_) => constant,
                    },
                    too_many: too_many(ahead.round),
                    is_clamped: ahead.counted.trip.width > 32 || ahead.round >= ROUND_COST_MAX,
                };
                rounds.write(&mut |instruction| self.put(instruction));
                self.put(Instruction::I64Const(ahead.round.cast_signed()));
                self.put(Instruction::I64Mul);
            }
        }
        self.put(Instruction::I64Sub);
        self.put(Instruction::LocalTee(fuel));
        self.write_check();
    }
}

/// So many rounds that no fuel suffices, and few enough that their cost does not overflow.
fn too_many(round: u64) -> u64 {
    (1u64 << BEYOND_FUEL).div_ceil(round.max(1))
}

/// The rounds after the first, as instructions that leave an i64.
struct Rounds {
    trip: Trip,
    counter: u32,
    ahead: u64,
    bound: Bound,
    too_many: u64,
    is_clamped: bool,
}

impl Rounds {
    fn write(&self, put: &mut impl FnMut(Instruction<'static>)) {
        self.write_unclamped(put);
        if self.is_clamped {
            put(Instruction::I64Const(self.too_many.cast_signed()));
            self.write_unclamped(put);
            put(Instruction::I64Const(self.too_many.cast_signed()));
            put(Instruction::I64LtU);
            put(Instruction::Select);
        }
    }

    fn write_unclamped(&self, put: &mut impl FnMut(Instruction<'static>)) {
        match self.trip.relation {
            Relation::Order { is_inclusive, .. } => self.write_ordered(is_inclusive, put),
            Relation::Equal | Relation::Differs => self.write_differs(put),
        }
    }

    /// Until the counter meets the bound: (distance / 2^s) · m⁻¹ for a step of 2^s · m. A distance that
    /// 2^s does not divide is never covered.
    fn write_differs(&self, put: &mut impl FnMut(Instruction<'static>)) {
        let width = self.trip.width;
        // The smaller of both directions has the simpler inverse.
        let is_backward = self.trip.step >> (width - 1) == 1;
        let step = if is_backward {
            self.trip.step.wrapping_neg() & mask(width)
        } else {
            self.trip.step
        };
        let (twos, inverse) = odd_inverse(step, width);
        if twos > 0 {
            put(Instruction::I64Const(self.too_many.cast_signed()));
        }
        self.write_distance(is_backward, put);
        if twos > 0 {
            self.write_constant(twos.into(), put);
            put(self.either(Instruction::I32ShrU, Instruction::I64ShrU));
        }
        if inverse != 1 {
            self.write_constant(inverse, put);
            put(self.either(Instruction::I32Mul, Instruction::I64Mul));
            if twos > 0 {
                self.write_constant(mask(width - twos), put);
                put(self.either(Instruction::I32And, Instruction::I64And));
            }
        }
        self.write_extended(put);
        if twos > 0 {
            self.write_distance(is_backward, put);
            self.write_constant(mask(twos), put);
            put(self.either(Instruction::I32And, Instruction::I64And));
            self.write_constant(0, put);
            put(self.either(Instruction::I32Ne, Instruction::I64Ne));
            put(Instruction::Select);
        }
    }

    /// Until the counter passes the bound: ⌈distance / stride⌉, or 0 if it has passed already.
    fn write_ordered(&self, is_inclusive: bool, put: &mut impl FnMut(Instruction<'static>)) {
        let stride = self.trip.stride();
        // An inclusive counter never passes a bound at the edge. Of a known one that is ruled out.
        let unknown_bound = match self.bound {
            Bound::Local(local) if is_inclusive => Some(local),
            _ => None,
        };
        if unknown_bound.is_some() {
            put(Instruction::I64Const(self.too_many.cast_signed()));
        }
        self.write_distance(!self.trip.counts_up(), put);
        self.write_extended(put);
        let round_up = stride - u64::from(!is_inclusive);
        if round_up > 0 {
            put(Instruction::I64Const(round_up.cast_signed()));
            put(Instruction::I64Add);
        }
        if stride.is_power_of_two() && stride > 1 {
            put(Instruction::I64Const(stride.trailing_zeros().into()));
            put(Instruction::I64ShrU);
        } else if stride > 1 {
            put(Instruction::I64Const(stride.cast_signed()));
            put(Instruction::I64DivU);
        }
        put(Instruction::I64Const(0));
        self.write_counter(put);
        self.write_bound(put);
        put(self.comparison());
        put(Instruction::Select);
        if let Some(bound) = unknown_bound {
            put(Instruction::LocalGet(bound));
            self.write_constant(self.trip.edge(), put);
            put(self.either(Instruction::I32Eq, Instruction::I64Eq));
            put(Instruction::Select);
        }
    }

    /// The bound less the counter, or the other way round.
    fn write_distance(&self, is_backward: bool, put: &mut impl FnMut(Instruction<'static>)) {
        if is_backward {
            self.write_counter(put);
            self.write_bound(put);
        } else {
            self.write_bound(put);
            self.write_counter(put);
        }
        put(self.either(Instruction::I32Sub, Instruction::I64Sub));
    }

    /// The value compared at the end of the first round.
    fn write_counter(&self, put: &mut impl FnMut(Instruction<'static>)) {
        put(Instruction::LocalGet(self.counter));
        if self.ahead != 0 {
            self.write_constant(self.ahead, put);
            put(self.either(Instruction::I32Add, Instruction::I64Add));
        }
    }

    fn write_bound(&self, put: &mut impl FnMut(Instruction<'static>)) {
        match self.bound {
            Bound::Local(local) => put(Instruction::LocalGet(local)),
            Bound::Constant(value) => self.write_constant(value, put),
        }
    }

    fn write_constant(&self, value: u64, put: &mut impl FnMut(Instruction<'static>)) {
        put(self.either(
            Instruction::I32Const((value as u32).cast_signed()),
            Instruction::I64Const(value.cast_signed()),
        ));
    }

    fn write_extended(&self, put: &mut impl FnMut(Instruction<'static>)) {
        if self.trip.width == 32 {
            put(Instruction::I64ExtendI32U);
        }
    }

    fn either(
        &self,
        narrow: Instruction<'static>,
        wide: Instruction<'static>,
    ) -> Instruction<'static> {
        if self.trip.width == 32 { narrow } else { wide }
    }

    /// Whether the counter goes on.
    fn comparison(&self) -> Instruction<'static> {
        use Instruction::*;
        let Relation::Order {
            less,
            is_signed,
            is_inclusive,
        } = self.trip.relation
        else {
            return self.either(I32Ne, I64Ne);
        };
        match (less, is_signed, is_inclusive) {
            (true, false, false) => self.either(I32LtU, I64LtU),
            (true, false, true) => self.either(I32LeU, I64LeU),
            (true, true, false) => self.either(I32LtS, I64LtS),
            (true, true, true) => self.either(I32LeS, I64LeS),
            (false, false, false) => self.either(I32GtU, I64GtU),
            (false, false, true) => self.either(I32GeU, I64GeU),
            (false, true, false) => self.either(I32GtS, I64GtS),
            (false, true, true) => self.either(I32GeS, I64GeS),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use wasmtime::{Engine, Instance, Module, Store, Val};

    use super::*;
    use crate::schedule::{Class, Schedule};
    use crate::trips::tests::relations;
    use crate::{EXPORT_FUEL, Profile, meter_with};

    /// One fuel for each `br_if`, that is for each round.
    const ROUNDS: Schedule = {
        let mut schedule = Schedule::V1;
        schedule.prices = [0; Class::ALL.len()];
        schedule.prices[Class::BrIf as usize] = 1;
        schedule.moves_per_fuel = 0;
        schedule.locals_per_fuel = 0;
        schedule
    };

    /// A loop with this trip, as a function of its counter and its bound.
    struct Machine {
        store: Store<()>,
        instance: Instance,
        width: u32,
    }

    impl Machine {
        fn new(engine: &Engine, trip: &Trip, bound: Option<u64>) -> Self {
            let ty = if trip.width == 32 { "i32" } else { "i64" };
            let name = comparison_name(trip.relation);
            let step = trip.step;
            let bound = bound.map_or(String::from("(local.get 1)"), |n| {
                format!("({ty}.const {n})")
            });
            let wat = format!(
                r#"(module (memory (export "memory") 1) (func (export "_start"))
                (func (export "f") (param {ty} {ty}) (loop (br_if 0 ({ty}.{name}
                    (local.tee 0 ({ty}.add (local.get 0) ({ty}.const {step}))) {bound})))))"#
            );
            let bytes = wat::parse_str(wat).unwrap();
            let metered = meter_with(&bytes, &Profile::DESKTOP, &ROUNDS).unwrap();
            let module = Module::new(engine, &metered.bytes).unwrap();
            let mut store = Store::new(engine, ());
            let instance = Instance::new(&mut store, &module, &[]).unwrap();
            Self {
                store,
                instance,
                width: trip.width,
            }
        }

        /// The rounds that are charged before a loop starts for which there is no fuel at all.
        fn rounds(&mut self, counter: u64, bound: u64) -> u64 {
            let fuel = self
                .instance
                .get_global(&mut self.store, EXPORT_FUEL)
                .unwrap();
            fuel.set(&mut self.store, Val::I64(0)).unwrap();
            let arg = |value: u64| match self.width {
                32 => Val::I32((value as u32).cast_signed()),
                _ => Val::I64(value.cast_signed()),
            };
            let function = self.instance.get_func(&mut self.store, "f").unwrap();
            let args = [arg(counter), arg(bound)];
            function.call(&mut self.store, &args, &mut []).unwrap_err();
            fuel.get(&mut self.store).unwrap_i64().unsigned_abs()
        }
    }

    fn comparison_name(relation: Relation) -> String {
        match relation {
            Relation::Equal => "eq".into(),
            Relation::Differs => "ne".into(),
            Relation::Order {
                less,
                is_signed,
                is_inclusive,
            } => {
                let order = if less { "l" } else { "g" };
                let ending = if is_inclusive { "e" } else { "t" };
                let sign = if is_signed { "s" } else { "u" };
                format!("{order}{ending}_{sign}")
            }
        }
    }

    /// Values near all edges and a few from between.
    fn samples(width: u32) -> Vec<u64> {
        let sign = 1 << (width - 1);
        let near = [0, sign, mask(width), sign / 3, 1 << (width / 2)];
        let around = near.iter().flat_map(|edge: &u64| {
            [0, 1, 2, 3, 7, mask(width), mask(width) - 1].map(|more| edge.wrapping_add(more))
        });
        around.map(|value| value & mask(width)).collect()
    }

    /// Compares what the written arithmetic charges with what the plain one says.
    fn check(engine: &Engine, trip: &Trip, known: Option<u64>) {
        let mut machine = Machine::new(engine, trip, known);
        let bounds = known.map_or_else(|| samples(trip.width), |bound| vec![bound]);
        for bound in bounds {
            for counter in samples(trip.width) {
                let compared = counter.wrapping_add(trip.step) & mask(trip.width);
                let charged = machine.rounds(counter, bound);
                let expected = trip
                    .more(compared, bound)
                    .map_or(u64::MAX, |more| more.saturating_add(1));
                let limit = 1 << BEYOND_FUEL;
                assert_eq!(
                    charged.min(limit),
                    expected.min(limit),
                    "{trip:?} {known:?}: {counter}, {bound}"
                );
            }
        }
    }

    #[test]
    fn the_written_arithmetic_is_that_of_the_trip() {
        let engine = Engine::default();
        for width in [32, 64] {
            let sign = 1u64 << (width - 1);
            let steps = [1, 2, 3, 4, 12, 1000, sign, sign - 1, sign / 4 * 3];
            let all = steps.iter().flat_map(|step| [*step, step.wrapping_neg()]);
            for step in all.map(|step| step & mask(width)) {
                for relation in relations() {
                    let known = [0, 5, 1000, sign - 7, sign + 9, mask(width) - 1];
                    for bound in std::iter::once(None).chain(known.map(Some)) {
                        if let Some(trip) = Trip::new(relation, width, step, bound) {
                            check(&engine, &trip, bound);
                        }
                    }
                }
            }
        }
    }
}
