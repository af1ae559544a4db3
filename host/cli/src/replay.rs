//! `haar receipt` and `haar replay`: anybody can check what a quorum said.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use haar_records::eip712::receipts_hash;
use haar_records::{
    Address, B256, BlobHash, Domain, ExecutionReceipt, Fuel, HubReceipt, Outcome, Profile,
    RunConfig, Signature, Snm, Spec, SpecHash, Status,
};
use haar_sandbox::{RunSpec, Sandbox, SandboxConfig};
use serde::Deserialize;
use serde_json::json;

use crate::client::HubClient;
use crate::{Done, out};

/// Save a job's receipt with its module and input, so that it can be replayed anywhere.
#[derive(Args)]
pub struct ReceiptVerb {
    /// The job's id, from the header Haar-Job.
    pub job: String,
    /// The hub's URL.
    #[arg(long, env = "HAAR_HUB", default_value = "http://127.0.0.1:8080")]
    pub hub: String,
    /// The folder to make.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

impl ReceiptVerb {
    /// Saves receipt.json, module.wasm and input.
    pub async fn run(self, json: bool) -> Result<Done> {
        let client = HubClient::new(&self.hub)?;
        let name = || PathBuf::from(format!("receipt-{}", out::short(&self.job)));
        let folder = self.out.clone().unwrap_or_else(name);
        save(&client, &self.job, &folder).await?;
        if json {
            out::record(&json!({ "event": "receipt", "folder": folder }));
        } else {
            out::line(format_args!(
                "saved; check it with: haar replay {}",
                folder.display()
            ));
        }
        Ok(Done::Yes)
    }
}

/// Saves all that a replay needs.
pub async fn save(client: &HubClient, job: &str, folder: &Path) -> Result<()> {
    let text = client.get_bytes(&format!("/v1/receipts/{job}")).await?;
    let receipt = Document::parse(&text)?;
    let module = client.blob(receipt.spec.module.parse()?).await?;
    let input = client.blob(receipt.spec.input.parse()?).await;
    let input = match input {
        // Nobody keeps a blob of no bytes.
        Err(_) if receipt.spec.input_bytes == 0 => Vec::new(),
        other => other?,
    };
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for (name, bytes) in [
        ("receipt.json", &text),
        ("module.wasm", &module),
        ("input", &input),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Check a saved receipt without any hub: signatures, hashes, and the run itself.
#[derive(Args)]
pub struct Replay {
    /// The folder that `haar receipt` made.
    pub folder: PathBuf,
}

impl Replay {
    /// Runs the same computation here and compares.
    pub async fn run(self, json: bool) -> Result<Done> {
        let folder = self.folder.clone();
        let replayed = tokio::task::spawn_blocking(move || replay(&folder)).await??;
        let ran = &replayed.ran;
        let is_same = ran.key() == replayed.claimed;
        if json {
            out::record(&json!({
                "event": "replayed", "same": is_same, "signatures": replayed.signatures,
                "output": ran.output.to_string(), "fuel_used": ran.fuel_used.0,
            }));
        } else {
            out::line(format_args!("signatures  {} good", replayed.signatures));
            out::line(format_args!("output      {}", ran.output));
            out::line(format_args!("fuel        {}", ran.fuel_used));
            out::line(if is_same {
                "the same as the receipt says"
            } else {
                "NOT what the receipt says"
            });
        }
        Ok(if is_same { Done::Yes } else { Done::No })
    }
}

/// What a replay found.
pub struct Replayed {
    /// What the run gave here.
    pub ran: Outcome,
    /// What the receipt says.
    pub claimed: haar_records::OutcomeKey,
    /// Signatures that were checked.
    pub signatures: usize,
}

/// Checks all signatures and runs the computation again.
pub fn replay(folder: &Path) -> Result<Replayed> {
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let document = Document::parse(&read("receipt.json")?)?;
    let (module, input) = (read("module.wasm")?, read("input")?);
    let spec = document.spec()?;
    if BlobHash::of(&module) != spec.module || BlobHash::of(&input) != spec.input {
        bail!("module.wasm or input is not what the receipt names");
    }
    let outcome = document.outcome()?;
    let signatures = document.check_signatures(&spec, &outcome)?;

    let sandbox = Sandbox::new(SandboxConfig::default()).context("cannot start the sandbox")?;
    let prepared = sandbox
        .prepare(&module, &spec.config)
        .context("the module cannot run here")?;
    let run = RunSpec {
        input: &input,
        config: &spec.config,
        fuel_max: spec.fuel_max,
    };
    let run = sandbox
        .run(&prepared, &run)
        .context("this machine cannot run it")?;
    Ok(Replayed {
        ran: run.outcome,
        claimed: outcome.key(),
        signatures,
    })
}

/// The receipt's document, as `GET /v1/receipts/<job>` gives it.
#[derive(Deserialize)]
struct Document {
    job: B256,
    domain: DomainPart,
    spec: SpecPart,
    outcome: OutcomePart,
    hub_receipt: HubPart,
    miners: Vec<MinerPart>,
}

#[derive(Deserialize)]
struct DomainPart {
    chain_id: u64,
    settlement: Address,
}

#[derive(Deserialize)]
struct SpecPart {
    hash: String,
    module: String,
    input: String,
    input_bytes: u64,
    fuel_max: u64,
    memory_pages_max: u32,
    seed: B256,
    time_ns: u64,
    args: Vec<String>,
    env: Vec<String>,
    profile: ProfilePart,
}

#[derive(Deserialize)]
struct ProfilePart {
    meter: u32,
    cost: u32,
    wasm: u32,
    wasi: u32,
    stack_limit: u32,
    pages_max: u32,
    simd: bool,
    output_bytes_max: u32,
    schedule: B256,
}

#[derive(Deserialize)]
struct OutcomePart {
    status: String,
    exit_code: u32,
    output: String,
    output_bytes: u64,
    fuel_used: u64,
}

#[derive(Deserialize)]
struct HubPart {
    buyer: Address,
    hub: Address,
    charged: String,
    receipts_hash: B256,
    payment_ref: B256,
    completed_at: u64,
    operator: Address,
    signature: String,
}

#[derive(Deserialize)]
struct MinerPart {
    miner: Address,
    executed_at: u64,
    signature: String,
}

impl Document {
    fn parse(text: &[u8]) -> Result<Self> {
        serde_json::from_slice(text).context("receipt.json is not a receipt")
    }

    fn domain(&self) -> Domain {
        Domain {
            chain_id: self.domain.chain_id,
            settlement: self.domain.settlement,
        }
    }

    fn spec(&self) -> Result<Spec> {
        let part = &self.spec;
        let profile = Profile {
            meter: part.profile.meter,
            cost: part.profile.cost,
            wasm: part.profile.wasm,
            wasi: part.profile.wasi,
            stack_limit: part.profile.stack_limit,
            pages_max: part.profile.pages_max,
            simd: part.profile.simd,
            output_bytes_max: part.profile.output_bytes_max,
            schedule: part.profile.schedule,
        };
        let spec = Spec {
            module: part.module.parse()?,
            input: part.input.parse()?,
            fuel_max: Fuel(part.fuel_max),
            config: RunConfig {
                profile,
                memory_pages_max: part.memory_pages_max,
                seed: part.seed,
                time_ns: part.time_ns,
                args: part.args.clone(),
                env: part.env.clone(),
            },
        };
        if spec.hash() != part.hash.parse::<SpecHash>()? {
            bail!("the receipt's spec does not have the hash that it names");
        }
        Ok(spec)
    }

    fn outcome(&self) -> Result<Outcome> {
        let part = &self.outcome;
        let status = match part.status.as_str() {
            "returned" => Status::Returned,
            "trapped" => Status::Trapped,
            "out-of-fuel" => Status::OutOfFuel,
            other => bail!("the receipt has an unknown status '{other}'"),
        };
        Ok(Outcome {
            status,
            exit_code: part.exit_code,
            output: part.output.parse()?,
            output_bytes: part.output_bytes,
            fuel_used: Fuel(part.fuel_used),
            trap: None,
        })
    }

    /// Checks every miner's signature and the hub's; returns how many are good.
    fn check_signatures(&self, spec: &Spec, outcome: &Outcome) -> Result<usize> {
        let domain = self.domain();
        let mut digests = Vec::new();
        for miner in &self.miners {
            let record = ExecutionReceipt {
                jobId: self.job,
                specHash: spec.hash().0,
                miner: miner.miner,
                hubWallet: self.hub_receipt.hub,
                resultHash: outcome.result_hash(),
                fuelUsed: outcome.fuel_used.0,
                status: outcome.status.code(),
                executedAt: miner.executed_at,
            };
            let digest = domain.digest(&record);
            let signature: Signature = miner.signature.parse()?;
            signature
                .check(digest, miner.miner)
                .with_context(|| format!("the receipt of miner {}", miner.miner))?;
            digests.push((miner.miner, digest));
        }
        digests.sort_unstable();
        let digests: Vec<B256> = digests.into_iter().map(|(_, digest)| digest).collect();
        let hub = &self.hub_receipt;
        if receipts_hash(&digests) != hub.receipts_hash {
            bail!("the hub's receipt is about other miners' receipts");
        }
        let record = HubReceipt {
            jobId: self.job,
            specHash: spec.hash().0,
            buyer: hub.buyer,
            hubWallet: hub.hub,
            resultHash: outcome.result_hash(),
            fuelUsed: outcome.fuel_used.0,
            charged: hub
                .charged
                .parse::<u128>()
                .map(Snm)
                .context("the charge")?
                .0,
            receiptsHash: hub.receipts_hash,
            paymentRef: hub.payment_ref,
            completedAt: hub.completed_at,
        };
        let signature: Signature = hub.signature.parse()?;
        signature
            .check(domain.digest(&record), hub.operator)
            .context("the hub's receipt")?;
        Ok(digests.len() + 1)
    }
}
