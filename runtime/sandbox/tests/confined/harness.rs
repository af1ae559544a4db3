//! Runs tests one after the other: they count processes, and would count each other's.

use std::panic::catch_unwind;
use std::process::ExitCode;

/// A sentence that is true, and what shows it.
pub type Test = (&'static str, fn());

pub fn run(groups: &[&[Test]]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let tests: Vec<&Test> = groups
        .iter()
        .flat_map(|group| group.iter())
        .filter(|(name, _)| words.is_empty() || words.iter().any(|word| name.contains(*word)))
        .collect();
    if arguments.iter().any(|argument| argument == "--list") {
        tests.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }

    let mut failed = Vec::new();
    for (name, test) in &tests {
        println!("test {name} ...");
        let began = std::time::Instant::now();
        let is_ok = catch_unwind(test).is_ok();
        let verdict = if is_ok { "ok" } else { "FAILED" };
        println!(
            "test {name} ... {verdict} ({} ms)",
            began.elapsed().as_millis()
        );
        if !is_ok {
            failed.push(*name);
        }
    }
    println!(
        "\n{} tests, {} failed {failed:?}",
        tests.len(),
        failed.len()
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
