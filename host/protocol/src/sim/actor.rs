//! The simulated miners: the real miner's machine, with honest and every other kind of hands.

use std::collections::BTreeMap;

use haar_records::{Address, B256, BlobHash, Fuel, JobId, MinerId, Outcome, Signature, Status};

use super::dice::Dice;
use crate::input::Time;
use crate::miner::{Decline, Miner, MinerInput, MinerOutput};

/// How a simulated miner behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Does what it should.
    Honest,
    /// Does what it should, often too late.
    Slow,
    /// Honest; its process dies and comes back without its memory.
    Leaver,
    /// Honest; says everything three times.
    Repeater,
    /// Honest; reveals before it is asked, too.
    Hasty,
    /// Answers right and does not deliver the output.
    Withholder,
    /// Never answers an offer.
    Mute,
    /// Accepts and never seals.
    Silent,
    /// Declines everything.
    Refuser,
    /// Always returns the same wrong output.
    ConstantLiar,
    /// Returns another wrong output each time.
    RandomLiar,
    /// Right output, a little fuel too much.
    FuelCheat,
    /// Claims more fuel than the job may use.
    Impossible,
    /// Seals and never reveals.
    NeverReveals,
    /// Reveals something else than it sealed.
    FalseRevealer,
    /// Seals twice, differently.
    Equivocator,
    /// Seals with a stolen seal and reveals the stolen answer.
    Copier,
    /// Reveals in the name of its peers.
    Forger,
    /// Lies alike with its group, whose members have different owners.
    Colluder,
    /// Lies alike with its group, which has one owner.
    Sybil,
}

impl Kind {
    /// Kinds that must never be dismissed.
    #[must_use]
    pub fn is_harmless(self) -> bool {
        self <= Self::Refuser
    }

    /// Kinds that a scenario draws from, besides the honest ones.
    pub(super) const ODD: &[Self] = &[
        Self::Slow,
        Self::Leaver,
        Self::Repeater,
        Self::Hasty,
        Self::Withholder,
        Self::Mute,
        Self::Silent,
        Self::Refuser,
        Self::ConstantLiar,
        Self::RandomLiar,
        Self::FuelCheat,
        Self::Impossible,
        Self::NeverReveals,
        Self::FalseRevealer,
        Self::Equivocator,
        Self::Copier,
        Self::Forger,
        Self::Colluder,
        Self::Sybil,
    ];
}

/// What a miner says to the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Up {
    Accept,
    Decline,
    Abstain,
    Seal(B256),
    Reveal {
        outcome: Outcome,
        salt: B256,
        executed_at: u64,
    },
}

/// What a miner does about it.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Say {
        job: JobId,
        up: Up,
    },
    /// Says it under another's name; a driver that checks signatures drops it.
    Forge {
        job: JobId,
        victim: MinerId,
        up: Up,
    },
    Run {
        job: JobId,
        ms: u64,
    },
}

/// A seal and its opening, as somebody overheard them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Overheard {
    pub(super) seal: B256,
    pub(super) outcome: Option<(Outcome, B256)>,
}

#[derive(Debug, Clone)]
pub(super) struct Actor {
    pub(super) id: MinerId,
    pub(super) owner: Address,
    pub(super) kind: Kind,
    /// Names the group of a colluder or Sybil.
    pub(super) group: u64,
    pub(super) capacity: u16,
    pub(super) machine: Miner,
    /// Counts connections: what an old one carried is lost.
    pub(super) connection: u32,
    pub(super) is_connected: bool,
    /// Counts lives: what an old one ran is lost.
    pub(super) life: u32,
    pub(super) is_out: bool,
}

impl Actor {
    pub(super) fn new(number: u64, kind: Kind, group: u64, owner: Address, capacity: u16) -> Self {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let id = MinerId::from(bytes);
        let machine = Miner::new(id, capacity);
        let (connection, life) = (0, 0);
        let (is_connected, is_out) = (false, false);
        Self {
            id,
            owner,
            kind,
            group,
            capacity,
            machine,
            connection,
            is_connected,
            life,
            is_out,
        }
    }

    /// The process dies and comes back empty.
    pub(super) fn die(&mut self) {
        self.life += 1;
        self.machine = Miner::new(self.id, self.capacity);
    }

    /// Hears the hub, or its own run.
    pub(super) fn hear(
        &mut self,
        now: Time,
        input: MinerInput,
        overheard: &BTreeMap<JobId, Overheard>,
        dice: &mut Dice,
    ) -> Vec<Act> {
        if let MinerInput::Offered { job, .. } = input {
            match self.kind {
                Kind::Mute => return Vec::new(),
                Kind::Silent => {
                    return vec![Act::Say {
                        job,
                        up: Up::Accept,
                    }];
                }
                Kind::Refuser => {
                    return vec![Act::Say {
                        job,
                        up: Up::Decline,
                    }];
                }
                _ => {}
            }
        }
        let mut acts = Vec::new();
        if let MinerInput::RevealRequested { job, seals, .. } = &input {
            self.spoil_reveal(*job, seals, overheard, &mut acts);
        }
        let hasty = match input {
            MinerInput::RunFinished {
                job,
                outcome,
                salt,
                executed_at,
            } if self.kind == Kind::Hasty => Some((
                job,
                Up::Reveal {
                    outcome,
                    salt,
                    executed_at,
                },
            )),
            _ => None,
        };
        let mut outputs = Vec::new();
        self.machine.handle(now, input, &mut outputs);
        for output in outputs {
            self.act(output, overheard, dice, &mut acts);
        }
        if let Some((job, up)) = hasty {
            self.say(job, up, &mut acts);
        }
        acts
    }

    /// The salt of this miner for a job.
    pub(super) fn salt(&self, job: &JobId) -> B256 {
        let mut secret = [0; 32];
        secret[..20].copy_from_slice(self.id.as_bytes());
        job.salt(&secret)
    }

    /// What this miner says the job produced.
    pub(super) fn outcome(&self, job: &JobId, truth: Outcome, fuel_max: Fuel) -> Outcome {
        let lie = |words: &[&[u8]]| Outcome {
            status: Status::Returned,
            exit_code: 0,
            output: BlobHash::of(&words.concat()),
            output_bytes: 7,
            ..truth
        };
        match self.kind {
            Kind::ConstantLiar => lie(&[self.id.as_bytes()]),
            Kind::RandomLiar => lie(&[self.id.as_bytes(), job.as_bytes()]),
            Kind::Colluder | Kind::Sybil => lie(&[&self.group.to_be_bytes(), job.as_bytes()]),
            Kind::FuelCheat => {
                // Each cheat has a number of its own, or two of them would be colluders.
                let (fuel, own) = (truth.fuel_used.0, u64::from(self.id.as_bytes()[7]));
                let cheated = if fuel + own <= fuel_max.0 {
                    fuel + own
                } else {
                    fuel - own
                };
                Outcome {
                    fuel_used: Fuel(cheated),
                    ..truth
                }
            }
            Kind::Impossible => Outcome {
                fuel_used: Fuel(fuel_max.0 + 1),
                ..truth
            },
            _ => truth,
        }
    }

    fn act(
        &self,
        output: MinerOutput,
        overheard: &BTreeMap<JobId, Overheard>,
        dice: &mut Dice,
        acts: &mut Vec<Act>,
    ) {
        match output {
            MinerOutput::Accept { job } => self.say(job, Up::Accept, acts),
            MinerOutput::Decline {
                job,
                reason: Decline::Full | Decline::TooLate,
            } => {
                self.say(job, Up::Decline, acts);
            }
            MinerOutput::Abstain { job } => self.say(job, Up::Abstain, acts),
            MinerOutput::Run { job, deadline: _ } => {
                let ms = match self.kind {
                    Kind::Slow => dice.between(2_000, 90_000),
                    _ => dice.between(20, 1_500),
                };
                acts.push(Act::Run { job, ms });
            }
            MinerOutput::Seal { job, seal } => self.seal(job, seal, overheard, acts),
            MinerOutput::Reveal {
                job,
                outcome,
                salt,
                executed_at,
            } => match self.kind {
                Kind::NeverReveals | Kind::Copier => {}
                Kind::FalseRevealer => {
                    let outcome = Outcome {
                        exit_code: outcome.exit_code + 1,
                        ..outcome
                    };
                    self.say(
                        job,
                        Up::Reveal {
                            outcome,
                            salt,
                            executed_at,
                        },
                        acts,
                    );
                }
                _ => self.say(
                    job,
                    Up::Reveal {
                        outcome,
                        salt,
                        executed_at,
                    },
                    acts,
                ),
            },
            MinerOutput::Forget { .. } | MinerOutput::Evidence(_) => {}
        }
    }

    fn seal(
        &self,
        job: JobId,
        seal: B256,
        overheard: &BTreeMap<JobId, Overheard>,
        acts: &mut Vec<Act>,
    ) {
        match self.kind {
            Kind::Copier => {
                // Without a seal to steal it sends a made-up one and hopes.
                let stolen = overheard.get(&job).map_or(job.0, |stolen| stolen.seal);
                self.say(job, Up::Seal(stolen), acts);
            }
            Kind::Equivocator => {
                self.say(job, Up::Seal(seal), acts);
                self.say(job, Up::Seal(B256::repeat_byte(7)), acts);
            }
            _ => self.say(job, Up::Seal(seal), acts),
        }
    }

    fn spoil_reveal(
        &self,
        job: JobId,
        seals: &[(MinerId, B256)],
        overheard: &BTreeMap<JobId, Overheard>,
        acts: &mut Vec<Act>,
    ) {
        let stolen = overheard.get(&job).and_then(|stolen| stolen.outcome);
        match (self.kind, stolen) {
            (Kind::Copier, Some((outcome, salt))) => {
                self.say(
                    job,
                    Up::Reveal {
                        outcome,
                        salt,
                        executed_at: 0,
                    },
                    acts,
                );
            }
            (Kind::Forger, _) => {
                for (victim, _) in seals.iter().filter(|(miner, _)| *miner != self.id) {
                    let outcome = Outcome {
                        status: Status::Trapped,
                        exit_code: 0,
                        output: BlobHash::of(b""),
                        output_bytes: 0,
                        fuel_used: Fuel(1),
                        trap: None,
                    };
                    let up = Up::Reveal {
                        outcome,
                        salt: B256::ZERO,
                        executed_at: 0,
                    };
                    acts.push(Act::Forge {
                        job,
                        victim: *victim,
                        up,
                    });
                }
            }
            _ => {}
        }
    }

    fn say(&self, job: JobId, up: Up, acts: &mut Vec<Act>) {
        let times = if self.kind == Kind::Repeater { 3 } else { 1 };
        for _ in 0..times {
            acts.push(Act::Say {
                job,
                up: up.clone(),
            });
        }
    }
}

/// Stands for a signature that the driver would have checked.
pub(super) const SIGNATURE: Signature = Signature([9; 65]);
