//! Measured times, and how they are shown.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Times of the same thing, sorted.
#[derive(Debug, Clone)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Measures each of `count` calls, after a tenth of them to warm up.
    pub fn of<T>(count: usize, mut call: impl FnMut() -> T) -> Self {
        for _ in 0..count / 10 {
            black_box(call());
        }
        Self::cold(count, |_| call())
    }

    /// Measures each of `count` calls, the first one included. The call gets its number.
    pub fn cold<T>(count: usize, mut call: impl FnMut(usize) -> T) -> Self {
        let mut times = Vec::with_capacity(count);
        for number in 0..count {
            let start = Instant::now();
            let value = call(number);
            times.push(start.elapsed());
            black_box(value);
        }
        Self::from(times)
    }

    /// The time below which this share of the calls stayed.
    pub fn percentile(&self, share: f64) -> Duration {
        let last = self.0.len().saturating_sub(1);
        self.0[((last as f64) * share).round() as usize]
    }

    pub fn p50(&self) -> Duration {
        self.percentile(0.5)
    }

    pub fn p99(&self) -> Duration {
        self.percentile(0.99)
    }
}

impl From<Vec<Duration>> for Times {
    fn from(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self(times)
    }
}

/// Page faults of one call, on this thread. They are what is left when nothing else costs, and
/// unlike times they do not depend on who else is at work.
pub fn faults<T>(mut call: impl FnMut() -> T) -> Option<f64> {
    const CALLS: u32 = 1_000;
    for _ in 0..CALLS {
        black_box(call());
    }
    let before = thread_faults()?;
    for _ in 0..CALLS {
        black_box(call());
    }
    Some((thread_faults()? - before) as f64 / f64::from(CALLS))
}

fn thread_faults() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").ok()?;
    // Behind the name, which may hold anything: state, six numbers, flags, minor faults.
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(7)?
        .parse()
        .ok()
}

/// Measures calls that take long: how long each took, and how much of the processor one took on
/// average. The second says what a machine of one's own would give; on a shared one the first also
/// counts the others.
pub struct Long {
    pub times: Times,
    pub processor: Duration,
}

impl Long {
    pub fn of<T>(count: usize, call: impl FnMut(usize) -> T) -> Self {
        let before = thread_processor();
        let start = Instant::now();
        let times = Times::cold(count, call);
        let wall = start.elapsed();
        let used = thread_processor().zip(before);
        // Without the kernel's count it is all the time there was.
        let used = used.map_or(wall, |(after, before)| after.saturating_sub(before));
        Self {
            times,
            processor: used / count as u32,
        }
    }
}

/// What this thread has had of the processor.
fn thread_processor() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = stat.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

/// A title over the columns of [`long_row`].
pub fn long_head(title: &str) {
    println!(
        "{title:<58} {:>10} {:>10} {:>9}",
        "processor", "wall p50", "/ floor"
    );
}

/// One row of calls that take long, and how many times the floor's share of the processor it took.
pub fn long_row(name: &str, long: &Long, floor: &Long) {
    let ratio = long.processor.as_secs_f64() / floor.processor.as_secs_f64();
    println!(
        "  {name:<56} {:>10} {:>10} {ratio:>8.2}×",
        text(long.processor),
        text(long.times.p50())
    );
}

/// A title over columns.
pub fn head(title: &str, floor: &str) {
    println!("{title:<58} {:>10} {:>10} {:>9}", "p50", "p99", floor);
}

/// One row, and how many times the floor it is.
pub fn row(name: &str, times: &Times, floor: &Times) {
    let ratio = times.p50().as_secs_f64() / floor.p50().as_secs_f64();
    println!(
        "  {name:<56} {:>10} {:>10} {ratio:>8.2}×",
        text(times.p50()),
        text(times.p99())
    );
}

/// A time with a unit that suits it.
pub fn text(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    if micros < 1_000.0 {
        format!("{micros:.2} µs")
    } else {
        format!("{:.2} ms", micros / 1_000.0)
    }
}
