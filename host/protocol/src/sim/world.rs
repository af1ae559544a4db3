//! The simulated world: a queue of events, and the driver's part between the machines.

mod network;
mod scenario;

use std::collections::BTreeMap;

use haar_records::{B256, Domain, HubId, JobId, MinerId, Outcome, Snm};

use super::actor::{Actor, Kind, Overheard, SIGNATURE, Up};
use super::dice::Dice;
use super::tally::Tally;
use super::{Neglect, Report, SimConfig, Violation};
use crate::config::HubConfig;
use crate::hub::Hub;
use crate::input::{Entry, Input, Order, Time, Timer};
use crate::miner::MinerInput;
use crate::output::{Answer, Batch, Output};

pub(super) const FEE_PPM: u64 = 50_000;
/// The world begins here; zero would hide mistakes about the past.
const BEGIN: u64 = 1_800_000_000_000;
/// How long the healed world may take to end.
const HEALED_MS: u64 = 700_000;
const SETTLE_EVERY_MS: u64 = 20_000;

/// What goes wrong in this world. Each seed has its own mix.
#[derive(Debug, Clone, Copy)]
struct Faults {
    loss_ppm: u64,
    copies_ppm: u64,
    crash_ppm: u64,
    delay_ms_max: u64,
}

#[derive(Debug, Clone)]
enum Event {
    Order {
        at: usize,
        tries: u8,
    },
    Deposit(Input),
    ToHub {
        from: MinerId,
        claimed: MinerId,
        connection: u32,
        job: JobId,
        up: Up,
    },
    ToMiner {
        to: MinerId,
        connection: u32,
        input: MinerInput,
    },
    RunDone {
        miner: MinerId,
        life: u32,
        job: JobId,
    },
    Timer {
        life: u32,
        timer: Timer,
    },
    Fetch {
        life: u32,
        job: JobId,
        outcome: Outcome,
        from: Vec<MinerId>,
    },
    Join {
        miner: MinerId,
    },
    Leave {
        miner: MinerId,
        connection: u32,
    },
    Die {
        miner: MinerId,
    },
    HubUp,
    SettleTick,
    Commit {
        batch: Batch,
    },
    Finalize {
        epoch: u64,
    },
}

struct Plan {
    order: Order,
    truth: Outcome,
}

pub(super) struct World {
    dice: Dice,
    faults: Faults,
    neglect: Option<Neglect>,
    now: u64,
    heals_at: u64,
    queue: BTreeMap<(u64, u64), Event>,
    queued: u64,
    config: HubConfig,
    hub: Hub,
    is_up: bool,
    /// Counts lives of the hub's process.
    life: u32,
    journal: Vec<Vec<u8>>,
    actors: BTreeMap<MinerId, Actor>,
    /// When the last message of a link arrives; a link keeps its order. By miner and direction.
    links: BTreeMap<(MinerId, bool), u64>,
    plans: Vec<Plan>,
    by_job: BTreeMap<JobId, usize>,
    overheard: BTreeMap<JobId, Overheard>,
    tally: Tally,
    report: Report,
    log: blake3::Hasher,
}

impl World {
    pub(super) fn new(seed: u64, config: &SimConfig) -> Self {
        let mut dice = Dice::new(seed);
        let faults = Faults {
            loss_ppm: dice.pick(&[0, 0, 2_000, 15_000]),
            copies_ppm: dice.pick(&[0, 50_000]),
            crash_ppm: dice.pick(&[0, 500, 3_000]),
            delay_ms_max: dice.pick(&[5, 100, 800]),
        };
        let mut hub_config = HubConfig::new(HubId::from([0xaa; 20]), Domain::default());
        hub_config.fee_ppm = FEE_PPM;
        hub_config.retention_ms = 30_000;
        let mut world = Self {
            dice,
            faults,
            neglect: config.neglect,
            now: BEGIN,
            heals_at: 0,
            queue: BTreeMap::new(),
            queued: 0,
            hub: Hub::new(hub_config.clone()),
            config: hub_config,
            is_up: true,
            life: 0,
            journal: Vec::new(),
            actors: BTreeMap::new(),
            links: BTreeMap::new(),
            plans: Vec::new(),
            by_job: BTreeMap::new(),
            overheard: BTreeMap::new(),
            tally: Tally::default(),
            report: Report::default(),
            log: blake3::Hasher::new(),
        };
        world.populate();
        world.plan_jobs(config.jobs);
        world
    }

    pub(super) fn steps(&self) -> u64 {
        self.report.steps
    }

    /// Runs to the end of the world.
    pub(super) fn run(&mut self) -> Result<Report, Violation> {
        self.step(Input::Started)?;
        let ends_at = self.heals_at + HEALED_MS;
        while let Some(((at, _), event)) = self.queue.pop_first() {
            if at > ends_at {
                break;
            }
            self.now = self.now.max(at);
            self.happen(event)?;
        }
        // The last epochs: one may be waiting, and one may be open behind it.
        for _ in 0..2 {
            self.step(Input::SettleNow)?;
            if let Some(batch) = self.hub.batch_pending().cloned() {
                self.commit(batch)?;
            }
        }
        self.tally.check_end(&self.hub)?;
        self.report.simulated_ms = self.now - BEGIN;
        self.report.hash = *self.log.finalize().as_bytes();
        Ok(self.report)
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Order { at, tries } => self.order(at, tries),
            Event::Deposit(input) => self.step_or_later(input.clone(), |_| Event::Deposit(input)),
            Event::ToHub {
                from,
                claimed,
                connection,
                job,
                up,
            } => self.hub_hears(from, claimed, connection, job, up),
            Event::ToMiner {
                to,
                connection,
                input,
            } => {
                if self.actors[&to].connection == connection {
                    self.miner_hears(to, input);
                }
                Ok(())
            }
            Event::RunDone { miner, life, job } => {
                self.run_done(miner, life, job);
                Ok(())
            }
            Event::Timer { life, timer } if life == self.life && self.is_up => {
                self.step(Input::TimerFired { timer })
            }
            Event::Timer { .. } => Ok(()),
            Event::Fetch {
                life,
                job,
                outcome,
                from,
            } => self.fetch(life, job, outcome, &from),
            Event::Join { miner } => self.join(miner),
            Event::Leave { miner, connection } => self.leave(miner, connection),
            Event::Die { miner } => {
                self.die(miner);
                Ok(())
            }
            Event::HubUp => self.hub_up(),
            Event::SettleTick => self.settle_tick(),
            Event::Commit { batch } => self.commit(batch),
            Event::Finalize { epoch } => {
                self.report.batches += 1;
                self.step_or_later(Input::BatchFinalized { epoch }, |world| {
                    world.report.batches -= 1;
                    Event::Finalize { epoch }
                })
            }
        }
    }

    /// Gives the hub one input, the way a careful driver does: journal, handle, perform.
    fn step(&mut self, input: Input) -> Result<(), Violation> {
        self.report.steps += 1;
        let crashes = self.is_faulty() && self.dice.chance(self.faults.crash_ppm);
        if crashes && self.dice.chance(300_000) {
            // Before the journal has it: it never happened.
            self.crash();
            return Ok(());
        }
        if let Input::Deposited {
            amount, reference, ..
        } = &input
        {
            self.deposit(*amount, *reference);
        }
        let entry = Entry {
            at: Time(self.now),
            input,
        };
        let bytes = entry.to_bytes();
        self.log.update(&bytes);
        self.journal.push(bytes);
        let mut outbox = Vec::new();
        self.hub.handle(entry.at, entry.input.clone(), &mut outbox);
        self.compare(&entry.input)?;
        self.observe(&outbox)?;

        let performed = if crashes {
            self.dice.between(0, outbox.len() as u64)
        } else {
            u64::MAX
        };
        for output in outbox
            .into_iter()
            .take(usize::try_from(performed).unwrap_or(usize::MAX))
        {
            self.perform(output);
        }
        if crashes {
            self.crash();
        }
        Ok(())
    }

    /// Notes which orders were taken, and looks at what was believed of a reveal.
    fn compare(&mut self, input: &Input) -> Result<(), Violation> {
        match input {
            Input::Ordered(order) if self.hub.job(&order.job).is_some() => {
                if !self.tally.is_taken(&order.job) {
                    self.report.jobs += 1;
                }
                self.tally.took(order);
                Ok(())
            }
            Input::Revealed { miner, job, .. } => self.tally.revealed(&self.hub, *job, *miner),
            _ => Ok(()),
        }
    }

    /// Gives the hub an input now, or the world an event once the hub is up and has it for sure.
    fn step_or_later(
        &mut self,
        input: Input,
        event: impl FnOnce(&mut Self) -> Event,
    ) -> Result<(), Violation> {
        let life = self.life;
        let was_up = self.is_up;
        if was_up {
            self.step(input)?;
        }
        if !was_up || life != self.life {
            let event = event(self);
            self.at(self.now + 500, event);
        }
        Ok(())
    }

    fn deposit(&mut self, amount: Snm, reference: B256) {
        // The reference is remembered by the world, too: each deposit counts once.
        let is_new = !self.journal.iter().any(|bytes| {
            let entry = Entry::from_bytes(bytes).expect("the journal holds entries");
            matches!(entry.input, Input::Deposited { reference: known, .. } if known == reference)
        });
        if is_new {
            self.tally.deposited.0 += amount.0;
        }
    }

    /// Sees all that the hub put out, whether or not the driver lives to perform it.
    fn observe(&mut self, outbox: &[Output]) -> Result<(), Violation> {
        let mut has_answers = false;
        for output in outbox {
            match output {
                Output::Answer { job, answer } => {
                    has_answers = true;
                    let truth = &self.plans[self.by_job[job]].truth;
                    let (hub, report) = (&self.hub, &mut self.report);
                    self.tally
                        .answered(hub, *job, answer, truth, &self.actors, report)?;
                }
                Output::RequestReveal { job, round, .. } => self.tally.closed(*job, *round),
                Output::Dismiss { miner, .. } => {
                    self.report.dismissed += 1;
                    self.tally.dismissed(&self.actors[miner])?;
                }
                _ => {}
            }
        }
        if has_answers {
            self.tally.check_totals(&self.hub)?;
        }
        self.tally.check_step(&self.hub)
    }

    /// Performs an output: what miners should hear, then everything else.
    fn perform(&mut self, output: Output) {
        match output {
            Output::Offer {
                miner,
                job,
                attempt,
                deadline,
            } => {
                self.tell_miner(
                    miner,
                    MinerInput::Offered {
                        job,
                        attempt,
                        deadline,
                    },
                );
            }
            Output::RequestReveal {
                job,
                round,
                seals,
                to,
            } => {
                for miner in to {
                    let (seals, signature) = (seals.clone(), SIGNATURE);
                    let input = MinerInput::RevealRequested {
                        job,
                        round,
                        seals,
                        signature,
                    };
                    self.tell_miner(miner, input);
                }
            }
            Output::CloseAttempt {
                miner,
                job,
                end,
                credit,
            } => {
                self.tell_miner(miner, MinerInput::Closed { job, end, credit });
            }
            other => self.perform_chore(other),
        }
    }

    fn perform_chore(&mut self, output: Output) {
        let life = self.life;
        let (at, event) = match output {
            Output::FetchOutput { job, outcome, from } => {
                let at = self.now + self.dice.between(1, 500);
                (
                    at,
                    Event::Fetch {
                        life,
                        job,
                        outcome,
                        from,
                    },
                )
            }
            Output::SetTimer { at, timer } => (at.0, Event::Timer { life, timer }),
            Output::Settle { batch } => {
                let at = self.now + self.dice.between(50, 15_000);
                (at, Event::Commit { batch })
            }
            Output::Answer {
                job,
                answer: Answer::NoMiner { retry_after_ms },
            } => {
                let at = self.by_job[&job];
                (self.now + retry_after_ms, Event::Order { at, tries: 5 })
            }
            Output::Dismiss { miner, .. } | Output::TurnAway { miner, .. } => {
                let actor = self.actor(miner);
                actor.is_out = true;
                actor.is_connected = false;
                actor.connection += 1;
                return;
            }
            _ => return,
        };
        self.at(at, event);
    }

    fn order(&mut self, at: usize, tries: u8) -> Result<(), Violation> {
        let order = self.plans[at].order.clone();
        if tries < 9 && !self.is_up {
            self.at(self.now + 700, Event::Order { at, tries });
            return Ok(());
        }
        let life = self.life;
        if self.is_up {
            self.step(Input::Ordered(order))?;
        }
        if life != self.life && tries < 9 {
            // The buyer saw a reset and asks again with the same signed order.
            self.at(
                self.now + 700,
                Event::Order {
                    at,
                    tries: tries + 1,
                },
            );
        }
        Ok(())
    }

    fn fetch(
        &mut self,
        life: u32,
        job: JobId,
        outcome: Outcome,
        from: &[MinerId],
    ) -> Result<(), Violation> {
        for miner in from {
            if life != self.life || !self.is_up {
                return Ok(());
            }
            let actor = &self.actors[miner];
            let delivers = !matches!(actor.kind, Kind::Withholder | Kind::RandomLiar);
            if delivers && actor.is_connected {
                let bytes = outcome.output_bytes;
                return self.step(Input::OutputStored { job, bytes });
            }
            self.step(Input::OutputMissing { job, miner: *miner })?;
        }
        Ok(())
    }

    fn crash(&mut self) {
        self.report.crashes += 1;
        self.life += 1;
        self.is_up = false;
        if self.neglect == Some(Neglect::Journal) {
            self.journal.pop();
        }
        let miners: Vec<MinerId> = self.actors.keys().copied().collect();
        for miner in miners {
            self.disconnect(miner, 2_500);
        }
        let up = self.now + self.dice.between(50, 4_000);
        self.at(up, Event::HubUp);
    }

    fn hub_up(&mut self) -> Result<(), Violation> {
        let mut hub = Hub::new(self.config.clone());
        let mut dropped = Vec::new();
        for bytes in &self.journal {
            let entry = Entry::from_bytes(bytes).expect("the journal holds entries");
            hub.handle(entry.at, entry.input, &mut dropped);
            dropped.clear();
        }
        if format!("{hub:?}") != format!("{:?}", self.hub) {
            return Err(Violation::Replay);
        }
        self.hub = hub;
        self.is_up = true;
        self.step(Input::Started)
    }

    fn settle_tick(&mut self) -> Result<(), Violation> {
        if self.is_faulty() {
            self.at(self.now + SETTLE_EVERY_MS, Event::SettleTick);
        }
        if self.is_up {
            self.step(Input::SettleNow)
        } else {
            Ok(())
        }
    }

    fn commit(&mut self, batch: Batch) -> Result<(), Violation> {
        self.tally.batch(&batch)?;
        let epoch = batch.epoch;
        let life = self.life;
        if self.is_up {
            self.step(Input::BatchCommitted { epoch })?;
        }
        if !self.is_up || life != self.life {
            self.at(self.now + 1_000, Event::Commit { batch });
        } else {
            self.at(self.now + 60_000, Event::Finalize { epoch });
        }
        Ok(())
    }

    fn actor(&mut self, miner: MinerId) -> &mut Actor {
        self.actors.get_mut(&miner).expect("all miners are known")
    }

    fn is_faulty(&self) -> bool {
        self.now < self.heals_at
    }

    fn at(&mut self, at: u64, event: Event) {
        self.queued += 1;
        self.queue.insert((at.max(self.now), self.queued), event);
    }
}
