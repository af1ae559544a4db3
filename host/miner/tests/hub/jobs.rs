//! Jobs from their offer to their end.

use haar_miner::{MinerEvent, Misbehaviour, latest_credit};
use haar_records::wire::{AttemptEnd, PROVIDERS_MAX, Payload, ToHub, ToMiner};
use haar_records::{BlobHash, MinerId, Status};

use crate::fake::{ECHO, Hub, Working, accepted, job_of, miner_id, open, recv, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_run_sealed_revealed_and_credited() {
    let hub = Hub::start().await;
    let mut miner = Working::start(&hub);
    let (control, hello) = hub.greet(&hub.welcome()).await;
    hello
        .binding
        .check(&hub.domain, hello.binding.record.miner)
        .unwrap();
    assert_eq!(hello.binding.record.endpointId, control.remote().0);
    assert_eq!(hello.capacity, 2);

    let offer = hub.offer(1, ECHO, b"the input").await;
    let job = job_of(&offer);
    let mut frames = open(&control, &offer).await;
    accepted(&mut frames).await;
    let seal = hub.seal(&mut frames, job).await;

    let other = MinerId::from([1; 20]);
    let mut seals = [(other, seal), (miner_id(), seal)];
    seals.sort();
    within(frames.send(&hub.request(job, &seals)))
        .await
        .unwrap();
    let reveal = hub.reveal(&mut frames, &offer, seal).await;
    assert_eq!(reveal.outcome.status, Status::Returned);
    assert_eq!(reveal.output, Payload::Inline(b"the input".to_vec()));

    within(frames.send(&hub.closing(500))).await.unwrap();
    let end = miner.event(|event| match event {
        MinerEvent::Closed { end, credit, .. } => Some((end, credit.unwrap().cumulative.0)),
        _ => None,
    });
    assert_eq!(end.await, (Some(AttemptEnd::Agreed), 500));
    assert_eq!(recv(&mut frames).await, None);

    let dir = miner.stop().await;
    let kept = latest_credit(dir.path(), hub.id).unwrap();
    assert_eq!(kept, Some(hub.credit(500)));
}

#[tokio::test(flavor = "multi_thread")]
async fn large_inputs_and_outputs_travel_as_blobs() {
    let hub = Hub::start().await;
    let miner = Working::start(&hub);
    let (control, hello) = hub.greet(&hub.welcome()).await;

    let input = vec![b'x'; 150_000];
    let offer = hub.offer(1, ECHO, &input).await;
    let job = job_of(&offer);
    let mut frames = open(&control, &offer).await;
    accepted(&mut frames).await;
    let seal = hub.seal(&mut frames, job).await;
    let request = hub.request(job, &[(miner_id(), seal)]);
    within(frames.send(&request)).await.unwrap();
    let reveal = hub.reveal(&mut frames, &offer, seal).await;
    let expected = Payload::Blob(BlobHash::of(&input), 150_000);
    assert_eq!(reveal.output, expected);

    let provider = haar_records::wire::Provider {
        endpoint: control.remote(),
        addresses: hello.addresses,
    };
    // Not from the hub's own store, where the input has the same bytes.
    let asking = Hub::start_another().await;
    let fetched = within(asking.fetch(reveal.outcome.output, 150_000, &[provider])).await;
    assert_eq!(fetched.unwrap().bytes, input);
    miner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_offered_again_has_the_same_seal() {
    let hub = Hub::start().await;
    let mut miner = Working::start(&hub);
    let (control, _) = hub.greet(&hub.welcome()).await;
    let offer = hub.offer(1, ECHO, b"the input").await;
    let job = job_of(&offer);
    let mut frames = open(&control, &offer).await;
    accepted(&mut frames).await;
    let seal = hub.seal(&mut frames, job).await;

    // The hub loses the connection, and its memory.
    control.close("gone");
    drop(frames);
    let (control, _) = hub.greet(&hub.welcome()).await;
    let mut frames = open(&control, &offer).await;
    accepted(&mut frames).await;
    assert_eq!(hub.seal(&mut frames, job).await, seal);

    let request = hub.request(job, &[(miner_id(), seal)]);
    within(frames.send(&request)).await.unwrap();
    let first = hub.reveal(&mut frames, &offer, seal).await;
    within(frames.send(&request)).await.unwrap();
    let again = hub.reveal(&mut frames, &offer, seal).await;
    assert_eq!(again, first);

    let mut count = 0;
    while let Ok(event) = miner.events.try_recv() {
        count += usize::from(matches!(event, MinerEvent::Ran { .. }));
    }
    assert_eq!(count, 1, "it was run once");
    miner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miner_that_lost_its_memory_seals_alike() {
    let hub = Hub::start().await;
    let offer = hub.offer(1, ECHO, b"the input").await;
    let mut seals = Vec::new();
    for _ in 0..2 {
        let miner = Working::start(&hub);
        let (control, _) = hub.greet(&hub.welcome()).await;
        let mut frames = open(&control, &offer).await;
        accepted(&mut frames).await;
        seals.push(hub.seal(&mut frames, job_of(&offer)).await);
        miner.stop().await;
    }
    assert_eq!(seals[0], seals[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_is_an_answer() {
    let hub = Hub::start().await;
    let miner = Working::start(&hub);
    let (control, _) = hub.greet(&hub.welcome()).await;
    let wat = r#"(module (memory (export "memory") 1) (func (export "_start") unreachable))"#;
    let offer = hub.offer(1, wat, b"").await;
    let mut frames = open(&control, &offer).await;
    accepted(&mut frames).await;
    let seal = hub.seal(&mut frames, job_of(&offer)).await;
    let request = hub.request(job_of(&offer), &[(miner_id(), seal)]);
    within(frames.send(&request)).await.unwrap();
    let reveal = hub.reveal(&mut frames, &offer, seal).await;
    assert_eq!(reveal.outcome.status, Status::Trapped);
    assert!(reveal.output.is_empty());
    miner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_nobody_has_is_no_answer() {
    let hub = Hub::start().await;
    let miner = Working::start(&hub);
    let (control, _) = hub.greet(&hub.welcome()).await;
    let mut offer = hub.offer(1, ECHO, b"").await;
    offer.spec.module = BlobHash::of(b"nobody has this");
    offer.assignment.record.specHash = offer.spec.hash().0;
    hub.sign(&mut offer);

    let mut frames = open(&control, &offer).await;
    accepted(&mut frames).await;
    let answer = recv(&mut frames).await;
    assert!(
        matches!(answer, Some(ToHub::Abstained { .. })),
        "{answer:?}"
    );
    assert_eq!(recv(&mut frames).await, None);
    miner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_its_capacity_is_declined() {
    let hub = Hub::start().await;
    let miner = Working::start(&hub);
    let (control, _) = hub.greet(&hub.welcome()).await;
    // Somebody who does not answer has what both of them need.
    let mut absent = Hub::start_another().await.provider();
    absent.addresses = vec!["127.0.0.1:1".to_owned()];
    let mut streams = Vec::new();
    for number in 1..=2 {
        let mut offer = hub.offer(number, ECHO, b"").await;
        offer.spec.module = BlobHash::of(b"nobody has this");
        offer.providers = vec![absent.clone(); PROVIDERS_MAX];
        offer.assignment.record.specHash = offer.spec.hash().0;
        hub.sign(&mut offer);
        let mut frames = open(&control, &offer).await;
        accepted(&mut frames).await;
        streams.push(frames);
    }
    let mut frames = open(&control, &hub.offer(3, ECHO, b"").await).await;
    let answer = recv(&mut frames).await;
    assert!(matches!(answer, Some(ToHub::Declined { .. })), "{answer:?}");
    miner.stop().await;
}

/// Offers one job to a miner that misbehaves, and gives its seal's outcome, if it reveals one.
async fn misbehave(how: Misbehaviour) -> Option<(haar_records::Outcome, Payload)> {
    let hub = Hub::start().await;
    let miner = Working::with(hub.address(), Some(how));
    let (control, _) = hub.greet(&hub.welcome()).await;
    let offer = hub.offer(1, ECHO, b"the input").await;
    let mut frames = open(&control, &offer).await;
    accepted(&mut frames).await;
    let mut revealed = None;
    if how != Misbehaviour::Silent {
        let seal = hub.seal(&mut frames, job_of(&offer)).await;
        let request = hub.request(job_of(&offer), &[(miner_id(), seal)]);
        within(frames.send(&request)).await.unwrap();
        if how != Misbehaviour::NeverReveal {
            let reveal = hub.reveal(&mut frames, &offer, seal).await;
            revealed = Some((reveal.outcome, reveal.output));
        }
    }
    let end = AttemptEnd::Lapsed;
    let closed = ToMiner::Closed { end, credit: None };
    within(frames.send(&closed)).await.unwrap();
    assert_eq!(recv(&mut frames).await, None, "it has said nothing more");
    miner.stop().await;
    revealed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_liar_signs_what_the_run_did_not_give() {
    let (outcome, output) = misbehave(Misbehaviour::Lie).await.unwrap();
    assert_ne!(outcome.output, BlobHash::of(b"the input"));
    assert_eq!(output.hash(), outcome.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fuel_cheat_claims_more_for_the_same_bytes() {
    let (cheated, _) = misbehave(Misbehaviour::FuelCheat).await.unwrap();
    assert_eq!(cheated.output, BlobHash::of(b"the input"));
    let (lied, _) = misbehave(Misbehaviour::Lie).await.unwrap();
    assert!(cheated.fuel_used > lied.fuel_used);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_silent_ones_stop_where_they_should_not() {
    assert!(misbehave(Misbehaviour::Silent).await.is_none());
    assert!(misbehave(Misbehaviour::NeverReveal).await.is_none());
}
