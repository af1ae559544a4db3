//! The only door to the clock and to chance.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use haar_protocol::Time;

/// The first pause after a lost connection.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Milliseconds since 1970.
pub(crate) fn now() -> Time {
    let ms = since_1970().as_millis();
    Time(u64::try_from(ms).unwrap_or(u64::MAX))
}

/// Seconds since 1970.
pub(crate) fn unix_seconds() -> u64 {
    since_1970().as_secs()
}

/// How long until then; nothing if it has passed.
pub(crate) fn until(deadline: Time) -> Duration {
    Duration::from_millis(deadline.ms_since(now()))
}

/// The pause before the next try, after that many failures in a row.
///
/// With chance in it, or all miners of a hub that comes back would arrive in the same moment.
pub(crate) fn pause(failures: u32) -> Duration {
    let longest = PAUSE_MIN
        .saturating_mul(1 << failures.min(10))
        .min(PAUSE_MAX);
    // The standard library's keys are the chance that every process has; nothing secret hangs on it.
    let chance = RandomState::new().hash_one(failures) % 1_000;
    let half = longest / 2;
    half + half.mul_f64(chance as f64 / 1_000.0)
}

fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_maximum() {
        for failures in 0..100 {
            let pause = pause(failures);
            assert!(pause >= PAUSE_MIN / 2, "{failures}: {pause:?}");
            assert!(pause <= PAUSE_MAX, "{failures}: {pause:?}");
        }
        assert!(pause(100) >= PAUSE_MAX / 2);
    }
}
