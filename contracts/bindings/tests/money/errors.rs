//! What people are told when the chain says no.

use haar_bindings::hub::{self, RegisterError};
use haar_bindings::miner::{self, JoinError};
use haar_bindings::pay::{self, DepositError};
use haar_bindings::settle::{self, Claim, ClaimError, CommitError, FinalizeError};
use haar_bindings::{Chain, Contracts, Sender, dao, snm};
use haar_records::{B256, BatchHeader, HubId, Keypair, Snm};

use crate::fog::{Batch, DAY, Fog, leaf, still_chain};

async fn fog() -> Fog {
    Fog::new(&Chain::dev(still_chain()).await.unwrap()).await
}

async fn active_hub(fog: &Fog) -> HubId {
    let (operator, stake) = (fog.operator.address(), Snm::whole(10_000));
    hub::create_and_register(&fog.contracts, &fog.owner, operator, B256::ZERO, stake)
        .await
        .unwrap()
}

/// Compares the text of an error, without what stands in it as an address.
#[track_caller]
fn check(error: impl std::error::Error, expected: &str) {
    let text = error.to_string();
    let words = text.split(' ').map(|word| {
        if word.starts_with("0x") {
            "0x…"
        } else {
            word
        }
    });
    assert_eq!(words.collect::<Vec<_>>().join(" "), expected);
}

#[tokio::test]
async fn a_hub_needs_a_stake() {
    let fog = fog().await;
    let register = |sender: Sender, salt, stake| {
        let (contracts, operator) = (fog.contracts.clone(), fog.operator.address());
        async move { hub::create_and_register(&contracts, &sender, operator, salt, stake).await }
    };
    let error = register(fog.owner.clone(), B256::ZERO, Snm::whole(9_999))
        .await
        .unwrap_err();
    check(
        error,
        "a stake of 9999 SNM is too small: a hub freezes at least 10000 SNM",
    );
    let error = register(fog.owner.clone(), B256::ZERO, Snm::whole(60_000))
        .await
        .unwrap_err();
    check(error, "0x… has 50000 SNM, and 60000 SNM are needed");

    let hub = active_hub(&fog).await;
    let error = hub::top_up(&fog.contracts, &fog.buyer, hub, Snm::whole(1))
        .await
        .unwrap_err();
    assert!(matches!(error, RegisterError::NotOwner { .. }), "{error:?}");
}

#[tokio::test]
async fn a_miner_needs_a_stake_and_a_key_of_its_own() {
    let fog = fog().await;
    let (one, other) = (&fog.miners[0], &fog.miners[1]);
    let (me, key) = (one.address(), fog.operator.address());
    let error = miner::join(&fog.contracts, one, Snm::whole(99), key, me)
        .await
        .unwrap_err();
    check(
        error,
        "a stake of 99 SNM is too small: a miner stakes at least 100 SNM",
    );
    let error = miner::join(&fog.contracts, one, Snm::whole(101), key, me)
        .await
        .unwrap_err();
    assert!(matches!(error, JoinError::NotFunded { .. }), "{error:?}");
    miner::join(&fog.contracts, one, Snm::whole(100), key, me)
        .await
        .unwrap();
    let error = miner::join(&fog.contracts, one, Snm::whole(100), me, me)
        .await
        .unwrap_err();
    assert!(
        matches!(error, JoinError::AlreadyJoined { .. }),
        "{error:?}"
    );
    let error = miner::join(&fog.contracts, other, Snm::whole(100), key, me)
        .await
        .unwrap_err();
    check(error, "the key 0x… belongs to miner 0x…");
}

#[tokio::test]
async fn nobody_pays_a_hub_without_a_stake_or_more_than_it_has() {
    let fog = fog().await;
    let nobody = HubId(fog.stranger.address());
    let deposit = |hub, amount| pay::deposit_to_hub(&fog.contracts, &fog.buyer, hub, amount);
    let error = deposit(nobody, Snm::whole(1)).await.unwrap_err();
    check(error, "the hub is None: it may not be paid");
    let hub = active_hub(&fog).await;
    let error = deposit(hub, Snm::whole(1_001)).await.unwrap_err();
    assert!(matches!(error, DepositError::Transfer(_)), "{error:?}");
    check(error, "0x… has 1000 SNM, and 1001 SNM are needed");
    assert_eq!(hub::state(&fog.contracts, nobody).await.unwrap(), None);
}

async fn commit(
    fog: &Fog,
    header: &BatchHeader,
    key: &Keypair,
) -> Result<settle::Commitment, CommitError> {
    let signature = key
        .sign_record(&fog.contracts.domain(), header.clone())
        .signature;
    settle::commit(&fog.contracts, &fog.stranger, header, signature).await
}

#[tokio::test]
async fn a_batch_is_covered_in_order_and_signed_by_the_operator() {
    let fog = fog().await;
    let hub = active_hub(&fog).await;
    let (buyer, miner) = (fog.buyer_id(), fog.miner(0));
    let batch = |epoch, prev, price, earned| {
        let jobs = vec![leaf(buyer, 1, Snm::whole(price))];
        Batch::new(hub, epoch, prev, jobs, vec![(miner, Snm::whole(earned))])
    };
    let first = batch(1, B256::ZERO, 60, 50);
    let error = commit(&fog, &first.header, &fog.operator)
        .await
        .unwrap_err();
    check(
        error,
        "miners are promised 50.3 SNM, and the wallet has 0 SNM",
    );
    pay::deposit_to_hub(&fog.contracts, &fog.buyer, hub, Snm::whole(100))
        .await
        .unwrap();
    let error = commit(&fog, &first.header, &crate::fog::key(6))
        .await
        .unwrap_err();
    check(error, "signed by 0x… but the hub's operator is 0x…");
    let large = batch(1, B256::ZERO, 30_001, 50).header;
    let error = commit(&fog, &large, &fog.operator).await.unwrap_err();
    assert!(
        matches!(error, CommitError::ExposureExceedsStake { .. }),
        "{error:?}"
    );

    commit(&fog, &first.header, &fog.operator).await.unwrap();
    let tip = settle::tip(&fog.contracts, hub).await.unwrap().batch;
    let other = batch(1, tip, 61, 50);
    let error = commit(&fog, &other.header, &fog.operator)
        .await
        .unwrap_err();
    check(error, "epoch 1 is over: the chain is at epoch 1");
    let error = commit(&fog, &batch(2, B256::ZERO, 1, 50).header, &fog.operator)
        .await
        .unwrap_err();
    assert!(
        matches!(error, CommitError::WrongPredecessor { .. }),
        "{error:?}"
    );
    let error = commit(&fog, &batch(2, tip, 1, 49).header, &fog.operator)
        .await
        .unwrap_err();
    check(
        error,
        "the miners' total of 49 SNM is below the last batch's 50 SNM",
    );
}

#[tokio::test]
async fn nothing_is_final_before_its_time_and_nothing_is_claimed_without_proof() {
    let fog = fog().await;
    let hub = active_hub(&fog).await;
    pay::deposit_to_hub(&fog.contracts, &fog.buyer, hub, Snm::whole(100))
        .await
        .unwrap();
    let jobs = vec![leaf(fog.buyer_id(), 1, Snm::whole(60))];
    let batch = Batch::new(
        hub,
        1,
        B256::ZERO,
        jobs,
        vec![(fog.miner(0), Snm::whole(50))],
    );
    let finalize = || settle::finalize(&fog.contracts, &fog.stranger, &batch.header);
    let error = finalize().await.unwrap_err();
    check(error, "the batch was never committed");
    commit(&fog, &batch.header, &fog.operator).await.unwrap();
    let error = finalize().await.unwrap_err();
    assert!(
        matches!(error, FinalizeError::WindowOpen { .. }),
        "{error:?}"
    );
    fog.chain().time_travel(DAY).await.unwrap();
    finalize().await.unwrap();

    let more = Claim {
        cumulative: Snm::whole(51),
        ..batch.claims()[0].clone()
    };
    let error = settle::claim(&fog.contracts, &fog.stranger, hub, &more)
        .await
        .unwrap_err();
    check(error, "the proof does not fit the hub's latest final batch");
    let many = vec![more; settle::CLAIMS_MAX + 1];
    let error = settle::claim_many(&fog.contracts, &fog.stranger, hub, &many)
        .await
        .unwrap_err();
    assert!(matches!(error, ClaimError::TooMany { .. }), "{error:?}");
}

#[tokio::test]
async fn the_dao_does_not_act_without_votes() {
    let fog = fog().await;
    let hub = active_hub(&fog).await;
    let propose = |sender| dao::propose_expropriation(&fog.contracts, sender, hub, Snm(1), "so");
    let error = propose(&fog.stranger).await.unwrap_err();
    check(
        error,
        "0x… has votes for 0 SNM, and 444000 SNM are needed to propose",
    );

    dao::delegate(&fog.contracts, &fog.holder, fog.holder.address())
        .await
        .unwrap();
    fog.chain().time_travel(1).await.unwrap();
    let proposal = propose(&fog.holder).await.unwrap();
    let early = dao::vote(&fog.contracts, &fog.holder, &proposal, dao::Vote::For).await;
    check(early.unwrap_err(), "the proposal is Pending");
    fog.chain().time_travel(DAY + 1).await.unwrap();
    let vote = || dao::vote(&fog.contracts, &fog.holder, &proposal, dao::Vote::For);
    vote().await.unwrap();
    let error = vote().await.unwrap_err();
    assert!(
        matches!(error, dao::DaoError::VotedAlready { .. }),
        "{error:?}"
    );
    fog.chain().time_travel(5 * DAY).await.unwrap();
    dao::queue(&fog.contracts, &fog.holder, &proposal)
        .await
        .unwrap();
    fog.chain().time_travel(2 * DAY).await.unwrap();
    // The hub did nothing wrong, so even a unanimous DAO cannot take its stake.
    let error = dao::execute(&fog.contracts, &fog.holder, &proposal)
        .await
        .unwrap_err();
    check(error, "the hub is Active");
}

#[tokio::test]
async fn contracts_of_another_chain_are_not_opened() {
    let fog = fog().await;
    let fresh = Chain::dev(still_chain()).await.unwrap();
    let error = Contracts::open(&fresh, fog.contracts.at().clone())
        .await
        .unwrap_err();
    check(error, "there is no contract at 0x… on this chain");
    let mut at = fog.contracts.at().clone();
    at.chain_id = 1;
    let error = Contracts::open(&fresh, at).await.unwrap_err();
    check(
        error,
        "the contracts are on chain 1, and this is chain 31337",
    );
}

#[tokio::test]
async fn a_transfer_of_nothing_is_a_transfer() {
    let fog = fog().await;
    let to = fog.stranger.address();
    snm::transfer(&fog.contracts, &fog.buyer, to, Snm::ZERO)
        .await
        .unwrap();
}
