//! The money's act: one batch, one day, every honest miner paid.

use anyhow::{Context, Result};
use console::style;
use haar_bindings::{hub, snm};
use haar_records::{HubId, Snm};
use serde_json::{Value, json};

use super::bank::Bank;
use super::fog::Fog;
use super::story::{Story, amount};
use crate::client::HubClient;
use crate::out;

/// The challenge window of the usual rules, and a minute.
const CHALLENGE_SECONDS: u64 = 24 * 60 * 60 + 60;

/// Settles, waits a day of the chain's time, and pays. True when exactly the honest are paid.
pub async fn settle(
    bank: &Bank,
    client: &HubClient,
    fog: &Fog,
    wallet: HubId,
    story: &Story,
) -> Result<bool> {
    let before = balances(bank, fog).await?;
    let settled = client.settle(&fog.token).await?;
    let batch = &settled["batch"];
    story.line(format_args!(
        "  one transaction: {} jobs, {} charged, {} for miners",
        batch["jobs"],
        amount(&batch["charged"]),
        amount(&batch["miners_total"])
    ));
    story.line(format_args!(
        "  {}",
        style("a day passes on the chain (its clock is turned): nobody challenges the batch").dim()
    ));
    bank.pass(CHALLENGE_SECONDS).await?;
    let paid = client.settle(&fog.token).await?;
    let after = balances(bank, fog).await?;

    let mut is_right = true;
    let mut rows = Vec::new();
    for (at, miner) in fog.miners.iter().enumerate() {
        let gained = after[at].saturating_sub(before[at]);
        is_right &= (gained == Snm::ZERO) == miner.is_liar;
        story.line(format_args!(
            "  {} {:>14} → {:<14} {}",
            style(format!("{:<4}", miner.name)).bold(),
            out::snm(before[at]),
            out::snm(after[at]),
            if miner.is_liar {
                style("nothing for lies").red()
            } else {
                style("paid").green()
            }
        ));
        rows.push(json!({
            "name": miner.name, "before": before[at].to_string(), "after": after[at].to_string(),
            "gained": gained.to_string(), "liar": miner.is_liar,
        }));
    }
    let state = hub::state(&bank.contracts, wallet)
        .await?
        .context("the hub's wallet")?;
    story.line(format_args!(
        "  hub wallet: {} frozen, {} held, {} free",
        out::snm(state.frozen),
        out::snm(state.held),
        out::snm(state.free)
    ));
    story.record(json!({
        "event": "settled", "batch": batch, "finalized": paid["finalized"], "balances": rows,
        "right": is_right, "wallet": wallet_json(&state),
    }));
    Ok(is_right)
}

async fn balances(bank: &Bank, fog: &Fog) -> Result<Vec<Snm>> {
    let mut balances = Vec::new();
    for miner in &fog.miners {
        balances.push(snm::balance(&bank.contracts, miner.key.address()).await?);
    }
    Ok(balances)
}

/// A wallet's ledger as a record.
pub fn wallet_json(state: &hub::HubState) -> Value {
    json!({
        "phase": state.phase.to_string(), "frozen": state.frozen.to_string(),
        "held": state.held.to_string(), "owed": state.owed.to_string(),
        "free": state.free.to_string(),
    })
}
