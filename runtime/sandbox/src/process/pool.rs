//! The runners: how many there are, who gets which, and who waits.
//!
//! As many runs at once as were asked for, and one runner more that serves nobody yet, so that
//! the start of a process is not in anybody's way. One thread starts them all and lives as long as
//! they may: the kernel ends a child with the thread that started it.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::child::Program;
use super::confined::NoRun;
use super::remote::{Remote, StartFault};
use super::tally::Tally;
use super::tenant::Tenant;

/// Runners that wait for their first tenant.
const SPARE: usize = 1;
/// Starts that fail in a row before those who wait are told.
const FAILED_STARTS_MAX: u32 = 3;
/// The pause after the first failed start; it doubles with each.
const BACKOFF: Duration = Duration::from_millis(50);
/// The longest pause.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Runners and those who wait for one.
#[derive(Debug)]
pub(super) struct Pool {
    program: Program,
    concurrency: u32,
    queue_max: usize,
    start_timeout: Duration,
    state: Mutex<State>,
    /// For those who wait for a seat.
    seats: Condvar,
    /// For those who wait for a runner.
    runners: Condvar,
    /// For the thread that starts runners.
    starts: Condvar,
    pub(super) tally: Tally,
}

#[derive(Debug, Default)]
struct State {
    /// Runs under way. Invariant: at most the concurrency.
    busy: u32,
    /// Who waits for a seat: the earliest deadline first.
    waiting: BTreeSet<(Instant, u64)>,
    ticket: u64,
    /// Runners between two runs of their tenant, the longest idle first.
    idle: Vec<Remote>,
    /// Runners that have served nobody.
    fresh: Vec<Remote>,
    /// How many have a seat and wait for a fresh runner.
    wanted: usize,
    failed_starts: u32,
    failure: Option<StartFault>,
    is_over: bool,
}

/// The right to one run at a time, until it is dropped.
pub(super) struct Seat<'a>(&'a Pool);

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.busy -= 1;
        let is_awaited = !state.waiting.is_empty();
        drop(state);
        if is_awaited {
            self.0.seats.notify_all();
        }
    }
}

impl Pool {
    pub(super) fn new(
        program: Program,
        concurrency: u32,
        queue_max: usize,
        start_timeout: Duration,
    ) -> Self {
        Self {
            program,
            concurrency,
            queue_max,
            start_timeout,
            state: Mutex::default(),
            seats: Condvar::new(),
            runners: Condvar::new(),
            starts: Condvar::new(),
            tally: Tally::default(),
        }
    }

    /// Waits for a seat, in the order of deadlines. Too many that wait are not let in.
    pub(super) fn seat(&self, deadline: Instant) -> Result<Seat<'_>, NoRun> {
        let mut state = self.lock();
        let me = (deadline, state.ticket);
        state.ticket += 1;
        let is_free = state.busy < self.concurrency && state.waiting.is_empty();
        if !is_free && state.waiting.len() >= self.queue_max {
            return Err(NoRun::Busy {
                waiting: state.waiting.len(),
            });
        }
        state.waiting.insert(me);
        loop {
            let is_first = state.waiting.first() == Some(&me);
            if is_first && state.busy < self.concurrency {
                state.waiting.remove(&me);
                state.busy += 1;
                // The next one may have a seat as well.
                if !state.waiting.is_empty() {
                    self.seats.notify_all();
                }
                return Ok(Seat(self));
            }
            if state.is_over || Instant::now() >= deadline {
                state.waiting.remove(&me);
                self.seats.notify_all();
                return Err(NoRun::Late);
            }
            state = wait_until(&self.seats, state, deadline);
        }
    }

    /// A runner for a tenant: its own if one is idle, else one that has served nobody.
    pub(super) fn hire(
        &self,
        _seat: &Seat<'_>,
        tenant: Tenant,
        deadline: Instant,
    ) -> Result<Remote, NoRun> {
        let mut state = self.lock();
        loop {
            let own = state
                .idle
                .iter()
                .rposition(|idle| idle.tenant == Some(tenant));
            let own = own.map(|at| state.idle.remove(at));
            let is_own = own.is_some();
            if let Some(mut runner) = own.or_else(|| state.fresh.pop()) {
                let leaving = self.make_room(&mut state);
                drop(state);
                if !is_own {
                    self.starts.notify_one();
                }
                self.replaced(leaving);
                runner.tenant = Some(tenant);
                if runner.is_quiet() {
                    return Ok(runner);
                }
                self.died_idle(runner);
                state = self.lock();
                continue;
            }
            let is_late = state.is_over || Instant::now() >= deadline;
            if let Some(failure) = &state.failure
                && (is_late || state.failed_starts >= FAILED_STARTS_MAX)
            {
                return Err(NoRun::NoRunner {
                    reason: failure.reason.clone(),
                });
            }
            if is_late {
                return Err(NoRun::Late);
            }
            state.wanted += 1;
            self.starts.notify_one();
            state = wait_until(&self.runners, state, deadline);
            state.wanted -= 1;
        }
    }

    /// Takes back a runner that may serve its tenant again.
    pub(super) fn give_back(&self, _seat: &Seat<'_>, runner: Remote) {
        let mut state = self.lock();
        if runner.tenant.is_none() {
            state.fresh.push(runner);
            return;
        }
        state.idle.push(runner);
        // The giver's own seat becomes free in a moment.
        state.busy -= 1;
        let leaving = self.make_room(&mut state);
        state.busy += 1;
        drop(state);
        self.replaced(leaving);
    }

    /// Idle runners that have to go so that there are not more than seats.
    fn make_room(&self, state: &mut State) -> Vec<Remote> {
        let room = self.concurrency.saturating_sub(state.busy) as usize;
        let leaving = state.idle.len().saturating_sub(room);
        state.idle.drain(..leaving).collect()
    }

    fn replaced(&self, leaving: Vec<Remote>) {
        for runner in leaving {
            tracing::debug!(target: "haar::runner::replaced", runner = runner.id(), why = "another tenant");
            self.tally.replaced.count();
        }
    }

    fn died_idle(&self, runner: Remote) {
        let id = runner.id();
        let ended = runner.end();
        if ended.is_escape() {
            // What a guest left behind went on after its run.
            tracing::error!(target: "haar::runner::escaping", runner = id, during = "nothing");
            self.tally.escapes.count();
        } else {
            tracing::warn!(target: "haar::runner::died", runner = id, %ended, during = "nothing");
            self.tally.died.count();
        }
    }

    /// Keeps a fresh runner ready, until the pool is over.
    pub(super) fn keep(&self) {
        loop {
            let mut state = self.lock();
            while !state.is_over && state.fresh.len() >= SPARE + state.wanted {
                state = self
                    .starts
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            let resume = Instant::now() + backoff(state.failed_starts);
            while !state.is_over && Instant::now() < resume {
                state = wait_until(&self.starts, state, resume);
            }
            if state.is_over {
                return;
            }
            drop(state);

            let started = Remote::start(&self.program, self.start_timeout);
            let mut state = self.lock();
            match started {
                Ok(runner) => {
                    self.tally.started.count();
                    tracing::debug!(target: "haar::runner::started", runner = runner.id(), locked = %runner.locked);
                    state.fresh.push(runner);
                    state.failed_starts = 0;
                    state.failure = None;
                }
                Err(failure) => {
                    state.failed_starts = state.failed_starts.saturating_add(1);
                    tracing::error!(target: "haar::runner::unfit", reason = %failure.reason, tries = state.failed_starts);
                    state.failure = Some(failure);
                }
            }
            drop(state);
            self.runners.notify_all();
        }
    }

    /// Ends all runners that are not at work, and lets nobody in any more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_over = true;
        let leaving = (
            std::mem::take(&mut state.idle),
            std::mem::take(&mut state.fresh),
        );
        drop(state);
        for waiting in [&self.seats, &self.runners, &self.starts] {
            waiting.notify_all();
        }
        drop(leaving);
    }

    /// The processes of the runners that are not at work.
    pub(super) fn at_rest(&self) -> Vec<u32> {
        let state = self.lock();
        state
            .idle
            .iter()
            .chain(&state.fresh)
            .map(Remote::id)
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait_until<'a>(
    condition: &Condvar,
    state: MutexGuard<'a, State>,
    deadline: Instant,
) -> MutexGuard<'a, State> {
    let left = deadline.saturating_duration_since(Instant::now());
    let (state, _) = condition
        .wait_timeout(state, left)
        .unwrap_or_else(PoisonError::into_inner);
    state
}

/// The pause after this many failed starts in a row.
fn backoff(failed_starts: u32) -> Duration {
    match failed_starts.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => BACKOFF
            .saturating_mul(1 << doublings.min(16))
            .min(BACKOFF_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_starts_are_tried_ever_more_slowly_up_to_a_limit() {
        assert_eq!(backoff(0), Duration::ZERO);
        assert_eq!(backoff(1), BACKOFF);
        assert_eq!(backoff(2), BACKOFF * 2);
        assert_eq!(backoff(u32::MAX), BACKOFF_MAX);
    }
}
