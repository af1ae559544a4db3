//! This program as a child of a miner: what runs and compiles strangers' code. Not for people.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
const RUNNER: &str = "runner";
#[cfg(target_os = "linux")]
const COMPILER: &str = "compiler";

/// How a miner starts its children.
#[cfg(target_os = "linux")]
pub fn program() -> haar_sandbox::process::Program {
    haar_sandbox::process::Program::this(RUNNER, COMPILER)
}

/// Lives a child's life, if a miner started this process for one. Before anything else: a child must
/// have no thread and no open file of its own.
#[cfg(target_os = "linux")]
pub fn be_child() -> Option<ExitCode> {
    // A miner starts its children with an empty environment; a person's shell never does. Nobody
    // ends up here by a verb that was mistyped.
    if std::env::vars_os().next().is_some() {
        return None;
    }
    match std::env::args().nth(1)?.as_str() {
        RUNNER => Some(haar_sandbox::process::runner_main()),
        COMPILER => Some(haar_sandbox::process::compiler_main()),
        _ => None,
    }
}

/// There are no children where guests cannot be confined.
#[cfg(not(target_os = "linux"))]
pub fn be_child() -> Option<ExitCode> {
    None
}
