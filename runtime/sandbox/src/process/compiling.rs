//! Compiling from the supervisor's side: a process for each module, with a limit on everything.

use std::ffi::OsString;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use haar_records::RunConfig;

use super::child::{Child, Program};
use super::compiler::module_bytes_max;
use super::frame::{self, FrameFault};
use super::message::{Compile, FromCompiler, clean};
use super::tally::Tally;
use crate::artifact::{ARTIFACT_BYTES_MAX, Artifact, CodeId};
use crate::prepare::PrepareError;
use crate::seal::CodeKey;

/// Compilers at once: each may take as much memory as its limit says.
const COMPILERS_MAX: u32 = 2;
/// How long a process may take to become a compiler.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// What compiling one module may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Seconds of processor time.
    pub cpu_seconds: u64,
    /// The longest that anybody waits for it.
    pub wall: Duration,
    /// Bytes of memory.
    pub memory_bytes: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            cpu_seconds: 5,
            wall: Duration::from_secs(10),
            memory_bytes: 1 << 30,
        }
    }
}

/// Starts compilers, a few at a time.
#[derive(Debug)]
pub(super) struct Compilers {
    program: Program,
    limits: CompileLimits,
    busy: Mutex<u32>,
    freed: Condvar,
}

impl Compilers {
    pub(super) fn new(program: Program, limits: CompileLimits) -> Self {
        Self {
            program,
            limits,
            busy: Mutex::new(0),
            freed: Condvar::new(),
        }
    }

    /// Compiles a module in a process of its own.
    pub(super) fn compile(
        &self,
        module: &[u8],
        config: &RunConfig,
        id: CodeId,
        key: &CodeKey,
        tally: &Tally,
    ) -> Result<Artifact, PrepareError> {
        check_size(module)?;
        let _turn = self.take_turn();
        let arguments = [
            self.limits.memory_bytes.to_string(),
            self.limits.cpu_seconds.to_string(),
        ];
        let arguments = arguments.map(OsString::from);
        let arguments = [&self.program.compiler[..], &arguments[..]].concat();
        let mut child = Child::start(&self.program.file, &arguments)
            .map_err(|error| host(error.to_string()))?;

        let sealed = match self.talk(&mut child, module, config, key) {
            Ok(answer) => answer?,
            Err(stop) => return Err(self.stopped(child, stop, id, tally)),
        };
        let artifact = Artifact::from_bytes(sealed, key)?;
        if artifact.id() != id {
            return Err(host(
                "the compiler gave the code of another module".to_owned(),
            ));
        }
        tally.compiled.count();
        Ok(artifact)
    }

    /// The sealed code, or the compiler's answer that there is none.
    fn talk(
        &self,
        child: &mut Child,
        module: &[u8],
        config: &RunConfig,
        key: &CodeKey,
    ) -> Result<Result<Vec<u8>, PrepareError>, Stop> {
        child.expect_by(Instant::now() + START_TIMEOUT);
        match frame::read::<FromCompiler>(child, 0).map_err(Stop::Unready)? {
            (FromCompiler::Ready(_), _) => {}
            (FromCompiler::Unfit { reason }, _) => return Err(Stop::Unfit(clean(&reason))),
            _ => return Err(Stop::OtherAnswer),
        }
        let request = Compile {
            config: config.clone(),
            key: key.to_bytes(),
        };
        child.expect_by(Instant::now() + self.limits.wall);
        frame::write(child, &request, &[module])?;
        let (answer, bytes) = frame::read(child, ARTIFACT_BYTES_MAX as u64)?;
        Ok(match answer {
            FromCompiler::Compiled => Ok(frame::read_payload(child, bytes)?),
            FromCompiler::Rejected {
                code,
                offset,
                message,
            } => Err(PrepareError::Refused {
                code: clean(&code),
                offset,
                message: clean(&message),
            }),
            FromCompiler::UnknownProfile => Err(PrepareError::UnknownProfile),
            FromCompiler::BadConfig => Err(PrepareError::BadConfig),
            FromCompiler::Failed { reason } => Err(PrepareError::Compile {
                reason: clean(&reason),
            }),
            FromCompiler::Ready(_) | FromCompiler::Unfit { .. } => return Err(Stop::OtherAnswer),
        })
    }

    /// Ends a compiler that did not answer, and says why there is no code.
    fn stopped(&self, child: Child, stop: Stop, id: CodeId, tally: &Tally) -> PrepareError {
        let ended = child.end();
        tally.compilers_stopped.count();
        if ended.is_escape() {
            tally.escapes.count();
        }
        let reason = match (&stop, ended.signal()) {
            (Stop::Unfit(reason), _) => return host(reason.clone()),
            (Stop::Unready(fault), _) => {
                return host(format!("no compiler became ready ({fault}): it {ended}"));
            }
            (Stop::Frame(FrameFault::Silent), _) => {
                format!(
                    "compiling used more than {} s",
                    self.limits.wall.as_secs_f32()
                )
            }
            (_, Some(libc::SIGXCPU)) => format!(
                "compiling used more than {} s of processor time",
                self.limits.cpu_seconds
            ),
            // The allocator aborts when it gets no memory.
            (_, Some(libc::SIGABRT)) => format!(
                "compiling used more than {} bytes of memory",
                self.limits.memory_bytes
            ),
            (Stop::Frame(fault), _) => format!("the compiler {ended} ({fault})"),
            (Stop::OtherAnswer, _) => "the compiler gave an answer that is none".to_owned(),
        };
        tracing::warn!(target: "haar::compiler::stopped", module = id.module.short(), %reason);
        PrepareError::Compile { reason }
    }

    fn take_turn(&self) -> Turn<'_> {
        let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let mut busy = self
            .freed
            .wait_while(busy, |busy| *busy >= COMPILERS_MAX)
            .unwrap_or_else(PoisonError::into_inner);
        *busy += 1;
        Turn(self)
    }
}

/// Why a compiler gave no answer.
enum Stop {
    /// It never became ready.
    Unready(FrameFault),
    /// It says that it cannot be one.
    Unfit(String),
    /// It does not speak as a compiler does; or it is dead.
    Frame(FrameFault),
    /// It said something else.
    OtherAnswer,
}

impl From<FrameFault> for Stop {
    fn from(fault: FrameFault) -> Self {
        Self::Frame(fault)
    }
}

/// The right to one compiler, until it is dropped.
struct Turn<'a>(&'a Compilers);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.busy.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.freed.notify_one();
    }
}

/// Not even a compiler needs to see more bytes than the pass admits.
fn check_size(module: &[u8]) -> Result<(), PrepareError> {
    let bytes_max = module_bytes_max();
    if module.len() as u64 <= bytes_max {
        return Ok(());
    }
    Err(PrepareError::Refused {
        code: "E_LIMIT".to_owned(),
        offset: None,
        message: format!(
            "the module has {} bytes, at most {bytes_max} are admitted",
            module.len()
        ),
    })
}

fn host(reason: String) -> PrepareError {
    PrepareError::Host { reason }
}
