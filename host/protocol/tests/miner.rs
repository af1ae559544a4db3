//! The miner's rules, each as a list of events and what the miner does about them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use haar_protocol::miner::{Decline, FORGET_AFTER_MS, SealedSet, SetConflict};
use haar_protocol::{Credit, Miner, MinerInput, MinerOutput, Time};
use haar_records::eip712::seal;
use haar_records::wire::AttemptEnd;
use haar_records::{B256, BlobHash, Fuel, JobId, MinerId, Outcome, Signature, Snm, Status};

const DEADLINE: Time = Time(60_000);
const SALT: B256 = B256::repeat_byte(5);

/// Feeds the events to a miner that runs two at once and compares all that it wants done.
#[track_caller]
fn check(inputs: &[MinerInput], expected: &[MinerOutput]) {
    assert_eq!(play(inputs).1, expected);
}

fn play(inputs: &[MinerInput]) -> (Miner, Vec<MinerOutput>) {
    let mut miner = Miner::new(me(), 2);
    let mut outbox = Vec::new();
    for input in inputs {
        miner.handle(Time(1), input.clone(), &mut outbox);
    }
    (miner, outbox)
}

fn me() -> MinerId {
    MinerId::from([1; 20])
}

fn job(number: u8) -> JobId {
    JobId::from([number; 32])
}

fn outcome() -> Outcome {
    Outcome {
        status: Status::Returned,
        exit_code: 0,
        output: BlobHash::of(b"42"),
        output_bytes: 2,
        fuel_used: Fuel(9),
        trap: None,
    }
}

fn own_seal(number: u8) -> B256 {
    seal(job(number), me(), outcome().result_hash(), 9, SALT)
}

fn offered(number: u8) -> MinerInput {
    MinerInput::Offered {
        job: job(number),
        attempt: 0,
        deadline: DEADLINE,
    }
}

fn finished(number: u8) -> MinerInput {
    MinerInput::RunFinished {
        job: job(number),
        outcome: outcome(),
        salt: SALT,
        executed_at: 7,
    }
}

/// A set with another miner's seal and, where it should be in, our own.
fn set(round: u32, other: u8, own: Option<B256>) -> SealedSet {
    let mut seals = vec![(MinerId::from([2; 20]), B256::repeat_byte(other))];
    seals.extend(own.map(|seal| (me(), seal)));
    SealedSet {
        round,
        seals,
        signature: Signature([other; 65]),
    }
}

fn asked(number: u8, set: SealedSet) -> MinerInput {
    let SealedSet {
        round,
        seals,
        signature,
    } = set;
    MinerInput::RevealRequested {
        job: job(number),
        round,
        seals,
        signature,
    }
}

fn closed(number: u8, end: AttemptEnd, cumulative: Option<u128>) -> MinerInput {
    let credit = cumulative.map(|sum| Credit {
        cumulative: Snm(sum),
        epoch: 1,
    });
    MinerInput::Closed {
        job: job(number),
        end,
        credit,
    }
}

fn accept(number: u8) -> MinerOutput {
    MinerOutput::Accept { job: job(number) }
}

fn run(number: u8) -> MinerOutput {
    MinerOutput::Run {
        job: job(number),
        deadline: DEADLINE,
    }
}

fn sealed(number: u8) -> MinerOutput {
    MinerOutput::Seal {
        job: job(number),
        seal: own_seal(number),
    }
}

fn revealed(number: u8) -> MinerOutput {
    MinerOutput::Reveal {
        job: job(number),
        outcome: outcome(),
        salt: SALT,
        executed_at: 7,
    }
}

#[test]
fn an_attempt_runs_seals_and_reveals_once_asked() {
    check(
        &[
            offered(1),
            finished(1),
            asked(1, set(0, 8, Some(own_seal(1)))),
        ],
        &[accept(1), run(1), sealed(1), revealed(1)],
    );
}

#[test]
fn nothing_is_revealed_before_the_run_or_without_the_own_seal() {
    check(
        &[
            offered(1),
            asked(1, set(0, 8, Some(own_seal(1)))),
            finished(1),
            asked(1, set(0, 8, None)),
            asked(1, set(0, 8, Some(B256::ZERO))),
            asked(2, set(0, 8, Some(own_seal(2)))),
        ],
        &[accept(1), run(1), sealed(1)],
    );
}

#[test]
fn a_second_set_of_one_round_is_evidence_and_opens_nothing() {
    let (first, second) = (set(0, 8, Some(own_seal(1))), set(0, 9, Some(own_seal(1))));
    let conflict = SetConflict {
        job: job(1),
        first: first.clone(),
        second: second.clone(),
    };
    check(
        &[
            offered(1),
            finished(1),
            asked(1, first.clone()),
            asked(1, second),
            asked(1, first),
        ],
        &[
            accept(1),
            run(1),
            sealed(1),
            revealed(1),
            MinerOutput::Evidence(conflict),
            revealed(1),
        ],
    );
}

#[test]
fn another_round_opens_nothing_either() {
    let (first, second) = (set(0, 8, Some(own_seal(1))), set(1, 9, Some(own_seal(1))));
    check(
        &[offered(1), finished(1), asked(1, first), asked(1, second)],
        &[accept(1), run(1), sealed(1), revealed(1)],
    );
}

#[test]
fn an_offer_again_is_answered_alike_without_a_second_run() {
    check(
        &[offered(1), offered(1), finished(1), finished(1), offered(1)],
        &[
            accept(1),
            run(1),
            accept(1),
            sealed(1),
            accept(1),
            sealed(1),
        ],
    );
}

#[test]
fn a_full_miner_declines_until_a_run_is_over() {
    let decline = MinerOutput::Decline {
        job: job(3),
        reason: Decline::Full,
    };
    check(
        &[offered(1), offered(2), offered(3), finished(1), offered(3)],
        &[
            accept(1),
            run(1),
            accept(2),
            run(2),
            decline,
            sealed(1),
            accept(3),
            run(3),
        ],
    );
}

#[test]
fn an_offer_after_its_deadline_is_declined() {
    let offer = MinerInput::Offered {
        job: job(1),
        attempt: 0,
        deadline: Time(1),
    };
    check(
        &[offer],
        &[MinerOutput::Decline {
            job: job(1),
            reason: Decline::TooLate,
        }],
    );
}

#[test]
fn an_engine_without_an_answer_abstains_once() {
    let abstained = MinerInput::RunAbstained { job: job(1) };
    check(
        &[
            offered(1),
            abstained.clone(),
            abstained.clone(),
            finished(1),
            abstained,
        ],
        &[accept(1), run(1), MinerOutput::Abstain { job: job(1) }],
    );
}

#[test]
fn a_closed_attempt_is_forgotten_and_its_run_is_for_nothing() {
    let forget = MinerOutput::Forget {
        job: job(1),
        end: Some(AttemptEnd::Cancelled),
    };
    let close = closed(1, AttemptEnd::Cancelled, None);
    check(
        &[
            offered(1),
            MinerInput::Disconnected,
            close.clone(),
            close,
            finished(1),
        ],
        &[accept(1), run(1), forget],
    );
}

#[test]
fn the_largest_credit_is_kept() {
    let agreed = |number, sum| closed(number, AttemptEnd::Agreed, Some(sum));
    let (miner, _) = play(&[offered(1), agreed(1, 7), agreed(2, 5), agreed(3, 6)]);
    assert_eq!(
        miner.credit(),
        Some(Credit {
            cumulative: Snm(7),
            epoch: 1
        })
    );
    assert_eq!((miner.running(), miner.attempts()), (0, 0));
}

#[test]
fn what_the_hub_never_closed_is_forgotten_after_a_while() {
    let (mut miner, mut outbox) = play(&[offered(1)]);
    outbox.clear();
    let late = DEADLINE.after_ms(FORGET_AFTER_MS + 1);
    miner.handle(late, MinerInput::Disconnected, &mut outbox);
    assert_eq!(
        outbox,
        [MinerOutput::Forget {
            job: job(1),
            end: None
        }]
    );
    assert_eq!(miner.running(), 0);
}
