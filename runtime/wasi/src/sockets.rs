//! There are no sockets. A guest that asks learns it in the same way everywhere.

use crate::abi::{Errno, FDFLAGS_ALL, flags};
use crate::call::{Call, Stop};
use crate::memory::GuestMemory;
use crate::wasi::Wasi;

impl Wasi {
    pub(crate) fn sock_accept<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        call.check(call.u32(2), 4, 4)?;
        call.pay(0, 0)?;

        flags(call.u32(1), FDFLAGS_ALL)?;
        self.refuse_socket(call.u32(0))
    }

    pub(crate) fn sock_recv<M: GuestMemory>(&mut self, call: &mut Call<'_, M>) -> Result<(), Stop> {
        call.check(call.u32(4), 4, 4)?;
        call.check(call.u32(5), 2, 2)?;
        call.buffers(call.u32(1), call.u32(2))?;

        flags(call.u32(3), 3)?;
        self.refuse_socket(call.u32(0))
    }

    pub(crate) fn sock_send<M: GuestMemory>(&mut self, call: &mut Call<'_, M>) -> Result<(), Stop> {
        call.check(call.u32(4), 4, 4)?;
        call.buffers(call.u32(1), call.u32(2))?;

        // Preview 1 names no flag for sending.
        flags(call.u32(3), 0)?;
        self.refuse_socket(call.u32(0))
    }

    pub(crate) fn sock_shutdown<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        call.pay(0, 0)?;

        flags(call.u32(1), 3)?;
        self.refuse_socket(call.u32(0))
    }

    fn refuse_socket(&self, fd: u32) -> Result<(), Stop> {
        self.descriptors.get(fd)?;
        Err(Errno::NotSupported.into())
    }
}
