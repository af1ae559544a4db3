//! The calls that end the run, or only seem to do something.

use crate::call::{Call, Stop};
use crate::memory::GuestMemory;
use crate::tree::lengthen;
use crate::wasi::{Ended, Wasi};

impl Wasi {
    pub(crate) fn proc_exit<M: GuestMemory>(&mut self, call: &mut Call<'_, M>) -> Result<(), Stop> {
        call.pay(0, 0)?;
        Err(Ended::Exit(call.u32(0)).into())
    }

    /// No signal can be handled here, so raising one is a trap.
    pub(crate) fn proc_raise<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        call.pay(0, 0)?;
        Err(Ended::Fault.into())
    }

    pub(crate) fn sched_yield<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        call.pay(0, 0)
    }

    /// `haar.log`: a line for the author, beside standard error.
    pub(crate) fn haar_log<M: GuestMemory>(&mut self, call: &mut Call<'_, M>) -> Result<(), Stop> {
        let (at, len) = (call.u32(0), call.u32(1));
        call.check(at, u64::from(len), 1)?;
        call.pay(u64::from(len), 0)?;

        let place = self.log_place(len)?;
        call.read(at, place)
    }

    /// Makes room in the log for as much of `len` bytes as still fits, and lends it for filling.
    pub(crate) fn log_place(&mut self, len: u32) -> Result<&mut [u8], Stop> {
        let max = self.limits.log_bytes_max;
        let left = max.saturating_sub(self.log.len() as u64);
        let kept = left.min(u64::from(len)) as usize;
        Ok(lengthen(&mut self.log, kept, max)?)
    }
}
