//! Published names: which module a function's name stands for.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use haar_meter::Rejected;
use haar_records::{BlobHash, FunctionName, Profile, SignatureError, SignedFunction};
use haar_swarm::Swarm;

use crate::core::Core;
use crate::journal::{JournalError, Row};
use crate::limits::{FUNCTIONS_MAX, MODULE_BYTES_MAX};

/// A function that can be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The author's signed word.
    pub signed: SignedFunction,
    /// `command`, `function` or `http`.
    pub kind: String,
}

/// A publication that is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The author did not sign this.
    #[error("the record is not signed by its author: {0}")]
    Signature(#[from] SignatureError),
    /// The module's bytes are not here.
    #[error("the hub does not have a blob {module} of {bytes} bytes")]
    NoModule {
        /// Its name.
        module: BlobHash,
        /// Its size, as the record says.
        bytes: u64,
    },
    /// The module cannot run on Haar.
    #[error("the module is refused: {0}")]
    Refused(Rejected),
    /// The name belongs to somebody else.
    #[error("the name '{name}' belongs to {owner}")]
    OtherAuthor {
        /// The name.
        name: String,
        /// Who published it first.
        owner: String,
    },
    /// A version that is not above the last one.
    #[error("version {published} of this function is published already; {asked} is not newer")]
    NotNewer {
        /// The last one.
        published: String,
        /// The one that was sent.
        asked: String,
    },
    /// The hub has no room for names.
    #[error("this hub keeps at most {FUNCTIONS_MAX} functions")]
    TooMany,
    /// The hub failed.
    #[error("{0}")]
    Hub(String),
}

/// The names of one hub.
#[derive(Debug)]
pub struct Functions {
    core: Core,
    names: Mutex<BTreeMap<FunctionName, Published>>,
    /// One publication at a time, so that two of one name cannot both be the newest.
    turn: tokio::sync::Mutex<()>,
}

impl Functions {
    /// The names that the journal knows.
    pub fn load(core: Core, rows: Vec<(SignedFunction, String)>) -> Result<Self, JournalError> {
        let named = |(signed, kind): (SignedFunction, String)| {
            (signed.record.function.clone(), Published { signed, kind })
        };
        let names = Mutex::new(rows.into_iter().map(named).collect());
        Ok(Self {
            core,
            names,
            turn: tokio::sync::Mutex::new(()),
        })
    }

    /// A function by `name` (its newest version) or `name@version`.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<Published> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if text.contains('@') {
            return names.get(&text.parse().ok()?).cloned();
        }
        let of_name = |function: &FunctionName| function.name() == text;
        names
            .iter()
            .rev()
            .find(|(function, _)| of_name(function))
            .map(|(_, found)| found.clone())
    }

    /// The newest version of every function, by name.
    #[must_use]
    pub fn latest(&self) -> Vec<Published> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let mut latest = BTreeMap::new();
        for (function, published) in names.iter() {
            latest.insert(function.name().to_owned(), published.clone());
        }
        latest.into_values().collect()
    }

    /// Checks a publication and makes it durable. Publishing the same record again changes nothing.
    pub async fn publish(
        &self,
        swarm: &Swarm,
        signed: SignedFunction,
    ) -> Result<Published, PublishError> {
        signed.check()?;
        let kind = admit(swarm, &signed).await?;

        let _turn = self.turn.lock().await;
        let published = Published {
            signed: signed.clone(),
            kind: kind.clone(),
        };
        if self.find(&signed.record.function.to_string()).as_ref() == Some(&published) {
            return Ok(published);
        }
        self.check_name(&signed)?;
        let row = Row::Function(Box::new(signed.clone()), kind);
        self.core
            .store(vec![row])
            .await
            .map_err(|error| PublishError::Hub(error.to_string()))?;

        tracing::info!(
            target: "haar::function::published",
            function = %signed.record.function,
            module = signed.record.module.short(),
        );
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(signed.record.function, published.clone());
        Ok(published)
    }

    fn check_name(&self, signed: &SignedFunction) -> Result<(), PublishError> {
        let count = self
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len();
        if count >= FUNCTIONS_MAX {
            return Err(PublishError::TooMany);
        }
        let record = &signed.record;
        let Some(newest) = self.find(record.function.name()) else {
            return Ok(());
        };
        let before = newest.signed.record;
        if before.author != record.author {
            let name = record.function.name().to_owned();
            return Err(PublishError::OtherAuthor {
                name,
                owner: before.author.to_string(),
            });
        }
        if record.function <= before.function {
            let published = before.function.version();
            return Err(PublishError::NotNewer {
                published,
                asked: record.function.version(),
            });
        }
        Ok(())
    }
}

/// Whether the module may run at all; says its kind.
///
/// The hub meters only to answer the author at once. Every miner meters for itself.
async fn admit(swarm: &Swarm, signed: &SignedFunction) -> Result<String, PublishError> {
    let (module, bytes) = (signed.record.module, signed.record.module_bytes);
    if bytes > MODULE_BYTES_MAX || swarm.size(module).await != Some(bytes) {
        return Err(PublishError::NoModule { module, bytes });
    }
    let read = swarm.read(module, MODULE_BYTES_MAX).await;
    let code = read.map_err(|error| PublishError::Hub(error.to_string()))?;
    let metering = tokio::task::spawn_blocking(move || haar_meter::meter(&code, &meter_profile()));
    let metered = metering
        .await
        .map_err(|error| PublishError::Hub(error.to_string()))?
        .map_err(PublishError::Refused)?;
    Ok(kind(metered.kind, metered.manifest.as_deref()).to_owned())
}

fn meter_profile() -> haar_meter::Profile {
    let Profile {
        stack_limit,
        pages_max,
        simd,
        ..
    } = Profile::V1;
    haar_meter::Profile {
        stack_limit,
        pages_max,
        simd,
    }
}

fn kind(entry: haar_meter::GuestKind, manifest: Option<&[u8]>) -> &'static str {
    let says_http = manifest
        .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(bytes).ok())
        .is_some_and(|manifest| manifest["kind"] == "http");
    match entry {
        haar_meter::GuestKind::Command => "command",
        haar_meter::GuestKind::Reactor if says_http => "http",
        haar_meter::GuestKind::Reactor => "function",
    }
}
