//! `haar batch`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;
use tokio::task::JoinSet;

use crate::call::CallFlags;
use crate::client::{CallOptions, Called, HubClient};
use crate::{Done, out};

/// Calls of one batch that are under way at once.
const CALLS_AT_ONCE: usize = 16;
/// Inputs of one batch.
const INPUTS_MAX: usize = 1_000_000;

/// Call one function over many inputs: the lines of a file, or each of several files.
#[derive(Args)]
pub struct Batch {
    /// The function: a name, or name@version.
    pub function: String,
    /// Files; each one is an input.
    pub inputs: Vec<PathBuf>,
    /// A file of which every line is an input.
    #[arg(long, conflicts_with = "inputs")]
    pub lines: Option<PathBuf>,
    /// Where the outputs go, numbered like the inputs.
    #[arg(long, default_value = "outputs")]
    pub out: PathBuf,
    #[command(flatten)]
    pub options: CallFlags,
}

impl Batch {
    /// Calls for every input and writes every output.
    pub async fn run(self, json: bool) -> Result<Done> {
        let inputs = self.read_inputs()?;
        if inputs.is_empty() || inputs.len() > INPUTS_MAX {
            bail!("a batch has 1 to {INPUTS_MAX} inputs; give files, or --lines FILE");
        }
        std::fs::create_dir_all(&self.out)
            .with_context(|| format!("cannot make the folder {}", self.out.display()))?;
        let client = HubClient::new(&self.options.hub)?;
        let count = inputs.len();
        let outputs = run(&client, &self.function, inputs, &self.options.options()).await?;
        for (at, called) in outputs.iter().enumerate() {
            let path = self.out.join(format!("{at:06}.out"));
            std::fs::write(&path, &called.output)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        let fuel: u64 = outputs.iter().map(|called| called.fuel_used.0).sum();
        if json {
            out::record(&json!({ "event": "batch", "calls": count, "fuel_used": fuel }));
        } else {
            let fuel = haar_records::Fuel(fuel);
            out::line(format_args!(
                "{count} outputs in {}, {fuel} fuel",
                self.out.display()
            ));
        }
        Ok(Done::Yes)
    }

    fn read_inputs(&self) -> Result<Vec<Vec<u8>>> {
        if let Some(path) = &self.lines {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the inputs {}", path.display()))?;
            return Ok(text.lines().map(|line| line.as_bytes().to_vec()).collect());
        }
        let read = |path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("cannot read the input {}", path.display()))
        };
        self.inputs.iter().map(read).collect()
    }
}

/// Calls a function for every input, several at once, with a progress bar. Outputs come in order.
pub async fn run(
    client: &HubClient,
    function: &str,
    inputs: Vec<Vec<u8>>,
    options: &CallOptions,
) -> Result<Vec<Called>> {
    let bar = out::progress(inputs.len() as u64, "calls");
    let mut outputs: Vec<Option<Called>> = vec![None; inputs.len()];
    let mut waiting = inputs.into_iter().enumerate();
    let mut running = JoinSet::new();
    loop {
        while running.len() < CALLS_AT_ONCE
            && let Some((at, input)) = waiting.next()
        {
            let (client, options) = (client.clone(), options.clone());
            let function = function.to_owned();
            running.spawn(async move {
                let called = client.call(&function, input, &options).await;
                (at, called)
            });
        }
        let Some(ended) = running.join_next().await else {
            break;
        };
        let (at, called) = ended.context("a call was lost")?;
        outputs[at] = Some(called.with_context(|| format!("input {at}"))?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    outputs
        .into_iter()
        .map(|called| called.context("a call was lost"))
        .collect()
}
