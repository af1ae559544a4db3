//! Arguments and variables: bytes that were fixed before the run.

use crate::call::{Call, Stop};
use crate::environment::Strings;
use crate::memory::GuestMemory;
use crate::wasi::Wasi;

impl Wasi {
    pub(crate) fn args_get<M: GuestMemory>(&mut self, call: &mut Call<'_, M>) -> Result<(), Stop> {
        strings_get(&self.args, call)
    }

    pub(crate) fn args_sizes_get<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        strings_sizes_get(&self.args, call)
    }

    pub(crate) fn environ_get<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        strings_get(&self.env, call)
    }

    pub(crate) fn environ_sizes_get<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        strings_sizes_get(&self.env, call)
    }
}

/// Writes the bytes in one piece, then the pointers to them.
fn strings_get<M: GuestMemory>(strings: &Strings, call: &mut Call<'_, M>) -> Result<(), Stop> {
    let (pointers_at, bytes_at) = (call.u32(0), call.u32(1));
    let pointers_len = strings.starts.len() as u64 * 4;
    let bytes_len = strings.bytes.len() as u64;
    call.check(pointers_at, pointers_len, 4)?;
    call.check(bytes_at, bytes_len, 1)?;
    call.pay(pointers_len + bytes_len, 0)?;

    call.write(bytes_at, &strings.bytes)?;
    let mut at = pointers_at;
    for start in &strings.starts {
        call.write_u32(at, bytes_at.wrapping_add(*start))?;
        at = at.wrapping_add(4);
    }
    Ok(())
}

fn strings_sizes_get<M: GuestMemory>(
    strings: &Strings,
    call: &mut Call<'_, M>,
) -> Result<(), Stop> {
    let (count_at, size_at) = (call.u32(0), call.u32(1));
    call.check(count_at, 4, 4)?;
    call.check(size_at, 4, 4)?;
    call.pay(0, 0)?;

    call.write_u32(count_at, strings.starts.len() as u32)?;
    call.write_u32(size_at, strings.bytes.len() as u32)
}
