//! A chain that is kept in a file.

use std::path::Path;

use alloy::providers::Provider as _;
use haar_bindings::{Chain, Contracts, DevChain, Sender, dev::JournalError, snm};
use haar_records::Snm;

use crate::fog::{Fog, START, key};

fn open(path: &Path) -> DevChain {
    DevChain::open(path, || START).unwrap()
}

#[tokio::test]
async fn a_chain_survives_the_death_of_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain");
    let chain = Chain::dev(open(&path)).await.unwrap();
    let fog = Fog::new(&chain).await;
    chain.time_travel(1_000_000).await.unwrap();
    let (at, height) = (fog.contracts.at().clone(), chain.height().await.unwrap());
    let last = chain
        .provider()
        .get_block_by_number(Default::default())
        .await
        .unwrap();

    // The file as it is now is all that a killed process leaves behind.
    let left = folder.path().join("left");
    std::fs::copy(&path, &left).unwrap();
    let revived = Chain::dev(open(&left)).await.unwrap();
    assert_eq!(revived.height().await.unwrap(), height);
    let block = revived
        .provider()
        .get_block_by_number(Default::default())
        .await
        .unwrap();
    assert_eq!(block, last, "the same blocks, to the hash");

    let contracts = Contracts::open(&revived, at).await.unwrap();
    let buyer = Sender::new(&revived, &key(2));
    assert_eq!(
        snm::balance(&contracts, buyer.address()).await.unwrap(),
        Snm::whole(1_000)
    );
    snm::transfer(&contracts, &buyer, key(6).address(), Snm::whole(1))
        .await
        .unwrap();
    let now = revived.now().await.unwrap();
    assert!(now > START + 1_000_000, "the clock is where it was: {now}");
}

#[tokio::test]
async fn a_block_that_was_being_written_never_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain");
    let chain = Chain::dev(open(&path)).await.unwrap();
    let fog = Fog::new(&chain).await;
    let height = chain.height().await.unwrap();
    let before = std::fs::metadata(&path).unwrap().len();
    fog.give(&fog.stranger, Snm::whole(1)).await;
    let bytes = std::fs::read(&path).unwrap();

    let left = folder.path().join("left");
    for torn in [before + 1, before + 50, bytes.len() as u64 - 1] {
        std::fs::write(&left, &bytes[..usize::try_from(torn).unwrap()]).unwrap();
        let revived = Chain::dev(open(&left)).await.unwrap();
        assert_eq!(revived.height().await.unwrap(), height);
        let contracts = Contracts::open(&revived, fog.contracts.at().clone())
            .await
            .unwrap();
        let balance = snm::balance(&contracts, fog.stranger.address())
            .await
            .unwrap();
        assert_eq!(balance, Snm::ZERO);
        let holder = Sender::new(&revived, &key(0));
        let to = fog.stranger.address();
        snm::transfer(&contracts, &holder, to, Snm::whole(2))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_file_of_another_kind_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain");
    std::fs::write(&path, "a letter to my mother, who lives far away").unwrap();
    let error = DevChain::open(&path, || START).unwrap_err();
    assert!(matches!(error, JournalError::NotAJournal), "{error:?}");
    assert!(
        std::fs::read_to_string(&path)
            .unwrap()
            .starts_with("a letter")
    );
}
