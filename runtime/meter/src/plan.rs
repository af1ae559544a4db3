//! All that is decided about one body before it is written.

use crate::admission::cap;
use crate::charges::{self, FuelPlan};
use crate::ir::Code;
use crate::limits::FRAME_BYTES_MAX;
use crate::nan::{self, NanPlan};
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
    /// Decides about `code`; `imports` are the functions that are not defined.
    pub(crate) fn new(
        code: &Code<'_>,
        imports: u32,
        schedule: &Schedule,
    ) -> Result<Self, Rejected> {
        let fuel = charges::plan(code, imports, schedule)?;
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

fn frame_bytes(code: &Code<'_>, fuel: &FuelPlan, nan: &NanPlan) -> u64 {
    // Fuel and depth are locals of the pass, too.
    let own = 2 + u64::from(fuel.needs_temporary) + nan.temporaries.slots();
    let slots = code.param_slots() + code.local_slots() + own + code.height_max;
    FRAME_BASE + FRAME_SLOT * slots
}
