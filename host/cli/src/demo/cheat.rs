//! The last act: a hub that settles what it did not sign, and what becomes of its stake.

use std::path::Path;

use anyhow::{Context, Result, bail};
use console::style;
use haar_bindings::dao::{self, Vote};
use haar_bindings::fraud::{self, PlacedLeaf};
use haar_bindings::hub::{self, Phase};
use haar_bindings::{Sender, vault};
use haar_records::tree::JobTree;
use haar_records::{B256, BatchHeader, BlobHash, HubId, HubReceipt, JobLeaf, Signed, Snm};
use serde_json::{Value, json};

use super::bank::Bank;
use super::fog::{Fog, HubPlan, MinerPlan};
use super::story::Story;
use super::{calls, pay};
use crate::client::{CallOptions, HubClient};
use crate::out;

const DAY: u64 = 24 * 60 * 60;

/// Plays the act. True when the hub is suspected at once, expropriated by vote, and its money
/// lies frozen until the promised day and not a second less.
pub async fn play(bank: &Bank, guests: &Path, folder: &Path, story: &Story) -> Result<bool> {
    let (fog, wallet) = start(bank, folder).await?;
    let client = HubClient::new(&fog.hub_url)?;
    calls::publish_one(&client, guests, folder, "wordcount").await?;
    let text = b"the hub signs one thing and settles another".to_vec();
    let called = client
        .call("wordcount", text, &CallOptions::default())
        .await?;
    let receipt = receipt(&client, &called.job).await?;
    story.line(format_args!(
        "  the buyer holds a receipt signed by the hub: charged {}",
        out::snm(Snm(receipt.record.charged))
    ));

    client.settle(&fog.token).await?;
    let settled = settled_leaf(&client, receipt.record.jobId).await?;
    story.line(format_args!(
        "  the batch that the hub settles says:         charged {}",
        style(out::snm(Snm(settled.leaf.charged))).red()
    ));

    let stranger = bank.sender(&bank.account(2)?);
    let punished = fraud::contradicted_leaf(&bank.contracts, &stranger, &receipt, &settled).await?;
    let state = hub::state(&bank.contracts, wallet)
        .await?
        .context("the hub's wallet")?;
    story.line(format_args!(
        "  a stranger proves it in one transaction: the hub is {}, stake {}, bounty {}",
        style(state.phase).red().bold(),
        state.frozen,
        punished.bounty
    ));
    story.record(json!({
        "event": "fraud", "kind": "leaf-contradicts-receipt", "transaction": punished.transaction,
        "bounty": punished.bounty.to_string(), "wallet": pay::wallet_json(&state),
    }));
    let is_suspected = state.phase == Phase::Suspected;
    let is_frozen = expropriate(bank, wallet, story).await?;
    let mut fog = fog;
    fog.stop().await;
    Ok(is_suspected && is_frozen)
}

async fn start(bank: &Bank, folder: &Path) -> Result<(Fog, HubId)> {
    let owner = bank.account(3)?;
    let wallet = bank.register_hub(&owner, 50_000).await?;
    bank.deposit(&owner, wallet, 100).await?;
    let mut miners = Vec::new();
    for (at, name) in ["Dee", "Eli"].into_iter().enumerate() {
        let key = bank.account(8 + at)?;
        bank.stake_miner(&key, 1_000).await?;
        miners.push(MinerPlan {
            name,
            key,
            misbehave: None,
        });
    }
    let plan = HubPlan {
        name: "mirage",
        key: owner,
        wallet,
        misbehave: Some("overcharge"),
    };
    Ok((Fog::start(folder, bank, plan, miners).await?, wallet))
}

/// The hub's signed receipt, from the document that every buyer can ask for.
async fn receipt(client: &HubClient, job: &str) -> Result<Signed<HubReceipt>> {
    let found = client.get(&format!("/v1/receipts/{job}")).await?;
    let (hub, outcome) = (&found["hub_receipt"], &found["outcome"]);
    let record = HubReceipt {
        jobId: parse(&found["job"])?,
        specHash: parse(&found["spec"]["hash"])?,
        buyer: parse(&hub["buyer"])?,
        hubWallet: parse(&hub["hub"])?,
        resultHash: parse(&outcome["result_hash"])?,
        fuelUsed: outcome["fuel_used"]
            .as_u64()
            .context("the receipt's fuel")?,
        charged: parse(&hub["charged"])?,
        receiptsHash: parse(&hub["receipts_hash"])?,
        paymentRef: parse(&hub["payment_ref"])?,
        completedAt: hub["completed_at"].as_u64().context("the receipt's time")?,
    };
    Ok(Signed {
        record,
        signature: parse(&hub["signature"])?,
    })
}

/// The job's leaf with the proof of its place, from the batch that the hub had to publish.
async fn settled_leaf(client: &HubClient, job: B256) -> Result<PlacedLeaf> {
    let found = client.get("/v1/batches/1").await?;
    let header = &found["header"];
    let header = BatchHeader {
        hubWallet: parse(&header["hub"])?,
        epoch: header["epoch"].as_u64().context("the batch's epoch")?,
        prevBatch: parse(&header["previous"])?,
        jobsRoot: parse(&header["jobs_root"])?,
        payRoot: parse(&header["pay_root"])?,
        daHash: parse(&header["data"])?,
        jobs: u32::try_from(header["jobs"].as_u64().context("the batch's jobs")?)?,
        totalCharged: parse(&header["total_charged"])?,
        minerTotalCum: parse(&header["miner_total"])?,
    };
    let file: Value = serde_json::from_slice(&client.blob(BlobHash(header.daHash)).await?)?;
    let leaves = file["leaves"]
        .as_array()
        .context("the batch file's leaves")?;
    let leaves = leaves.iter().map(leaf).collect::<Result<Vec<JobLeaf>>>()?;
    let tree = JobTree::new(leaves.iter().map(JobLeaf::leaf_hash).collect());
    if tree.root() != header.jobsRoot {
        bail!("the batch file is not what the hub settled");
    }
    let index = leaves
        .iter()
        .position(|leaf| leaf.jobId == job)
        .context("the job's leaf")?;
    let proof = tree.proof(index).context("the leaf's proof")?;
    Ok(PlacedLeaf {
        header,
        leaf: leaves[index].clone(),
        index: u32::try_from(index)?,
        proof,
    })
}

fn leaf(value: &Value) -> Result<JobLeaf> {
    Ok(JobLeaf {
        jobId: parse(&value["jobId"])?,
        specHash: parse(&value["specHash"])?,
        buyer: parse(&value["buyer"])?,
        channelId: parse(&value["channelId"])?,
        resultHash: parse(&value["resultHash"])?,
        fuelUsed: parse(&value["fuelUsed"])?,
        charged: parse(&value["charged"])?,
        minersHash: parse(&value["minersHash"])?,
    })
}

fn parse<T: std::str::FromStr>(value: &Value) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text = value
        .as_str()
        .with_context(|| format!("{value} is no text"))?;
    text.parse()
        .with_context(|| format!("'{text}' cannot be read"))
}

/// The DAO votes; what it takes lies in the vault and cannot be touched.
async fn expropriate(bank: &Bank, wallet: HubId, story: &Story) -> Result<bool> {
    let (contracts, holder) = (&bank.contracts, &bank.rich);
    dao::delegate(contracts, holder, holder.address()).await?;
    bank.pass(60).await?;
    let state = hub::state(contracts, wallet)
        .await?
        .context("the hub's wallet")?;
    let limit = dao::expropriable(contracts).await?;
    let amount = state.frozen.min(limit);
    let reason = "It settled another charge than it had signed.";
    let proposal = dao::propose_expropriation(contracts, holder, wallet, amount, reason).await?;
    story.line(format_args!(
        "  the DAO may take {limit} in thirty days; a proposal asks for {amount}",
    ));

    bank.pass(DAY + 60).await?;
    dao::vote(contracts, holder, &proposal, Vote::For).await?;
    bank.pass(5 * DAY + 60).await?;
    dao::queue(contracts, holder, &proposal).await?;
    bank.pass(2 * DAY + 60).await?;
    let lot = dao::execute(contracts, holder, &proposal)
        .await?
        .context("the vault's lot")?;
    story.line(format_args!(
        "  {}",
        style("a day until the vote, five to vote, two in the timelock (the clock is turned)")
            .dim()
    ));
    show_vault(bank, holder, lot, story).await
}

async fn show_vault(bank: &Bank, holder: &Sender, lot: u64, story: &Story) -> Result<bool> {
    let contracts = &bank.contracts;
    let lot = vault::lot(contracts, lot)
        .await?
        .context("the vault's lot")?;
    story.line(format_args!(
        "  expropriated: {} lie frozen at the DAO until {}",
        style(lot.amount).yellow().bold(),
        style(out::date(lot.release_at)).yellow().bold()
    ));

    let chain = contracts.chain();
    let now = chain.now().await?;
    // The next block is a second too early.
    bank.pass(lot.release_at.saturating_sub(now + 3)).await?;
    chain.set_next_block_time(lot.release_at - 1).await?;
    let early = vault::release(contracts, holder, lot.id).await;
    chain.set_next_block_time(lot.release_at).await?;
    chain.mine().await?;
    let in_time = vault::release(contracts, holder, lot.id).await;
    let is_frozen = early.is_err() && in_time.is_ok();
    let word = if is_frozen {
        style("refused").green()
    } else {
        style("NOT refused").red()
    };
    story.line(format_args!(
        "  a second earlier the vault is asked for it: {word}"
    ));
    story.record(json!({
        "event": "expropriated", "amount": lot.amount.to_string(), "lot": lot.id,
        "release_at": lot.release_at, "release_date": out::date(lot.release_at),
        "early_release_refused": early.is_err(), "release_in_time": in_time.is_ok(),
    }));
    Ok(is_frozen)
}
