//! Everything that the command line prints, so that a closed pipe is no error anywhere.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use haar_records::Snm;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use tracing_subscriber::EnvFilter;

/// Logs go to stderr; `HAAR_LOG` chooses them, as in `HAAR_LOG=haar=debug`.
pub fn start_log(usual: &str) {
    let filter = EnvFilter::try_from_env("HAAR_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .compact()
        .try_init();
}

/// Prints a line.
pub fn line(text: impl Display) {
    write(format!("{text}\n").as_bytes());
}

/// Prints a record.
pub fn record(value: &Value) {
    line(value);
}

/// Writes bytes to stdout. When nobody reads any more, there is nothing left to do.
pub fn write(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    if stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .is_err()
    {
        std::process::exit(0);
    }
}

/// Says on stderr what went wrong, and why.
pub fn error(error: &anyhow::Error) {
    let mut text = format!("error: {error}");
    for cause in error.chain().skip(1) {
        text.push_str(&format!("\n  because: {cause}"));
    }
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A progress bar on stderr; silent where stderr is no terminal.
pub fn progress(count: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(count), ProgressDrawTarget::stderr());
    let template = "  {msg} {bar:32.cyan/dim} {pos}/{len}  {per_sec}  {eta} left";
    bar.set_style(ProgressStyle::with_template(template).expect("a constant template"));
    bar.set_message(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A short form of a hash or an address.
pub fn short(id: &str) -> &str {
    let digits = id.strip_prefix("0x").unwrap_or(id);
    digits.get(..8).unwrap_or(digits)
}

/// An amount for people: millionths of a token are enough.
pub fn snm(amount: Snm) -> String {
    let millionths = (amount.0 + 500_000_000_000) / 1_000_000_000_000;
    if millionths == 0 && amount > Snm::ZERO {
        return "under 0.000001 SNM".to_owned();
    }
    Snm(millionths * 1_000_000_000_000).to_string()
}

/// Bytes for people.
pub fn bytes(count: u64) -> String {
    match count {
        0..1_024 => format!("{count} B"),
        1_024..1_048_576 => format!("{:.1} KiB", count as f64 / 1_024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", count as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", count as f64 / 1_073_741_824.0),
    }
}

/// A moment in UTC, from seconds since 1970 (civil-from-days, Howard Hinnant's date algorithms).
pub fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year}-{month:02}-{day:02} {:02}:{:02} UTC",
        rest / 3_600,
        rest % 3_600 / 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: u64, expected: &str) {
        assert_eq!(date(seconds), expected);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        check(0, "1970-01-01 00:00 UTC");
        check(951_782_400, "2000-02-29 00:00 UTC");
        check(1_795_687_140, "2026-11-26 09:59 UTC");
        check(4_107_542_399, "2100-02-28 23:59 UTC");
        check(4_107_542_400, "2100-03-01 00:00 UTC");
    }
}
