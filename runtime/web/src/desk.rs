//! What the outside holds by number: buffers, runs and hashers.
//!
//! The outside is JavaScript, which can hold neither a Rust value nor its lifetime. A number that
//! names nothing, or a thing of another kind, is answered and never followed.

use std::collections::BTreeMap;

use haar_meter::Profile;
use haar_wasi::{Ended, Function, GuestMemory, Wasi};

use crate::form;

/// Things at once. A run needs a handful; a page that loses them hears of it early.
pub const THINGS_MAX: usize = 4_096;
/// Arguments of the function that has the most, and the fuel before them.
pub const WORDS: usize = 10;

/// The number of one thing; 0 names nothing.
pub type Handle = u32;

/// How a host call ended, as one number for the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEnd {
    /// The guest goes on with this errno.
    Errno(u16),
    /// The guest asked to exit.
    Exit,
    /// The call could not be paid for.
    OutOfFuel,
    /// A bad pointer, too much output, or a signal.
    Fault,
    /// This host has no memory for what the guest may have: no outcome.
    HostMemory,
    /// The outside named no run or no function: its bug, and no outcome.
    Misused,
}

impl CallEnd {
    /// An errno as it is, everything else below zero.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Errno(errno) => errno.into(),
            Self::Exit => -1,
            Self::OutOfFuel => -2,
            Self::Fault => -3,
            Self::HostMemory => -4,
            Self::Misused => -5,
        }
    }
}

/// One guest's world, and the words in which the outside hands over a call.
#[derive(Debug)]
pub struct Run {
    wasi: Wasi,
    /// The fuel, then the arguments.
    words: Box<[u64; WORDS]>,
}

impl Run {
    /// Makes the call whose arguments stand in the words, and writes back the fuel.
    pub fn call(&mut self, function: u32, memory: &mut impl GuestMemory) -> CallEnd {
        let Some(&function) = Function::ALL.get(function as usize) else {
            return CallEnd::Misused;
        };
        let (fuel, args) = self.words.split_at_mut(1);
        let (Some(word), Some(args)) = (fuel.first_mut(), args.get(..function.params().len()))
        else {
            return CallEnd::Misused;
        };
        let mut left = word.cast_signed();
        let outcome = self.wasi.call(function, args, memory, &mut left);
        *word = left.cast_unsigned();
        match outcome {
            Ok(errno) => CallEnd::Errno(errno.code()),
            Err(Ended::Exit(_)) => CallEnd::Exit,
            Err(Ended::OutOfFuel) => CallEnd::OutOfFuel,
            Err(Ended::Fault) => CallEnd::Fault,
            Err(Ended::HostMemory) => CallEnd::HostMemory,
        }
    }
}

/// Something with a number.
#[derive(Debug)]
enum Thing {
    Bytes(Vec<u8>),
    Run(Box<Run>),
    Hasher(Box<blake3::Hasher>),
}

/// Everything that the outside holds.
#[derive(Debug, Default)]
pub struct Desk {
    things: BTreeMap<Handle, Thing>,
    last: Handle,
}

impl Desk {
    /// Zeros to write into; 0 if there is no room for them.
    pub fn buffer(&mut self, len: u32) -> Handle {
        let mut bytes = Vec::new();
        if bytes.try_reserve_exact(len as usize).is_err() {
            return 0;
        }
        bytes.resize(len as usize, 0);
        self.put(Thing::Bytes(bytes))
    }

    /// The bytes of a buffer; none if it is no buffer.
    pub fn bytes_mut(&mut self, handle: Handle) -> Option<&mut [u8]> {
        match self.things.get_mut(&handle) {
            Some(Thing::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// Forgets a thing.
    pub fn free(&mut self, handle: Handle) {
        self.things.remove(&handle);
    }

    /// Meters the module in a buffer: a buffer with [`form::metered`] or [`form::rejected`].
    pub fn meter(&mut self, module: Handle, profile: &Profile) -> Handle {
        let Some(module) = self.bytes_mut(module) else {
            return 0;
        };
        let answer = match haar_meter::meter(module, profile) {
            Ok(metered) => form::metered(&metered),
            Err(rejected) => form::rejected(&rejected),
        };
        self.put(Thing::Bytes(answer))
    }

    /// The table of functions that a guest may import: a buffer with [`form::functions`].
    pub fn functions(&mut self) -> Handle {
        self.put(Thing::Bytes(form::functions()))
    }

    /// A run in the environment that a buffer describes, or minus a buffer that says what is wrong.
    pub fn open(&mut self, environment: Handle) -> i64 {
        let Some(bytes) = self.bytes_mut(environment) else {
            return 0;
        };
        let world = form::environment(bytes)
            .map_err(|wrong| wrong.to_string())
            .and_then(|environment| Wasi::new(environment).map_err(|wrong| wrong.to_string()));
        match world {
            Ok(wasi) => {
                let words = Box::default();
                i64::from(self.put(Thing::Run(Box::new(Run { wasi, words }))))
            }
            Err(wrong) => -i64::from(self.put(Thing::Bytes(wrong.into_bytes()))),
        }
    }

    /// Where a run's words stand; none if it is no run.
    pub fn words_mut(&mut self, run: Handle) -> Option<&mut [u64; WORDS]> {
        match self.things.get_mut(&run) {
            Some(Thing::Run(run)) => Some(&mut run.words),
            _ => None,
        }
    }

    /// Takes a run off the desk for one call, so that a call back from the outside meets nothing.
    pub fn take_run(&mut self, run: Handle) -> Option<Box<Run>> {
        match self.things.remove(&run) {
            Some(Thing::Run(run)) => Some(run),
            Some(other) => {
                self.things.insert(run, other);
                None
            }
            None => None,
        }
    }

    /// Puts it back.
    pub fn return_run(&mut self, handle: Handle, run: Box<Run>) {
        self.things.insert(handle, Thing::Run(run));
    }

    /// Ends a run: a buffer with [`form::finished`].
    pub fn end(&mut self, run: Handle) -> Handle {
        match self.take_run(run) {
            Some(run) => self.put(Thing::Bytes(form::finished(&run.wasi.finish()))),
            None => 0,
        }
    }

    /// A new BLAKE3.
    pub fn hasher(&mut self) -> Handle {
        self.put(Thing::Hasher(Box::default()))
    }

    /// Feeds the first `len` bytes of a buffer to a hasher; false if one of them is not what it should be.
    pub fn hash(&mut self, hasher: Handle, buffer: Handle, len: u32) -> bool {
        let mut state = match self.things.remove(&hasher) {
            Some(Thing::Hasher(state)) => state,
            Some(other) => {
                self.things.insert(hasher, other);
                return false;
            }
            None => return false,
        };
        let fed = match self.bytes_mut(buffer) {
            Some(bytes) => bytes.get(..len as usize).map(|bytes| state.update(bytes)),
            None => None,
        };
        let is_fed = fed.is_some();
        self.things.insert(hasher, Thing::Hasher(state));
        is_fed
    }

    /// Ends a hasher: a buffer with the 32 bytes.
    pub fn hashed(&mut self, hasher: Handle) -> Handle {
        match self.things.remove(&hasher) {
            Some(Thing::Hasher(state)) => {
                let hash = state.finalize().as_bytes().to_vec();
                self.put(Thing::Bytes(hash))
            }
            Some(other) => {
                self.things.insert(hasher, other);
                0
            }
            None => 0,
        }
    }

    fn put(&mut self, thing: Thing) -> Handle {
        if THINGS_MAX <= self.things.len() {
            return 0;
        }
        // Numbers come again only after four billion, and never while they are in use.
        loop {
            self.last = self.last.wrapping_add(1) & (u32::MAX >> 1);
            if self.last != 0 && !self.things.contains_key(&self.last) {
                break;
            }
        }
        self.things.insert(self.last, thing);
        self.last
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_another_kind_is_answered_and_not_followed() {
        let mut desk = Desk::default();
        let buffer = desk.buffer(4);
        assert!(desk.take_run(buffer).is_none());
        assert_eq!(desk.hashed(buffer), 0);
        assert_eq!(desk.end(buffer), 0);
        assert!(!desk.hash(buffer, buffer, 4));
        assert_eq!(desk.open(77), 0);
        assert_eq!(desk.meter(77, &Profile::PHONE), 0);
        assert_eq!(desk.bytes_mut(buffer).unwrap().len(), 4);
        desk.free(buffer);
        assert!(desk.bytes_mut(buffer).is_none());
    }

    #[test]
    fn a_desk_that_is_full_takes_nothing_more() {
        let mut desk = Desk::default();
        let handles: Vec<Handle> = (0..=THINGS_MAX).map(|_| desk.buffer(0)).collect();
        assert_eq!(handles.last(), Some(&0));
        assert_eq!(handles.iter().filter(|handle| **handle == 0).count(), 1);
    }

    #[test]
    fn a_hash_is_that_of_all_that_was_fed() {
        let mut desk = Desk::default();
        let (hasher, buffer) = (desk.hasher(), desk.buffer(3));
        desk.bytes_mut(buffer).unwrap().copy_from_slice(b"abc");
        assert!(desk.hash(hasher, buffer, 3));
        assert!(desk.hash(hasher, buffer, 2));
        assert!(!desk.hash(hasher, buffer, 4));
        let hash = desk.hashed(hasher);
        assert_eq!(
            desk.bytes_mut(hash).unwrap(),
            blake3::hash(b"abcab").as_bytes()
        );
    }

    #[test]
    fn a_call_reads_its_words_and_writes_back_the_fuel() {
        let mut desk = Desk::default();
        let environment = desk.buffer(form::EMPTY_ENVIRONMENT_BYTES);
        let run = u32::try_from(desk.open(environment)).unwrap();
        let words = desk.words_mut(run).unwrap();
        words[0] = 1_000;
        (words[1], words[2]) = (16, 8);
        let random = Function::ALL
            .iter()
            .position(|function| *function == Function::RandomGet)
            .unwrap();

        let mut taken = desk.take_run(run).unwrap();
        let mut memory = vec![0; 65_536];
        let end = taken.call(u32::try_from(random).unwrap(), &mut memory);
        assert_eq!(end, CallEnd::Errno(0));
        assert_eq!(taken.call(10_000, &mut memory), CallEnd::Misused);
        desk.return_run(run, taken);
        assert_eq!(desk.words_mut(run).unwrap()[0], 1_000 - 200 - 8 / 2);
        assert_ne!(desk.end(run), 0);
    }
}
