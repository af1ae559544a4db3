//! The hub's rules, each as a short script and what the hub puts out.
//!
//! A script line is a word and its arguments; miners are letters, jobs are numbers, and an outcome
//! is a letter as well: `X`, `Y`, `Z` return something, `E` returns nothing, `T` traps, `F` claims
//! more fuel than is allowed. The lines that follow in `expect!` are the outputs, timers left out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fmt::Write as _;

use expect_test::{Expect, expect};
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
fn check(script: &str, expected: Expect) {
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
}

struct Stage {
    hub: Hub,
    now: u64,
    journal: Vec<Vec<u8>>,
    timers: BTreeSet<(Time, Timer)>,
    said: String,
}

impl Stage {
    fn new() -> Self {
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

    fn play(&mut self, line: &str) {
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
    fn order(&self, words: &[&str]) -> Order {
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

    fn give(&mut self, input: Input) {
        let entry = Entry {
            at: Time(self.now),
            input,
        };
        self.journal.push(entry.to_bytes());
        let mut outbox = Vec::new();
        self.hub.handle(entry.at, entry.input, &mut outbox);
        for output in outbox {
            if let Output::SetTimer { at, timer } = output {
                self.timers.insert((at, timer));
            } else {
                writeln!(self.said, "{}", shown(&output)).unwrap();
            }
        }
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
    config
}

fn miner(name: &str) -> MinerId {
    MinerId::from([name.as_bytes()[0]; 20])
}

fn job(number: &str) -> JobId {
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

#[test]
fn two_that_agree_are_paid_alike() {
    check(
        "join a b
         order 1 2/2
         account
         accept a 1
         seal a 1 X
         say nothing is shown before both have sealed
         seal b 1 X
         reveal a 1 X
         reveal b 1 X
         stored 1
         account",
        expect![[r#"
            offer a 1
            offer b 1
            -- 9000 available, 1000 held, 0 spent, 0 refunded; 0 earned, 0 fees
            -- nothing is shown before both have sealed
            request 1 round 0 sealed ab to ab
            fetch 1 from ab
            close a 1 Agreed credit 90 in epoch 1
            close b 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ab against '' of 2, 200 atoms
            -- 9800 available, 0 held, 200 spent, 800 refunded; 180 earned, 20 fees
        "#]],
    );
}

#[test]
fn what_cannot_be_divided_is_the_hubs() {
    check(
        "join a b c
         order 1 3/3 198
         vote aE bE cE
         account",
        expect![[r#"
            offer a 1
            offer b 1
            offer c 1
            request 1 round 0 sealed abc to abc
            close a 1 Agreed credit 59 in epoch 1
            close b 1 Agreed credit 59 in epoch 1
            close c 1 Agreed credit 59 in epoch 1
            answer 1 agreed by abc against '' of 3, 198 atoms
            -- 9802 available, 0 held, 198 spent, 0 refunded; 177 earned, 21 fees
        "#]],
    );
}

#[test]
fn a_liar_costs_two_further_attempts_and_is_put_out() {
    check(
        "join a b c d
         order 1 2/2
         seal a 1 X
         seal b 1 Y
         reveal a 1 X
         reveal b 1 Y
         say both could be right: as many more as could decide
         seal c 1 X
         seal d 1 X
         reveal c 1 X
         reveal d 1 X
         stored 1
         join b
         order 2 2/2",
        expect![[r#"
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            offer d 1
            offer c 1
            -- both could be right: as many more as could decide
            request 1 round 1 sealed cd to cd
            fetch 1 from acd
            close a 1 Agreed credit 60 in epoch 1
            close b 1 Dissented
            close d 1 Agreed credit 60 in epoch 1
            close c 1 Agreed credit 60 in epoch 1
            answer 1 agreed by acd against 'b' of 4, 200 atoms
            dismiss b for 1: its outcome was not the agreed one
            turn away b: the miner or its owner was dismissed
            offer a 2
            offer c 2
        "#]],
    );
}

#[test]
fn a_majority_of_three_without_the_lead_is_no_verdict_yet() {
    check(
        "join a b c d
         order 1 3/2
         vote aX bX dY
         say two against one leads by one
         vote cX
         stored 1",
        expect![[r#"
            offer a 1
            offer b 1
            offer d 1
            request 1 round 0 sealed abd to abd
            offer c 1
            -- two against one leads by one
            request 1 round 1 sealed c to c
            fetch 1 from abc
            close a 1 Agreed credit 60 in epoch 1
            close b 1 Agreed credit 60 in epoch 1
            close d 1 Dissented
            close c 1 Agreed credit 60 in epoch 1
            answer 1 agreed by abc against 'd' of 4, 200 atoms
            dismiss d for 1: its outcome was not the agreed one
        "#]],
    );
}

#[test]
fn after_seven_answers_without_a_lead_everything_goes_back() {
    check(
        "join a b c d e f g h
         order 1 2/2
         vote aA bB cC dD eE fG gH hI
         vote aA bB cC dD eE fG gH hI
         vote aA bB cC dD eE fG gH hI
         say an eighth answer is never bought
         account",
        expect![[r#"
            offer b 1
            offer a 1
            request 1 round 0 sealed ab to ab
            offer h 1
            offer e 1
            request 1 round 1 sealed eh to eh
            offer f 1
            offer c 1
            request 1 round 2 sealed cf to cf
            close b 1 Cancelled
            close a 1 Cancelled
            close h 1 Cancelled
            close e 1 Cancelled
            close f 1 Cancelled
            close c 1 Cancelled
            answer 1 no verdict of 6: the miners disagree and no further attempt is allowed
            close h 1 Cancelled
            -- an eighth answer is never bought
            -- 10000 available, 0 held, 0 spent, 1000 refunded; 0 earned, 0 fees
        "#]],
    );
}

#[test]
fn an_optimistic_job_needs_one_miner() {
    check(
        "join a
         order 1 1/1
         seal a 1 T
         reveal a 1 T",
        expect![[r#"
            offer a 1
            request 1 round 0 sealed a to a
            close a 1 Agreed credit 180 in epoch 1
            answer 1 agreed by a against '' of 1, 200 atoms
        "#]],
    );
}

#[test]
fn a_trap_and_an_empty_output_need_no_fetching() {
    check(
        "join a b
         order 1 2/2
         seal a 1 T
         seal b 1 T
         reveal a 1 T
         reveal b 1 T",
        expect![[r#"
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            close a 1 Agreed credit 90 in epoch 1
            close b 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ab against '' of 2, 200 atoms
        "#]],
    );
}

#[test]
fn an_early_reveal_is_not_looked_at() {
    check(
        "join a b
         order 1 2/2
         seal a 1 X
         reveal a 1 X
         seal b 1 X
         reveal b 1 X
         say the early one has to come again
         reveal a 1 X
         stored 1",
        expect![[r#"
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            -- the early one has to come again
            fetch 1 from ab
            close a 1 Agreed credit 90 in epoch 1
            close b 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ab against '' of 2, 200 atoms
        "#]],
    );
}

#[test]
fn a_reveal_that_does_not_open_its_seal_is_wrong() {
    check(
        "join a b c
         order 1 2/2
         seal a 1 X
         seal b 1 Y
         reveal a 1 X
         reveal b 1 X
         seal c 1 X
         reveal c 1 X
         stored 1",
        expect![[r#"
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            close b 1 Dissented
            offer c 1
            dismiss b for 1: its reveal does not open its seal
            request 1 round 1 sealed c to c
            fetch 1 from ac
            close a 1 Agreed credit 90 in epoch 1
            close c 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ac against 'b' of 3, 200 atoms
        "#]],
    );
}

#[test]
fn more_fuel_than_the_job_may_use_is_wrong_even_alone() {
    check(
        "join a b
         order 1 1/1
         seal a 1 F
         reveal a 1 F
         seal b 1 X
         reveal b 1 X
         stored 1",
        expect![[r#"
            offer a 1
            request 1 round 0 sealed a to a
            close a 1 Dissented
            offer b 1
            dismiss a for 1: its reveal does not open its seal
            request 1 round 1 sealed b to b
            fetch 1 from b
            close b 1 Agreed credit 180 in epoch 1
            answer 1 agreed by b against 'a' of 2, 200 atoms
        "#]],
    );
}

#[test]
fn a_second_seal_is_equivocation() {
    check(
        "join a b c
         order 1 2/2
         seal a 1 X
         seal a 1 X
         seal a 1 Y
         seal b 1 X
         seal c 1 X
         reveal b 1 X
         reveal c 1 X
         stored 1",
        expect![[r#"
            offer a 1
            offer b 1
            dismiss a for 1: it signed two different answers
            close a 1 Cancelled
            offer c 1
            request 1 round 0 sealed abc to bc
            fetch 1 from bc
            close b 1 Agreed credit 90 in epoch 1
            close c 1 Agreed credit 90 in epoch 1
            answer 1 agreed by bc against '' of 3, 200 atoms
        "#]],
    );
}

#[test]
fn a_second_reveal_is_equivocation_even_after_the_verdict() {
    check(
        "join a b
         order 1 2/2
         seal a 1 X
         seal b 1 X
         reveal a 1 X
         reveal b 1 X
         stored 1
         reveal a 1 X
         reveal a 1 Y",
        expect![[r#"
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            fetch 1 from ab
            close a 1 Agreed credit 90 in epoch 1
            close b 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ab against '' of 2, 200 atoms
            close a 1 Agreed credit 90 in epoch 1
            dismiss a for 1: it signed two different answers
        "#]],
    );
}

#[test]
fn a_dismissed_owners_other_miners_are_out_as_well() {
    check(
        "join a@o b c@o d
         order 1 2/2
         seal a 1 X
         seal a 1 Y
         join c@o
         join e@o",
        expect![[r#"
            offer a 1
            offer b 1
            dismiss a for 1: it signed two different answers
            close a 1 Cancelled
            dismiss c for 1: it signed two different answers
            offer d 1
            turn away c: the miner or its owner was dismissed
            turn away e: the miner or its owner was dismissed
        "#]],
    );
}

#[test]
fn one_owner_has_one_attempt_in_a_job() {
    check(
        "join a@o b@o c@o
         order 1 2/2
         join d
         order 2 2/2
         decline d 2
         wait 5000",
        expect![[r#"
            answer 1 no miner
            offer a 2
            offer d 2
            close d 2 Cancelled
            close a 2 Lapsed
        "#]],
    );
}

#[test]
fn a_silent_miner_lapses_and_is_replaced() {
    check(
        "join a b c
         order 1 2/2
         seal a 1 X
         wait 6000
         seal c 1 X
         reveal a 1 X
         reveal c 1 X
         stored 1
         say the late one is told
         seal b 1 X",
        expect![[r#"
            offer a 1
            offer b 1
            close b 1 Lapsed
            offer c 1
            request 1 round 0 sealed ac to ac
            fetch 1 from ac
            close a 1 Agreed credit 90 in epoch 1
            close c 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ac against '' of 3, 200 atoms
            -- the late one is told
            close b 1 Lapsed
        "#]],
    );
}

#[test]
fn who_accepted_and_does_not_seal_is_replaced_once_somebody_has() {
    check(
        "join a b c
         order 1 2/2
         accept a 1
         accept b 1
         wait 1000
         seal a 1 X
         wait 2999
         say three times the time of the first
         wait 1",
        expect![[r#"
            offer a 1
            offer b 1
            -- three times the time of the first
            close b 1 Lapsed
            offer c 1
        "#]],
    );
}

#[test]
fn a_slow_miner_is_better_than_none() {
    check(
        "join a b
         order 1 2/2
         accept a 1
         accept b 1
         seal a 1 X
         wait 30000
         seal b 1 X
         reveal a 1 X
         reveal b 1 X
         stored 1",
        expect![[r#"
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            fetch 1 from ab
            close a 1 Agreed credit 90 in epoch 1
            close b 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ab against '' of 2, 200 atoms
        "#]],
    );
}

#[test]
fn with_seals_enough_the_slow_ones_are_not_waited_for() {
    check(
        "join a b c
         order 1 3/2
         accept c 1
         seal a 1 X
         seal b 1 X
         wait 2000
         reveal a 1 X
         reveal b 1 X
         stored 1",
        expect![[r#"
            offer a 1
            offer b 1
            offer c 1
            close c 1 Lapsed
            request 1 round 0 sealed ab to ab
            fetch 1 from ab
            close a 1 Agreed credit 90 in epoch 1
            close b 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ab against '' of 3, 200 atoms
        "#]],
    );
}

#[test]
fn a_lease_ends_even_where_nobody_could_replace() {
    check(
        "join a b
         order 1 2/2
         accept a 1
         accept b 1
         seal a 1 X
         wait 60000
         wait 5000",
        expect![[r#"
            offer a 1
            offer b 1
            close b 1 Lapsed
            close a 1 Cancelled
            answer 1 no verdict of 2: no further miner could be hired
        "#]],
    );
}

#[test]
fn declining_and_abstaining_cost_nothing_but_the_attempt() {
    check(
        "join a b c d
         order 1 2/2
         decline a 1
         accept b 1
         abstain b 1
         decline b 1",
        expect![[r#"
            offer a 1
            offer b 1
            close a 1 Cancelled
            offer d 1
            close b 1 Cancelled
            offer c 1
            close b 1 Cancelled
        "#]],
    );
}

#[test]
fn a_seal_without_a_reveal_counts_as_wrong() {
    check(
        "join a b c
         order 1 2/2
         seal a 1 X
         seal b 1 X
         reveal a 1 X
         wait 5000
         seal c 1 X
         reveal c 1 X
         stored 1
         say too late
         reveal b 1 X",
        expect![[r#"
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            close b 1 Dissented
            offer c 1
            request 1 round 1 sealed c to c
            fetch 1 from ac
            close a 1 Agreed credit 90 in epoch 1
            close c 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ac against 'b' of 3, 200 atoms
            -- too late
            close b 1 Dissented
        "#]],
    );
}

#[test]
fn only_repeated_silence_after_a_seal_puts_out() {
    check(
        "join a*9
         order 1 1/1
         order 2 1/1
         order 3 1/1
         seal a 1 X
         seal a 2 X
         seal a 3 X
         say one outage is one fault
         wait 70000
         order 4 1/1
         seal a 4 X
         wait 70000
         order 5 1/1
         seal a 5 X
         wait 10000",
        expect![[r#"
            offer a 1
            offer a 2
            offer a 3
            request 1 round 0 sealed a to a
            request 2 round 0 sealed a to a
            request 3 round 0 sealed a to a
            -- one outage is one fault
            close a 1 Dissented
            close a 2 Dissented
            close a 3 Dissented
            answer 1 no verdict of 1: no further miner could be hired
            answer 2 no verdict of 1: no further miner could be hired
            answer 3 no verdict of 1: no further miner could be hired
            offer a 4
            request 4 round 0 sealed a to a
            close a 4 Dissented
            answer 4 no verdict of 1: no further miner could be hired
            offer a 5
            request 5 round 0 sealed a to a
            close a 5 Dissented
            dismiss a for 5: it sealed and did not reveal
            answer 5 no verdict of 1: no further miner could be hired
        "#]],
    );
}

#[test]
fn an_output_that_nobody_delivers_is_not_paid() {
    check(
        "join a b c d
         order 1 2/2
         seal a 1 X
         seal b 1 X
         reveal a 1 X
         reveal b 1 X
         missing a 1
         say b may have it
         missing b 1
         seal c 1 X
         seal d 1 X
         reveal c 1 X
         reveal d 1 X
         stored 1",
        expect![[r#"
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            fetch 1 from ab
            -- b may have it
            close a 1 Lapsed
            close b 1 Lapsed
            offer d 1
            offer c 1
            request 1 round 1 sealed cd to cd
            fetch 1 from cd
            close d 1 Agreed credit 90 in epoch 1
            close c 1 Agreed credit 90 in epoch 1
            answer 1 agreed by cd against '' of 4, 200 atoms
        "#]],
    );
}

#[test]
fn one_delivery_is_enough_for_all_who_agree() {
    check(
        "join a b
         order 1 2/2
         seal a 1 X
         seal b 1 X
         reveal a 1 X
         reveal b 1 X
         missing a 1
         stored 1
         stored 1
         missing b 1",
        expect![[r#"
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            fetch 1 from ab
            close a 1 Agreed credit 90 in epoch 1
            close b 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ab against '' of 2, 200 atoms
        "#]],
    );
}

#[test]
fn a_busy_miner_is_waited_for() {
    check(
        "join a b
         order 1 2/2
         order 2 2/2
         seal a 1 X
         say who has sealed can run the next one
         seal b 1 X
         decline a 2",
        expect![[r#"
            offer a 1
            offer b 1
            offer a 2
            -- who has sealed can run the next one
            request 1 round 0 sealed ab to ab
            offer b 2
            close a 2 Cancelled
        "#]],
    );
}

#[test]
fn a_miner_that_joins_is_hired_for_the_jobs_that_wait() {
    check(
        "join a b
         order 1 2/2
         decline a 1
         wait 4000
         join c",
        expect![[r#"
            offer a 1
            offer b 1
            close a 1 Cancelled
            offer c 1
        "#]],
    );
}

#[test]
fn nobody_to_hire_ends_the_job_after_some_patience() {
    check(
        "join a b
         order 1 2/2
         seal b 1 X
         decline a 1
         wait 4999
         say now
         wait 1",
        expect![[r#"
            offer a 1
            offer b 1
            close a 1 Cancelled
            -- now
            close b 1 Cancelled
            answer 1 no verdict of 2: no further miner could be hired
        "#]],
    );
}

#[test]
fn the_deadline_ends_a_job_in_every_phase() {
    check(
        "join a*5 b*5
         order 1 2/2 1000 1500
         order 2 2/2 1000 1500
         order 3 2/2 1000 1500
         seal a 2 X
         seal b 2 X
         seal a 3 X
         seal b 3 X
         reveal a 3 X
         reveal b 3 X
         fire 1 2 3
         say not before its time
         wait 1500
         stored 3
         fire 1 2 3
         account",
        expect![[r#"
            offer a 1
            offer b 1
            offer a 2
            offer b 2
            offer a 3
            offer b 3
            request 2 round 0 sealed ab to ab
            request 3 round 0 sealed ab to ab
            fetch 3 from ab
            -- not before its time
            close a 1 Cancelled
            close b 1 Cancelled
            answer 1 no verdict of 2: the deadline came before a verdict
            close a 2 Cancelled
            close b 2 Cancelled
            answer 2 no verdict of 2: the deadline came before a verdict
            close a 3 Cancelled
            close b 3 Cancelled
            answer 3 no verdict of 2: the deadline came before a verdict
            -- 10000 available, 0 held, 0 spent, 3000 refunded; 0 earned, 0 fees
        "#]],
    );
}

#[test]
fn a_miner_that_comes_back_is_offered_its_attempt_again() {
    check(
        "join a b
         order 1 2/2
         leave a
         wait 1000
         join a
         seal a 1 X
         seal b 1 X
         leave b
         join b
         reveal a 1 X
         reveal b 1 X
         stored 1",
        expect![[r#"
            offer a 1
            offer b 1
            offer a 1
            request 1 round 0 sealed ab to ab
            request 1 round 0 sealed ab to b
            fetch 1 from ab
            close a 1 Agreed credit 90 in epoch 1
            close b 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ab against '' of 2, 200 atoms
        "#]],
    );
}

#[test]
fn a_miner_that_stays_away_lapses_early() {
    check(
        "join a b c
         order 1 2/2
         accept a 1
         leave a
         wait 2000",
        expect![[r#"
            offer a 1
            offer b 1
            close a 1 Lapsed
            offer c 1
        "#]],
    );
}

#[test]
fn after_a_restart_everything_open_is_asked_again() {
    check(
        "join a*5 b*5
         order 1 2/2
         order 2 2/2
         order 3 2/2
         order 4 2/2
         seal a 2 X
         seal b 2 X
         seal a 3 X
         seal b 3 X
         reveal a 3 X
         reveal b 3 X
         seal a 4 E
         seal b 4 E
         reveal a 4 E
         reveal b 4 E
         settle
         say restart
         restart
         join a*5
         join b*5
         reveal a 2 X
         reveal b 2 X",
        expect![[r#"
            offer a 1
            offer b 1
            offer a 2
            offer b 2
            offer a 3
            offer b 3
            offer a 4
            offer b 4
            request 2 round 0 sealed ab to ab
            request 3 round 0 sealed ab to ab
            fetch 3 from ab
            request 4 round 0 sealed ab to ab
            close a 4 Agreed credit 90 in epoch 1
            close b 4 Agreed credit 90 in epoch 1
            answer 4 agreed by ab against '' of 2, 200 atoms
            settle epoch 1 after None: jobs [4] pay a=90 b=90 charged 200
            -- restart
            fetch 3 from ab
            settle epoch 1 after None: jobs [4] pay a=90 b=90 charged 200
            offer a 1
            request 2 round 0 sealed ab to a
            offer b 1
            request 2 round 0 sealed ab to b
            fetch 2 from ab
        "#]],
    );
}

#[test]
fn the_hubs_absence_is_nobodys_lateness() {
    check(
        "join a b
         order 1 2/2
         seal a 1 X
         seal b 1 X
         say the hub is away for longer than the grace
         restart
         wait 6999
         join a b
         reveal a 1 X
         reveal b 1 X",
        expect![[r#"
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            -- the hub is away for longer than the grace
            request 1 round 0 sealed ab to a
            request 1 round 0 sealed ab to b
            fetch 1 from ab
        "#]],
    );
}

#[test]
fn the_same_order_again_is_the_same_job() {
    check(
        "join a b
         order 1 2/2
         order 1 2/2
         seal a 1 E
         seal b 1 E
         reveal a 1 E
         reveal b 1 E
         order 1 2/2",
        expect![[r#"
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            close a 1 Agreed credit 90 in epoch 1
            close b 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ab against '' of 2, 200 atoms
            answer 1 agreed by ab against '' of 2, 200 atoms
        "#]],
    );
}

#[test]
fn an_order_that_cannot_be_taken_holds_nothing() {
    check(
        "order 1 2/2
         join a b
         order 1 1/2
         order 1 0/0
         order 1 8/2
         say three of one owner are one
         order 2 3/3",
        expect![[r#"
            answer 1 no miner
            answer 1 Refused(BadQuorum)
            answer 1 Refused(BadQuorum)
            answer 1 Refused(BadQuorum)
            -- three of one owner are one
            answer 2 no miner
        "#]],
    );
}

#[test]
fn a_buyer_spends_no_more_than_it_has() {
    check(
        "join a*9
         order 1 1/1 9500
         order 2 1/1 501
         order 3 1/1 500
         account
         say a second deposit of one name is the first
         deposit 10000
         account
         vote aE
         say what the job did not cost is free again
         account",
        expect![[r#"
            offer a 1
            answer 2 refused: 501 needed, 500 available
            offer a 3
            -- 0 available, 10000 held, 0 spent, 0 refunded; 0 earned, 0 fees
            -- a second deposit of one name is the first
            -- 0 available, 10000 held, 0 spent, 0 refunded; 0 earned, 0 fees
            request 1 round 0 sealed a to a
            close a 1 Agreed credit 180 in epoch 1
            answer 1 agreed by a against '' of 1, 200 atoms
            -- what the job did not cost is free again
            -- 9300 available, 500 held, 200 spent, 9300 refunded; 180 earned, 20 fees
        "#]],
    );
}

#[test]
fn a_batch_holds_what_was_decided_once() {
    check(
        "join a*5 b*5
         settle
         order 2 2/2
         order 1 2/2
         seal a 1 E
         seal b 1 E
         reveal a 1 E
         reveal b 1 E
         settle
         seal a 2 E
         seal b 2 E
         reveal a 2 E
         reveal b 2 E
         say one batch at a time
         settle
         committed 7
         committed 1
         settle
         committed 2
         finalized 1
         settle",
        expect![[r#"
            offer a 2
            offer b 2
            offer a 1
            offer b 1
            request 1 round 0 sealed ab to ab
            close a 1 Agreed credit 90 in epoch 1
            close b 1 Agreed credit 90 in epoch 1
            answer 1 agreed by ab against '' of 2, 200 atoms
            settle epoch 1 after None: jobs [1] pay a=90 b=90 charged 200
            request 2 round 0 sealed ab to ab
            close a 2 Agreed credit 180 in epoch 2
            close b 2 Agreed credit 180 in epoch 2
            answer 2 agreed by ab against '' of 2, 200 atoms
            -- one batch at a time
            settle epoch 1 after None: jobs [1] pay a=90 b=90 charged 200
            settle epoch 2 after Some(1): jobs [2] pay a=180 b=180 charged 200
        "#]],
    );
}

#[test]
fn words_about_nothing_change_nothing() {
    check(
        "accept a 1
         seal a 1 X
         reveal a 1 X
         missing a 1
         stored 1
         leave a
         join a
         say a known miner is told to forget
         seal a 1 X
         order 2 1/1
         seal b 2 X
         reveal b 2 X
         decline b 2
         fire 2 3",
        expect![[r#"
            -- a known miner is told to forget
            close a 1 Cancelled
            offer a 2
        "#]],
    );
}

#[test]
fn ended_jobs_are_forgotten_once_their_batch_is_on_chain() {
    check(
        "join a
         order 1 1/1
         seal a 1 E
         reveal a 1 E
         wait 900000
         order 1 1/1
         settle
         committed 1
         wait 900000
         leave a
         say forgotten, and expired if it came again
         seal a 1 X",
        expect![[r#"
            offer a 1
            request 1 round 0 sealed a to a
            close a 1 Agreed credit 180 in epoch 1
            answer 1 agreed by a against '' of 1, 200 atoms
            answer 1 agreed by a against '' of 1, 200 atoms
            settle epoch 1 after None: jobs [1] pay a=180 charged 200
            -- forgotten, and expired if it came again
            close a 1 Cancelled
        "#]],
    );
}
