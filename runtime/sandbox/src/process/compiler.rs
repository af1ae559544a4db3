//! A compiler: a process that meters and compiles one module, says what came of it, and ends.
//!
//! The module is hostile from its first byte, and compiling it may take for ever or fill the memory;
//! then this process dies and nothing else does. A fresh one for every module: what a module does to
//! its compiler cannot reach the code of another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use super::frame;
use super::lock::{self, Limits};
use super::message::{Compile, FromCompiler, Landlock, Locked, clean};
use super::runner::be_child;
use super::socket::Socket;
use crate::compiler::Compiler;
use crate::prepare::PrepareError;
use crate::seal::CodeKey;
use crate::stack::with_stack;

/// Addresses beyond the memory that may be written: the program itself, its threads' stacks.
const ADDRESS_BYTES_BEYOND: u64 = 2 << 30;

/// The life of a compiler. The process ends with it.
///
/// The calling program must be at its very start: no thread, no file, no environment. Its last two
/// arguments are bytes of memory and seconds of processor time.
pub fn compiler_main() -> ExitCode {
    // Both kinds of children say alike what they cannot.
    be_child(start)
}

fn start() -> Result<(), String> {
    let numbers: Vec<u64> = std::env::args()
        .rev()
        .map_while(|argument| argument.parse().ok())
        .collect();
    // The last argument comes first.
    let [cpu_seconds, memory_bytes, ..] = numbers[..] else {
        return Err("a compiler needs its limits".to_owned());
    };
    let limits = Limits {
        memory_bytes,
        address_bytes: Some(memory_bytes.saturating_add(ADDRESS_BYTES_BEYOND)),
        cpu_seconds: Some(cpu_seconds),
    };
    let is_nobody = lock::shut_behind(&limits).map_err(|error| error.to_string())?;
    let compiler = Compiler::new().map_err(|error| error.to_string())?;
    let landlock = lock::shut_files();
    with_stack("haar-compile", Compiler::STACK_BYTES, || {
        serve(&compiler, landlock, is_nobody)
    })
    .map_err(|_| "no thread could be started".to_owned())?
}

fn serve(compiler: &Compiler, landlock: Landlock, is_nobody: bool) -> Result<(), String> {
    lock::shut_out().map_err(|error| error.to_string())?;
    let mut socket = Socket::new();
    let ready = FromCompiler::Ready(Locked {
        landlock,
        is_nobody,
    });
    // From here on nobody is told what goes wrong with the socket: the supervisor is behind it.
    let _ = frame::write(&mut socket, &ready, &[]);
    let Ok((Compile { config, key }, bytes)) = frame::read(&mut socket, module_bytes_max()) else {
        return Ok(());
    };
    let Ok(module) = frame::read_payload(&mut socket, bytes) else {
        return Ok(());
    };
    let compiled = catch_unwind(AssertUnwindSafe(|| compiler.compile_here(&module, &config)));
    let compiled = compiled.unwrap_or(Err(PrepareError::Compile {
        reason: "the compiler panicked".to_owned(),
    }));
    let _ = match compiled {
        Ok(artifact) => {
            let sealed = artifact.to_bytes(&CodeKey::from_bytes(key));
            frame::write(&mut socket, &FromCompiler::Compiled, &[&sealed])
        }
        Err(error) => frame::write(&mut socket, &refusal(&error), &[]),
    };
    Ok(())
}

/// The most bytes of a module that any process here takes.
pub(super) fn module_bytes_max() -> u64 {
    haar_meter::limits::MODULE_BYTES_MAX as u64
}

fn refusal(error: &PrepareError) -> FromCompiler {
    match error {
        PrepareError::Rejected(rejected) => FromCompiler::Rejected {
            code: rejected.code().to_owned(),
            offset: rejected.offset().map(|offset| offset as u64),
            message: clean(&rejected.to_string()),
        },
        PrepareError::UnknownProfile => FromCompiler::UnknownProfile,
        PrepareError::BadConfig => FromCompiler::BadConfig,
        PrepareError::Compile { reason } | PrepareError::Host { reason } => FromCompiler::Failed {
            reason: clean(reason),
        },
        PrepareError::Refused {
            code,
            offset,
            message,
        } => FromCompiler::Rejected {
            code: code.clone(),
            offset: *offset,
            message: clean(message),
        },
    }
}
