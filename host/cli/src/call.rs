//! `haar call`.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use haar_records::{B256, BlobHash, Fuel, JobOrder, Keypair, RunConfig, Signed, Spec};
use serde_json::json;

use crate::client::{CallOptions, HubClient};
use crate::{Done, keys, out};

/// Fuel of a signed order that names no limit; a hub's own default may differ.
const FUEL_DEFAULT: Fuel = Fuel(20_000_000_000);
/// How long a signed order is good.
const ORDER_SECONDS: u64 = 120;

/// Call a function: input from a file or stdin, output to stdout.
#[derive(Args)]
pub struct Call {
    /// The function: a name, or name@version.
    pub function: String,
    /// The input's file; - is stdin.
    #[arg(default_value = "-")]
    pub input: PathBuf,
    #[command(flatten)]
    pub options: CallFlags,
}

/// Flags of everything that calls.
#[derive(Args, Clone)]
pub struct CallFlags {
    /// The hub's URL.
    #[arg(long, env = "HAAR_HUB", default_value = "http://127.0.0.1:8080")]
    pub hub: String,
    /// The most fuel.
    #[arg(long)]
    pub fuel_max: Option<u64>,
    /// How sure the answer must be: optimistic, quorum or strict.
    #[arg(long)]
    pub verification: Option<String>,
    /// Sign the order with this key: you pay, not the hub's house.
    #[arg(long)]
    pub key: Option<PathBuf>,
}

impl CallFlags {
    /// The same for the client, without an order.
    pub fn options(&self) -> CallOptions {
        CallOptions {
            fuel_max: self.fuel_max.map(Fuel),
            verification: self.verification.clone(),
            ..CallOptions::default()
        }
    }
}

impl Call {
    /// Calls and prints the output; the facts go to stderr.
    pub async fn run(self, json: bool) -> Result<Done> {
        let input = read_input(&self.input)?;
        let client = HubClient::new(&self.options.hub)?;
        let mut options = self.options.options();
        if let Some(path) = &self.options.key {
            let key = keys::load(path)?;
            let (fuel_max, order) =
                sign_order(&client, &self.function, &input, &self.options, &key).await?;
            options.fuel_max = Some(fuel_max);
            options.order = Some(order);
        }

        let called = client.call(&self.function, input, &options).await?;
        if json {
            let output = String::from_utf8_lossy(&called.output);
            out::record(&json!({
                "job": called.job, "fuel_used": called.fuel_used.0, "verified": called.verified,
                "charged": called.charged, "exit_code": called.exit_code, "output": output,
            }));
        } else {
            out::write(&called.output);
        }
        Ok(if called.exit_code == 0 {
            Done::Yes
        } else {
            Done::No
        })
    }
}

fn read_input(path: &Path) -> Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        let mut input = Vec::new();
        std::io::stdin()
            .read_to_end(&mut input)
            .context("cannot read the input from stdin")?;
        return Ok(input);
    }
    std::fs::read(path).with_context(|| format!("cannot read the input {}", path.display()))
}

/// Signs an order of exactly this call at the hub's prices.
async fn sign_order(
    client: &HubClient,
    function: &str,
    input: &[u8],
    flags: &CallFlags,
    key: &Keypair,
) -> Result<(Fuel, Signed<JobOrder>)> {
    let facts = client.facts().await?;
    let published = client.get(&format!("/v1/functions/{function}")).await?;
    let module: BlobHash = published["module"]
        .as_str()
        .and_then(|hash| hash.parse().ok())
        .context("the hub's description of the function has no module")?;
    let (input, fuel_max) = (
        BlobHash::of(input),
        flags.fuel_max.map_or(FUEL_DEFAULT, Fuel),
    );
    let config = RunConfig::for_call(module, input);
    let spec = Spec {
        module,
        input,
        fuel_max,
        config,
    };
    let quorum = match flags.verification.as_deref() {
        Some("optimistic") => 1,
        Some("strict") => 3,
        _ => 2,
    };
    let base_fee: u128 = facts.base_fee_atoms.parse().context("the hub's base fee")?;
    let work = u128::from(fuel_max.0) * u128::from(facts.fuel_price_atoms);
    let order = JobOrder {
        specHash: spec.hash().0,
        buyer: key.address(),
        hubWallet: facts.hub()?.0,
        channelId: B256::ZERO,
        maxCharge: base_fee.saturating_add(work),
        fuelPrice: facts.fuel_price_atoms,
        baseFee: base_fee,
        attempts: quorum,
        quorum,
        deadline: unix_now() + ORDER_SECONDS,
        nonce: nonce()?,
    };
    Ok((fuel_max, key.sign_record(&facts.domain(), order)))
}

/// Seconds since 1970.
pub fn unix_now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

fn nonce() -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(u64::from_le_bytes(bytes))
}
