//! Randomness: one BLAKE3 stream out of the job's seed.

use crate::call::{CHUNK_BYTES, Call, Stop};
use crate::memory::GuestMemory;
use crate::wasi::Wasi;

/// The stream, and how far it has been read.
#[derive(Clone, Debug)]
pub(crate) struct Random(blake3::OutputReader);

impl Random {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        Self(blake3::Hasher::new().update(seed).finalize_xof())
    }
}

impl Wasi {
    pub(crate) fn random_get<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        let (mut at, mut left) = (call.u32(0), call.u32(1));
        call.check(at, u64::from(left), 1)?;
        call.pay(u64::from(left), 0)?;

        let mut chunk = [0; CHUNK_BYTES];
        while left > 0 {
            let len = left.min(CHUNK_BYTES as u32);
            let bytes = chunk.get_mut(..len as usize).unwrap_or_default();
            self.random.0.fill(bytes);
            call.write(at, bytes)?;
            at = at.wrapping_add(len);
            left -= len;
        }
        Ok(())
    }
}
