//! `haar`, the one binary: parses, wires, prints. Every verb is one file; its doc comment is its help.

mod batch;
mod call;
mod chain;
mod client;
mod demo;
mod hub;
mod inspect;
mod keys;
mod miner;
mod out;
mod picture;
mod publish;
mod replay;
mod run;
mod runner;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A fog supercomputer for untrusted machines.
#[derive(Parser)]
#[command(name = "haar", version, propagate_version = true)]
struct Cli {
    /// Print records in JSON, one a line, instead of text for people.
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Demo(demo::Demo),
    Hub(hub::HubVerb),
    Miner(miner::MinerVerb),
    Inspect(inspect::Inspect),
    Run(run::RunVerb),
    Publish(publish::Publish),
    Call(call::Call),
    Batch(batch::Batch),
    Receipt(replay::ReceiptVerb),
    Replay(replay::Replay),
    Chain(chain::ChainVerb),
}

fn main() -> ExitCode {
    if let Some(code) = runner::be_child() {
        return code;
    }
    let cli = Cli::parse();
    // The demo tells a story of its own; the events behind it would only interrupt.
    let is_story = matches!(cli.verb, Verb::Demo(_));
    out::start_log(if is_story { "error" } else { "error,haar=warn" });
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            out::error(&anyhow::Error::from(error).context("cannot start the runtime"));
            return ExitCode::from(2);
        }
    };
    let ended = runtime.block_on(async {
        match cli.verb {
            Verb::Demo(demo) => demo.run(cli.json).await,
            Verb::Hub(hub) => hub.run(cli.json).await,
            Verb::Miner(miner) => miner.run(cli.json).await,
            Verb::Inspect(inspect) => inspect.run(cli.json).await,
            Verb::Run(run) => run.run(cli.json).await,
            Verb::Publish(publish) => publish.run(cli.json).await,
            Verb::Call(call) => call.run(cli.json).await,
            Verb::Batch(batch) => batch.run(cli.json).await,
            Verb::Receipt(receipt) => receipt.run(cli.json).await,
            Verb::Replay(replay) => replay.run(cli.json).await,
            Verb::Chain(chain) => chain.run(cli.json).await,
        }
    });
    // A blocked thread of a guest must not keep a finished command alive.
    runtime.shutdown_background();
    match ended {
        Ok(Done::Yes) => ExitCode::SUCCESS,
        Ok(Done::No) => ExitCode::from(1),
        Err(error) => {
            out::error(&error);
            ExitCode::from(1)
        }
    }
}

/// How a verb ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It is done.
    Yes,
    /// It is done, and the answer is no.
    No,
}
