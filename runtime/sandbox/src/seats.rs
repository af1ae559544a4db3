//! As many places as the engine's pool has for instances.

use std::sync::{Condvar, Mutex, PoisonError};

/// Invariant: whoever has an instance has a seat, so the pool is never asked for more than it has.
pub(crate) struct Seats {
    free: Mutex<u32>,
    freed: Condvar,
}

/// One place, until it is dropped.
pub(crate) struct Seat<'a>(&'a Seats);

impl Seats {
    pub(crate) fn new(count: u32) -> Self {
        Self {
            free: Mutex::new(count),
            freed: Condvar::new(),
        }
    }

    /// Waits for a place.
    pub(crate) fn take(&self) -> Seat<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .freed
            .wait_while(free, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Seat(self)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let seats = self.0;
        *seats.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        seats.freed.notify_one();
    }
}
