//! What a stranger must not do.

use bytes::Bytes;
use futures_util::StreamExt as _;
use haar_records::BlobHash;
use haar_records::wire::CONTROL_ALPN;
use haar_swarm::limits::CONNECTIONS_EACH_MAX;
use iroh::endpoint::{ConnectionError, ReadError, ReadToEndError, VarInt};
use iroh_blobs::get::request::get_verified_size;
use iroh_blobs::protocol::{
    ChunkRangesSeq, ERR_PERMISSION, GetManyRequest, GetRequest, ObserveRequest, PushRequest,
};
use iroh_blobs::store::mem::MemStore;

use crate::peers::{Peer, bytes, raw_connect, raw_endpoint, within};

/// The bytes by which iroh pushes a blob into somebody's store.
async fn push(blob: &Bytes) -> Vec<u8> {
    let (pusher, taker) = (
        raw_endpoint(&[]).await,
        raw_endpoint(&[iroh_blobs::ALPN]).await,
    );
    let store = MemStore::new();
    let hash = store.blobs().add_bytes(blob.clone()).await.unwrap().hash;
    let address = taker.addr();
    let pushing = tokio::spawn(async move {
        let connection = pusher.connect(address, iroh_blobs::ALPN).await.unwrap();
        let request = PushRequest::new(hash, ChunkRangesSeq::root());
        store
            .remote()
            .execute_push(connection.clone(), request)
            .complete()
            .await
            .unwrap();
        connection.closed().await;
    });
    let connection = taker.accept().await.unwrap().await.unwrap();
    let (_send, mut recv) = connection.accept_bi().await.unwrap();
    let bytes = recv.read_to_end(1 << 20).await.unwrap();
    connection.close(VarInt::from_u32(0), b"");
    pushing.await.unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_into_our_store() {
    let peer = Peer::start().await;
    let blob = bytes(1, 50_000);
    let push = within(Box::pin(push(&blob))).await;
    let stranger = raw_endpoint(&[]).await;
    let connection = raw_connect(&stranger, &peer, iroh_blobs::ALPN).await;

    let (mut send, mut recv) = within(connection.open_bi()).await.unwrap();
    // Fails when the refusal comes while we are still sending.
    let _ = within(send.write_all(&push)).await;
    let _ = send.finish();
    let answer = within(recv.read_to_end(1 << 20)).await;
    let is_refused = matches!(
        answer, Err(ReadToEndError::Read(ReadError::Reset(code))) if code == ERR_PERMISSION
    );
    assert!(is_refused, "{answer:?}");
    assert!(!peer.swarm.has(BlobHash::of(&blob)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_single_blobs_are_served() {
    let peer = Peer::start().await;
    let hash = peer.publish(&bytes(1, 64)).await;
    let hash = iroh_blobs::Hash::from_bytes(*hash.as_bytes());
    let stranger = raw_endpoint(&[]).await;
    let connection = raw_connect(&stranger, &peer, iroh_blobs::ALPN).await;
    let store = MemStore::new();

    let sequence = store
        .remote()
        .execute_get(connection.clone(), GetRequest::all(hash));
    let refused = within(sequence.complete()).await.unwrap_err();
    assert_eq!(
        refused.iroh_error_code(),
        Some(ERR_PERMISSION),
        "{refused:?}"
    );

    let many = GetManyRequest::new(vec![hash], ChunkRangesSeq::all());
    let many = store.remote().execute_get_many(connection.clone(), many);
    let refused = within(many.complete()).await.unwrap_err();
    assert_eq!(
        refused.iroh_error_code(),
        Some(ERR_PERMISSION),
        "{refused:?}"
    );

    let watch = store
        .remote()
        .observe(connection.clone(), ObserveRequest::new(hash));
    let watched = within(Box::pin(watch).next()).await;
    assert!(matches!(watched, Some(Err(_))), "{watched:?}");
    assert_eq!(peer.swarm.counters().refused_requests, 2);

    let single = store
        .remote()
        .execute_get(connection, GetRequest::blob(hash));
    within(single.complete()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_all_connections() {
    let hub = Peer::start().await;
    let stranger = raw_endpoint(&[]).await;
    for alpn in [iroh_blobs::ALPN, CONTROL_ALPN] {
        let mut connections = Vec::new();
        let mut accepted = Vec::new();
        for _ in 0..CONNECTIONS_EACH_MAX {
            connections.push(raw_connect(&stranger, &hub, alpn).await);
            if alpn == CONTROL_ALPN {
                accepted.push(within(hub.swarm.accept_control()).await.unwrap());
            }
        }
        // Blob connections are let in one after the other; see that the last one is.
        let missing = iroh_blobs::Hash::new(b"missing");
        for connection in connections.iter().filter(|_| alpn == iroh_blobs::ALPN) {
            assert!(
                within(get_verified_size(connection, &missing))
                    .await
                    .is_err()
            );
        }

        let refused = raw_connect(&stranger, &hub, alpn).await;
        let ConnectionError::ApplicationClosed(close) = within(refused.closed()).await else {
            panic!("not closed by the peer");
        };
        assert_eq!(close.error_code, VarInt::from_u32(2));
        assert!(
            connections
                .iter()
                .all(|connection| connection.close_reason().is_none())
        );
    }

    // Others are not concerned.
    let miner = Peer::start().await;
    within(miner.swarm.connect_control(&hub.provider()))
        .await
        .unwrap();
    within(hub.swarm.accept_control()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_requests_end_their_stream_only() {
    let peer = Peer::start().await;
    let hash = peer.publish(&bytes(1, 50_000)).await;
    let stranger = raw_endpoint(&[]).await;
    let connection = raw_connect(&stranger, &peer, iroh_blobs::ALPN).await;
    for seed in 0..20 {
        let (mut send, mut recv) = within(connection.open_bi()).await.unwrap();
        let _ = send.write_all(&bytes(seed, 3000)).await;
        let _ = send.finish();
        let _ = within(recv.read_to_end(1 << 20)).await;
    }
    let hash = iroh_blobs::Hash::from_bytes(*hash.as_bytes());
    let (size, _) = within(get_verified_size(&connection, &hash)).await.unwrap();
    assert_eq!(size, 50_000);
}
