//! Reads what a metered run left behind: its status, its fuel, and how it ended.
//!
//! The host looks at the status first, then at the class of the error and never at its text:
//! engines name the same trap differently.

/// The largest `fuel_max` a host may grant. No sum of charges can overflow below it.
pub const FUEL_MAX: u64 = 1 << 48;

/// The exported mutable `i64` global that holds the fuel left.
pub const EXPORT_FUEL: &str = "__haar_fuel";
/// The exported mutable `i32` global that says why the run ended.
pub const EXPORT_STATUS: &str = "__haar_status";
/// The start function of the original, which the host calls first. Absent if there was none.
pub const EXPORT_START: &str = "__haar_start";
/// The one memory.
pub const EXPORT_MEMORY: &str = "memory";
/// Names with this prefix belong to the pass.
pub const RESERVED_PREFIX: &str = "__haar_";
/// The custom section that the pass writes.
pub const SECTION_METER: &str = "haar.meter";
/// The custom section of the author that the pass keeps.
pub const SECTION_MANIFEST: &str = "haar.manifest";

/// Nothing has ended the run.
pub const STATUS_NONE: i32 = 0;
/// A charge went below zero, in the guest or in a host function.
pub const STATUS_OUT_OF_FUEL: i32 = 1;
/// The calls went deeper than the profile's stack limit.
pub const STATUS_STACK: i32 = 2;
/// The guest reached an `unreachable` of its own.
pub const STATUS_ABORT: i32 = 3;
/// The engine refused a growth that the profile allows: no receipt.
pub const STATUS_HOST_MEMORY: i32 = 4;
/// A host function ended the run: exit, or a fault such as a bad pointer.
pub const STATUS_ENDED_BY_HOST: i32 = 5;

/// How a metered run ended, as far as the module's own exports can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The entry returned and its fuel sufficed.
    Returned,
    /// A host function ended it; the WASI state says whether by exit or by a fault.
    EndedByHost,
    /// The fuel did not suffice. Bills the whole limit.
    OutOfFuel,
    /// The stack limit was reached. Bills what was charged.
    StackLimit,
    /// The guest's own `unreachable`. Bills what was charged.
    Abort,
    /// Any other trap of WebAssembly itself. Bills the whole limit, because the counter sat in a
    /// register and is lost.
    Trap,
    /// The host could not go on, or the status makes no sense: no receipt, never a verdict.
    Abstain,
}

impl Ending {
    /// Classifies a run by its two globals and by what the engine reported.
    pub fn of(status: i32, fuel_left: i64, engine: EngineEnding) -> Self {
        match (status, engine) {
            (_, EngineEnding::HostFailure) => Self::Abstain,
            (STATUS_NONE, EngineEnding::Returned) if fuel_left < 0 => Self::OutOfFuel,
            (STATUS_NONE, EngineEnding::Returned) => Self::Returned,
            (STATUS_NONE, EngineEnding::Trapped) => Self::Trap,
            (STATUS_OUT_OF_FUEL, EngineEnding::Trapped) => Self::OutOfFuel,
            (STATUS_STACK, EngineEnding::Trapped) => Self::StackLimit,
            (STATUS_ABORT, EngineEnding::Trapped) => Self::Abort,
            (STATUS_ENDED_BY_HOST, EngineEnding::Trapped) => Self::EndedByHost,
            _ => Self::Abstain,
        }
    }

    /// The fuel that the run is billed, or nothing if it gives no receipt.
    ///
    /// For [`Ending::EndedByHost`] this is the charge of an exit; a fault bills `fuel_max`.
    pub fn bill(self, fuel_max: u64, fuel_left: i64) -> Option<u64> {
        match self {
            Self::Returned | Self::EndedByHost | Self::StackLimit | Self::Abort => {
                Some(fuel_used(fuel_max, fuel_left))
            }
            Self::OutOfFuel | Self::Trap => Some(fuel_max),
            Self::Abstain => None,
        }
    }
}

/// What the engine said about a call, by class and not by text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineEnding {
    /// The call came back.
    Returned,
    /// A WebAssembly trap, or the error by which a host function unwinds.
    Trapped,
    /// Native stack overflow, interruption, failed compilation, out of memory, anything unknown.
    HostFailure,
}

/// What to put into [`EXPORT_FUEL`] before the first call, or nothing if starting costs too much.
pub fn fuel_at_start(fuel_max: u64, init_cost: u64) -> Option<i64> {
    let left = fuel_max.min(FUEL_MAX).checked_sub(init_cost)?;
    i64::try_from(left).ok()
}

/// The fuel that was charged: never more than the limit, whatever the counter says.
pub fn fuel_used(fuel_max: u64, fuel_left: i64) -> u64 {
    fuel_max.saturating_sub(u64::try_from(fuel_left).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: i32, left: i64, engine: EngineEnding, expected: Ending, bill: Option<u64>) {
        let ending = Ending::of(status, left, engine);
        assert_eq!(ending, expected);
        assert_eq!(ending.bill(100, left), bill);
    }

    #[test]
    fn a_return_with_fuel_left_bills_what_was_charged() {
        check(0, 40, EngineEnding::Returned, Ending::Returned, Some(60));
    }

    #[test]
    fn a_return_below_zero_is_out_of_fuel() {
        check(0, -1, EngineEnding::Returned, Ending::OutOfFuel, Some(100));
    }

    #[test]
    fn an_implicit_trap_bills_the_whole_limit() {
        check(0, 40, EngineEnding::Trapped, Ending::Trap, Some(100));
    }

    #[test]
    fn an_abort_and_a_stack_limit_bill_what_was_charged() {
        check(3, 40, EngineEnding::Trapped, Ending::Abort, Some(60));
        check(2, 40, EngineEnding::Trapped, Ending::StackLimit, Some(60));
    }

    #[test]
    fn what_the_host_could_not_do_gives_no_receipt() {
        check(4, 40, EngineEnding::Trapped, Ending::Abstain, None);
        check(0, 40, EngineEnding::HostFailure, Ending::Abstain, None);
        check(77, 40, EngineEnding::Trapped, Ending::Abstain, None);
        check(3, 40, EngineEnding::Returned, Ending::Abstain, None);
    }

    #[test]
    fn starting_needs_at_least_the_initial_cost() {
        assert_eq!(fuel_at_start(10, 11), None);
        assert_eq!(fuel_at_start(10, 10), Some(0));
        assert_eq!(fuel_at_start(u64::MAX, 0), Some(1 << 48));
    }
}
