//! Everything that the command line prints, so that a closed pipe is no error anywhere.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use tracing_subscriber::EnvFilter;

/// Logs go to stderr; `HAAR_LOG` chooses them, as in `HAAR_LOG=haar=debug`.
pub fn start_log() {
    let filter =
        EnvFilter::try_from_env("HAAR_LOG").unwrap_or_else(|_| EnvFilter::new("error,haar=warn"));
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

/// Bytes for people.
pub fn bytes(count: u64) -> String {
    match count {
        0..1_024 => format!("{count} B"),
        1_024..1_048_576 => format!("{:.1} KiB", count as f64 / 1_024.0),
        _ => format!("{:.1} MiB", count as f64 / 1_048_576.0),
    }
}
