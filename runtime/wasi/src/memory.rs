//! The guest's memory, whoever holds it: wasmtime, a browser, or a test.

/// An address or a range that the guest's memory does not have, or one that is misaligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the guest named memory that it does not have")]
pub struct Fault;

/// Copies bytes in and out of the guest. Nothing is ever borrowed across a call, so that a browser
/// may replace the buffer when the guest's memory grows.
pub trait GuestMemory {
    /// Fills `to` with the bytes from address `at` on.
    fn read(&self, at: u32, to: &mut [u8]) -> Result<(), Fault>;

    /// Writes `from` at address `at`.
    fn write(&mut self, at: u32, from: &[u8]) -> Result<(), Fault>;

    /// How many bytes there are now. Memory of 65,536 pages has one more than a `u32` can say.
    fn len(&self) -> u64;

    /// Whether there is no memory at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An engine's memory, as it stands during one call.
pub struct Bytes<'a>(pub &'a mut [u8]);

impl GuestMemory for Bytes<'_> {
    fn read(&self, at: u32, to: &mut [u8]) -> Result<(), Fault> {
        let range = range(at, to.len())?;
        to.copy_from_slice(self.0.get(range).ok_or(Fault)?);
        Ok(())
    }

    fn write(&mut self, at: u32, from: &[u8]) -> Result<(), Fault> {
        let range = range(at, from.len())?;
        let to = self.0.get_mut(range).ok_or(Fault)?;
        to.copy_from_slice(from);
        Ok(())
    }

    fn len(&self) -> u64 {
        self.0.len() as u64
    }
}

/// Plain bytes are memory too: tests and interpreters have nothing else.
impl GuestMemory for Vec<u8> {
    fn read(&self, at: u32, to: &mut [u8]) -> Result<(), Fault> {
        let range = range(at, to.len())?;
        to.copy_from_slice(self.as_slice().get(range).ok_or(Fault)?);
        Ok(())
    }

    fn write(&mut self, at: u32, from: &[u8]) -> Result<(), Fault> {
        let range = range(at, from.len())?;
        self.as_mut_slice()
            .get_mut(range)
            .ok_or(Fault)?
            .copy_from_slice(from);
        Ok(())
    }

    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }
}

fn range(at: u32, len: usize) -> Result<std::ops::Range<usize>, Fault> {
    let start = usize::try_from(at).map_err(|_| Fault)?;
    let end = start.checked_add(len).ok_or(Fault)?;
    Ok(start..end)
}
