//! Many executions of one target on all cores, until one fails.

use std::cell::RefCell;
use std::fs::File;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Target;
use super::chance::{Chance, mix};

/// An execution takes milliseconds. One of this length will never end.
const HANG: Duration = Duration::from_secs(120);

/// What is to be done.
pub struct Session<'a> {
    name: &'a str,
    seed: u64,
    runs: u64,
    /// Where each thread notes what it is about to do, for the case that the process dies.
    notes: PathBuf,
    next: AtomicU64,
    through: AtomicU64,
    is_over: AtomicBool,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    slowest: Duration,
    slowest_seed: u64,
    failure: Option<Failure>,
}

/// A broken promise, and what broke it.
pub struct Failure {
    pub seed: u64,
    pub input: Vec<u8>,
    pub broken: String,
}

/// What was done.
pub struct Report {
    name: String,
    pub executions: u64,
    through: u64,
    took: Duration,
    slowest: Duration,
    slowest_seed: u64,
    pub failure: Option<Failure>,
}

impl Report {
    /// One line for people.
    pub fn line(&self) -> String {
        let Self {
            name,
            executions,
            through,
            took,
            slowest,
            slowest_seed,
            ..
        } = self;
        format!(
            "{name:<10} {executions:>8} executions, {}% got through, {:.1} s, the slowest {} ms ({slowest_seed:#x})",
            100 * through / (*executions).max(1),
            took.as_secs_f64(),
            slowest.as_millis(),
        )
    }
}

thread_local! {
    /// Where the last panic of this thread happened, and what it said.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

impl<'a> Session<'a> {
    pub fn new(name: &'a str, seed: u64, runs: u64, notes: &std::path::Path) -> Self {
        Self {
            name,
            seed,
            runs,
            notes: notes.to_owned(),
            next: AtomicU64::new(0),
            through: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            found: Mutex::default(),
        }
    }

    /// Executes until all is done or one failed.
    pub fn run(&self, target: &dyn Target) -> Report {
        let started = Instant::now();
        panic::set_hook(Box::new(|info| {
            PANIC.with(|last| *last.borrow_mut() = info.to_string());
        }));
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let clocks: Vec<AtomicU64> = (0..threads).map(|_| AtomicU64::new(u64::MAX)).collect();
        thread::scope(|scope| {
            let running: Vec<_> = clocks
                .iter()
                .enumerate()
                .map(|(index, clock)| {
                    scope.spawn(move || self.execute(target, index, clock, started))
                })
                .collect();
            while !running.iter().all(thread::ScopedJoinHandle::is_finished) {
                thread::sleep(Duration::from_millis(20));
                let now = started.elapsed().as_millis() as u64;
                for clock in &clocks {
                    let since = clock.load(Ordering::Relaxed);
                    if now.saturating_sub(since) > HANG.as_millis() as u64 {
                        // The thread cannot be stopped, but the process can; its guard names the
                        // input.
                        std::process::abort();
                    }
                }
            }
        });
        let _ = panic::take_hook();

        let found = std::mem::take(&mut *self.found());
        Report {
            name: self.name.to_owned(),
            executions: self.next.load(Ordering::Relaxed).min(self.runs),
            through: self.through.load(Ordering::Relaxed),
            took: started.elapsed(),
            slowest: found.slowest,
            slowest_seed: found.slowest_seed,
            failure: found.failure,
        }
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Found> {
        self.found
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn execute(&self, target: &dyn Target, index: usize, clock: &AtomicU64, started: Instant) {
        let note = File::create(self.notes.join(format!("thread-{index}")));
        while !self.is_over.load(Ordering::Relaxed) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if self.runs <= index {
                break;
            }
            let seed = mix(self.seed, index);
            if let Ok(note) = &note {
                let line = format!("{:<10} {seed:#018x}\n", self.name);
                let _ = write_at_start(note, line.as_bytes());
            }

            let before = started.elapsed();
            clock.store(before.as_millis() as u64, Ordering::Relaxed);
            let (input, outcome) = once(target, seed);
            clock.store(u64::MAX, Ordering::Relaxed);
            let took = started.elapsed().saturating_sub(before);

            match outcome {
                Ok(through) => {
                    self.through.fetch_add(through.into(), Ordering::Relaxed);
                }
                Err(broken) => {
                    self.is_over.store(true, Ordering::Relaxed);
                    self.found().failure.get_or_insert(Failure {
                        seed,
                        input,
                        broken,
                    });
                }
            }
            let mut found = self.found();
            if found.slowest < took {
                (found.slowest, found.slowest_seed) = (took, seed);
            }
        }
    }
}

/// Makes one input and checks it.
fn once(target: &dyn Target, seed: u64) -> (Vec<u8>, Result<bool, String>) {
    let panicked = |_| format!("panicked: {}", PANIC.with(|last| last.borrow().clone()));
    let made = panic::catch_unwind(AssertUnwindSafe(|| target.make(&mut Chance::new(seed))));
    match made.map_err(panicked) {
        Err(broken) => (
            Vec::new(),
            Err(format!("while the input was made: {broken}")),
        ),
        Ok(input) => {
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| target.check(&input)));
            let outcome = outcome.map_err(panicked).and_then(|outcome| outcome);
            (input, outcome)
        }
    }
}

#[cfg(unix)]
fn write_at_start(file: &File, bytes: &[u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, 0)
}

#[cfg(not(unix))]
fn write_at_start(mut file: &File, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::{Seek, Write};
    file.rewind()?;
    file.write_all(bytes)
}

/// The most memory that this process ever had, where the system tells.
pub fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
