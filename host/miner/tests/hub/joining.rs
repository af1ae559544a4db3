//! Hubs that are not the right one, say no, go away or move.

use haar_miner::{HubFault, MinerError, MinerEvent};
use haar_records::HubId;
use haar_records::wire::Welcome;

use crate::fake::{ECHO, Hub, Working, accepted, job_of, open};

#[tokio::test(flavor = "multi_thread")]
async fn another_hub_than_the_one_looked_up_is_left() {
    let hub = Hub::start().await;
    let mut miner = Working::start(&hub);
    let welcome = Welcome::Joined {
        hub: HubId::from([0x99; 20]),
        operator: hub.key.address(),
        domain: hub.domain,
    };
    let _kept = hub.greet(&welcome).await;
    let fault = miner.event(|event| match event {
        MinerEvent::Faulted { fault, .. } => Some(fault),
        _ => None,
    });
    assert!(matches!(fault.await, HubFault::OtherHub { .. }));
    miner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_shown_and_tried_again() {
    let hub = Hub::start().await;
    let mut miner = Working::start(&hub);
    let reason = "dismissed\u{1b}[31m".to_owned();
    let _refused = hub.greet(&Welcome::Refused { reason }).await;
    let refused = miner.event(|event| match event {
        MinerEvent::Refused { reason } => Some(reason),
        _ => None,
    });
    assert_eq!(refused.await, "dismissed[31m");
    let _joined = hub.greet(&hub.welcome()).await;
    miner
        .event(|event| matches!(event, MinerEvent::Joined { .. }).then_some(()))
        .await;
    miner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_moved_is_found_again() {
    let first = Hub::start().await;
    let miner = Working::start(&first);
    let (_control, _) = first.greet(&first.welcome()).await;

    // The first one is not even closed: it says nothing, as one that was killed.
    let second = Hub::with_secret(79).await;
    *miner.hub.lock().unwrap() = second.address();
    let (control, _) = second.greet(&second.welcome()).await;
    let offer = second.offer(1, ECHO, b"").await;
    let mut frames = open(&control, &offer).await;
    accepted(&mut frames).await;
    second.seal(&mut frames, job_of(&offer)).await;
    miner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_hub_from_the_look_up_ends_the_miner() {
    let hub = Hub::start().await;
    let miner = Working::start(&hub);
    let (control, _) = hub.greet(&hub.welcome()).await;
    miner.hub.lock().unwrap().hub = HubId::from([0x99; 20]);
    control.close("gone");
    assert!(matches!(miner.fails().await, MinerError::HubChanged { .. }));
}
