//! All that is decided about one body before it is written.

use wasmparser::Operator;

use crate::admission::cap;
use crate::callees::Callees;
use crate::flow::{self, Ahead};
use crate::ir::Code;
use crate::limits::FRAME_BYTES_MAX;
use crate::nan::{self, NanPlan};
use crate::placement::{self, Charge};
use crate::rejected::{Rejected, place};
use crate::schedule::Schedule;

/// Bytes of a frame before its values, by the formula of the profile.
const FRAME_BASE: u64 = 320;
/// Bytes of a frame for each value of 64 bits.
const FRAME_SLOT: u64 = 24;

/// What the second walk needs to know about one body.
#[derive(Debug)]
pub(crate) struct BodyPlan {
    pub(crate) fuel: FuelPlan,
    pub(crate) nan: NanPlan,
    /// Bytes of the frame.
    pub(crate) frame: u32,
}

impl BodyPlan {
    /// Decides about `code`, whose callers may charge for it if `may_fold`.
    pub(crate) fn new(
        code: &Code<'_>,
        callees: &Callees<'_>,
        may_fold: bool,
        schedule: &Schedule,
    ) -> Result<Self, Rejected> {
        let mut fuel = FuelPlan::new(code, callees, schedule)?;
        if may_fold {
            fuel.fold();
        }
        let nan = nan::plan(code)?;
        let frame = frame_bytes(code, &fuel, &nan);
        let at = Some(place(code.offset));
        cap("bytes of stack frame", frame, FRAME_BYTES_MAX, at)?;
        Ok(Self {
            fuel,
            nan,
            frame: frame as u32,
        })
    }
}

/// Where fuel is charged in a body, and what its code needs for that.
#[derive(Debug, Default)]
pub(crate) struct FuelPlan {
    /// In the order of their places.
    pub(crate) charges: Vec<Charge>,
    /// Counted loops that are charged before they start, in the order of the text.
    pub(crate) ahead: Vec<Ahead>,
    /// Whether a defined function is called, directly or through the table.
    pub(crate) calls: bool,
    /// Whether some check can fail.
    pub(crate) is_checked: bool,
    pub(crate) aborts: bool,
    /// Whether an i32 must wait aside, while fuel is taken or handed on.
    pub(crate) needs_temporary: bool,
    /// What a call costs, if the callers charge for it.
    pub(crate) folded: Option<u64>,
    /// Whether the body is one piece of code that does nothing about fuel but cost some.
    is_straight: bool,
}

impl FuelPlan {
    fn new(code: &Code<'_>, callees: &Callees<'_>, schedule: &Schedule) -> Result<Self, Rejected> {
        let mut plan = Self {
            is_straight: true,
            ..Self::default()
        };
        for op in code.ops.iter().filter(|op| op.is_live) {
            plan.note(&op.op, callees);
        }
        let flow = flow::read(code, callees, schedule)?;
        plan.is_straight &= flow.nodes.len() == 1 && flow.ahead.is_empty();
        plan.charges = placement::place(&flow);
        plan.ahead = flow.ahead;
        plan.is_checked |= !plan.ahead.is_empty();
        plan.is_checked |= plan.charges.iter().any(|charge| charge.is_checked);
        Ok(plan)
    }

    /// Leaves the charge to the callers, if one charge is all there is.
    fn fold(&mut self) {
        if self.is_straight && !self.is_checked {
            let charges = std::mem::take(&mut self.charges);
            self.folded = Some(charges.iter().map(|charge| charge.amount).sum());
        }
    }

    /// Notes what the function needs because of an instruction.
    fn note(&mut self, op: &Operator<'_>, callees: &Callees<'_>) {
        match op {
            Operator::Call { function_index } => {
                self.calls |= callees.defined(*function_index).is_some();
                self.is_straight = false;
            }
            Operator::CallIndirect { .. } => {
                self.calls = true;
                self.needs_temporary = true;
                self.is_straight = false;
            }
            Operator::MemoryGrow { .. } | Operator::Return => self.is_straight = false,
            Operator::MemoryFill { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryInit { .. } => {
                self.is_checked = true;
                self.needs_temporary = true;
            }
            Operator::Unreachable => {
                self.aborts = true;
                self.is_straight = false;
            }
            _ => {}
        }
    }
}

fn frame_bytes(code: &Code<'_>, fuel: &FuelPlan, nan: &NanPlan) -> u64 {
    // Fuel and depth are locals of the pass, too.
    let own = 2 + u64::from(fuel.needs_temporary) + nan.temporaries.slots();
    let slots = code.param_slots() + code.local_slots() + own + code.height_max;
    FRAME_BASE + FRAME_SLOT * slots
}
