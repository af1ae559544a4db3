//! The virtual clock. It starts at 0, moves one step per look, and jumps when the guest sleeps.
//!
//! It never reads the fuel: fuel prices may change with the profile, and a program that prints
//! how long it took should not change its output with them.

use crate::abi::Errno;
use crate::call::{Call, Stop};
use crate::memory::GuestMemory;
use crate::wasi::Wasi;

/// One microsecond: the resolution, and the step of each look.
pub(crate) const STEP_NS: u64 = 1_000;

/// The clocks a guest may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockId {
    Realtime,
    Monotonic,
}

impl ClockId {
    /// The CPU-time clocks exist in preview 1 but not here: they would tell the machine's speed.
    pub(crate) fn parse(id: u32) -> Result<Self, Errno> {
        match id {
            0 => Ok(Self::Realtime),
            1 => Ok(Self::Monotonic),
            2 | 3 => Err(Errno::BadDescriptor),
            _ => Err(Errno::Invalid),
        }
    }
}

/// Nanoseconds since the run began, and what the job calls that beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start_ns: u64,
    passed_ns: u64,
}

impl Clock {
    pub(crate) fn new(start_ns: u64) -> Self {
        Self {
            start_ns,
            passed_ns: 0,
        }
    }

    /// The monotonic time.
    pub(crate) fn passed_ns(self) -> u64 {
        self.passed_ns
    }

    /// The time of day.
    pub(crate) fn now_ns(self) -> u64 {
        self.start_ns.saturating_add(self.passed_ns)
    }

    /// The monotonic time at which a subscription falls due.
    pub(crate) fn deadline_ns(self, id: ClockId, timeout_ns: u64, is_absolute: bool) -> u64 {
        match (is_absolute, id) {
            (false, _) => self.passed_ns.saturating_add(timeout_ns),
            (true, ClockId::Monotonic) => timeout_ns,
            (true, ClockId::Realtime) => timeout_ns.saturating_sub(self.start_ns),
        }
    }

    /// Sleeps until `deadline_ns`, which may have passed already: time never runs backwards.
    pub(crate) fn sleep_until(&mut self, deadline_ns: u64) {
        self.passed_ns = self.passed_ns.max(deadline_ns);
    }

    fn step(&mut self) {
        self.passed_ns = self.passed_ns.saturating_add(STEP_NS);
    }
}

impl Wasi {
    pub(crate) fn clock_res_get<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        let at = call.u32(1);
        call.check(at, 8, 8)?;
        call.pay(0, 0)?;

        ClockId::parse(call.u32(0))?;
        call.write(at, &STEP_NS.to_le_bytes())
    }

    pub(crate) fn clock_time_get<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        let at = call.u32(2);
        call.check(at, 8, 8)?;
        call.pay(0, 0)?;

        let time_ns = match ClockId::parse(call.u32(0))? {
            ClockId::Realtime => self.clock.now_ns(),
            ClockId::Monotonic => self.clock.passed_ns(),
        };
        self.clock.step();
        call.write(at, &time_ns.to_le_bytes())
    }
}
