//! `haar publish`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use haar_meter::{Profile, Refusal, inspect};
use haar_records::{BlobHash, FunctionName, FunctionRecord};
use haar_sandbox::{Preinitialised, preinit};
use serde_json::json;

use crate::client::HubClient;
use crate::inspect::{exports_init, grouped, read_module, refused};
use crate::{Done, keys, out};

/// Publish a module under a name, signed by your key.
///
/// A module with an initialisation (#[haar::init]) is initialised first, so that no call pays for it.
#[derive(Args)]
pub struct Publish {
    /// The module: a WASI program or an SDK function, compiled to WebAssembly.
    pub module: PathBuf,
    /// The name to publish it under, like wordcount@1.0.0.
    #[arg(long)]
    pub name: String,
    /// The hub's URL.
    #[arg(long, env = "HAAR_HUB", default_value = "http://127.0.0.1:8080")]
    pub hub: String,
    /// Your key file; it is made if it does not exist. Later versions need the same key.
    #[arg(long, default_value = "author.key")]
    pub key: PathBuf,
    /// Publish the file as it is: its initialisation (#[haar::init]) is then left to each call.
    #[arg(long)]
    pub no_init: bool,
}

impl Publish {
    /// Checks the module here, sends it, and publishes its name.
    pub async fn run(self, json: bool) -> Result<Done> {
        let function: FunctionName = self.name.parse()?;
        let (path, no_init) = (self.module.clone(), self.no_init);
        let prepared = tokio::task::spawn_blocking(move || prepare(&path, no_init));
        let (bytes, initialised) = prepared.await.context("the module was not prepared")??;
        if let Some(initialised) = &initialised {
            show_initialised(initialised, json);
        }

        let key = keys::load_or_make(&self.key)?;
        let record = FunctionRecord {
            function,
            module: BlobHash::of(&bytes),
            module_bytes: bytes.len() as u64,
            author: key.address(),
        };
        let client = HubClient::new(&self.hub)?;
        client.put_blob(bytes).await?;
        let published = client.publish(&record.clone().sign(&key)).await?;
        if json {
            out::record(&json!({ "event": "published", "function": published }));
            return Ok(Done::Yes);
        }
        out::line(format_args!(
            "published {} as {}",
            record.function, record.module
        ));
        let path = match published["http"].as_str() {
            Some(path) => path.to_owned(),
            None => format!("/v1/call/{}", record.function.name()),
        };
        out::line(format_args!(
            "  curl --data-binary @FILE {}{path} -i",
            client.url()
        ));
        Ok(Done::Yes)
    }
}

/// What an initialisation was worth.
struct Initialised {
    bytes_before: u64,
    bytes: u64,
    fuel_used: u64,
    init_cost_more: u64,
}

/// Reads the module, and initialises it if it has an initialisation.
fn prepare(path: &Path, no_init: bool) -> Result<(Vec<u8>, Option<Initialised>)> {
    let bytes = read_module(path)?;
    let report = inspect(&bytes, &Profile::DESKTOP);
    if let Err(refusal) = &report.admission {
        bail!("{}", cannot_run(path, refusal));
    }
    if no_init || !exports_init(&report) {
        return Ok((bytes, None));
    }
    let Preinitialised {
        module,
        fuel_used,
        init_cost,
        init_cost_before,
        ..
    } = preinit(&bytes).with_context(|| format!("cannot initialise {}", path.display()))?;
    let initialised = Initialised {
        bytes_before: bytes.len() as u64,
        bytes: module.len() as u64,
        fuel_used,
        init_cost_more: init_cost.saturating_sub(init_cost_before),
    };
    Ok((module, Some(initialised)))
}

fn show_initialised(initialised: &Initialised, json: bool) {
    let Initialised {
        bytes_before,
        bytes,
        fuel_used,
        init_cost_more,
    } = *initialised;
    if json {
        out::record(&json!({
            "event": "initialised", "bytes_before": bytes_before, "bytes": bytes,
            "fuel_used": fuel_used, "init_cost_more": init_cost_more,
        }));
        return;
    }
    out::line(format_args!(
        "initialised: {} fuel that no call pays any more (starting costs {} more); {} → {}",
        grouped(fuel_used),
        grouped(init_cost_more),
        out::bytes(bytes_before),
        out::bytes(bytes)
    ));
}

/// Why a module cannot run: the place, the reason, and what to do.
pub fn cannot_run(path: &Path, refusal: &Refusal) -> String {
    format!(
        "{} cannot run on Haar{}: {}; next: {}",
        path.display(),
        refused(refusal),
        refusal.reason,
        refusal.advice
    )
}
