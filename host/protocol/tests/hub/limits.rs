//! What a stranger can make large has an end.

use haar_protocol::config::{ATTEMPTS_MAX, DEADLINE_MS_MAX, JOBS_LIVE_MAX, OFFERS_MAX};
use haar_protocol::{Answer, Input, NoVerdict, Order, Output, Refusal, Time};
use haar_records::{Address, B256, JobId, MinerId, Signature, Snm};

use crate::stage::{Stage, job};

/// The answer that an order gets at once, if it gets one.
fn order(stage: &mut Stage, order: Order) -> Option<Answer> {
    let id = order.job;
    let outputs = stage.handle(Input::Ordered(order));
    outputs.into_iter().find_map(|output| match output {
        Output::Answer { job, answer } if job == id => Some(answer),
        _ => None,
    })
}

fn join(stage: &mut Stage, number: u8) {
    let (miner, owner) = (MinerId::from([number; 20]), Address::repeat_byte(number));
    stage.handle(Input::MinerJoined {
        miner,
        owner,
        capacity: 1,
    });
}

#[test]
fn a_hub_takes_no_more_jobs_than_it_can_keep() {
    let mut stage = Stage::new();
    join(&mut stage, 1);
    let numbered = |stage: &Stage, number: usize| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
        Order {
            job: JobId::from(bytes),
            max_charge: Snm::ZERO,
            ..stage.order(&["1", "1/1"])
        }
    };
    for number in 0..JOBS_LIVE_MAX {
        let next = numbered(&stage, number);
        assert_eq!(order(&mut stage, next), None, "job {number}");
    }
    let last = numbered(&stage, JOBS_LIVE_MAX);
    assert_eq!(
        order(&mut stage, last),
        Some(Answer::Refused(Refusal::TooManyJobs))
    );
}

#[test]
fn a_deadline_is_ahead_but_not_for_ever() {
    let mut stage = Stage::new();
    join(&mut stage, 1);
    let refused = Some(Answer::Refused(Refusal::BadDeadline));
    let at = |stage: &Stage, ms: u64| Order {
        deadline: Time(stage.now).after_ms(ms),
        ..stage.order(&["1", "1/1"])
    };
    for (ms, expected) in [
        (0, &refused),
        (DEADLINE_MS_MAX + 1, &refused),
        (DEADLINE_MS_MAX, &None),
    ] {
        let next = at(&stage, ms);
        assert_eq!(order(&mut stage, next), *expected, "{ms} ms");
    }
}

#[test]
fn a_job_asks_a_bounded_number_of_miners() {
    let mut stage = Stage::new();
    for number in 1..=60 {
        join(&mut stage, number);
    }
    let next = stage.order(&["1", "1/1"]);
    let mut outputs = stage.handle(Input::Ordered(next));
    let mut offers = 0;
    while let Some(output) = outputs.pop() {
        match output {
            Output::Offer { miner, job, .. } => {
                offers += 1;
                outputs.extend(stage.handle(Input::Declined { miner, job }));
            }
            Output::Answer { answer, .. } => {
                let reason = NoVerdict::NoMiner;
                assert_eq!(
                    answer,
                    Answer::NoVerdict {
                        reason,
                        attempts: OFFERS_MAX
                    }
                );
            }
            _ => {}
        }
    }
    assert_eq!(offers, OFFERS_MAX);
    assert!(
        stage
            .hub
            .job(&job("1"))
            .expect("it is kept")
            .state
            .is_ended()
    );
}

#[test]
fn unopened_seals_use_up_the_attempts_of_a_job() {
    let mut stage = Stage::new();
    for number in 1..=60 {
        join(&mut stage, number);
    }
    stage.give(Input::Ordered(stage.order(&["1", "1/1"])));
    for number in 1..=60_u8 {
        for miner in (1..=60).map(|number| MinerId::from([number; 20])) {
            let (seal, signature) = (B256::repeat_byte(number), Signature([1; 65]));
            let is_hired = stage.hub.job(&job("1")).is_some_and(|view| {
                view.attempts
                    .iter()
                    .any(|attempt| attempt.miner == miner && attempt.seal.is_none())
            });
            if is_hired {
                stage.give(Input::Sealed {
                    miner,
                    job: job("1"),
                    seal,
                    signature,
                });
            }
        }
        stage.play("wait 5000");
    }
    let view = stage.hub.job(&job("1")).expect("it is kept");
    let reason = NoVerdict::Disagreement;
    let attempts = u32::from(ATTEMPTS_MAX);
    assert_eq!(view.answer, Some(Answer::NoVerdict { reason, attempts }));
}
