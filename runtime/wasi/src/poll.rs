//! `poll_oneoff`: waiting, without ever waiting.
//!
//! Files and streams are always ready, so only clocks can be waited for, and the virtual clock
//! simply moves to the moment that was asked for.

use crate::abi::{Errno, flags, put, take};
use crate::call::{Call, Stop};
use crate::clock::ClockId;
use crate::descriptors::Descriptor;
use crate::environment::SUBSCRIPTIONS_MAX;
use crate::memory::GuestMemory;
use crate::wasi::Wasi;

const SUBSCRIPTION_PRICE: u64 = 100;
const SUBSCRIPTION_BYTES: u32 = 48;
const EVENT_BYTES: u32 = 32;
const HANGUP: u16 = 1;

/// What a guest waits for.
#[derive(Clone, Copy, Debug)]
enum Wait {
    Until { deadline_ns: u64 },
    Read { fd: u32 },
    Write { fd: u32 },
}

#[derive(Clone, Copy, Debug)]
struct Subscription {
    userdata: u64,
    wait: Wait,
}

/// What a guest hears of one subscription.
#[derive(Clone, Copy, Debug)]
struct Event {
    userdata: u64,
    error: Errno,
    kind: u8,
    nbytes: u64,
    flags: u16,
}

impl Event {
    fn to_bytes(self) -> [u8; EVENT_BYTES as usize] {
        let mut bytes = [0; EVENT_BYTES as usize];
        put(&mut bytes, 0, self.userdata.to_le_bytes());
        put(&mut bytes, 8, self.error.code().to_le_bytes());
        put(&mut bytes, 10, [self.kind]);
        put(&mut bytes, 16, self.nbytes.to_le_bytes());
        put(&mut bytes, 24, self.flags.to_le_bytes());
        bytes
    }
}

impl Wasi {
    pub(crate) fn poll_oneoff<M: GuestMemory>(
        &mut self,
        call: &mut Call<'_, M>,
    ) -> Result<(), Stop> {
        let (from, to, count, count_at) = (call.u32(0), call.u32(1), call.u32(2), call.u32(3));
        call.check(from, u64::from(count) * u64::from(SUBSCRIPTION_BYTES), 8)?;
        call.check(to, u64::from(count) * u64::from(EVENT_BYTES), 8)?;
        call.check(count_at, 4, 4)?;
        if count == 0 || SUBSCRIPTIONS_MAX < count {
            return Err(Errno::Invalid.into());
        }
        call.pay(0, u64::from(count) * SUBSCRIPTION_PRICE)?;

        // All of them are read before any event is written: the two arrays may overlap.
        let mut subscriptions = Vec::with_capacity(count as usize);
        for index in 0..count {
            let mut bytes = [0; SUBSCRIPTION_BYTES as usize];
            call.read(from.wrapping_add(index * SUBSCRIPTION_BYTES), &mut bytes)?;
            subscriptions.push(self.subscription(&bytes)?);
        }

        let events = self.wait(&subscriptions);
        let mut at = to;
        for event in &events {
            call.write(at, &event.to_bytes())?;
            at = at.wrapping_add(EVENT_BYTES);
        }
        call.write_u32(count_at, events.len() as u32)
    }

    fn subscription(&self, bytes: &[u8]) -> Result<Subscription, Errno> {
        let userdata = u64::from_le_bytes(take(bytes, 0));
        let word = u32::from_le_bytes(take(bytes, 16));
        let wait = match take(bytes, 8) {
            [0] => {
                let given = u32::from(u16::from_le_bytes(take(bytes, 40)));
                let is_absolute = flags(given, 1)? != 0;
                // A clock that cannot be read cannot be waited for, whatever the reason.
                let id = ClockId::parse(word).map_err(|_| Errno::Invalid)?;
                let timeout_ns = u64::from_le_bytes(take(bytes, 24));
                Wait::Until {
                    deadline_ns: self.clock.deadline_ns(id, timeout_ns, is_absolute),
                }
            }
            [1] => Wait::Read { fd: word },
            [2] => Wait::Write { fd: word },
            _ => return Err(Errno::Invalid),
        };
        Ok(Subscription { userdata, wait })
    }

    /// The events that are ready, after the clock has moved if there were none.
    fn wait(&mut self, subscriptions: &[Subscription]) -> Vec<Event> {
        let deadline = |subscription: &Subscription| match subscription.wait {
            Wait::Until { deadline_ns } => Some(deadline_ns),
            Wait::Read { .. } | Wait::Write { .. } => None,
        };
        let only_clocks = subscriptions.iter().all(|one| deadline(one).is_some());
        if only_clocks && let Some(earliest) = subscriptions.iter().filter_map(deadline).min() {
            self.clock.sleep_until(earliest);
        }

        let now = self.clock.passed_ns();
        let is_ready = |one: &&Subscription| deadline(one).is_none_or(|deadline| deadline <= now);
        let mut ready: Vec<&Subscription> = subscriptions.iter().filter(is_ready).collect();
        if only_clocks {
            // Stable: equal deadlines stay in the order of their indices.
            ready.sort_by_key(|one| deadline(one));
        }
        ready.into_iter().map(|one| self.event(*one)).collect()
    }

    fn event(&self, subscription: Subscription) -> Event {
        let Subscription { userdata, wait } = subscription;
        let (kind, outcome) = match wait {
            Wait::Until { .. } => (0, Ok((0, 0))),
            Wait::Read { fd } => (1, self.readable(fd)),
            Wait::Write { fd } => (2, self.writable(fd)),
        };
        match outcome {
            Ok((nbytes, flags)) => Event {
                userdata,
                error: Errno::Success,
                kind,
                nbytes,
                flags,
            },
            Err(error) => Event {
                userdata,
                error,
                kind,
                nbytes: 0,
                flags: 0,
            },
        }
    }

    /// How many bytes are left to read, and whether that is the end of the input.
    fn readable(&self, fd: u32) -> Result<(u64, u16), Errno> {
        match self.descriptors.get(fd)? {
            Descriptor::Stdin { .. } => {
                let left = self.stdin.len().saturating_sub(self.stdin_offset);
                Ok((left, if left == 0 { HANGUP } else { 0 }))
            }
            Descriptor::File(file) if file.can_read => {
                let size = self.tree.content(file.inode)?.len();
                Ok((size.saturating_sub(file.offset), 0))
            }
            _ => Err(Errno::BadDescriptor),
        }
    }

    fn writable(&self, fd: u32) -> Result<(u64, u16), Errno> {
        match self.descriptors.get(fd)? {
            Descriptor::Stdout { .. } | Descriptor::Stderr { .. } => Ok((0, 0)),
            Descriptor::File(file) if file.can_write => Ok((0, 0)),
            _ => Err(Errno::BadDescriptor),
        }
    }
}
