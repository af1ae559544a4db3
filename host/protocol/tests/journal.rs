//! The journal's bytes: every input survives them, and no other bytes are an input.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use haar_protocol::{Entry, Input, Order, Time, Timer};
use haar_records::{
    Address, B256, BlobHash, BuyerId, Fuel, JobId, MinerId, Outcome, Signature, Snm, SpecHash,
    Status, TrapKind,
};

fn order() -> Order {
    Order {
        job: JobId::from([2; 32]),
        spec: SpecHash::from([5; 32]),
        buyer: BuyerId::from([6; 20]),
        channel: B256::repeat_byte(4),
        max_charge: Snm(u128::MAX),
        fuel_price: u64::MAX,
        base_fee: Snm(1),
        fuel_max: Fuel(7),
        attempts: 3,
        quorum: 2,
        deadline: Time(8),
        entropy: [9; 32],
    }
}

fn inputs() -> Vec<Input> {
    let (miner, job) = (MinerId::from([1; 20]), JobId::from([2; 32]));
    let signature = Signature([3; 65]);
    let word = B256::repeat_byte(4);
    let outcome = Outcome {
        status: Status::Trapped,
        exit_code: 0,
        output: BlobHash::of(b""),
        output_bytes: 0,
        fuel_used: Fuel(10),
        trap: Some(TrapKind::Bounds),
    };
    let timers = [
        Timer::Deadline { job },
        Timer::Attempt { job, attempt: 1 },
        Timer::Stragglers { job, round: 2 },
        Timer::Reveals { job, round: 3 },
        Timer::Patience { job },
    ];
    let mut inputs = vec![
        Input::Started,
        Input::MinerJoined {
            miner,
            owner: Address::repeat_byte(7),
            capacity: 8,
        },
        Input::MinerLeft { miner },
        Input::Ordered(order()),
        Input::Accepted { miner, job },
        Input::Declined { miner, job },
        Input::Abstained { miner, job },
        Input::Sealed {
            miner,
            job,
            seal: word,
            signature,
        },
        Input::Revealed {
            miner,
            job,
            outcome,
            salt: word,
            executed_at: 9,
            signature,
        },
        Input::OutputStored { job, bytes: 10 },
        Input::OutputMissing { job, miner },
        Input::Deposited {
            buyer: BuyerId::from([6; 20]),
            amount: Snm(11),
            reference: word,
        },
        Input::SettleNow,
        Input::BatchCommitted { epoch: 12 },
        Input::BatchFinalized { epoch: 13 },
    ];
    inputs.extend(timers.map(|timer| Input::TimerFired { timer }));
    inputs
}

#[test]
fn every_input_survives_the_journal() {
    for input in inputs() {
        let entry = Entry {
            at: Time(1_800_000_000_000),
            input,
        };
        assert_eq!(Entry::from_bytes(&entry.to_bytes()).unwrap(), entry);
    }
}

#[test]
fn a_cut_or_lengthened_entry_is_refused() {
    for input in inputs() {
        let mut bytes = Entry { at: Time(1), input }.to_bytes();
        for length in 0..bytes.len() {
            assert!(Entry::from_bytes(&bytes[..length]).is_err());
        }
        bytes.push(0);
        assert!(Entry::from_bytes(&bytes).is_err());
    }
}

/// Journals outlive releases, so these bytes must not change.
#[test]
fn the_journal_of_an_old_release_can_be_read() {
    let entry = Entry {
        at: Time(1),
        input: Input::Accepted {
            miner: MinerId::from([1; 20]),
            job: JobId::from([2; 32]),
        },
    };
    let mut expected = vec![0x82, 0x01, 0x82, 0x04, 0x82, 0x54];
    expected.extend([1; 20]);
    expected.extend([0x58, 0x20]);
    expected.extend([2; 32]);
    assert_eq!(entry.to_bytes(), expected);
}
