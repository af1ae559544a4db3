//! What a person sees: one line when a step starts, one with its time when it ends.
//!
//! Progress goes to standard error and a closed pipe is no error.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// A step that is under way; [`Step::done`] tells how long it took.
#[derive(Debug)]
pub struct Step {
    name: String,
    started: Instant,
}

impl Step {
    /// Announces what is about to happen.
    pub fn start(name: impl Into<String>) -> Self {
        let name = name.into();
        line(&format!("{} {name}", paint("36", "▸")));
        Self {
            name,
            started: Instant::now(),
        }
    }

    /// Says that it is done, what came of it, and how long it took.
    pub fn done(self, outcome: &str) {
        let took = duration(self.started.elapsed());
        let separator = if outcome.is_empty() { "" } else { ": " };
        let name = &self.name;
        line(&format!(
            "{} {name}{separator}{outcome} ({took})",
            paint("32", "✓")
        ));
    }
}

/// Writes one line.
pub fn line(text: &str) {
    // Nothing useful can be done about a standard error that nobody reads.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Writes what was asked for, to standard output.
pub fn answer(text: &str) {
    // A closed pipe is no error: who reads no further has read enough.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Writes a detail that belongs to the step above it.
pub fn detail(text: &str) {
    line(&format!("  {text}"));
}

/// Writes an error with its causes, one a line.
pub fn failure(error: &anyhow::Error) {
    line(&format!("{} {error}", paint("31", "✗")));
    for cause in error.chain().skip(1) {
        detail(&format!("because: {cause}"));
    }
}

/// Says a duration the way a person would: `0.4 s`, `43 s`, `2 min 05 s`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        _ => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

/// Says a size the way a person would: `812 B`, `42 KB`, `1.3 MB`.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} KB", bytes / 1_000),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// Colours `text` if someone is looking and did not ask for `NO_COLOR`.
fn paint(colour: &str, text: &str) -> String {
    let plain = !std::io::stderr().is_terminal() || std::env::var_os("NO_COLOR").is_some();
    if plain {
        text.to_owned()
    } else {
        format!("\x1b[{colour}m{text}\x1b[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_speech() {
        for (milliseconds, expected) in [
            (0, "0.0 s"),
            (420, "0.4 s"),
            (43_900, "43 s"),
            (125_000, "2 min 05 s"),
        ] {
            assert_eq!(duration(Duration::from_millis(milliseconds)), expected);
        }
    }

    #[test]
    fn sizes_read_like_speech() {
        for (bytes, expected) in [(812, "812 B"), (42_345, "42 KB"), (1_312_345, "1.3 MB")] {
            assert_eq!(size(bytes), expected);
        }
    }
}
