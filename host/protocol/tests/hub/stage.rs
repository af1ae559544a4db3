//! The stage on which the scripts are played.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use expect_test::Expect;
use haar_protocol::{
    Answer, Batch, Entry, Hub, HubConfig, Input, Order, Output, Refusal, Time, Timer,
};
use haar_records::eip712::seal;
use haar_records::{
    Address, B256, BlobHash, BuyerId, Domain, Fuel, HubId, JobId, MinerId, Outcome, Signature, Snm,
    SpecHash, Status,
};

const FUEL_MAX: Fuel = Fuel(50);
const FUEL_USED: Fuel = Fuel(5);
const MAX_CHARGE: u128 = 1_000;
const DEADLINE_MS: u64 = 200_000;

/// Plays a script, compares what the hub put out, and checks its books and its replay.
#[track_caller]
pub(crate) fn check(script: &str, expected: Expect) {
    let mut stage = Stage::new();
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        stage.play(line);
        stage.hub.ledger().check().unwrap();
    }
    expected.assert_eq(&stage.said);
    stage.check_replay();
    let is_idle = stage.hub.jobs_live() == 0;
    assert!(
        !is_idle || stage.hub.miners().all(|miner| miner.running == 0),
        "busy without a job"
    );
}

/// A hub, its journal, its timers and what it said.
pub(crate) struct Stage {
    pub(crate) hub: Hub,
    pub(crate) now: u64,
    journal: Vec<Vec<u8>>,
    timers: BTreeSet<(Time, Timer)>,
    said: String,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let mut stage = Self {
            hub: Hub::new(config()),
            now: 1_000_000,
            journal: Vec::new(),
            timers: BTreeSet::new(),
            said: String::new(),
        };
        stage.give(Input::Started);
        stage.play("deposit 10000");
        stage
    }

    pub(crate) fn play(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let job = || job(words[2]);
        match words[0] {
            "join" => words[1..].iter().for_each(|word| self.join(word)),
            "leave" => words[1..].iter().for_each(|word| {
                self.give(Input::MinerLeft { miner: miner(word) });
            }),
            "deposit" => {
                let amount = Snm(words[1].parse().unwrap());
                let reference = B256::repeat_byte(words.len() as u8);
                self.give(Input::Deposited {
                    buyer: buyer(),
                    amount,
                    reference,
                });
            }
            "order" => self.give(Input::Ordered(self.order(&words[1..]))),
            "vote" => self.vote(&words[1..]),
            "account" => self.account(),
            "record" => self.record(words[1]),
            "accept" => self.give(Input::Accepted {
                miner: miner(words[1]),
                job: job(),
            }),
            "decline" => self.give(Input::Declined {
                miner: miner(words[1]),
                job: job(),
            }),
            "abstain" => self.give(Input::Abstained {
                miner: miner(words[1]),
                job: job(),
            }),
            "seal" => self.give(sealed(words[1], job(), words[3])),
            "reveal" => self.give(revealed(words[1], job(), words[3])),
            "stored" => {
                let job = self::job(words[1]);
                self.give(Input::OutputStored { job, bytes: 1 });
            }
            "missing" => self.give(Input::OutputMissing {
                miner: miner(words[1]),
                job: job(),
            }),
            "wait" => self.wait(words[1].parse().unwrap()),
            "fire" => words[1..].iter().for_each(|word| {
                let timer = Timer::Deadline {
                    job: self::job(word),
                };
                self.give(Input::TimerFired { timer });
            }),
            "restart" => {
                self.timers.clear();
                self.give(Input::Started);
            }
            "settle" => self.give(Input::SettleNow),
            "committed" => self.give(Input::BatchCommitted {
                epoch: words[1].parse().unwrap(),
            }),
            "finalized" => self.give(Input::BatchFinalized {
                epoch: words[1].parse().unwrap(),
            }),
            "say" => writeln!(self.said, "-- {}", words[1..].join(" ")).unwrap(),
            word => panic!("unknown word {word}"),
        }
    }

    /// `a` is a miner of its own owner, `a@o` one of owner `o`, `a*3` runs three at once.
    fn join(&mut self, word: &str) {
        let (word, capacity) = word.split_once('*').unwrap_or((word, "1"));
        let (name, owner) = word.split_once('@').unwrap_or((word, word));
        let owner = Address::repeat_byte(owner.as_bytes()[0]);
        let capacity = capacity.parse().unwrap();
        self.give(Input::MinerJoined {
            miner: miner(name),
            owner,
            capacity,
        });
    }

    /// `1 3/2` hires three and accepts a lead of two; highest charge and time may follow.
    pub(crate) fn order(&self, words: &[&str]) -> Order {
        let (number, (attempts, quorum)) = (words[0], words[1].split_once('/').unwrap());
        let max_charge = words
            .get(2)
            .map_or(MAX_CHARGE, |word| word.parse().unwrap());
        let deadline_ms: u64 = words
            .get(3)
            .map_or(DEADLINE_MS, |word| word.parse().unwrap());
        Order {
            job: job(number),
            spec: SpecHash::from([1; 32]),
            buyer: buyer(),
            channel: B256::ZERO,
            max_charge: Snm(max_charge),
            fuel_price: 20,
            base_fee: Snm(100),
            fuel_max: FUEL_MAX,
            attempts: attempts.parse().unwrap(),
            quorum: quorum.parse().unwrap(),
            deadline: Time(self.now + deadline_ms),
            entropy: [7; 32],
        }
    }

    /// `aX bY`: each seals and reveals in job 1; those who are not hired are not heard.
    fn vote(&mut self, words: &[&str]) {
        for word in words {
            self.give(sealed(&word[..1], job("1"), &word[1..]));
        }
        for word in words {
            self.give(revealed(&word[..1], job("1"), &word[1..]));
        }
    }

    fn record(&mut self, name: &str) {
        let view = self.hub.miner(&miner(name)).unwrap();
        let (record, running, earned) = (view.record, view.running, view.cumulative.0);
        writeln!(
            self.said,
            "-- {name} has record {record}, runs {running}, earned {earned}"
        )
        .unwrap();
    }

    fn account(&mut self) {
        let account = self.hub.ledger().account(&buyer());
        let (fees, earned) = (self.hub.ledger().fees(), self.hub.ledger().earned_total());
        writeln!(
            self.said,
            "-- {} available, {} held, {} spent, {} refunded; {} earned, {} fees",
            account.available.0,
            account.held.0,
            account.spent.0,
            account.refunded.0,
            earned.0,
            fees.0
        )
        .unwrap();
    }

    fn wait(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some((at, timer)) = self.timers.first().copied().filter(|(at, _)| at.0 <= until) {
            self.timers.remove(&(at, timer));
            self.now = self.now.max(at.0);
            self.give(Input::TimerFired { timer });
        }
        self.now = until;
    }

    /// Gives the hub an input and notes what it puts out.
    pub(crate) fn give(&mut self, input: Input) {
        for output in self.handle(input) {
            writeln!(self.said, "{}", shown(&output)).unwrap();
        }
    }

    /// Gives the hub an input and keeps its timers.
    pub(crate) fn handle(&mut self, input: Input) -> Vec<Output> {
        let entry = Entry {
            at: Time(self.now),
            input,
        };
        self.journal.push(entry.to_bytes());
        let mut outbox = Vec::new();
        self.hub.handle(entry.at, entry.input, &mut outbox);
        outbox.retain(|output| {
            if let Output::SetTimer { at, timer } = output {
                self.timers.insert((*at, *timer));
            }
            !matches!(output, Output::SetTimer { .. })
        });
        outbox
    }

    #[track_caller]
    fn check_replay(&self) {
        let mut hub = Hub::new(config());
        for bytes in &self.journal {
            let entry = Entry::from_bytes(bytes).unwrap();
            hub.handle(entry.at, entry.input, &mut Vec::new());
        }
        assert_eq!(
            format!("{hub:?}"),
            format!("{:?}", self.hub),
            "the replay differs"
        );
    }
}

fn config() -> HubConfig {
    let mut config = HubConfig::new(HubId::default(), Domain::default());
    config.fee_ppm = 100_000;
    config.stragglers_ms_min = 2_000;
    config.patience_ms = 5_000;
    config
}

fn miner(name: &str) -> MinerId {
    MinerId::from([name.as_bytes()[0]; 20])
}

pub(crate) fn job(number: &str) -> JobId {
    JobId::from([number.parse().unwrap(); 32])
}

fn buyer() -> BuyerId {
    BuyerId::from([9; 20])
}

fn outcome(letter: &str) -> Outcome {
    let status = if letter == "T" {
        Status::Trapped
    } else {
        Status::Returned
    };
    let output = if matches!(letter, "T" | "E") {
        ""
    } else {
        letter
    };
    let fuel_used = if letter == "F" {
        Fuel(FUEL_MAX.0 + 1)
    } else {
        FUEL_USED
    };
    let output = BlobHash::of(output.as_bytes());
    Outcome {
        status,
        exit_code: 0,
        output,
        output_bytes: 1,
        fuel_used,
        trap: None,
    }
}

fn sealed(name: &str, job: JobId, letter: &str) -> Input {
    let outcome = outcome(letter);
    let seal = seal(
        job,
        miner(name),
        outcome.result_hash(),
        outcome.fuel_used.0,
        B256::repeat_byte(5),
    );
    Input::Sealed {
        miner: miner(name),
        job,
        seal,
        signature: Signature([1; 65]),
    }
}

fn revealed(name: &str, job: JobId, letter: &str) -> Input {
    Input::Revealed {
        miner: miner(name),
        job,
        outcome: outcome(letter),
        salt: B256::repeat_byte(5),
        executed_at: 7,
        signature: Signature([2; 65]),
    }
}

fn shown(output: &Output) -> String {
    let name = |miner: &MinerId| char::from(miner.as_bytes()[0]).to_string();
    let names = |miners: &[MinerId]| miners.iter().map(name).collect::<String>();
    let number = |job: &JobId| job.as_bytes()[0];
    match output {
        Output::Offer { miner, job, .. } => format!("offer {} {}", name(miner), number(job)),
        Output::RequestReveal {
            job,
            round,
            seals,
            to,
        } => {
            let sealed: Vec<MinerId> = seals.iter().map(|(miner, _)| *miner).collect();
            let (sealed, to) = (names(&sealed), names(to));
            format!(
                "request {} round {round} sealed {sealed} to {to}",
                number(job)
            )
        }
        Output::FetchOutput { job, from, .. } => {
            format!("fetch {} from {}", number(job), names(from))
        }
        Output::CloseAttempt {
            miner,
            job,
            end,
            credit,
        } => {
            let credit = credit
                .map(|credit| format!(" credit {} in epoch {}", credit.cumulative.0, credit.epoch));
            let credit = credit.unwrap_or_default();
            format!("close {} {} {end:?}{credit}", name(miner), number(job))
        }
        Output::Answer { job, answer } => format!("answer {} {}", number(job), said(answer)),
        Output::TurnAway { miner, reason } => format!("turn away {}: {reason}", name(miner)),
        Output::Dismiss {
            miner, job, reason, ..
        } => {
            format!("dismiss {} for {}: {reason}", name(miner), number(job))
        }
        Output::Settle { batch } => settled(batch),
        Output::SetTimer { .. } => unreachable!("timers are kept"),
    }
}

fn said(answer: &Answer) -> String {
    let names = |miners: &[MinerId]| {
        miners
            .iter()
            .map(|miner| char::from(miner.as_bytes()[0]))
            .collect::<String>()
    };
    match answer {
        Answer::Agreed {
            charged,
            attempts,
            agreeing,
            dissenting,
            ..
        } => {
            let (agreeing, dissenting) = (names(agreeing), names(dissenting));
            format!(
                "agreed by {agreeing} against '{dissenting}' of {attempts}, {} atoms",
                charged.0
            )
        }
        Answer::NoVerdict { reason, attempts } => format!("no verdict of {attempts}: {reason}"),
        Answer::NoMiner { .. } => "no miner".to_owned(),
        Answer::Refused(Refusal::InsufficientFunds { needed, available }) => {
            format!("refused: {} needed, {} available", needed.0, available.0)
        }
        other => format!("{other:?}"),
    }
}

fn settled(batch: &Batch) -> String {
    let jobs: Vec<u8> = batch.leaves.iter().map(|leaf| leaf.jobId[0]).collect();
    let pay: Vec<String> = batch
        .pay
        .iter()
        .map(|(miner, sum)| format!("{}={}", char::from(miner.as_bytes()[0]), sum.0))
        .collect();
    format!(
        "settle epoch {} after {:?}: jobs {jobs:?} pay {} charged {}",
        batch.epoch,
        batch.previous,
        pay.join(" "),
        batch.total_charged.0
    )
}
