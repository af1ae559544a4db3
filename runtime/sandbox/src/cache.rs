//! Remembers what was prepared, so that a module is metered and compiled once.
//!
//! Whoever asks for a module that is being prepared waits for it instead of preparing it again. A
//! refusal is remembered like a success, as it can never change; a compiler's failure for a while,
//! so that a module that breaks compilers is not tried with every job; a host's failure not at all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::artifact::CodeId;
use crate::prepare::{PrepareError, Prepared};

/// The most bytes of metered modules that are remembered; their code has a few times as many.
const METERED_BYTES_MAX: u64 = 128 << 20;
/// How long a compiler's failure is believed.
const COMPILE_FAILURE_LIFETIME: Duration = Duration::from_secs(60);

/// What a cache can hold.
pub(crate) trait Weigh {
    /// Bytes that it counts for.
    fn bytes(&self) -> u64;
}

impl Weigh for Arc<Prepared> {
    fn bytes(&self) -> u64 {
        self.metered_bytes()
    }
}

/// Nothing at all: for those who only want to be the only one at work.
impl Weigh for () {
    fn bytes(&self) -> u64 {
        0
    }
}

/// When it was done, and what came out.
type Slot<V> = Arc<OnceLock<(Instant, Result<V, PrepareError>)>>;

pub(crate) struct Cache<V> {
    count_max: usize,
    failure_lifetime: Duration,
    shelf: Mutex<Shelf<V>>,
}

struct Shelf<V> {
    clock: u64,
    slots: BTreeMap<CodeId, (u64, Slot<V>)>,
}

impl<V: Clone + Weigh> Cache<V> {
    pub(crate) fn new(count_max: usize) -> Self {
        Self {
            count_max: count_max.max(1),
            failure_lifetime: COMPILE_FAILURE_LIFETIME,
            shelf: Mutex::new(Shelf {
                clock: 0,
                slots: BTreeMap::new(),
            }),
        }
    }

    /// What `key` names: remembered, or prepared now.
    pub(crate) fn get(
        &self,
        key: CodeId,
        prepare: impl FnOnce() -> Result<V, PrepareError>,
    ) -> Result<V, PrepareError> {
        let (slot, result) = self.look(key, prepare);
        let mut shelf = self.lock();
        if matches!(result, Err(PrepareError::Host { .. })) {
            shelf.forget(key, &slot);
        }
        shelf.evict(self.count_max);
        result
    }

    /// Does the work unless somebody is at it, then waits for that one. Only failures are remembered.
    pub(crate) fn fly(
        &self,
        key: CodeId,
        work: impl FnOnce() -> Result<V, PrepareError>,
    ) -> Result<V, PrepareError> {
        let (slot, result) = self.look(key, work);
        let mut shelf = self.lock();
        if matches!(result, Ok(_) | Err(PrepareError::Host { .. })) {
            shelf.forget(key, &slot);
        }
        shelf.evict(self.count_max);
        result
    }

    fn look(
        &self,
        key: CodeId,
        work: impl FnOnce() -> Result<V, PrepareError>,
    ) -> (Slot<V>, Result<V, PrepareError>) {
        let slot = self.slot(key);
        let (_, result) = slot.get_or_init(|| {
            let result = work();
            (Instant::now(), result)
        });
        let result = result.clone();
        (slot, result)
    }

    fn slot(&self, key: CodeId) -> Slot<V> {
        let mut shelf = self.lock();
        shelf.clock += 1;
        let now = shelf.clock;
        let (used, slot) = shelf.slots.entry(key).or_default();
        *used = now;
        if let Some((at, Err(PrepareError::Compile { .. }))) = slot.get()
            && at.elapsed() >= self.failure_lifetime
        {
            *slot = Slot::default();
        }
        Arc::clone(slot)
    }

    fn lock(&self) -> MutexGuard<'_, Shelf<V>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Weigh> Shelf<V> {
    /// Forgets this slot only: another may stand there by now.
    fn forget(&mut self, key: CodeId, slot: &Slot<V>) {
        let now = self.slots.get(&key);
        if now.is_some_and(|(_, now)| Arc::ptr_eq(now, slot)) {
            self.slots.remove(&key);
        }
    }

    /// Forgets the longest unused ones until the rest fits. Those in use live on with their users.
    fn evict(&mut self, count_max: usize) {
        while self.slots.len() > 1
            && (self.slots.len() > count_max || self.bytes() > METERED_BYTES_MAX)
        {
            let oldest = self.slots.iter().min_by_key(|(_, (used, _))| *used);
            let Some(key) = oldest.map(|(key, _)| *key) else {
                return;
            };
            self.slots.remove(&key);
        }
    }

    fn bytes(&self) -> u64 {
        let slots = self.slots.values();
        slots
            .filter_map(|(_, slot)| slot.get()?.1.as_ref().ok())
            .map(V::bytes)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::cell::Cell;

    use super::*;

    const KEY: CodeId = CodeId {
        module: haar_records::BlobHash(haar_records::B256::ZERO),
        profile: haar_records::B256::ZERO,
        pages_max: 1,
    };

    /// Asks twice for what gives this result, and compares how often the work was done.
    #[track_caller]
    fn check(failure_lifetime: Duration, result: Result<(), PrepareError>, works: u32) {
        let cache = Cache {
            failure_lifetime,
            ..Cache::new(4)
        };
        let done = Cell::new(0);
        for _ in 0..2 {
            let again = cache.get(KEY, || {
                done.set(done.get() + 1);
                result.clone()
            });
            assert_eq!(again, result);
        }
        assert_eq!(done.get(), works);
    }

    const LONG: Duration = Duration::from_secs(3_600);

    fn compile() -> PrepareError {
        PrepareError::Compile {
            reason: "too deep".to_owned(),
        }
    }

    #[test]
    fn a_success_and_a_refusal_are_remembered() {
        check(Duration::ZERO, Ok(()), 1);
        check(Duration::ZERO, Err(PrepareError::BadConfig), 1);
    }

    #[test]
    fn a_compilers_failure_is_remembered_for_a_while() {
        check(LONG, Err(compile()), 1);
        check(Duration::ZERO, Err(compile()), 2);
    }

    #[test]
    fn a_hosts_failure_is_not_remembered() {
        let error = PrepareError::Host {
            reason: "no thread".to_owned(),
        };
        check(LONG, Err(error), 2);
    }

    #[test]
    fn a_flight_remembers_failures_only() {
        let cache = Cache::new(4);
        let done = Cell::new(0);
        let fly = |result: Result<(), PrepareError>| {
            cache.fly(KEY, || {
                done.set(done.get() + 1);
                result
            })
        };
        assert_eq!(fly(Ok(())), Ok(()));
        assert_eq!(fly(Err(compile())), Err(compile()));
        assert_eq!(fly(Ok(())), Err(compile()));
        assert_eq!(done.get(), 2);
    }
}
