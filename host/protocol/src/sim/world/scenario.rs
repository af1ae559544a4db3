//! Who lives in a world and what its buyers will order, drawn before it begins.

use haar_records::{Address, B256, BlobHash, BuyerId, Fuel, JobId, Outcome, Snm, SpecHash, Status};

use super::{Event, Plan, SETTLE_EVERY_MS, World};
use crate::input::{Input, Order, Time};
use crate::sim::actor::{Actor, Kind};

/// How long faults go on after the last order.
const FAULTS_MS: u64 = 60_000;

impl World {
    pub(super) fn populate(&mut self) {
        let mut kinds = vec![(Kind::Honest, 0); self.dice.between(4, 8) as usize];
        for _ in 0..self.dice.between(0, 6) {
            let kind = self.dice.pick(Kind::ODD);
            let members = if matches!(kind, Kind::Colluder | Kind::Sybil) {
                2
            } else {
                1
            };
            // Sybils and colluders that lied alike would be one larger group.
            let group = self.dice.between(0, 1) + if kind == Kind::Sybil { 2 } else { 0 };
            kinds.extend(std::iter::repeat_n((kind, group), members));
        }
        for (number, (kind, group)) in (1_u64..).zip(kinds) {
            let mut owner = [0x0e; 20];
            owner[0] = if kind == Kind::Sybil { 0xff } else { 0 };
            owner[1] = if kind == Kind::Sybil {
                group as u8
            } else {
                number as u8
            };
            let capacity = self.dice.between(1, 4) as u16;
            let actor = Actor::new(number, kind, group, Address::from(owner), capacity);
            let miner = actor.id;
            self.actors.insert(miner, actor);
            let joins = self.now + self.dice.between(0, 3_000);
            self.at(joins, Event::Join { miner });
            if kind == Kind::Leaver {
                let dies = self.now + self.dice.between(5_000, 60_000);
                self.at(dies, Event::Die { miner });
            }
        }
    }

    pub(super) fn plan_jobs(&mut self, jobs: u32) {
        let buyers = [1, 2, 3].map(|number| BuyerId::from([number; 20]));
        for (buyer, whole) in buyers
            .into_iter()
            .zip([1_000_000_000_u128, 1_000_000_000, 400_000])
        {
            let reference = B256::from(self.dice.bytes());
            let amount = Snm(whole);
            for copy in 0..=self.dice.between(0, 1) {
                let at = self.now + copy * 1_000;
                let input = Input::Deposited {
                    buyer,
                    amount,
                    reference,
                };
                self.at(at, Event::Deposit(input));
            }
        }
        let mut at = self.now + 4_000;
        for number in 0..jobs as usize {
            at += self.dice.between(0, 3_000);
            let order = self.plan_order(&buyers, at);
            let truth = self.plan_truth(&order);
            self.by_job.insert(order.job, number);
            self.plans.push(Plan { order, truth });
            self.at(
                at,
                Event::Order {
                    at: number,
                    tries: 0,
                },
            );
            if self.dice.chance(100_000) {
                let again = at + self.dice.between(0, 60_000);
                self.at(
                    again,
                    Event::Order {
                        at: number,
                        tries: 9,
                    },
                );
            }
        }
        self.heals_at = at + FAULTS_MS;
        self.at(self.now + SETTLE_EVERY_MS, Event::SettleTick);
    }

    fn plan_order(&mut self, buyers: &[BuyerId], at: u64) -> Order {
        let (attempts, quorum) =
            self.dice
                .pick(&[(1, 1), (2, 1), (2, 2), (2, 2), (3, 2), (3, 3), (5, 3)]);
        let fuel_max = Fuel(self.dice.between(1_000, 100_000));
        let fuel_price = self.dice.between(0, 5);
        Order {
            job: JobId::from(self.dice.bytes()),
            spec: SpecHash::from(self.dice.bytes()),
            buyer: self.dice.pick(buyers),
            channel: B256::repeat_byte(3),
            max_charge: Snm(u128::from(self.dice.between(1, 500_000))),
            fuel_price,
            base_fee: Snm(u128::from(self.dice.between(0, 1_000))),
            fuel_max,
            attempts,
            quorum,
            deadline: Time(at + self.dice.between(20_000, 300_000)),
            entropy: self.dice.bytes(),
        }
    }

    fn plan_truth(&mut self, order: &Order) -> Outcome {
        let status = match self.dice.between(0, 9) {
            0 => Status::Trapped,
            1 => Status::OutOfFuel,
            _ => Status::Returned,
        };
        let is_empty = status != Status::Returned || self.dice.chance(100_000);
        let output: &[u8] = if is_empty { b"" } else { order.job.as_bytes() };
        let fuel = self.dice.between(500, order.fuel_max.0);
        let fuel_used = if status == Status::OutOfFuel {
            order.fuel_max
        } else {
            Fuel(fuel)
        };
        let exit_code = if status == Status::Returned {
            self.dice.between(0, 1) as u32
        } else {
            0
        };
        let output_bytes = output.len() as u64;
        let output = BlobHash::of(output);
        Outcome {
            status,
            exit_code,
            output,
            output_bytes,
            fuel_used,
            trap: None,
        }
    }
}
