//! Hubs that break the rules: told so where it helps, and never obeyed.

use haar_miner::{HubFault, MinerEvent, latest_credit};
use haar_records::wire::{AttemptEnd, Offer, Payload, ToHub, ToMiner};
use haar_records::{Address, B256, MinerId};

use crate::fake::{ECHO, Hub, Working, accepted, job_of, key, miner_id, open, recv, within};

/// Offers something that no honest hub offers; it must be declined, and the next job be done.
async fn check_declined(spoil: impl Fn(&Hub, &mut Offer), is_expected: fn(&HubFault) -> bool) {
    let hub = Hub::start().await;
    let mut miner = Working::start(&hub);
    let (control, _) = hub.greet(&hub.welcome()).await;
    let good = hub.offer(1, ECHO, b"the input").await;
    let mut bad = good.clone();
    spoil(&hub, &mut bad);

    let mut frames = open(&control, &bad).await;
    let answer = recv(&mut frames).await;
    assert!(matches!(answer, Some(ToHub::Declined { .. })), "{answer:?}");
    assert_eq!(recv(&mut frames).await, None);
    let fault = miner.event(faulted).await;
    assert!(is_expected(&fault), "{fault:?}");

    let mut frames = open(&control, &good).await;
    accepted(&mut frames).await;
    hub.seal(&mut frames, job_of(&good)).await;
    miner.stop().await;
}

fn faulted(event: MinerEvent) -> Option<HubFault> {
    match event {
        MinerEvent::Faulted { fault, .. } => Some(fault),
        _ => None,
    }
}

/// Names the spec that the offer now has, and signs that.
fn consent(hub: &Hub, offer: &mut Offer) {
    offer.assignment.record.specHash = offer.spec.hash().0;
    hub.sign(offer);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assignment_of_another_signer_is_declined() {
    check_declined(
        |hub, offer| {
            let record = offer.assignment.record.clone();
            offer.assignment = key(5).sign_record(&hub.domain, record);
        },
        |fault| matches!(fault, HubFault::Assignment(_)),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assignment_for_another_miner_is_declined() {
    check_declined(
        |hub, offer| {
            offer.assignment.record.miner = Address::repeat_byte(1);
            hub.sign(offer);
        },
        |fault| *fault == HubFault::Mismatch("miner"),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_spec_than_the_assigned_one_is_declined() {
    check_declined(
        |_, offer| offer.spec.fuel_max.0 += 1,
        |fault| *fault == HubFault::Mismatch("spec"),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_input_than_the_specs_is_declined() {
    check_declined(
        |_, offer| offer.input = Payload::Inline(b"another".to_vec()),
        |fault| *fault == HubFault::Mismatch("input"),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_profile_is_declined() {
    check_declined(
        |hub, offer| {
            offer.spec.config.profile.meter += 1;
            consent(hub, offer);
        },
        |fault| *fault == HubFault::Profile,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_declined() {
    check_declined(
        |_, offer| offer.module_bytes = u64::MAX,
        |fault| matches!(fault, HubFault::TooLarge { .. }),
    )
    .await;
    check_declined(
        |hub, offer| {
            offer.input = Payload::Blob(offer.spec.input, u64::MAX);
            hub.sign(offer);
        },
        |fault| matches!(fault, HubFault::TooLarge { .. }),
    )
    .await;
    check_declined(
        |hub, offer| {
            offer.spec.fuel_max.0 = u64::MAX;
            consent(hub, offer);
        },
        |fault| matches!(fault, HubFault::TooLarge { .. }),
    )
    .await;
}

/// Sends something false to a miner that has sealed; it must reveal nothing, and say why.
async fn check_not_revealed(
    message: impl Fn(&Hub, haar_records::JobId, B256) -> ToMiner,
    is_expected: fn(&HubFault) -> bool,
) {
    let hub = Hub::start().await;
    let mut miner = Working::start(&hub);
    let (control, _) = hub.greet(&hub.welcome()).await;
    let offer = hub.offer(1, ECHO, b"the input").await;
    let job = job_of(&offer);
    let mut frames = open(&control, &offer).await;
    accepted(&mut frames).await;
    let seal = hub.seal(&mut frames, job).await;

    let message = message(&hub, job, seal);
    within(frames.send(&message)).await.unwrap();
    assert_eq!(recv(&mut frames).await, None, "nothing was revealed");
    let fault = miner.event(faulted).await;
    assert!(is_expected(&fault), "{fault:?}");

    // Offered again, and asked rightly, it reveals.
    let mut frames = open(&control, &offer).await;
    accepted(&mut frames).await;
    assert_eq!(hub.seal(&mut frames, job).await, seal);
    let request = hub.request(job, &[(miner_id(), seal)]);
    within(frames.send(&request)).await.unwrap();
    hub.reveal(&mut frames, &offer, seal).await;
    miner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_without_our_seal_is_not_revealed_against() {
    check_not_revealed(
        |hub, job, seal| hub.request(job, &[(MinerId::from([1; 20]), seal)]),
        |fault| *fault == HubFault::SealMissing,
    )
    .await;
    check_not_revealed(
        |hub, job, _| hub.request(job, &[(miner_id(), B256::ZERO)]),
        |fault| *fault == HubFault::SealMissing,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_the_operator_did_not_sign_is_not_revealed_against() {
    check_not_revealed(
        |hub, job, seal| {
            let ToMiner::RevealRequest {
                mut seal_set,
                seals,
            } = hub.request(job, &[(miner_id(), seal)])
            else {
                unreachable!("it is a request");
            };
            seal_set = key(5).sign_record(&hub.domain, seal_set.record);
            ToMiner::RevealRequest { seal_set, seals }
        },
        |fault| matches!(fault, HubFault::SealSet(_)),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_of_another_hash_is_not_revealed_against() {
    check_not_revealed(
        |hub, job, seal| {
            let ToMiner::RevealRequest { seal_set, .. } = hub.request(job, &[]) else {
                unreachable!("it is a request");
            };
            let ToMiner::RevealRequest { seals, .. } = hub.request(job, &[(miner_id(), seal)])
            else {
                unreachable!("it is a request");
            };
            ToMiner::RevealRequest { seal_set, seals }
        },
        |fault| *fault == HubFault::Mismatch("set of seals"),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_offer_on_one_stream_is_out_of_turn() {
    let hub = Hub::start().await;
    let mut miner = Working::start(&hub);
    let (control, _) = hub.greet(&hub.welcome()).await;
    let offer = hub.offer(1, ECHO, b"the input").await;
    let mut frames = open(&control, &offer).await;
    accepted(&mut frames).await;
    let message = ToMiner::Offer(Box::new(offer));
    within(frames.send(&message)).await.unwrap();
    assert_eq!(miner.event(faulted).await, HubFault::OutOfTurn);
    miner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_job_with_another_spec_is_declined() {
    let hub = Hub::start().await;
    let mut miner = Working::start(&hub);
    let (control, _) = hub.greet(&hub.welcome()).await;
    let mut offer = hub.offer(1, ECHO, b"the input").await;
    let mut first = open(&control, &offer).await;
    accepted(&mut first).await;

    offer.spec.fuel_max.0 -= 1;
    consent(&hub, &mut offer);
    let mut second = open(&control, &offer).await;
    let answer = recv(&mut second).await;
    assert!(matches!(answer, Some(ToHub::Declined { .. })), "{answer:?}");
    assert_eq!(miner.event(faulted).await, HubFault::OtherSpec);
    miner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_credit_is_not_kept() {
    let hub = Hub::start().await;
    let mut miner = Working::start(&hub);
    let (control, _) = hub.greet(&hub.welcome()).await;
    for (number, signer) in [(1, 1), (2, 5)] {
        let offer = hub.offer(number, ECHO, b"").await;
        let mut frames = open(&control, &offer).await;
        accepted(&mut frames).await;
        hub.seal(&mut frames, job_of(&offer)).await;
        let record = hub.credit(u128::from(number) * 100).record;
        let closed = ToMiner::Closed {
            end: AttemptEnd::Agreed,
            credit: Some(key(signer).sign_record(&hub.domain, record)),
        };
        within(frames.send(&closed)).await.unwrap();
        assert_eq!(recv(&mut frames).await, None);
    }
    let fault = miner.event(faulted).await;
    assert!(matches!(fault, HubFault::Credit(_)), "{fault:?}");
    let dir = miner.stop().await;
    let kept = latest_credit(dir.path(), hub.id).unwrap();
    assert_eq!(kept, Some(hub.credit(100)));
}
