//! The time that one thread spends on a core.
//!
//! A shared machine takes the core away at will; the clock on the wall counts that, the thread's own
//! clock does not. What neighbours do to caches and frequency remains, hence the least of many runs.

use std::time::Duration;

/// The processor time of this thread so far.
#[cfg(target_os = "linux")]
pub fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds)
}

/// Elsewhere the wall clock has to do.
#[cfg(not(target_os = "linux"))]
pub fn now() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;

    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Keeps this thread, and the programs it starts, on the last core it may use, so that caches stay
/// warm. Where that is not allowed the measurement is noisier, not wrong.
pub fn pin() {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

        let Ok(allowed) = sched_getaffinity(None) else {
            return;
        };
        if let Some(core) = (0..CpuSet::MAX_CPU)
            .rev()
            .find(|&core| allowed.is_set(core))
        {
            let mut set = CpuSet::new();
            set.set(core);
            let _ = sched_setaffinity(None, &set);
        }
    }
}

/// Runs `work` and says how long it kept this thread busy.
pub fn time<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = now();
    let value = work();
    (value, now().saturating_sub(start))
}
