//! `haar publish`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use haar_records::{BlobHash, FunctionName, FunctionRecord};
use serde_json::json;

use crate::client::HubClient;
use crate::{Done, keys, out};

/// Publish a module under a name, signed by your key.
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
}

impl Publish {
    /// Checks the module here, sends it, and publishes its name.
    pub async fn run(self, json: bool) -> Result<Done> {
        let about = || format!("cannot read the module {}", self.module.display());
        let bytes = std::fs::read(&self.module).with_context(about)?;
        let function: FunctionName = self.name.parse()?;
        let profile = haar_meter::Profile::DESKTOP;
        haar_meter::meter(&bytes, &profile).map_err(|rejected| {
            let at = rejected
                .offset()
                .map(|at| format!(" at byte {at}"))
                .unwrap_or_default();
            anyhow::anyhow!(
                "{} cannot run on Haar{at}: {rejected}",
                self.module.display()
            )
        })?;

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
