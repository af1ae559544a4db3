//! The network between hub and miners: slow, lossy, and listened to.
//!
//! A link keeps its order, as a QUIC stream does; what is lost is lost with its connection.

use haar_records::{JobId, MinerId};

use super::{Event, World};
use crate::input::{Input, Time};
use crate::miner::MinerInput;
use crate::sim::actor::{Act, Kind, Overheard, SIGNATURE, Up};
use crate::sim::{Neglect, Violation};

impl World {
    pub(super) fn hub_hears(
        &mut self,
        from: MinerId,
        claimed: MinerId,
        connection: u32,
        job: JobId,
        up: Up,
    ) -> Result<(), Violation> {
        if !self.is_up || self.actors[&from].connection != connection {
            return Ok(());
        }
        if from != claimed && self.neglect != Some(Neglect::Signatures) {
            self.report.forged += 1;
            return Ok(());
        }
        self.overhear(from, job, &up);
        let miner = claimed;
        let signature = SIGNATURE;
        self.step(match up {
            Up::Accept => Input::Accepted { miner, job },
            Up::Decline => Input::Declined { miner, job },
            Up::Abstain => Input::Abstained { miner, job },
            Up::Seal(seal) => Input::Sealed {
                miner,
                job,
                seal,
                signature,
            },
            Up::Reveal {
                outcome,
                salt,
                executed_at,
            } => Input::Revealed {
                miner,
                job,
                outcome,
                salt,
                executed_at,
                signature,
            },
        })
    }

    /// The worst network for sealing: whatever an honest miner says, a copier hears.
    fn overhear(&mut self, from: MinerId, job: JobId, up: &Up) {
        if self.actors[&from].kind == Kind::Copier {
            return;
        }
        match up {
            Up::Seal(seal) => {
                self.overheard.entry(job).or_insert(Overheard {
                    seal: *seal,
                    outcome: None,
                });
            }
            Up::Reveal { outcome, salt, .. } => {
                if let Some(overheard) = self.overheard.get_mut(&job) {
                    overheard.outcome = Some((*outcome, *salt));
                }
            }
            Up::Accept | Up::Decline | Up::Abstain => {}
        }
    }

    pub(super) fn miner_hears(&mut self, miner: MinerId, input: MinerInput) {
        let now = Time(self.now);
        let actor = self.actors.get_mut(&miner).expect("all miners are known");
        let acts = actor.hear(now, input, &self.overheard, &mut self.dice);
        let (life, connection) = (actor.life, actor.connection);
        for act in acts {
            match act {
                Act::Say { job, up } => self.tell_hub(miner, miner, connection, job, &up),
                Act::Forge { job, victim, up } => {
                    self.tell_hub(miner, victim, connection, job, &up);
                }
                Act::Run { job, ms } => self.at(self.now + ms, Event::RunDone { miner, life, job }),
            }
        }
    }

    pub(super) fn run_done(&mut self, miner: MinerId, life: u32, job: JobId) {
        let actor = &self.actors[&miner];
        if actor.life != life {
            return;
        }
        // One engine in a thousand has no answer.
        if self.dice.chance(1_000) {
            self.miner_hears(miner, MinerInput::RunAbstained { job });
            return;
        }
        let plan = &self.plans[self.by_job[&job]];
        let outcome = actor.outcome(&job, plan.truth, plan.order.fuel_max);
        let (salt, executed_at) = (actor.salt(&job), self.now / 1_000);
        self.miner_hears(
            miner,
            MinerInput::RunFinished {
                job,
                outcome,
                salt,
                executed_at,
            },
        );
    }

    pub(super) fn join(&mut self, miner: MinerId) -> Result<(), Violation> {
        if self.actors[&miner].is_out || self.actors[&miner].is_connected {
            return Ok(());
        }
        if !self.is_up {
            let later = self.now + self.dice.between(100, 700);
            self.at(later, Event::Join { miner });
            return Ok(());
        }
        let actor = self.actor(miner);
        actor.connection += 1;
        actor.is_connected = true;
        let (owner, capacity) = (actor.owner, actor.capacity);
        self.step(Input::MinerJoined {
            miner,
            owner,
            capacity,
        })
    }

    pub(super) fn leave(&mut self, miner: MinerId, connection: u32) -> Result<(), Violation> {
        // A driver can tell the old connection's end from the new one.
        let actor = &self.actors[&miner];
        if actor.connection != connection || actor.is_connected || !self.is_up {
            return Ok(());
        }
        self.step(Input::MinerLeft { miner })
    }

    pub(super) fn die(&mut self, miner: MinerId) {
        if !self.is_faulty() || self.actors[&miner].is_out {
            return;
        }
        self.actor(miner).die();
        self.disconnect(miner, 8_000);
        let again = self.now + self.dice.between(10_000, 60_000);
        self.at(again, Event::Die { miner });
    }

    pub(super) fn disconnect(&mut self, miner: MinerId, away_ms_max: u64) {
        let leaves = self.now + self.dice.between(0, 800);
        let joins = self.now + self.dice.between(100, away_ms_max);
        let actor = self.actor(miner);
        if !actor.is_connected {
            return;
        }
        actor.is_connected = false;
        actor.connection += 1;
        let connection = actor.connection;
        self.miner_hears(miner, MinerInput::Disconnected);
        self.at(leaves, Event::Leave { miner, connection });
        self.at(joins, Event::Join { miner });
    }

    pub(super) fn tell_miner(&mut self, to: MinerId, input: MinerInput) {
        let actor = &self.actors[&to];
        if !actor.is_connected {
            return;
        }
        let connection = actor.connection;
        for at in self.travel(to, false) {
            self.at(
                at,
                Event::ToMiner {
                    to,
                    connection,
                    input: input.clone(),
                },
            );
        }
    }

    fn tell_hub(&mut self, from: MinerId, claimed: MinerId, connection: u32, job: JobId, up: &Up) {
        if !self.actors[&from].is_connected {
            return;
        }
        for at in self.travel(from, true) {
            let up = up.clone();
            self.at(
                at,
                Event::ToHub {
                    from,
                    claimed,
                    connection,
                    job,
                    up,
                },
            );
        }
    }

    /// When a message arrives: once, twice, or never because its connection broke.
    fn travel(&mut self, miner: MinerId, is_up: bool) -> Vec<u64> {
        if self.is_faulty() && self.dice.chance(self.faults.loss_ppm) {
            self.disconnect(miner, 2_500);
            return Vec::new();
        }
        let copies = 1 + u64::from(self.dice.chance(self.faults.copies_ppm));
        let delay = self.dice.between(1, self.faults.delay_ms_max);
        let last = self.links.entry((miner, is_up)).or_default();
        *last = (*last).max(self.now + delay);
        let first = *last;
        (0..copies).map(|copy| first + copy).collect()
    }
}
