//! What a job's configuration means to its guest.

use std::collections::BTreeMap;
use std::sync::Arc;

use haar_meter::GuestKind;
use haar_records::RunConfig;
use haar_wasi::{Environment, Limits};

use crate::outcome::Abstain;

/// The guest's world, or why no guest can be given it.
pub(crate) fn environment(
    config: &RunConfig,
    kind: GuestKind,
    input: &[u8],
) -> Result<Environment, Abstain> {
    let mut env = BTreeMap::new();
    for entry in &config.env {
        let (name, value) = entry.split_once('=').ok_or_else(|| Abstain::BadSpec {
            reason: "a variable has no equals sign".to_owned(),
        })?;
        if env.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(Abstain::BadSpec {
                reason: "a variable is there twice".to_owned(),
            });
        }
    }

    let stdin: Arc<[u8]> = match kind {
        GuestKind::Command => Arc::from(input),
        // It gets the input in its own memory.
        GuestKind::Reactor => Arc::from([]),
    };
    Ok(Environment {
        args: config.args.clone(),
        env,
        stdin,
        files: BTreeMap::new(),
        seed: config.seed.0,
        time_ns: config.time_ns,
        limits: limits(config),
    })
}

/// Whether no guest of this kind can be refused this environment, so that one without imports needs
/// none.
pub(crate) fn is_plain(kind: GuestKind, config: &RunConfig) -> bool {
    kind == GuestKind::Reactor && config.args.is_empty() && config.env.is_empty()
}

/// The caps on bytes that belong to the profile.
pub(crate) fn limits(config: &RunConfig) -> Limits {
    Limits {
        output_bytes_max: config.profile.output_bytes_max.into(),
        ..Limits::default()
    }
}
