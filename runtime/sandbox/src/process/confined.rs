//! The door for everybody who runs strangers' guests: prepare a module, run a spec, each in a
//! process that can do nothing else.
//!
//! Nothing that a child does ends the supervisor: it is killed, told and replaced. What it says is
//! checked as far as an outcome can be; beyond that, an outcome is compared with other miners'.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use haar_records::{Outcome, Profile, RunConfig, TrapKind, money};

use super::child::Program;
use super::compiling::{CompileLimits, Compilers};
use super::message::{INPUT_BYTES_MAX, Locked};
use super::pool::{Pool, Seat};
use super::remote::{Code, Remote, RunnerFault};
use super::tally::Children;
use super::tenant::Tenant;
use crate::artifact::CodeId;
use crate::cache::{Cache, Weigh};
use crate::code_cache::{CodeCache, CodeCacheError};
use crate::compiler::Compiler;
use crate::outcome::Abstain;
use crate::prepare::{PrepareError, meter_profile, pages_limit};
use crate::sandbox::{Run, RunSpec, SandboxError};

/// Runs of one runner, before a new one takes its place.
const RUNS_MAX: u32 = 100;
/// How long after its deadline a run is killed.
const KILL_GRACE: Duration = Duration::from_secs(2);
/// Runners that one run may wear out: a crash may have been the machine's.
const TRIES_MAX: u32 = 2;

/// How large a confined sandbox is, and what it is made of.
#[derive(Debug, Clone)]
pub struct ConfinedConfig {
    /// How to start children.
    pub program: Program,
    /// Runs at once.
    pub concurrency: u32,
    /// Who may wait for a run beyond those; more are sent away.
    pub queue_max: usize,
    /// Modules whose code is kept open.
    pub prepared_max: usize,
    /// How long a process may take to become a runner. It takes a few hundredths of a second.
    pub start_timeout: Duration,
    /// What compiling one module may take.
    pub compile: CompileLimits,
    /// A folder for compiled code, its owner's alone.
    pub code_dir: PathBuf,
    /// The most bytes in that folder.
    pub code_bytes_max: u64,
}

/// A confined sandbox that cannot be made on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfinedError {
    /// The engine does not start.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Compiled code cannot be kept.
    #[error(transparent)]
    CodeCache(#[from] CodeCacheError),
    /// No process can be locked in, so nothing may run here.
    #[error("guests cannot be confined on this machine: {reason}")]
    NoRunner {
        /// Why.
        reason: String,
    },
    /// The system has no thread left.
    #[error("no thread could be started")]
    NoThread,
}

/// Why a run gave no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoRun {
    /// Too many wait already; another miner has room.
    #[error("busy: {waiting} runs wait already")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// The time was over, before the run began or before it ended.
    #[error("the run did not end before its deadline")]
    Late,
    /// The runner died, or spoke as no runner does.
    #[error("the runner {how}")]
    RunnerLost {
        /// What it did.
        how: String,
    },
    /// No process became a runner.
    #[error("no runner could be started: {reason}")]
    NoRunner {
        /// Why.
        reason: String,
    },
    /// The runner lives, and could not.
    #[error(transparent)]
    Abstain(#[from] Abstain),
}

/// A module that is metered and compiled: ready for any number of runs in any runner.
#[derive(Debug, Clone)]
pub struct Compiled(Arc<Code>);

impl Compiled {
    /// What was compiled.
    #[must_use]
    pub fn id(&self) -> CodeId {
        self.0.id
    }
}

/// Each holds one descriptor, so their number is what counts.
impl Weigh for Compiled {
    fn bytes(&self) -> u64 {
        0
    }
}

/// Runs guests in runners, each of which serves one tenant.
pub struct Confined {
    pool: Arc<Pool>,
    keeper: Option<JoinHandle<()>>,
    compilers: Compilers,
    code: CodeCache,
    compiled: Cache<Compiled>,
    locked: Locked,
}

impl std::fmt::Debug for Confined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Confined")
            .field("locked", &self.locked)
            .finish_non_exhaustive()
    }
}

impl Confined {
    /// Starts the first runner, and says no if it cannot be locked in.
    pub fn new(config: ConfinedConfig) -> Result<Self, ConfinedError> {
        // Only asked which code it would make.
        let engine = Compiler::new()?.engine_id();
        let code = CodeCache::open(&config.code_dir, engine, config.code_bytes_max)?;
        let pool = Arc::new(Pool::new(
            config.program.clone(),
            config.concurrency.max(1),
            config.queue_max,
            config.start_timeout,
        ));
        let keeping = Arc::clone(&pool);
        let keeper = std::thread::Builder::new()
            .name("haar-runners".to_owned())
            .spawn(move || keeping.keep())
            .map_err(|_| ConfinedError::NoThread)?;
        let mut confined = Self {
            pool,
            keeper: Some(keeper),
            compilers: Compilers::new(config.program, config.compile),
            code,
            compiled: Cache::new(config.prepared_max),
            locked: Locked::NONE,
        };
        // Dropped on the way out, it ends what it has started.
        confined.locked = confined.try_one(config.start_timeout)?;
        confined.say_faults();
        Ok(confined)
    }

    /// How the first runner was locked in. All others are alike.
    #[must_use]
    pub fn locked(&self) -> Locked {
        self.locked
    }

    /// What has happened to the children so far.
    #[must_use]
    pub fn children(&self) -> Children {
        self.pool.tally.read()
    }

    /// The processes of the runners that are not at work now.
    #[must_use]
    pub fn idle_runners(&self) -> Vec<u32> {
        self.pool.at_rest()
    }

    /// Meters and compiles a module for a configuration, or finds it compiled.
    ///
    /// Blocks for as long as compiling takes, which is bounded.
    pub fn prepare(&self, module: &[u8], config: &RunConfig) -> Result<Compiled, PrepareError> {
        meter_profile(config)?;
        let id = CodeId::of(module, config);
        self.compiled.get(id, || {
            let key = self.code.entry_key(id);
            let tally = &self.pool.tally;
            let compile = || self.compilers.compile(module, config, id, &key, tally);
            let file = self.code.find_or_compile(id, compile);
            self.say_faults();
            let file = file?;
            let size = file.metadata().map_err(|error| PrepareError::Host {
                reason: error.to_string(),
            })?;
            Ok(Compiled(Arc::new(Code {
                id,
                // The cache has checked that it is an artifact, and those are bounded.
                bytes: usize::try_from(size.len()).unwrap_or(usize::MAX),
                file,
                key,
            })))
        })
    }

    /// Runs a compiled module once, for one tenant.
    ///
    /// Blocks until a runner is free and the run is over. Whatever happens, that takes no longer
    /// than the deadline and a grace of two seconds.
    pub fn run(
        &self,
        tenant: Tenant,
        module: &Compiled,
        spec: &RunSpec<'_>,
        deadline: Instant,
    ) -> Result<Run, NoRun> {
        check(module, spec)?;
        let seat = self.pool.seat(deadline)?;
        let mut lost = NoRun::Late;
        for _ in 0..TRIES_MAX {
            let mut runner = self.pool.hire(&seat, tenant, deadline)?;
            match runner.run(&module.0, spec, deadline + KILL_GRACE) {
                Ok(ended) => {
                    self.release(&seat, runner, &ended);
                    return Ok(ended?);
                }
                Err(fault) => {
                    let (why, may_try_again) = self.bury(runner, &fault);
                    if !may_try_again {
                        return Err(why);
                    }
                    lost = why;
                }
            }
        }
        Err(lost)
    }

    /// Decides whether a runner that has answered may go on.
    fn release(&self, seat: &Seat<'_>, runner: Remote, ended: &Result<Run, Abstain>) {
        let why = match ended {
            _ if runner.served >= RUNS_MAX => "served enough",
            Ok(run) if is_engines(&run.outcome) => "a trap",
            Err(Abstain::BadSpec { .. } | Abstain::OtherConfig) | Ok(_) => {
                return self.pool.give_back(seat, runner);
            }
            Err(_) => "a fault of the engine",
        };
        tracing::debug!(target: "haar::runner::replaced", runner = runner.id(), why);
        self.pool.tally.replaced.count();
    }

    /// Ends a runner that did what no runner does. The run may be tried once more, unless its guest
    /// is the likely reason.
    fn bury(&self, runner: Remote, fault: &RunnerFault) -> (NoRun, bool) {
        let id = runner.id();
        let ended = runner.end();
        let tally = &self.pool.tally;
        match fault {
            _ if ended.is_escape() => {
                tracing::error!(target: "haar::runner::escaping", runner = id, "a guest got out of its machine and was stopped at the next door");
                tally.escapes.count();
                let how = ended.to_string();
                (NoRun::RunnerLost { how }, false)
            }
            RunnerFault::Late => {
                tracing::warn!(target: "haar::runner::late", runner = id);
                tally.late.count();
                (NoRun::Late, false)
            }
            fault => {
                tracing::warn!(target: "haar::runner::died", runner = id, %fault, %ended, during = "a run");
                tally.died.count();
                let how = match fault {
                    RunnerFault::Frame(super::frame::FrameFault::Ended) => ended.to_string(),
                    fault => format!("was ended: {fault}"),
                };
                (NoRun::RunnerLost { how }, true)
            }
        }
    }

    /// One look at one runner.
    fn try_one(&self, timeout: Duration) -> Result<Locked, ConfinedError> {
        // Longer than one start, so that its reason is heard.
        let deadline = Instant::now() + timeout * 2;
        let refused = |no: NoRun| ConfinedError::NoRunner {
            reason: match no {
                NoRun::NoRunner { reason } => reason,
                other => other.to_string(),
            },
        };
        let seat = self.pool.seat(deadline).map_err(refused)?;
        let nobody = Tenant::of(&[]);
        let mut runner = self.pool.hire(&seat, nobody, deadline).map_err(refused)?;
        runner.tenant = None;
        let locked = runner.locked;
        self.pool.give_back(&seat, runner);
        Ok(locked)
    }

    /// What the cache on disk did not believe is told and compiled again.
    fn say_faults(&self) {
        let (faults, more) = self.code.take_faults();
        for fault in faults {
            tracing::warn!(target: "haar::code::fault", %fault);
        }
        if more > 0 {
            tracing::warn!(target: "haar::code::fault", more);
        }
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        self.pool.close();
        if let Some(keeper) = self.keeper.take() {
            // It does not panic; if it did, there is nothing left to start.
            let _ = keeper.join();
        }
        self.pool.close();
    }
}

/// Whether the engine's own machinery ended the run: its handler of signals, where most of its
/// faults have been. An abort is the guest's free choice and a stack limit the meter's.
fn is_engines(outcome: &Outcome) -> bool {
    matches!(
        outcome.trap,
        Some(TrapKind::Arithmetic | TrapKind::Bounds | TrapKind::IndirectCall | TrapKind::Other)
    )
}

fn check(module: &Compiled, spec: &RunSpec<'_>) -> Result<(), Abstain> {
    let bad = |reason: &str| {
        Err(Abstain::BadSpec {
            reason: reason.to_owned(),
        })
    };
    if module.id().pages_max != pages_limit(spec.config) || spec.config.profile != Profile::V1 {
        return Err(Abstain::OtherConfig);
    }
    if !spec.config.is_within_limits() {
        return bad("the configuration is outside of its limits");
    }
    if spec.fuel_max > money::FUEL_MAX {
        return bad("no run may use that much fuel");
    }
    if spec.input.len() as u64 > INPUT_BYTES_MAX {
        return bad("the input is too large");
    }
    Ok(())
}
