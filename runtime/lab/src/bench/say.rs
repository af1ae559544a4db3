//! What a measurement tells: its answer on standard output, its progress on standard error.

use std::io::Write;

/// Writes what was asked for.
pub fn answer(text: &str) {
    // A closed pipe is no error: who reads no further has read enough.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Writes what happens meanwhile.
pub fn progress(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
