//! One program: metered, run under wasmtime at several limits, and held against the slow counter.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, anyhow};
use haar_meter::{GuestKind, Metered, Profile, Rejected, meter};
use wasmtime::Module;

use super::native::{Counted, Job, Native};
use super::observation::{Kind, Observation};
use super::parts::Parts;
use super::price::init_cost;
use super::random::Random;
use super::reference;

/// What everything here is metered for: it fits the smallest stack of every engine.
pub(crate) const PROFILE: Profile = Profile::PHONE;

/// A program, and what wasmtime said of it at each limit.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) original: Vec<u8>,
    pub(crate) args: Vec<String>,
    pub(crate) input: Vec<u8>,
    pub(crate) metered: Metered,
    pub(crate) runs: Vec<(u64, String)>,
    /// Whether the program ended by itself within the first limit.
    pub(crate) ended: Kind,
}

/// How a program is examined.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Fuel beyond the cost of the start.
    pub(crate) fuel: u64,
    /// Random limits below what the run used.
    pub(crate) stops: u32,
}

/// Something that must not be.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) name: String,
    pub(crate) what: String,
    pub(crate) module: Vec<u8>,
}

/// What examining a program gave.
pub(crate) enum Examined {
    Case(Box<Case>),
    Refused,
}

/// How often the slow counter could be compared.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    /// Runs that ended by themselves and had the counted fuel.
    pub(crate) counted: u64,
    /// Runs that trapped on both sides with the same memory.
    pub(crate) trapped: u64,
    /// Runs that were out of fuel on both sides.
    pub(crate) exhausted: u64,
    /// Stack limits and the like, where the counter has no opinion.
    pub(crate) open: u64,
}

/// A program that waits to be examined.
pub(crate) struct Work {
    pub(crate) name: String,
    pub(crate) module: Vec<u8>,
    pub(crate) args: Vec<String>,
    pub(crate) input: Vec<u8>,
    pub(crate) plan: Plan,
}

/// The laboratory's bench: an engine, a seed, and what was found so far.
pub(crate) struct Bench {
    pub(crate) native: Native,
    seed: u64,
    pub(crate) findings: Vec<Finding>,
    pub(crate) tally: Tally,
}

impl Bench {
    pub(crate) fn new(seed: u64) -> Result<Self> {
        Ok(Self {
            native: Native::new()?,
            seed,
            findings: Vec::new(),
            tally: Tally::default(),
        })
    }

    /// Lets every processor work through the items; the results stand in the order of the items.
    pub(crate) fn spread<T: Sync, R: Send>(
        &mut self,
        items: &[T],
        work: impl Fn(&mut Bench, &T) -> R + Sync,
    ) -> Result<Vec<R>> {
        let next = AtomicUsize::new(0);
        let one = || -> Result<(Vec<(usize, R)>, Bench)> {
            let (mut bench, mut results) = (Bench::new(self.seed)?, Vec::new());
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(index) else {
                    return Ok((results, bench));
                };
                results.push((index, work(&mut bench, item)));
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let done: Vec<_> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
            workers
                .into_iter()
                .map(std::thread::ScopedJoinHandle::join)
                .collect()
        });
        let mut all = Vec::with_capacity(items.len());
        for result in done {
            let (results, bench) = result.map_err(|_| anyhow!("a worker panicked"))??;
            all.extend(results);
            self.findings.extend(bench.findings);
            self.tally.counted += bench.tally.counted;
            self.tally.trapped += bench.tally.trapped;
            self.tally.exhausted += bench.tally.exhausted;
            self.tally.open += bench.tally.open;
        }
        all.sort_by_key(|(index, _)| *index);
        Ok(all.into_iter().map(|(_, result)| result).collect())
    }

    pub(crate) fn found(&mut self, name: &str, what: impl Into<String>, module: &[u8]) {
        self.findings.push(Finding {
            name: name.to_owned(),
            what: what.into(),
            module: module.to_vec(),
        });
    }

    /// Examines one program; nothing if something was found that ends the examination.
    pub(crate) fn examine(&mut self, work: &Work) -> Option<Examined> {
        let metered = match meter(&work.module, &PROFILE) {
            Ok(metered) => metered,
            Err(internal @ Rejected::Internal { .. }) => {
                self.found(&work.name, internal.to_string(), &work.module);
                return None;
            }
            Err(_) => return Some(Examined::Refused),
        };
        match self.observe(work, metered) {
            Ok(case) => Some(Examined::Case(Box::new(case))),
            Err(error) => {
                self.found(&work.name, format!("{error:#}"), &work.module);
                None
            }
        }
    }

    fn observe(&mut self, work: &Work, metered: Metered) -> Result<Case> {
        let module = self.native.compile(&metered.bytes)?;
        let job = Job {
            kind: metered.kind,
            init_cost: metered.init_cost,
            args: &work.args,
            input: &work.input,
            fuel_max: metered.init_cost + work.plan.fuel,
        };
        let first = self.native.run(&module, &job)?;
        self.weigh(&work.name, &work.module, &job, &first)?;

        let mut runs = vec![(job.fuel_max, first.to_string())];
        // A stream of its own: what is chosen for one program does not depend on the others.
        let part = blake3::hash(work.name.as_bytes());
        let part = part
            .as_bytes()
            .first_chunk()
            .copied()
            .map_or(0, u64::from_le_bytes);
        let mut random = Random::new(self.seed, part);
        for fuel_max in stops(&mut random, &job, &first, work.plan) {
            let stopped = self.native.run(
                &module,
                &Job {
                    fuel_max,
                    ..job.clone()
                },
            )?;
            runs.push((fuel_max, stopped.to_string()));
        }
        self.edge(&module, &job, &first)?;
        Ok(Case {
            name: work.name.clone(),
            original: work.module.clone(),
            args: work.args.clone(),
            input: work.input.clone(),
            metered,
            runs,
            ended: first.kind,
        })
    }

    /// One unit less than a normal run needs is not enough, wherever the checks stand.
    fn edge(&mut self, module: &Module, job: &Job<'_>, first: &Observation) -> Result<()> {
        let ended_itself = first
            .fingerprint
            .as_ref()
            .is_some_and(|print| print.status == 0);
        if first.kind != Kind::Returned || !ended_itself || first.fuel_used <= job.init_cost {
            return Ok(());
        }
        let fuel_max = first.fuel_used;
        let enough = self.native.run(
            module,
            &Job {
                fuel_max,
                ..job.clone()
            },
        )?;
        if enough.kind != Kind::Returned {
            return Err(anyhow!(
                "the fuel that it used, {fuel_max}, is not enough: {enough}"
            ));
        }
        let fuel_max = fuel_max - 1;
        let short = self.native.run(
            module,
            &Job {
                fuel_max,
                ..job.clone()
            },
        )?;
        if short.kind != Kind::OutOfFuel {
            return Err(anyhow!(
                "one unit less than it used, {fuel_max}, is enough: {short}"
            ));
        }
        Ok(())
    }

    /// Holds a run against the slow counter.
    fn weigh(
        &mut self,
        name: &str,
        original: &[u8],
        job: &Job<'_>,
        run: &Observation,
    ) -> Result<()> {
        let Some(print) = &run.fingerprint else {
            return Ok(());
        };
        let budget = i64::try_from(2 * (job.fuel_max - job.init_cost)).unwrap_or(i64::MAX);
        let counting = reference::count(original, PROFILE.pages_max, budget)?;
        let counting = self.native.compile(&counting)?;
        let counted = self.native.count(&counting, job)?;
        let parts = Parts::read(original)?;
        let data: usize = parts.data.iter().map(|segment| segment.data.len()).sum();
        let pages = parts.memories.first().map_or(0, |memory| memory.initial);
        let start = init_cost(pages, data as u64);
        let total = start + counted.fuel;

        let problem = match (run.kind, print.status) {
            _ if start != job.init_cost => Some(format!(
                "the start costs {}, counted {start}",
                job.init_cost
            )),
            _ if counted.is_host_failure => {
                self.tally.open += 1;
                None
            }
            (Kind::Returned, _) => {
                self.tally.counted += 1;
                self.compare_ends(run, &counted, total)
            }
            (Kind::OutOfFuel, _) => {
                self.tally.exhausted += 1;
                let had_enough = counted.exit.is_some() && total <= job.fuel_max;
                had_enough.then(|| format!("out of fuel at {}, counted {total}", job.fuel_max))
            }
            (Kind::Trapped, haar_meter::STATUS_STACK) => {
                self.tally.open += 1;
                None
            }
            (Kind::Trapped, status) => {
                self.tally.trapped += 1;
                compare_traps(run, status, &counted, total)
            }
        };
        if let Some(problem) = problem {
            let what = format!(
                "against the slow counter: {problem}\n    metered {run}\n    counted {counted:?}"
            );
            self.found(name, what, original);
        }
        Ok(())
    }

    fn compare_ends(&self, run: &Observation, counted: &Counted, total: u64) -> Option<String> {
        if counted.exit != Some(run.exit_code) || counted.output != run.output {
            return Some("another exit code or output".to_owned());
        }
        if let Some(problem) = compare_memories(run, counted) {
            return Some(problem);
        }
        // An exit in the middle of a function has paid for the rest of its way.
        let is_exact = run
            .fingerprint
            .as_ref()
            .is_some_and(|print| print.status == 0);
        if is_exact && total != run.fuel_used || run.fuel_used < total {
            return Some(format!("used {}, counted {total}", run.fuel_used));
        }
        None
    }
}

/// Limits within what the run used; more of them near its start if that is not known.
fn stops(random: &mut Random, job: &Job<'_>, first: &Observation, plan: Plan) -> Vec<u64> {
    let used = first.fuel_used.saturating_sub(job.init_cost);
    let is_known = first.kind == Kind::Returned;
    (0..plan.stops)
        .map(|_| {
            let bits = if is_known { 63 } else { 1 + random.below(63) };
            let below = used.min(1 << bits).max(1);
            job.init_cost + random.below(below)
        })
        .collect()
}

fn compare_traps(run: &Observation, status: i32, counted: &Counted, total: u64) -> Option<String> {
    if counted.exit.is_some() || counted.is_stopped {
        return Some("only the metered run trapped".to_owned());
    }
    if status == haar_meter::STATUS_ABORT && run.fuel_used < total {
        return Some(format!("an abort paid {}, counted {total}", run.fuel_used));
    }
    compare_memories(run, counted)
}

fn compare_memories(run: &Observation, counted: &Counted) -> Option<String> {
    let print = run.fingerprint.as_ref()?;
    let same = print.memory == counted.memory && print.pages == counted.pages;
    if !same {
        return Some("another memory".to_owned());
    }
    (print.globals != counted.globals).then(|| "other globals".to_owned())
}

/// The kind's name, as the driver says it.
pub(crate) fn kind_name(kind: GuestKind) -> &'static str {
    match kind {
        GuestKind::Command => "command",
        GuestKind::Reactor => "reactor",
    }
}
