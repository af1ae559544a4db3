//! How the demo speaks: to people in colour, to programs in records.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use console::style;
use haar_bindings::hub;
use haar_records::HubId;
use serde_json::{Value, json};

use super::bank::Bank;
use super::fog::Fog;
use crate::out;

/// The voice of the demo.
pub struct Story {
    is_json: bool,
}

impl Story {
    /// A story for people, or in records.
    pub fn new(is_json: bool) -> Self {
        Self { is_json }
    }

    /// A new act.
    pub fn act(&self, title: &str, about: &str) {
        self.record(json!({ "event": "act", "title": title }));
        self.line(format_args!(
            "\n{}  {}",
            style(title).bold().cyan(),
            style(about).dim()
        ));
    }

    /// A line for people.
    pub fn line(&self, text: impl std::fmt::Display) {
        if !self.is_json {
            out::line(text);
        }
    }

    /// A record for programs.
    pub fn record(&self, value: Value) {
        if self.is_json {
            out::record(&value);
        }
    }

    /// Who is there.
    pub async fn fog(&self, fog: &Fog, wallet: HubId, bank: &Bank) -> Result<()> {
        let state = hub::state(&bank.contracts, wallet).await?;
        let frozen = state
            .map(|state| state.frozen.to_string())
            .unwrap_or_default();
        self.line(format_args!(
            "  hub    process {:<7} {}   stake {}",
            fog.hub_process,
            style(&fog.hub_url).underlined(),
            style(&frozen).green()
        ));
        for miner in &fog.miners {
            let nature = if miner.is_liar {
                style("will lie").red()
            } else {
                style("honest").green()
            };
            self.line(format_args!(
                "  miner  process {:<7} {}  {}  {nature}",
                miner.process,
                style(miner.name).bold(),
                out::short(&miner.id)
            ));
        }
        let miners: Vec<Value> = fog.miners.iter().map(miner_json).collect();
        self.record(json!({
            "event": "fog", "hub": wallet.to_string(), "url": fog.hub_url, "stake": frozen,
            "miners": miners, "chain": bank.url,
        }));
        Ok(())
    }

    /// What each miner answered to one job, and what came of it.
    pub fn job(&self, fog: &Fog, title: &str, job: &Value, ms: u128) {
        self.record(json!({ "event": "job", "title": title, "ms": ms as u64, "job": job }));
        let answer = &job["answer"];
        self.line(format_args!("\n  {}", style(title).bold()));
        for attempt in job["attempts"].as_array().into_iter().flatten() {
            self.line(format_args!("    {}", attempt_line(fog, attempt, answer)));
        }
        let agreed = answer["agreeing"].as_array().map_or(0, Vec::len);
        let fuel = answer["outcome"]["fuel_used"].as_u64().unwrap_or_default();
        self.line(format_args!(
            "    {} {} {} agree · {} fuel · {} · {ms} ms",
            style("verdict").dim(),
            style("✓").green(),
            agreed,
            haar_records::Fuel(fuel),
            amount(&answer["charged"]),
        ));
    }

    /// The last words.
    pub fn end(&self, is_good: bool, took: Duration, folder: &Path) {
        let word = if is_good {
            style("All of it held.").green()
        } else {
            style("Something failed.").red()
        };
        self.line(format_args!(
            "\n{} {} s. The picture, the page and the receipt are in {}/",
            word.bold(),
            took.as_secs(),
            folder.display()
        ));
    }

    /// What to try while the fog stays up.
    pub fn stay(&self, hub: &str, chain: &str) {
        self.record(json!({ "event": "staying", "hub": hub, "chain": chain }));
        self.line(format_args!(
            "\nThe fog stays up. Look at {}",
            style(hub).underlined()
        ));
        self.line(format_args!(
            "  curl --data-binary @README.md {hub}/v1/call/wordcount -i"
        ));
        self.line(format_args!(
            "  curl --data-binary @README.md {hub}/f/markdown/"
        ));
        self.line(format_args!("  curl {hub}/v1/miners"));
        self.line(format_args!("  the chain answers JSON-RPC at {chain}"));
        self.line("Stop it with Ctrl-C.");
    }
}

/// An amount from a record, for people.
pub fn amount(value: &Value) -> String {
    let parsed = value.as_str().and_then(|text| text.parse().ok());
    parsed.map(out::snm).unwrap_or_default()
}

fn miner_json(miner: &super::fog::RunningMiner) -> Value {
    json!({
        "name": miner.name, "miner": miner.id, "process": miner.process, "liar": miner.is_liar,
    })
}

fn attempt_line(fog: &Fog, attempt: &Value, answer: &Value) -> String {
    let id = attempt["miner"].as_str().unwrap_or_default();
    let name = format!("{:<4}", fog.name(id));
    let Some(output) = attempt["revealed"]["output"].as_str() else {
        let state = attempt["state"].as_str().unwrap_or("silent");
        return format!("{name} {}", style(state).dim());
    };
    let fuel = haar_records::Fuel(
        attempt["revealed"]["fuel_used"]
            .as_u64()
            .unwrap_or_default(),
    );
    let said = format!("answers {}…  {fuel} fuel", out::short(output));
    let is_wrong = answer["dissenting"]
        .as_array()
        .is_some_and(|all| all.iter().any(|m| m == id));
    if is_wrong {
        return format!(
            "{} {said}  {}",
            style(name).red().bold(),
            style("✗ wrong: dismissed, unpaid, its stake at risk").red()
        );
    }
    format!(
        "{} {said}  {}",
        style(name).bold(),
        style("sealed, then revealed").dim()
    )
}
