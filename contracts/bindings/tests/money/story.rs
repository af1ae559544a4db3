//! From the first stake to the last day of the freeze.

use haar_bindings::dao::{self, ProposalState, Vote};
use haar_bindings::fraud::{self, PlacedLeaf};
use haar_bindings::hub::{self, Phase};
use haar_bindings::settle::{self, BatchState};
use haar_bindings::vault::{self, LotState, ReleaseError};
use haar_bindings::{Chain, miner, pay, snm};
use haar_records::{B256, HubId, Snm, keccak256};

use crate::fog::{Batch, DAY, Fog, leaf, receipt, still_chain};

/// What each miner has earned, in SNM.
const EARNED: [u64; 3] = [9, 10, 11];

#[tokio::test]
async fn the_money_takes_its_whole_way_on_the_embedded_chain() {
    let chain = Chain::dev(still_chain()).await.unwrap();
    tell(&chain).await;
}

/// The story. Time is the chain's own; nothing here waits.
pub async fn tell(chain: &Chain) {
    let fog = Fog::new(chain).await;
    let hub = everybody_joins(&fog).await;
    the_buyer_pays(&fog, hub).await;
    let batch = jobs_are_settled(&fog, hub).await;
    the_miners_are_paid(&fog, hub, &batch).await;
    a_cheat_is_proved(&fog, hub, &batch).await;
    let lot = the_dao_expropriates(&fog, hub).await;
    the_lot_lies_still_for_120_days(&fog, lot).await;
}

async fn everybody_joins(fog: &Fog) -> HubId {
    let contracts = &fog.contracts;
    let (operator, stake) = (fog.operator.address(), Snm::whole(20_000));
    let hub = hub::create_and_register(contracts, &fog.owner, operator, B256::ZERO, stake).await;
    let hub = hub.unwrap();
    // After a crash the hub does it again, and nothing happens.
    let again = hub::create_and_register(contracts, &fog.owner, operator, B256::ZERO, stake).await;
    assert_eq!(again.unwrap(), hub);
    assert_eq!(fog.balance(&fog.owner).await, Snm::whole(30_000));

    for sender in &fog.miners {
        let (key, stake) = (sender.address(), Snm::whole(100));
        miner::join(contracts, sender, stake, key, key)
            .await
            .unwrap();
        miner::join(contracts, sender, stake, key, key)
            .await
            .unwrap();
        let id = miner::owner_of_key(contracts, key).await.unwrap().unwrap();
        assert_eq!(
            miner::state(contracts, id).await.unwrap().unwrap().stake,
            stake
        );
    }

    let state = hub::state(contracts, hub).await.unwrap().unwrap();
    assert_eq!(
        (state.phase, state.frozen, state.free),
        (Phase::Active, stake, Snm::ZERO)
    );
    assert_eq!(
        (state.owner, state.operator),
        (fog.owner.address(), operator)
    );
    hub
}

async fn the_buyer_pays(fog: &Fog, hub: HubId) {
    let contracts = &fog.contracts;
    let amount = Snm::whole(100);
    let sent = pay::deposit_to_hub(contracts, &fog.buyer, hub, amount)
        .await
        .unwrap();
    let (deposits, next) = pay::deposits(contracts, hub, 0, 0).await.unwrap();
    assert_eq!(deposits.len(), 1, "the stake is no deposit: {deposits:?}");
    assert_eq!(
        (deposits[0].buyer, deposits[0].amount),
        (fog.buyer_id(), amount)
    );
    assert_eq!(deposits[0].transaction, sent);
    assert_eq!(pay::deposits(contracts, hub, next, 0).await.unwrap().0, []);
}

async fn jobs_are_settled(fog: &Fog, hub: HubId) -> Batch {
    let contracts = &fog.contracts;
    // Three jobs for 60 SNM, of which the miners get 30.
    let jobs = (1..=3)
        .map(|job| leaf(fog.buyer_id(), job, Snm::whole(20)))
        .collect();
    let sums = (0..3)
        .zip(EARNED)
        .map(|(at, sum)| (fog.miner(at), Snm::whole(sum)));
    let tip = settle::tip(contracts, hub).await.unwrap();
    let batch = Batch::new(hub, tip.epoch + 1, tip.batch, jobs, sums.collect());
    let signature = fog
        .operator
        .sign_record(&contracts.domain(), batch.header.clone())
        .signature;
    let commit = || settle::commit(contracts, &fog.stranger, &batch.header, signature);

    let done = commit().await.unwrap();
    assert!(!done.was_there && matches!(done.state, BatchState::Committed { .. }));
    let again = commit().await.unwrap();
    assert!(
        again.was_there && again.transaction.is_none(),
        "a hub killed here pays once"
    );
    fog.chain().time_travel(DAY).await.unwrap();
    settle::finalize(contracts, &fog.stranger, &batch.header)
        .await
        .unwrap();
    settle::finalize(contracts, &fog.stranger, &batch.header)
        .await
        .unwrap();
    batch
}

async fn the_miners_are_paid(fog: &Fog, hub: HubId, batch: &Batch) {
    let contracts = &fog.contracts;
    let claims = batch.claims();
    let first = settle::claim(contracts, &fog.stranger, hub, &claims[0])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (first.miner, first.amount),
        (fog.miner(0), Snm::whole(EARNED[0]))
    );
    let rest = settle::claim_many(contracts, &fog.stranger, hub, &claims)
        .await
        .unwrap();
    assert_eq!(rest.len(), 2, "the first one had its share");
    assert_eq!(
        settle::claim(contracts, &fog.stranger, hub, &claims[0])
            .await
            .unwrap(),
        None
    );
    for (at, sum) in EARNED.into_iter().enumerate() {
        assert_eq!(fog.balance(&fog.miners[at]).await, Snm::whole(sum));
        let paid = settle::paid(contracts, hub, fog.miner(at)).await.unwrap();
        assert_eq!(paid, Snm::whole(sum));
    }

    // 100 came in; 30 went to miners, and half a percent of 60 to the treasury.
    let state = hub::state(contracts, hub).await.unwrap().unwrap();
    let treasury = snm::balance(contracts, contracts.at().timelock)
        .await
        .unwrap();
    assert_eq!(treasury, "0.3".parse().unwrap());
    assert_eq!(
        state.held.checked_add(state.free),
        Some("69.7".parse().unwrap())
    );
    assert_eq!(state.owed, Snm::ZERO);
    assert_eq!(
        snm::balance(contracts, hub.0).await.unwrap(),
        "20069.7".parse().unwrap()
    );
}

async fn a_cheat_is_proved(fog: &Fog, hub: HubId, batch: &Batch) {
    let contracts = &fog.contracts;
    let settled = PlacedLeaf {
        header: batch.header.clone(),
        leaf: batch.leaves[1].clone(),
        index: 1,
        proof: batch.jobs.proof(1).unwrap(),
    };
    // The buyer was told another result, for another price.
    let mut told = receipt(hub, &settled.leaf);
    told.resultHash = keccak256("another result");
    let told = fog.operator.sign_record(&contracts.domain(), told);
    let before = fog.balance(&fog.buyer).await;

    let punished = fraud::contradicted_leaf(contracts, &fog.stranger, &told, &settled).await;
    let punished = punished.unwrap();
    assert_eq!(punished.culprit, hub.0);
    // A tenth of the stake is gone: the buyer has twice its charge, the reporter a tenth of that
    // tenth, and the rest lies in the vault.
    let state = hub::state(contracts, hub).await.unwrap().unwrap();
    assert_eq!(
        (state.phase, state.frozen),
        (Phase::Suspected, Snm::whole(18_000))
    );
    assert!(!state.may_be_paid && !state.may_commit);
    let refund = fog.balance(&fog.buyer).await.checked_sub(before);
    assert_eq!(refund, Some(Snm::whole(40)));
    assert_eq!(punished.bounty, Snm::whole(200));
    assert_eq!(
        fraud::bounty(contracts, fog.stranger.address())
            .await
            .unwrap(),
        Snm::whole(200)
    );
    fraud::withdraw_bounty(contracts, &fog.stranger)
        .await
        .unwrap();
    assert_eq!(fog.balance(&fog.stranger).await, Snm::whole(200));
    let lots = vault::lots(contracts).await.unwrap();
    assert_eq!(
        lots.iter().map(|lot| lot.amount).collect::<Vec<_>>(),
        [Snm::whole(1_760)]
    );
}

async fn the_dao_expropriates(fog: &Fog, hub: HubId) -> u64 {
    let (contracts, chain, holder) = (&fog.contracts, fog.chain(), &fog.holder);
    dao::delegate(contracts, holder, holder.address())
        .await
        .unwrap();
    chain.time_travel(1).await.unwrap();
    let amount = Snm::whole(10_000);
    assert_eq!(dao::expropriable(contracts).await.unwrap(), amount);
    let reason = "it settled a receipt that contradicts what it had signed";
    let proposal = dao::propose_expropriation(contracts, holder, hub, amount, reason)
        .await
        .unwrap();

    let state = || async { dao::proposal_state(contracts, &proposal).await.unwrap() };
    assert_eq!(state().await, ProposalState::Pending);
    chain.time_travel(DAY + 1).await.unwrap();
    assert_eq!(state().await, ProposalState::Active);
    dao::vote(contracts, holder, &proposal, Vote::For)
        .await
        .unwrap();
    chain.time_travel(5 * DAY).await.unwrap();
    assert_eq!(state().await, ProposalState::Succeeded);
    dao::queue(contracts, holder, &proposal).await.unwrap();
    assert_eq!(state().await, ProposalState::Queued);
    let early = dao::execute(contracts, holder, &proposal).await;
    assert!(
        matches!(early, Err(dao::DaoError::StillWaiting)),
        "{early:?}"
    );
    chain.time_travel(2 * DAY).await.unwrap();

    let lot = dao::execute(contracts, &fog.stranger, &proposal)
        .await
        .unwrap()
        .unwrap();
    let hub_state = hub::state(contracts, hub).await.unwrap().unwrap();
    assert_eq!(
        (hub_state.phase, hub_state.frozen),
        (Phase::Punished, Snm::whole(8_000))
    );
    let lot_state = vault::lot(contracts, lot).await.unwrap().unwrap();
    assert_eq!((lot_state.amount, lot_state.from), (amount, hub.0));
    assert_eq!(lot_state.state, LotState::Frozen);
    lot
}

async fn the_lot_lies_still_for_120_days(fog: &Fog, id: u64) {
    let (contracts, chain) = (&fog.contracts, fog.chain());
    let lot = vault::lot(contracts, id).await.unwrap().unwrap();
    let taken_at = lot.release_at - 120 * DAY;
    assert!(taken_at <= chain.now().await.unwrap());
    let treasury = snm::balance(contracts, contracts.at().timelock)
        .await
        .unwrap();

    chain.set_next_block_time(lot.release_at - 1).await.unwrap();
    let early = vault::release(contracts, &fog.stranger, id).await;
    let Err(ReleaseError::Frozen { release_at }) = early else {
        panic!("{early:?}")
    };
    assert_eq!(release_at, lot.release_at);

    chain.set_next_block_time(lot.release_at).await.unwrap();
    chain.mine().await.unwrap();
    vault::release(contracts, &fog.stranger, id).await.unwrap();
    let after = snm::balance(contracts, contracts.at().timelock)
        .await
        .unwrap();
    assert_eq!(after.checked_sub(treasury), Some(lot.amount));
    let again = vault::release(contracts, &fog.stranger, id).await;
    assert!(matches!(again, Err(ReleaseError::NotThere)), "{again:?}");
}
