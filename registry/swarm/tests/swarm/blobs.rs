//! Publishing, fetching and seeding.

use bytes::Bytes;
use haar_records::BlobHash;
use haar_swarm::{FetchError, ProviderFault, ReadError};

use crate::peers::{Manner, Peer, absent, bad_peer, bytes, until, within};

const BLOB_BYTES: usize = 1_000_003;

/// Fetches past the bad peers from an honest one, the last, and compares how the others failed.
async fn check(manners: &[Manner], faults: &[ProviderFault]) {
    let (publisher, fetcher) = (Peer::start().await, Peer::start().await);
    let blob = bytes(7, BLOB_BYTES);
    let mut bad_ones = Vec::new();
    for &manner in manners {
        bad_ones.push(bad_peer(&blob, manner).await);
    }
    let mut providers: Vec<_> = bad_ones
        .iter()
        .map(|(_, provider)| provider.clone())
        .collect();
    let hash = BlobHash::of(&blob);

    let fetched = within(fetcher.swarm.fetch(hash, blob.len() as u64, &providers)).await;
    let Err(FetchError::Nobody { tried, .. }) = fetched else {
        panic!("nobody honest was asked, but: {fetched:?}");
    };
    assert_eq!(
        tried
            .into_iter()
            .map(|(_, fault)| fault)
            .collect::<Vec<_>>(),
        faults
    );

    publisher.publish(&blob).await;
    providers.push(publisher.provider());
    let fetched = within(fetcher.swarm.fetch(hash, blob.len() as u64, &providers))
        .await
        .unwrap();
    assert_eq!(fetched.bytes, blob);
    assert_eq!(fetched.from, Some(publisher.swarm.endpoint_id()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_garbage_is_skipped() {
    check(&[Manner::Garbage], &[ProviderFault::Lied]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lies_about_the_size_is_skipped() {
    check(&[Manner::HugeSize], &[ProviderFault::Lied]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_spoils_the_middle_is_skipped() {
    check(&[Manner::Spoils], &[ProviderFault::Lied]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_keeps_silent_is_skipped() {
    check(&[Manner::Silent], &[ProviderFault::Silent]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_away_and_who_lacks_it_are_skipped() {
    let (lacking, publisher, fetcher) = (
        Peer::start().await,
        Peer::start().await,
        Peer::start().await,
    );
    let blob = bytes(7, BLOB_BYTES);
    let hash = publisher.publish(&blob).await;
    let providers = [absent().await, lacking.provider(), fetcher.provider()];

    let fetched = within(fetcher.swarm.fetch(hash, blob.len() as u64, &providers)).await;
    let Err(FetchError::Nobody { tried, .. }) = fetched else {
        panic!("{fetched:?}")
    };
    assert!(
        matches!(tried[0].1, ProviderFault::Unreachable(_)),
        "{tried:?}"
    );
    assert_eq!(tried[1].1, ProviderFault::Lacks);
    assert_eq!(tried[2].1, ProviderFault::Ourselves);

    let providers = [lacking.provider(), publisher.provider()];
    let fetched = within(fetcher.swarm.fetch(hash, blob.len() as u64, &providers))
        .await
        .unwrap();
    assert_eq!(fetched.bytes, blob);
    assert_eq!(fetched.from, Some(publisher.swarm.endpoint_id()));
}

#[tokio::test(flavor = "multi_thread")]
async fn true_bytes_of_a_liar_are_not_loaded_again() {
    let (publisher, fetcher) = (Peer::start().await, Peer::start().await);
    let blob = bytes(7, BLOB_BYTES);
    let hash = publisher.publish(&blob).await;
    let (_liar, liar) = bad_peer(&blob, Manner::Spoils).await;

    let providers = [liar, publisher.provider()];
    let fetched = within(fetcher.swarm.fetch(hash, blob.len() as u64, &providers))
        .await
        .unwrap();
    assert_eq!(fetched.from, Some(publisher.swarm.endpoint_id()));

    until(async || publisher.swarm.counters().served_requests == 2).await;
    let served = publisher.swarm.counters().served_bytes;
    assert!(served < blob.len() as u64 * 3 / 4, "{served}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fetched_seeds() {
    let (first, second, third) = (
        Peer::start().await,
        Peer::start().await,
        Peer::start().await,
    );
    let blob = bytes(7, BLOB_BYTES);
    let hash = first.publish(&blob).await;
    let size = blob.len() as u64;
    within(second.swarm.fetch(hash, size, &[first.provider()]))
        .await
        .unwrap();
    first.swarm.shutdown().await;

    let fetched = within(third.swarm.fetch(hash, size, &[second.provider()]))
        .await
        .unwrap();
    assert_eq!(fetched.bytes, blob);
    assert_eq!(fetched.from, Some(second.swarm.endpoint_id()));
    until(async || second.swarm.counters().served_bytes >= size).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_size_than_asked_for_is_refused() {
    let (publisher, fetcher) = (Peer::start().await, Peer::start().await);
    let blob = bytes(7, BLOB_BYTES);
    let hash = publisher.publish(&blob).await;
    let actual = blob.len() as u64;

    for asked in [0, actual - 1, actual + 1] {
        for peer in [&publisher, &fetcher] {
            let fetched = within(peer.swarm.fetch(hash, asked, &[publisher.provider()])).await;
            let Err(FetchError::WrongSize { actual: said, .. }) = fetched else {
                panic!("{asked}: {fetched:?}");
            };
            assert_eq!(said, actual);
        }
    }
    assert!(!fetcher.swarm.has(hash).await);
    let fetched = within(fetcher.swarm.fetch(hash, u64::MAX, &[publisher.provider()])).await;
    assert!(
        matches!(fetched, Err(FetchError::NoRoom { .. })),
        "{fetched:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_of_every_size_arrive() {
    let (publisher, fetcher) = (Peer::start().await, Peer::start().await);
    for size in [0, 1, 1024, 1025, 16_384, 16_385, 3_000_000] {
        let blob = bytes(9, size);
        let hash = publisher.publish(&blob).await;
        assert_eq!(publisher.swarm.size(hash).await, Some(size as u64));
        let providers = [publisher.provider()];
        let fetch = fetcher.swarm.fetch(hash, size as u64, &providers);
        assert_eq!(within(fetch).await.unwrap().bytes, blob, "{size}");
        assert_eq!(
            fetcher.swarm.read(hash, size as u64).await,
            Ok(blob),
            "{size}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_blob_that_many_want_is_loaded_once() {
    let (publisher, fetcher) = (Peer::start().await, Peer::start().await);
    let blob = bytes(7, BLOB_BYTES);
    let hash = publisher.publish(&blob).await;

    let mut fetches = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (swarm, provider) = (fetcher.swarm.clone(), publisher.provider());
        let size = blob.len() as u64;
        fetches.spawn(async move { within(swarm.fetch(hash, size, &[provider])).await.unwrap() });
    }
    let fetched = fetches.join_all().await;
    assert!(fetched.iter().all(|fetched| fetched.bytes == blob));
    assert_eq!(
        fetched
            .iter()
            .filter(|fetched| fetched.from.is_some())
            .count(),
        1
    );
    assert_eq!(fetcher.swarm.counters().fetched_blobs, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_blobs_come_at_once() {
    let (publisher, fetcher) = (Peer::start().await, Peer::start().await);
    let mut fetches = tokio::task::JoinSet::new();
    for seed in 0..40 {
        let blob = bytes(seed, 20_000);
        let hash = publisher.publish(&blob).await;
        let (swarm, provider) = (fetcher.swarm.clone(), publisher.provider());
        fetches.spawn(async move {
            within(swarm.fetch(hash, 20_000, &[provider]))
                .await
                .unwrap()
                .bytes
                == blob
        });
    }
    assert!(
        fetches
            .join_all()
            .await
            .into_iter()
            .all(|is_right| is_right)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_learned_finds_a_provider_without_addresses() {
    let (publisher, fetcher) = (Peer::start().await, Peer::start().await);
    let blob = bytes(7, 100);
    let hash = publisher.publish(&blob).await;
    let mut nameless = publisher.provider();
    nameless.addresses.clear();

    let fetched = within(
        fetcher
            .swarm
            .fetch(hash, 100, std::slice::from_ref(&nameless)),
    )
    .await;
    assert!(
        matches!(fetched, Err(FetchError::Nobody { .. })),
        "{fetched:?}"
    );
    fetcher.swarm.learn(&publisher.provider()).unwrap();
    assert_eq!(
        within(fetcher.swarm.fetch(hash, 100, &[nameless]))
            .await
            .unwrap()
            .bytes,
        blob
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_keeps_to_its_bounds() {
    let peer = Peer::start().await;
    let blob = bytes(7, BLOB_BYTES);
    let hash = peer.publish(&blob).await;
    let (swarm, size) = (&peer.swarm, blob.len() as u64);

    let too_large = ReadError::TooLarge {
        hash,
        bytes: size,
        bytes_max: size - 1,
    };
    assert_eq!(swarm.read(hash, size - 1).await, Err(too_large));
    let other = BlobHash::of(b"other");
    assert_eq!(
        swarm.read(other, size).await,
        Err(ReadError::Absent { hash: other })
    );

    for (start, end) in [
        (0, size),
        (0, 1),
        (1023, 1025),
        (16_000, 40_000),
        (size - 1, size),
    ] {
        let expected = blob.slice(start as usize..end as usize);
        assert_eq!(
            swarm.read_range(hash, start..end).await,
            Ok(expected),
            "{start}..{end}"
        );
    }
    assert_eq!(swarm.read_range(hash, 5..5).await, Ok(Bytes::new()));
    let outside = Err(ReadError::OutOfRange { hash, bytes: size });
    assert_eq!(swarm.read_range(hash, 0..size + 1).await, outside);
    #[allow(clippy::reversed_empty_ranges)]
    let reversed = 6..5;
    assert_eq!(swarm.read_range(hash, reversed).await, outside);
}
