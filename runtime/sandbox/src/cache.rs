//! Remembers what was prepared, so that a module is metered and compiled once.
//!
//! Whoever asks for a module that is being prepared waits for it instead of preparing it again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use haar_records::{B256, BlobHash};

use crate::prepare::{PrepareError, Prepared};

/// The most bytes of metered modules that are remembered; their code has a few times as many.
const METERED_BYTES_MAX: usize = 128 << 20;

/// Everything that a prepared module depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) module: BlobHash,
    pub(crate) profile: B256,
    pub(crate) pages_max: u32,
}

type Slot = Arc<OnceLock<Result<Arc<Prepared>, PrepareError>>>;

#[derive(Debug)]
pub(crate) struct Cache {
    count_max: usize,
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    clock: u64,
    slots: BTreeMap<Key, (u64, Slot)>,
}

impl Cache {
    pub(crate) fn new(count_max: usize) -> Self {
        Self {
            count_max: count_max.max(1),
            shelf: Mutex::default(),
        }
    }

    /// What `key` names: remembered, or prepared now.
    pub(crate) fn get(
        &self,
        key: Key,
        prepare: impl FnOnce() -> Result<Prepared, PrepareError>,
    ) -> Result<Arc<Prepared>, PrepareError> {
        let slot = self.slot(key);
        let result = slot.get_or_init(|| prepare().map(Arc::new)).clone();
        let mut shelf = self.lock();
        if let Err(error) = &result
            && error.is_hosts()
        {
            // It may go better the next time. Only this slot: another may stand there by now.
            if shelf
                .slots
                .get(&key)
                .is_some_and(|(_, now)| Arc::ptr_eq(now, &slot))
            {
                shelf.slots.remove(&key);
            }
        }
        shelf.evict(self.count_max);
        result
    }

    fn slot(&self, key: Key) -> Slot {
        let mut shelf = self.lock();
        shelf.clock += 1;
        let now = shelf.clock;
        let (used, slot) = shelf.slots.entry(key).or_default();
        *used = now;
        Arc::clone(slot)
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
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

    fn bytes(&self) -> usize {
        let slots = self.slots.values();
        slots
            .filter_map(|(_, slot)| slot.get()?.as_ref().ok())
            .map(|prepared| prepared.metered_bytes())
            .sum()
    }
}
