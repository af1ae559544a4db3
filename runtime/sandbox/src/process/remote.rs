//! A runner as the supervisor sees it: what it has loaded, whom it serves, and whether what it
//! answers can be an answer at all.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use haar_records::{BlobHash, Outcome, Status};

use super::child::{Child, Ended, Program};
use super::frame::{self, FrameFault};
use super::message::{FromRunner, Locked, SLOTS, ToRunner, clean};
use super::tenant::Tenant;
use crate::artifact::CodeId;
use crate::environment::limits;
use crate::outcome::Abstain;
use crate::sandbox::{Run, RunSpec};
use crate::seal::CodeKey;

/// Compiled code in a file, and the key that opens it.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) id: CodeId,
    pub(super) file: File,
    /// The file's size. It never changes.
    pub(super) bytes: usize,
    pub(super) key: CodeKey,
}

/// What a runner did that no runner does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum RunnerFault {
    /// It was still at it when the time was over.
    #[error("it did not end in time")]
    Late,
    /// It does not speak as a runner does; or it is dead.
    #[error("{0}")]
    Frame(#[from] FrameFault),
    /// It answered something else.
    #[error("it gave an answer that cannot be: {0}")]
    Lied(&'static str),
}

/// A process that did not become a runner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no runner could be started: {reason}")]
pub(super) struct StartFault {
    pub(super) reason: String,
}

/// A runner that waits, or runs.
#[derive(Debug)]
pub(super) struct Remote {
    child: Child,
    pub(super) locked: Locked,
    /// Whom it has served. Nobody else may be served by it.
    pub(super) tenant: Option<Tenant>,
    pub(super) served: u32,
    slots: [Option<CodeId>; SLOTS as usize],
    /// When each slot was used: the longest unused is the next to be replaced.
    used: [u64; SLOTS as usize],
    number: u64,
}

impl Remote {
    /// Starts a process and waits until it has locked itself in. Only from a thread that outlives
    /// the runner.
    pub(super) fn start(program: &Program, timeout: Duration) -> Result<Self, StartFault> {
        let failed = |reason: String| StartFault { reason };
        let mut child = Child::start(&program.file, &program.runner)
            .map_err(|error| failed(error.to_string()))?;
        child.expect_by(Instant::now() + timeout);
        let locked = match frame::read::<FromRunner>(&mut child, 0) {
            Ok((FromRunner::Ready(locked), _)) => locked,
            Ok((FromRunner::Unfit { reason }, _)) => return Err(failed(clean(&reason))),
            Ok(_) => return Err(failed("it answered before it was asked".to_owned())),
            Err(FrameFault::Ended) => return Err(failed(format!("it {}", child.end()))),
            Err(fault) => return Err(failed(fault.to_string())),
        };
        Ok(Self {
            child,
            locked,
            tenant: None,
            served: 0,
            slots: [None; SLOTS as usize],
            used: [0; SLOTS as usize],
            number: 0,
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it waits, as it should between two runs.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.child.is_quiet()
    }

    /// Ends it, and says how it ended.
    pub(super) fn end(self) -> Ended {
        self.child.end()
    }

    /// Runs a guest. After a fault the runner is good for nothing but its end.
    pub(super) fn run(
        &mut self,
        code: &Code,
        spec: &RunSpec<'_>,
        by: Instant,
    ) -> Result<Result<Run, Abstain>, RunnerFault> {
        self.number += 1;
        self.served += 1;
        let slot = self.load(code)?;
        let request = ToRunner::Run {
            number: self.number,
            slot,
            fuel_max: spec.fuel_max,
            config: spec.config.clone(),
        };
        frame::write(&mut self.child, &request, &[spec.input])?;

        self.child.expect_by(by);
        let output_bytes_max = u64::from(spec.config.profile.output_bytes_max);
        let log_bytes_max = limits(spec.config).log_bytes_max;
        let answer = frame::read::<FromRunner>(&mut self.child, output_bytes_max + log_bytes_max);
        let (answer, bytes) = answer.map_err(late)?;
        match answer {
            FromRunner::Ran {
                number,
                outcome,
                log_bytes,
                transcript,
            } if number == self.number => {
                let output_bytes = bytes
                    .checked_sub(log_bytes.into())
                    .ok_or(RunnerFault::Lied("more log than bytes"))?;
                let output = frame::read_payload(&mut self.child, output_bytes).map_err(late)?;
                let log = frame::read_payload(&mut self.child, log_bytes.into()).map_err(late)?;
                check(&outcome, &output, spec)?;
                Ok(Ok(Run {
                    outcome,
                    output,
                    log,
                    transcript,
                }))
            }
            FromRunner::Abstained { number, why } if number == self.number && bytes == 0 => {
                Ok(Err(Abstain::from(why)))
            }
            _ => Err(RunnerFault::Lied("an answer to another question")),
        }
    }

    /// Makes sure that the runner has the code, and says where.
    fn load(&mut self, code: &Code) -> Result<u8, RunnerFault> {
        let known = self.slots.iter().position(|slot| *slot == Some(code.id));
        let slot = known.unwrap_or_else(|| {
            let oldest = (0..self.used.len()).min_by_key(|slot| self.used[*slot]);
            oldest.unwrap_or(0)
        });
        self.used[slot] = self.number;
        let place = u8::try_from(slot).expect("there are fewer slots");
        if known.is_none() {
            let load = ToRunner::Load {
                slot: place,
                key: code.key.to_bytes(),
            };
            let head = frame::head(&load, code.bytes)?;
            let sent = self.child.write_all(&head);
            let sent = sent.and_then(|()| self.child.write_file(&code.file, code.bytes));
            sent.map_err(FrameFault::from)?;
            self.slots[slot] = Some(code.id);
        }
        Ok(place)
    }
}

fn late(fault: FrameFault) -> RunnerFault {
    match fault {
        FrameFault::Silent => RunnerFault::Late,
        fault => RunnerFault::Frame(fault),
    }
}

/// What every outcome is like, whatever ran. A runner that breaks this was broken into, or is
/// broken; one that lies within it is caught by the other miners.
fn check(outcome: &Outcome, output: &[u8], spec: &RunSpec<'_>) -> Result<(), RunnerFault> {
    let is_returned = outcome.status == Status::Returned;
    if outcome.fuel_used > spec.fuel_max {
        return Err(RunnerFault::Lied("more fuel than there was"));
    }
    if output.len() as u64 > u64::from(spec.config.profile.output_bytes_max)
        || outcome.output_bytes != output.len() as u64
        || outcome.output != BlobHash::of(output)
    {
        return Err(RunnerFault::Lied("another output than its hash says"));
    }
    if !is_returned && (!output.is_empty() || outcome.exit_code != 0) {
        return Err(RunnerFault::Lied("an output without a return"));
    }
    if is_returned == outcome.trap.is_some() && outcome.status != Status::OutOfFuel {
        return Err(RunnerFault::Lied("a trap that is none"));
    }
    Ok(())
}
