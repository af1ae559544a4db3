//! Proofs against hubs and miners, and that Rust and Solidity sign the same bytes.

use haar_bindings::fraud::{self, FraudError, PlacedLeaf};
use haar_bindings::hub::{self, Phase};
use haar_bindings::{Chain, miner, pay, settle, vault};
use haar_records::eip712::JobSpec;
use haar_records::{
    B256, Domain, ExecutionReceipt, HubId, Keypair, MinerCredit, Signed, Snm, keccak256,
};

use crate::fog::{Batch, Fog, leaf, receipt, still_chain};

/// An Active hub that has been paid 100 SNM.
async fn fog_with_hub() -> (Fog, HubId) {
    let chain = Chain::dev(still_chain()).await.unwrap();
    let fog = Fog::new(&chain).await;
    let (operator, stake) = (fog.operator.address(), Snm::whole(10_000));
    let hub = hub::create_and_register(&fog.contracts, &fog.owner, operator, B256::ZERO, stake);
    let hub = hub.await.unwrap();
    pay::deposit_to_hub(&fog.contracts, &fog.buyer, hub, Snm::whole(100))
        .await
        .unwrap();
    (fog, hub)
}

fn batch(fog: &Fog, hub: HubId, price: u64) -> Batch {
    let jobs = (1..=5)
        .map(|job| leaf(fog.buyer_id(), job, Snm::whole(price)))
        .collect();
    Batch::new(
        hub,
        1,
        B256::ZERO,
        jobs,
        vec![(fog.miner(0), Snm::whole(5))],
    )
}

fn spec() -> JobSpec {
    JobSpec {
        moduleHash: keccak256("module"),
        inputHash: keccak256("input"),
        configHash: keccak256("config"),
        fuelLimit: 1_000,
        abiVersion: 1,
    }
}

fn outcome(fog: &Fog, key: &Keypair, result: &str) -> Signed<ExecutionReceipt> {
    let record = ExecutionReceipt {
        jobId: keccak256(result),
        specHash: alloy::sol_types::SolStruct::eip712_hash_struct(&spec()),
        miner: key.address(),
        hubWallet: fog.stranger.address(),
        resultHash: keccak256(result),
        fuelUsed: 5,
        status: 0,
        executedAt: 9,
    };
    key.sign_record(&fog.contracts.domain(), record)
}

#[tokio::test]
async fn rust_and_solidity_sign_the_same_bytes() {
    let (fog, hub) = fog_with_hub().await;
    let domain: Domain = fog.contracts.domain();
    let credit = MinerCredit {
        hubWallet: hub.0,
        miner: fog.miner(0).0,
        cumulative: u128::MAX,
        epoch: u64::MAX,
    };
    let hash = alloy::sol_types::SolStruct::eip712_hash_struct(&credit);
    let digest = settle::digest_of(&fog.contracts, hash).await.unwrap();
    assert_eq!(digest, domain.digest(&credit));

    let batch = batch(&fog, hub, 10);
    let signed = fog.operator.sign_record(&domain, batch.header.clone());
    let done = settle::commit(&fog.contracts, &fog.owner, &batch.header, signed.signature).await;
    let tip = settle::tip(&fog.contracts, hub).await.unwrap();
    assert_eq!((tip.batch, tip.epoch), (done.unwrap().batch, 1));
    assert_eq!(
        (tip.batch, tip.miner_total),
        (settle::batch_id(&batch.header), Snm::whole(5))
    );
}

#[tokio::test]
async fn a_miner_with_two_answers_loses_its_stake() {
    let (fog, _) = fog_with_hub().await;
    let (sender, key) = (&fog.miners[0], crate::fog::key(3));
    let stake = Snm::whole(100);
    miner::join(&fog.contracts, sender, stake, key.address(), key.address())
        .await
        .unwrap();
    let (one, other) = (outcome(&fog, &key, "one"), outcome(&fog, &key, "other"));

    let same = fraud::miner_equivocation(&fog.contracts, &fog.buyer, &one, &one, &spec()).await;
    assert!(matches!(same, Err(FraudError::NoContradiction)), "{same:?}");
    let softer = JobSpec {
        abiVersion: 2,
        ..spec()
    };
    let soft = fraud::miner_equivocation(&fog.contracts, &fog.buyer, &one, &other, &softer).await;
    assert!(soft.is_err());
    let stranger = crate::fog::key(6);
    let mut forged = other.clone();
    forged.signature = stranger
        .sign_record(&fog.contracts.domain(), other.record.clone())
        .signature;
    let lie = fraud::miner_equivocation(&fog.contracts, &fog.buyer, &one, &forged, &spec()).await;
    assert!(
        matches!(lie, Err(FraudError::UnknownSigner { .. })),
        "{lie:?}"
    );

    let spec = spec();
    let proof = || fraud::miner_equivocation(&fog.contracts, &fog.buyer, &one, &other, &spec);
    let punished = proof().await.unwrap();
    assert_eq!(
        (punished.culprit, punished.bounty),
        (key.address(), Snm::whole(10))
    );
    assert_eq!(
        miner::state(&fog.contracts, fog.miner(0)).await.unwrap(),
        None
    );
    let lots = vault::lots(&fog.contracts).await.unwrap();
    assert_eq!(
        (lots[0].from, lots[0].amount),
        (key.address(), Snm::whole(90))
    );
    assert!(matches!(proof().await, Err(FraudError::AlreadyPunished)));
}

#[tokio::test]
async fn a_hub_with_two_receipts_is_suspected() {
    let (fog, hub) = fog_with_hub().await;
    let job = leaf(fog.buyer_id(), 1, Snm::whole(1));
    let one = receipt(hub, &job);
    let other = haar_records::HubReceipt {
        fuelUsed: 1,
        ..one.clone()
    };
    let sign = |record| fog.operator.sign_record(&fog.contracts.domain(), record);
    let (one, other) = (sign(one), sign(other));
    fraud::hub_equivocation(&fog.contracts, &fog.stranger, &one, &other)
        .await
        .unwrap();
    assert_eq!(
        hub::phase(&fog.contracts, hub).await.unwrap(),
        Phase::Suspected
    );
}

#[tokio::test]
async fn a_hub_with_two_batches_for_one_epoch_is_suspected() {
    let (fog, hub) = fog_with_hub().await;
    let domain = fog.contracts.domain();
    let sign = |price| {
        fog.operator
            .sign_record(&domain, batch(&fog, hub, price).header)
    };
    let (one, other) = (sign(10), sign(11));
    let committed = settle::commit(&fog.contracts, &fog.owner, &one.record, one.signature).await;
    assert!(!committed.unwrap().was_there);
    fraud::batch_equivocation(&fog.contracts, &fog.stranger, &one, &other)
        .await
        .unwrap();

    assert_eq!(
        hub::phase(&fog.contracts, hub).await.unwrap(),
        Phase::Suspected
    );
    let state = settle::batch_state(&fog.contracts, &one.record)
        .await
        .unwrap();
    assert_eq!(state, settle::BatchState::Voided);
    let again = settle::commit(&fog.contracts, &fog.owner, &one.record, one.signature).await;
    assert!(
        matches!(again, Err(settle::CommitError::Voided)),
        "{again:?}"
    );
}

#[tokio::test]
async fn every_leaf_can_be_shown_at_its_place_only() {
    let (fog, hub) = fog_with_hub().await;
    let batch = batch(&fog, hub, 10);
    let domain = fog.contracts.domain();
    let signed = fog.operator.sign_record(&domain, batch.header.clone());
    settle::commit(&fog.contracts, &fog.owner, &batch.header, signed.signature)
        .await
        .unwrap();

    for at in 0..5_u32 {
        let job = batch.leaves[at as usize].clone();
        let mut told = receipt(hub, &job);
        told.fuelUsed += 1;
        let told = fog.operator.sign_record(&domain, told);
        let proof = batch.jobs.proof(at as usize).unwrap();
        let header = batch.header.clone();
        let elsewhere = PlacedLeaf {
            header,
            leaf: job,
            index: (at + 1) % 5,
            proof,
        };
        let wrong = fraud::contradicted_leaf(&fog.contracts, &fog.buyer, &told, &elsewhere).await;
        assert!(matches!(wrong, Err(FraudError::WrongProof)), "{wrong:?}");
        let placed = PlacedLeaf {
            index: at,
            ..elsewhere
        };
        fraud::contradicted_leaf(&fog.contracts, &fog.buyer, &told, &placed)
            .await
            .unwrap();
    }
}
