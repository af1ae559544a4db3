//! Conversations over control connections.

use std::time::Duration;

use haar_records::wire::{CONTROL_ALPN, FRAME_BYTES_MAX, FrameError, ToHub};
use haar_swarm::{ConnectError, Control, FramesError, Swarm};
use iroh::Endpoint;
use iroh::endpoint::Connection;

use crate::peers::{Peer, absent, config, raw_connect, raw_endpoint, within};

fn message(text: &str) -> ToHub {
    ToHub::Declined {
        reason: text.to_owned(),
    }
}

/// A miner's and a hub's end of one connection.
async fn connected(miner: &Peer, hub: &Peer) -> (Control, Control) {
    let hub_provider = hub.provider();
    let dialled = within(miner.swarm.connect_control(&hub_provider))
        .await
        .unwrap();
    (dialled, within(hub.swarm.accept_control()).await.unwrap())
}

/// A stranger's and a hub's end of one connection.
async fn invaded(hub: &Peer) -> (Endpoint, Connection, Control) {
    let stranger = raw_endpoint(&[]).await;
    let connection = raw_connect(&stranger, hub, CONTROL_ALPN).await;
    (
        stranger,
        connection,
        within(hub.swarm.accept_control()).await.unwrap(),
    )
}

/// Sends raw bytes and the stream's end to a hub, and compares what it receives.
async fn check(bytes: &[u8], is_expected: fn(&Result<Option<ToHub>, FramesError>) -> bool) {
    let hub = Peer::start().await;
    let (stranger, connection, control) = invaded(&hub).await;
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    send.write_all(bytes).await.unwrap();
    send.finish().unwrap();

    let mut frames = within(control.accept()).await.unwrap();
    let received = within(frames.recv::<ToHub>()).await;
    assert!(is_expected(&received), "{received:?}");
    if received.is_err() {
        assert!(matches!(
            frames.recv::<ToHub>().await,
            Err(FramesError::Ended)
        ));
    }
    drop(stranger);

    // Neither the connection's other streams nor the next connection suffer.
    let miner = Peer::start().await;
    let (dialled, accepted) = connected(&miner, &hub).await;
    let mut asking = within(dialled.open()).await.unwrap();
    within(asking.send(&message("next"))).await.unwrap();
    let mut answering = within(accepted.accept()).await.unwrap();
    assert_eq!(
        within(answering.recv()).await.unwrap(),
        Some(message("next"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_open_streams_and_answer() {
    let (miner, hub) = (Peer::start().await, Peer::start().await);
    let (dialled, accepted) = connected(&miner, &hub).await;
    assert_eq!(dialled.remote(), hub.swarm.endpoint_id());
    assert_eq!(accepted.remote(), miner.swarm.endpoint_id());

    for (opener, acceptor) in [(&dialled, &accepted), (&accepted, &dialled)] {
        let mut asking = within(opener.open()).await.unwrap();
        within(asking.send(&message("question"))).await.unwrap();
        asking.finish();

        let mut answering = within(acceptor.accept()).await.unwrap();
        assert_eq!(
            within(answering.recv()).await.unwrap(),
            Some(message("question"))
        );
        assert_eq!(within(answering.recv::<ToHub>()).await.unwrap(), None);
        within(answering.send(&message("answer"))).await.unwrap();
        assert_eq!(
            within(asking.recv()).await.unwrap(),
            Some(message("answer"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_have_numbers_of_their_own() {
    let (miner, hub) = (Peer::start().await, Peer::start().await);
    let (_first, first) = connected(&miner, &hub).await;
    let (_second, second) = connected(&miner, &hub).await;
    assert_ne!(first.id(), second.id());
    assert_eq!(first.remote(), second.remote());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_claims_too_much_is_refused() {
    check(&[0xff; 4], |received| {
        matches!(received, Err(FramesError::Bad(FrameError::TooLong { .. })))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_one_byte_too_long_is_refused() {
    let length = (FRAME_BYTES_MAX as u32 + 1).to_be_bytes();
    check(&length, |received| {
        matches!(received, Err(FramesError::Bad(FrameError::TooLong { .. })))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_an_error_of_its_stream_only() {
    check(&[0, 0, 0, 2, 0xde, 0xad], |received| {
        matches!(received, Err(error @ FramesError::Bad(FrameError::Malformed(_))) if error.is_peers_fault())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_breaks_off_is_an_error() {
    check(&[0, 0, 0, 9, 1], |received| {
        matches!(received, Err(FramesError::Truncated))
    })
    .await;
    check(&[0, 0], |received| {
        matches!(received, Err(FramesError::Truncated))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_between_frames_is_no_error() {
    check(&[], |received| matches!(received, Ok(None))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_message_must_fit_a_frame() {
    let (miner, hub) = (Peer::start().await, Peer::start().await);
    let (dialled, accepted) = connected(&miner, &hub).await;
    let mut asking = within(dialled.open()).await.unwrap();
    let sent = within(asking.send(&message(&"x".repeat(FRAME_BYTES_MAX)))).await;
    assert!(
        matches!(sent, Err(FramesError::OursTooLong { .. })),
        "{sent:?}"
    );

    // Room for what stands around the text.
    let largest = message(&"x".repeat(FRAME_BYTES_MAX - 16));
    within(asking.send(&largest)).await.unwrap();
    let mut answering = within(accepted.accept()).await.unwrap();
    assert_eq!(within(answering.recv()).await.unwrap(), Some(largest));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_wait_loses_nothing() {
    let (miner, hub) = (Peer::start().await, Peer::start().await);
    let (dialled, accepted) = connected(&miner, &hub).await;
    let (mut tx, _rx) = within(dialled.open()).await.unwrap().split();
    let sender = tokio::spawn(async move {
        for number in 0..50 {
            let message = message(&format!("{number}{}", "x".repeat(60_000)));
            // Cancelled while it waits, the rest goes with the next.
            if tokio::time::timeout(Duration::from_micros(50), tx.send(&message))
                .await
                .is_err()
            {
                within(tx.flush()).await.unwrap();
            }
        }
        tx.finish();
    });

    let (_tx, mut rx) = within(accepted.accept()).await.unwrap().split();
    let mut received = 0;
    loop {
        let Ok(got) = tokio::time::timeout(Duration::from_micros(50), rx.recv::<ToHub>()).await
        else {
            continue;
        };
        let Some(ToHub::Declined { reason }) = got.unwrap() else {
            break;
        };
        assert!(reason.starts_with(&format!("{received}x")));
        received += 1;
    }
    assert_eq!(received, 50);
    within(sender).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_closes_says_why() {
    let (miner, hub) = (Peer::start().await, Peer::start().await);
    let (dialled, accepted) = connected(&miner, &hub).await;
    let mut asking = within(dialled.open()).await.unwrap();
    within(asking.send(&message("question"))).await.unwrap();

    accepted.close("a newer\u{1b}[31m connection");
    assert_eq!(within(dialled.closed()).await, "a newer[31m connection");
    let received = within(asking.recv::<ToHub>()).await;
    assert!(
        matches!(received, Err(FramesError::Lost { .. })),
        "{received:?}"
    );
    let opened = within(dialled.open()).await;
    assert_eq!(opened.unwrap_err().reason, "a newer[31m connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_connection_closes() {
    let (miner, hub) = (Peer::start().await, Peer::start().await);
    let (dialled, accepted) = connected(&miner, &hub).await;
    drop(accepted);
    within(dialled.closed()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_serves_no_control_accepts_none() {
    let dir = tempfile::TempDir::new().unwrap();
    let miner = within(Swarm::start(config([9; 32], &dir, false)))
        .await
        .unwrap();
    assert!(within(miner.accept_control()).await.is_none());
    let peer = Peer::start().await;
    let connected = within(peer.swarm.connect_control(&miner.provider())).await;
    assert!(
        matches!(connected, Err(ConnectError::Failed { .. })),
        "{connected:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_hub_is_given_up() {
    let peer = Peer::start().await;
    assert!(
        within(peer.swarm.connect_control(&absent().await))
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_shuts_down_stops_accepting() {
    let hub = Peer::start().await;
    let swarm = hub.swarm.clone();
    let accepting = tokio::spawn(async move { swarm.accept_control().await.is_none() });
    hub.swarm.shutdown().await;
    assert!(within(accepting).await.unwrap());
}
