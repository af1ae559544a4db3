//! Threads with deep stacks that wait for runs, and the queue in front of them.
//!
//! Starting a thread costs more than a short run, so these stay. A thread on which something
//! panicked is not used again.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use crate::stack::NoValue;

/// Runs that may wait for a thread. Whoever comes after them is told so and can try elsewhere.
pub(crate) const QUEUE_MAX: usize = 64;

/// Something to be done on a deep stack. Gives whether the thread may be used again.
type Work = Box<dyn FnOnce() -> bool + Send>;

/// The threads.
pub(crate) struct Crew {
    shared: Arc<Shared>,
}

struct Shared {
    threads_max: u32,
    stack_bytes: usize,
    state: Mutex<State>,
    /// Signalled when there is work, or none will come any more.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Work>,
    idle: u32,
    /// Invariant: at most `threads_max`. While it is zero, the queue is empty.
    alive: u32,
    is_closed: bool,
    /// Those that have to be waited for in the end.
    threads: Vec<JoinHandle<()>>,
}

impl Crew {
    pub(crate) fn new(threads_max: u32, stack_bytes: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                threads_max: threads_max.max(1),
                stack_bytes,
                state: Mutex::default(),
                changed: Condvar::new(),
            }),
        }
    }

    /// Does `work` on one of the threads and waits for it.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NoValue> {
        let reply = Arc::new(Reply::default());
        let answer = Answer(Arc::clone(&reply));
        self.submit(Box::new(move || {
            // What it touches is dropped with it, so nothing half-done is seen by anybody.
            let value = catch_unwind(AssertUnwindSafe(work)).map_err(|_| NoValue::Panicked);
            let is_sound = value.is_ok();
            answer.give(value);
            is_sound
        }))?;
        reply.wait()
    }

    fn submit(&self, work: Work) -> Result<(), NoValue> {
        let mut state = self.shared.lock();
        if state.queue.len() >= QUEUE_MAX {
            return Err(NoValue::Busy);
        }
        state.queue.push_back(work);
        let is_covered = state.queue.len() <= state.idle as usize;
        if !is_covered && state.alive < self.shared.threads_max {
            self.shared.start(&mut state);
            if state.alive == 0 {
                state.queue.clear();
                return Err(NoValue::NoThread);
            }
        }
        drop(state);
        self.shared.changed.notify_one();
        Ok(())
    }
}

impl Drop for Crew {
    /// Nobody waits for a run any more, as whoever does borrows the crew.
    fn drop(&mut self) {
        let threads = {
            let mut state = self.shared.lock();
            state.is_closed = true;
            std::mem::take(&mut state.threads)
        };
        self.shared.changed.notify_all();
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts one more thread, if the system has one.
    fn start(self: &Arc<Self>, state: &mut State) {
        let shared = Arc::clone(self);
        let thread = Builder::new()
            .name("haar-run".to_owned())
            .stack_size(self.stack_bytes)
            .spawn(move || shared.serve());
        if let Ok(thread) = thread {
            state.alive += 1;
            state.threads.retain(|thread| !thread.is_finished());
            state.threads.push(thread);
        }
    }

    /// A thread's life.
    fn serve(self: Arc<Self>) {
        wasmtime::Engine::tls_eager_initialize();
        while let Some(work) = self.next() {
            if !work() {
                return self.replace();
            }
        }
    }

    /// Waits for work; none means that the crew is gone.
    fn next(&self) -> Option<Work> {
        let mut state = self.lock();
        state.idle += 1;
        let mut state = self
            .changed
            .wait_while(state, |state| state.queue.is_empty() && !state.is_closed)
            .unwrap_or_else(PoisonError::into_inner);
        state.idle -= 1;
        state.queue.pop_front()
    }

    /// The end of a thread on which something panicked.
    fn replace(self: Arc<Self>) {
        let mut state = self.lock();
        state.alive -= 1;
        if state.queue.is_empty() {
            // The next run starts one.
            return;
        }
        self.start(&mut state);
        if state.alive == 0 {
            // Dropped work answers that there was no thread.
            state.queue.clear();
        }
    }
}

/// Where a run's value is waited for.
struct Reply<T> {
    value: Mutex<Option<Result<T, NoValue>>>,
    given: Condvar,
}

impl<T> Default for Reply<T> {
    fn default() -> Self {
        Self {
            value: Mutex::new(None),
            given: Condvar::new(),
        }
    }
}

impl<T> Reply<T> {
    fn wait(&self) -> Result<T, NoValue> {
        let mut value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(value) = value.take() {
                return value;
            }
            value = self
                .given
                .wait(value)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn give(&self, value: Result<T, NoValue>) {
        let mut slot = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert(value);
        drop(slot);
        self.given.notify_one();
    }
}

/// The right and duty to answer once.
struct Answer<T>(Arc<Reply<T>>);

impl<T> Answer<T> {
    fn give(self, value: Result<T, NoValue>) {
        self.0.give(value);
    }
}

impl<T> Drop for Answer<T> {
    /// Work that is never done must not be waited for.
    fn drop(&mut self) {
        self.0.give(Err(NoValue::NoThread));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Barrier;
    use std::thread;

    use super::*;

    const STACK_BYTES: usize = 256 << 10;

    fn bug() {
        panic!("a bug");
    }

    #[test]
    fn threads_are_used_again() {
        let crew = Crew::new(2, STACK_BYTES);
        let mut seen = Vec::new();
        for _ in 0..100 {
            let id = crew.run(|| thread::current().id()).unwrap();
            if !seen.contains(&id) {
                seen.push(id);
            }
        }
        // The second one starts when a run comes before the first has sat down again.
        assert!(seen.len() <= 2, "{seen:?}");
    }

    #[test]
    fn a_thread_on_which_something_panicked_is_replaced() {
        let crew = Crew::new(1, STACK_BYTES);
        let id = || crew.run(|| thread::current().id());
        let first = id().unwrap();
        for _ in 0..50 {
            assert_eq!(crew.run(bug), Err(NoValue::Panicked));
        }
        assert_ne!(id().unwrap(), first);
        assert_eq!(crew.shared.lock().alive, 1);
    }

    #[test]
    fn there_are_as_many_at_work_as_there_are_threads() {
        let crew = Crew::new(3, STACK_BYTES);
        let barrier = Arc::new(Barrier::new(3));
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let barrier = Arc::clone(&barrier);
                    // Deadlocks if one waits for another's thread.
                    crew.run(move || barrier.wait().is_leader()).unwrap();
                });
            }
        });
        assert_eq!(crew.shared.lock().alive, 3);
    }

    #[test]
    fn a_full_queue_is_said_at_once_and_later_all_are_served() {
        let crew = Crew::new(1, STACK_BYTES);
        let gate = Arc::new(Barrier::new(2));
        thread::scope(|scope| {
            let held = Arc::clone(&gate);
            let first = scope.spawn(|| {
                crew.run(move || {
                    held.wait();
                    held.wait();
                })
            });
            gate.wait();
            let mut waiting = Vec::new();
            while crew.shared.lock().queue.len() < QUEUE_MAX {
                waiting.push(scope.spawn(|| crew.run(|| 7)));
                thread::yield_now();
            }
            assert_eq!(crew.run(|| 8), Err(NoValue::Busy));
            gate.wait();
            first.join().unwrap().unwrap();
            // More may have been started than found room: those came too late, or in time after all.
            let answers = waiting.into_iter().map(|one| one.join().unwrap());
            let (served, refused): (Vec<_>, Vec<_>) = answers.partition(|one| *one == Ok(7));
            assert!(served.len() >= QUEUE_MAX, "{}", served.len());
            assert!(refused.iter().all(|one| *one == Err(NoValue::Busy)));
        });
    }

    #[test]
    fn work_behind_a_panic_is_done() {
        let crew = Crew::new(1, STACK_BYTES);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(crew.run(bug), Err(NoValue::Panicked)));
                scope.spawn(|| assert_eq!(crew.run(|| 7), Ok(7)));
            }
        });
    }
}
