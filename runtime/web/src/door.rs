//! The exported functions and the two imported ones: the only file with unsafe words in it.
//!
//! No function here dereferences a pointer that came from outside. The outside writes into buffers
//! that live on the desk, between calls and never during one; all it is told is where they stand.
#![allow(unsafe_code)]

use std::cell::RefCell;

use haar_meter::Profile;
use haar_wasi::{Fault, GuestMemory};

use crate::desk::{CallEnd, Desk, Handle};

thread_local! {
    static DESK: RefCell<Desk> = RefCell::default();
}

fn desk<T>(work: impl FnOnce(&mut Desk) -> T) -> T {
    // Never borrowed while the outside runs, so it cannot be borrowed twice.
    DESK.with_borrow_mut(work)
}

// SAFETY: the host implements both for any arguments; they touch `len` bytes at our address and the
// guest's memory, and nothing else. The addresses come from slices that live through the call.
#[link(wasm_import_module = "guest")]
unsafe extern "C" {
    /// Copies guest memory to us.
    safe fn read(at: u32, to: *mut u8, len: u32);
    /// Copies our memory to the guest.
    safe fn write(at: u32, from: *const u8, len: u32);
}

/// The memory of the guest that is calling.
struct Guest {
    bytes: u64,
}

impl Guest {
    fn has(&self, at: u32, len: usize) -> Result<u32, Fault> {
        let end = u64::from(at).saturating_add(len as u64);
        if self.bytes < end {
            return Err(Fault);
        }
        u32::try_from(len).map_err(|_| Fault)
    }
}

impl GuestMemory for Guest {
    fn read(&self, at: u32, to: &mut [u8]) -> Result<(), Fault> {
        let len = self.has(at, to.len())?;
        read(at, to.as_mut_ptr(), len);
        Ok(())
    }

    fn write(&mut self, at: u32, from: &[u8]) -> Result<(), Fault> {
        let len = self.has(at, from.len())?;
        write(at, from.as_ptr(), len);
        Ok(())
    }

    fn len(&self) -> u64 {
        self.bytes
    }
}

// SAFETY of the attribute below, here and for all that follow: the names are in no other crate.

/// A buffer of zeros; 0 if there is no room.
#[unsafe(no_mangle)]
extern "C" fn buffer_new(len: u32) -> Handle {
    desk(|desk| desk.buffer(len))
}

/// Where a buffer stands. It stays there until it is freed.
#[unsafe(no_mangle)]
extern "C" fn buffer_at(buffer: Handle) -> *mut u8 {
    desk(|desk| {
        desk.bytes_mut(buffer)
            .map_or(std::ptr::null_mut(), <[u8]>::as_mut_ptr)
    })
}

/// How many bytes a buffer has.
#[unsafe(no_mangle)]
extern "C" fn buffer_length(buffer: Handle) -> u32 {
    desk(|desk| desk.bytes_mut(buffer).map_or(0, |bytes| bytes.len() as u32))
}

/// Forgets a buffer, a run or a hasher.
#[unsafe(no_mangle)]
extern "C" fn free(thing: Handle) {
    desk(|desk| desk.free(thing));
}

/// Meters the module in a buffer. The answer is a buffer, whichever way it goes.
#[unsafe(no_mangle)]
extern "C" fn meter(module: Handle, stack_limit: u32, pages_max: u32, simd: u32) -> Handle {
    let profile = Profile {
        stack_limit,
        pages_max,
        simd: simd != 0,
    };
    desk(|desk| desk.meter(module, &profile))
}

/// The functions that a guest may import, as a buffer. A function's number is its place in it.
#[unsafe(no_mangle)]
extern "C" fn functions() -> Handle {
    desk(Desk::functions)
}

/// A run in the environment that a buffer describes; minus a buffer with a sentence if that cannot be.
#[unsafe(no_mangle)]
extern "C" fn wasi_new(environment: Handle) -> i32 {
    // Handles have 31 bits.
    desk(|desk| desk.open(environment) as i32)
}

/// Where a run's ten words stand: the fuel, then the arguments of the next call.
#[unsafe(no_mangle)]
extern "C" fn wasi_words(run: Handle) -> *mut u64 {
    desk(|desk| {
        desk.words_mut(run)
            .map_or(std::ptr::null_mut(), |words| words.as_mut_ptr())
    })
}

/// Makes one call for a guest that has `pages` of memory now; see [`CallEnd::code`].
#[unsafe(no_mangle)]
extern "C" fn wasi_call(run: Handle, function: u32, pages: u32) -> i32 {
    let Some(mut taken) = desk(|desk| desk.take_run(run)) else {
        return CallEnd::Misused.code();
    };
    let mut guest = Guest {
        bytes: u64::from(pages) << 16,
    };
    let end = taken.call(function, &mut guest);
    desk(|desk| desk.return_run(run, taken));
    end.code()
}

/// Ends a run and gives a buffer with what it left.
#[unsafe(no_mangle)]
extern "C" fn wasi_end(run: Handle) -> Handle {
    desk(|desk| desk.end(run))
}

/// A new BLAKE3.
#[unsafe(no_mangle)]
extern "C" fn hash_new() -> Handle {
    desk(Desk::hasher)
}

/// Feeds the first bytes of a buffer; 0 if it could not.
#[unsafe(no_mangle)]
extern "C" fn hash_add(hasher: Handle, buffer: Handle, len: u32) -> u32 {
    desk(|desk| desk.hash(hasher, buffer, len)).into()
}

/// Ends a hasher and gives a buffer of 32 bytes.
#[unsafe(no_mangle)]
extern "C" fn hash_end(hasher: Handle) -> Handle {
    desk(|desk| desk.hashed(hasher))
}
