//! What stays on disk, and what goes.

use std::time::Duration;

use haar_swarm::{FetchError, Limits, StartError, Swarm};

use crate::peers::{Peer, bytes, config, until, within};

const BLOB_BYTES: u64 = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn blobs_survive_a_restart() {
    let (publisher, fetcher) = (Peer::start().await, Peer::start().await);
    let (small, large) = (bytes(1, 10), bytes(2, 100_000));
    let hashes = [
        publisher.publish(&small).await,
        publisher.publish(&large).await,
    ];
    for (hash, blob) in hashes.iter().zip([&small, &large]) {
        let providers = [publisher.provider()];
        let fetch = fetcher.swarm.fetch(*hash, blob.len() as u64, &providers);
        within(fetch).await.unwrap();
    }

    let fetcher = fetcher.restart().await;
    let publisher = publisher.restart().await;
    assert_eq!(fetcher.swarm.counters().cached_blobs, 2);
    assert_eq!(publisher.swarm.counters().cached_blobs, 0);
    for peer in [&publisher, &fetcher] {
        assert_eq!(peer.swarm.read(hashes[0], 1000).await, Ok(small.clone()));
        assert_eq!(
            peer.swarm.read(hashes[1], BLOB_BYTES).await,
            Ok(large.clone())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_used_fetched_blob_goes_and_published_ones_stay() {
    let publisher = Peer::start().await;
    let limits = Limits {
        cache_bytes_max: 2 * BLOB_BYTES + BLOB_BYTES / 2,
        sweep_interval: Duration::from_millis(50),
        ..Limits::default()
    };
    let fetcher = Peer::with(limits).await;
    let own = fetcher.publish(&bytes(9, BLOB_BYTES as usize)).await;

    let mut hashes = Vec::new();
    for seed in 0..3 {
        hashes.push(publisher.publish(&bytes(seed, BLOB_BYTES as usize)).await);
    }
    let providers = [publisher.provider()];
    let fetch = async |index: usize| {
        within(fetcher.swarm.fetch(hashes[index], BLOB_BYTES, &providers))
            .await
            .unwrap()
    };
    fetch(0).await;
    fetch(1).await;
    assert!(fetch(0).await.from.is_none());
    fetch(2).await;
    assert_eq!(fetcher.swarm.counters().cached_blobs, 2);
    until(async || !fetcher.swarm.has(hashes[1]).await).await;

    for kept in [hashes[0], hashes[2], own] {
        assert!(fetcher.swarm.has(kept).await, "{kept}");
    }
    assert!(fetch(1).await.from.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetched_blob_that_is_published_stays() {
    let publisher = Peer::start().await;
    let limits = Limits {
        cache_bytes_max: BLOB_BYTES,
        sweep_interval: Duration::from_millis(50),
        ..Limits::default()
    };
    let fetcher = Peer::with(limits).await;
    let (first, second) = (bytes(1, BLOB_BYTES as usize), bytes(2, BLOB_BYTES as usize));
    let hashes = [
        publisher.publish(&first).await,
        publisher.publish(&second).await,
    ];

    let providers = [publisher.provider()];
    within(fetcher.swarm.fetch(hashes[0], BLOB_BYTES, &providers))
        .await
        .unwrap();
    fetcher.publish(&first).await;
    within(fetcher.swarm.fetch(hashes[1], BLOB_BYTES, &providers))
        .await
        .unwrap();
    let fetcher = fetcher.restart().await;
    assert!(fetcher.swarm.has(hashes[0]).await);
    assert_eq!(fetcher.swarm.counters().cached_blobs, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_larger_than_the_cache_is_refused() {
    let publisher = Peer::start().await;
    let limits = Limits {
        cache_bytes_max: BLOB_BYTES - 1,
        ..Limits::default()
    };
    let fetcher = Peer::with(limits).await;
    let hash = publisher.publish(&bytes(1, BLOB_BYTES as usize)).await;
    let fetched = within(
        fetcher
            .swarm
            .fetch(hash, BLOB_BYTES, &[publisher.provider()]),
    )
    .await;
    assert!(
        matches!(fetched, Err(FetchError::NoRoom { .. })),
        "{fetched:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_belongs_to_one_swarm() {
    let peer = Peer::start().await;
    let second = within(Swarm::start(config([9; 32], &peer.dir, false))).await;
    assert!(
        matches!(second, Err(StartError::Store { .. })),
        "{second:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_leaves_the_folder_free() {
    let peer = Peer::start().await;
    let dir = tempfile::TempDir::new().unwrap();
    let mut taken = config([9; 32], &dir, false);
    taken.bind = peer.provider().addresses[0].parse().unwrap();
    let started = within(Swarm::start(taken)).await;
    assert!(
        matches!(started, Err(StartError::Bind { .. })),
        "{started:?}"
    );
    within(Swarm::start(config([9; 32], &dir, false)))
        .await
        .unwrap();
}
