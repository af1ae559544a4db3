//! One call under way: its arguments, its price, and what it writes.
//!
//! The order is the same for all: read arguments, check every pointer, pay, act, write results,
//! enter the transcript. Nothing can be written before it is paid for, and a call that cannot be
//! paid for has had no effect, so that "out of fuel at X" is the same state on every machine.

use crate::abi::{Errno, put, take};
use crate::function::{Function, PARAMETERS_MAX};
use crate::memory::{Fault, GuestMemory};
use crate::tree::NoMemory;
use crate::wasi::Ended;

/// What every call costs, whatever it does.
pub const CALL_PRICE: u64 = 200;

/// Bytes that are made, rather than copied from a buffer of ours, come in pieces of this size.
pub(crate) const CHUNK_BYTES: usize = 4096;

/// Why a call stops before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The guest hears of it and goes on.
    Errno(Errno),
    /// The run is over.
    Ended(Ended),
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<Ended> for Stop {
    fn from(ended: Ended) -> Self {
        Self::Ended(ended)
    }
}

impl From<NoMemory> for Stop {
    fn from(_: NoMemory) -> Self {
        Self::Ended(Ended::HostMemory)
    }
}

impl From<Fault> for Stop {
    fn from(_: Fault) -> Self {
        Self::Ended(Ended::Fault)
    }
}

/// A list of buffers in guest memory, every one of them checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffers {
    at: u32,
    count: u32,
    bytes: u64,
}

impl Buffers {
    /// How much the buffers hold together. The answer must fit the guest's 32-bit count.
    pub(crate) fn size(self) -> Result<u32, Errno> {
        u32::try_from(self.bytes).map_err(|_| Errno::Invalid)
    }
}

/// What is left of a list while bytes move: the rest of one buffer, and the entries after it.
struct Rest {
    buffers: Buffers,
    index: u32,
    at: u32,
    len: u32,
}

impl Rest {
    fn of(buffers: Buffers) -> Self {
        Self {
            buffers,
            index: 0,
            at: 0,
            len: 0,
        }
    }
}

pub(crate) struct Call<'a, M> {
    args: [u64; PARAMETERS_MAX],
    memory: &'a mut M,
    fuel: &'a mut i64,
    bytes: u64,
    extra: u64,
    /// What was subtracted so far; 0 means that nothing may be written yet.
    paid: u64,
    record: blake3::Hasher,
    written: u64,
}

impl<'a, M: GuestMemory> Call<'a, M> {
    /// `None` if the arguments are not those of the function, which only a broken host can cause.
    pub(crate) fn new(
        transcript: &[u8; 32],
        function: Function,
        given: &[u64],
        memory: &'a mut M,
        fuel: &'a mut i64,
    ) -> Option<Self> {
        let parameters = function.params();
        if parameters.len() != given.len() {
            return None;
        }

        let mut record = blake3::Hasher::new();
        record.update(transcript);
        record.update(&[function as u8]);

        let mut args = [0; PARAMETERS_MAX];
        for ((arg, value), parameter) in args.iter_mut().zip(given).zip(parameters) {
            // One host widens an i32 with its sign, another with zeros. The transcript must not
            // show which.
            *arg = match parameter {
                crate::abi::Parameter::I32 => value & u64::from(u32::MAX),
                crate::abi::Parameter::I64 => *value,
            };
            record.update(&arg.to_le_bytes());
        }
        Some(Self {
            args,
            memory,
            fuel,
            bytes: 0,
            extra: 0,
            paid: 0,
            record,
            written: 0,
        })
    }

    /// The argument at `index`, a constant within the function's parameters.
    pub(crate) fn u64(&self, index: usize) -> u64 {
        self.args.get(index).copied().unwrap_or_default()
    }

    pub(crate) fn u32(&self, index: usize) -> u32 {
        self.u64(index) as u32
    }

    /// Faults unless the guest has `len` bytes at `at`, aligned.
    pub(crate) fn check(&self, at: u32, len: u64, align: u32) -> Result<(), Stop> {
        let is_inside = u64::from(at)
            .checked_add(len)
            .is_some_and(|end| end <= self.memory.len());
        if is_inside && at.is_multiple_of(align) {
            Ok(())
        } else {
            Err(Fault.into())
        }
    }

    /// Checks a list of `count` buffers at `at`, pays for it, and checks each buffer in it.
    ///
    /// The list is paid for before it is read: a gigabyte of entries is work, and a guest without
    /// fuel must not get it for nothing.
    pub(crate) fn buffers(&mut self, at: u32, count: u32) -> Result<Buffers, Stop> {
        let list_bytes = u64::from(count) * 8;
        self.check(at, list_bytes, 4)?;
        self.pay(list_bytes, 0)?;

        let mut buffers = Buffers {
            at,
            count,
            bytes: 0,
        };
        for index in 0..count {
            let (start, len) = self.buffer(buffers, index)?;
            self.check(start, u64::from(len), 1)?;
            // At most 2^29 lists entries of less than 2^32 bytes: the sum fits.
            buffers.bytes += u64::from(len);
        }
        Ok(buffers)
    }

    /// Adds to the price, and takes the difference: 200 + bytes moved / 2 + the call's extra.
    ///
    /// A call may pay in steps, as it learns what it will move; the last step comes before the
    /// first effect.
    pub(crate) fn pay(&mut self, bytes: u64, extra: u64) -> Result<(), Stop> {
        self.bytes = self.bytes.saturating_add(bytes);
        self.extra = self.extra.saturating_add(extra);
        let price = (self.bytes / 2)
            .saturating_add(self.extra)
            .saturating_add(CALL_PRICE);

        let due = i64::try_from(price.saturating_sub(self.paid)).unwrap_or(i64::MAX);
        *self.fuel = self.fuel.saturating_sub(due);
        self.paid = price;
        if *self.fuel < 0 {
            Err(Ended::OutOfFuel.into())
        } else {
            Ok(())
        }
    }

    /// Pays the least that a call costs, unless it has paid already.
    pub(crate) fn pay_at_least_once(&mut self) -> Result<(), Stop> {
        if self.paid == 0 {
            self.pay(0, 0)
        } else {
            Ok(())
        }
    }

    pub(crate) fn read(&self, at: u32, to: &mut [u8]) -> Result<(), Stop> {
        Ok(self.memory.read(at, to)?)
    }

    /// Writes to the guest, and enters the bytes into the transcript.
    pub(crate) fn write(&mut self, at: u32, from: &[u8]) -> Result<(), Stop> {
        if self.paid == 0 {
            return Err(Fault.into());
        }
        self.memory.write(at, from)?;
        self.record.update(from);
        self.written = self.written.saturating_add(from.len() as u64);
        Ok(())
    }

    pub(crate) fn write_u32(&mut self, at: u32, value: u32) -> Result<(), Stop> {
        self.write(at, &value.to_le_bytes())
    }

    /// Fills the pieces from the buffers, in order, and leaves the rest of the last one alone.
    pub(crate) fn gather<'p>(
        &self,
        buffers: Buffers,
        pieces: impl IntoIterator<Item = &'p mut [u8]>,
    ) -> Result<(), Stop> {
        let mut rest = Rest::of(buffers);
        for piece in pieces {
            let mut to = piece;
            while !to.is_empty() {
                let Some((start, len)) = self.next_part(&mut rest, to.len())? else {
                    return Ok(());
                };
                let (head, tail) = to.split_at_mut(len);
                self.read(start, head)?;
                to = tail;
            }
        }
        Ok(())
    }

    /// Fills the buffers from the pieces, in order, and says how many bytes they took.
    pub(crate) fn scatter<'p>(
        &mut self,
        buffers: Buffers,
        pieces: impl IntoIterator<Item = &'p [u8]>,
    ) -> Result<u32, Stop> {
        let mut rest = Rest::of(buffers);
        let mut moved = 0;
        for piece in pieces {
            let mut from = piece;
            while !from.is_empty() {
                let Some((start, len)) = self.next_part(&mut rest, from.len())? else {
                    return Ok(moved);
                };
                let (head, tail) = from.split_at(len);
                self.write(start, head)?;
                moved += len as u32;
                from = tail;
            }
        }
        Ok(moved)
    }

    /// Where the next bytes go to or come from, at most `most` of them; none after the last.
    ///
    /// Each entry of the list is read when its turn comes: a guest that lets a buffer lie over
    /// the list gets what it asked for, and still cannot reach beyond its memory.
    fn next_part(&self, rest: &mut Rest, most: usize) -> Result<Option<(u32, usize)>, Stop> {
        while rest.len == 0 {
            if rest.index == rest.buffers.count {
                return Ok(None);
            }
            (rest.at, rest.len) = self.buffer(rest.buffers, rest.index)?;
            rest.index += 1;
        }
        let part = (rest.at, most.min(rest.len as usize));
        rest.len -= part.1 as u32;
        rest.at = rest.at.wrapping_add(part.1 as u32);
        Ok(Some(part))
    }

    /// The transcript after this call.
    pub(crate) fn close(mut self, errno: Errno) -> [u8; 32] {
        let mut tail = [0; 18];
        put(&mut tail, 0, self.written.to_le_bytes());
        put(&mut tail, 8, errno.code().to_le_bytes());
        put(&mut tail, 10, self.fuel.to_le_bytes());
        self.record.update(&tail);
        *self.record.finalize().as_bytes()
    }

    fn buffer(&self, buffers: Buffers, index: u32) -> Result<(u32, u32), Stop> {
        let mut entry = [0; 8];
        self.read(buffers.at.wrapping_add(index.wrapping_mul(8)), &mut entry)?;
        Ok((
            u32::from_le_bytes(take(&entry, 0)),
            u32::from_le_bytes(take(&entry, 4)),
        ))
    }
}
