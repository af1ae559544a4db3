//! One connection to a hub: hello, then one stream for every attempt.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use haar_records::MinerBinding;
use haar_records::wire::{Hello, Welcome};
use haar_swarm::{Control, Swarm};

use crate::desk::Desk;
use crate::{HubAddress, MinerEvent, attempt};

/// How long a binding is valid; every new connection makes a new one.
const BINDING_SECONDS: u64 = 60 * 60;
/// How long the hub may take to answer the hello.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(30);
/// Attempts whose streams are open at once, whatever the hub says.
const STREAMS_MAX: usize = 256;

/// A connection that did not come to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectFault {
    /// Nobody knows where the hub is.
    #[error("the hub cannot be found: {0}")]
    NotFound(String),
    /// The hub does not answer.
    #[error("the hub cannot be reached: {0}")]
    Unreachable(String),
    /// The hub does not want this miner.
    #[error("the hub refused: {0}")]
    Refused(String),
    /// Somebody else answers than who was asked for.
    #[error("this is not the hub that was asked for: {0}")]
    OtherHub(&'static str),
}

/// Connects and works until the connection ends; says why it ended.
pub async fn keep(desk: &Desk, swarm: &Swarm, hub: &HubAddress) -> Result<String, ConnectFault> {
    let words = |error: &dyn std::fmt::Display| ConnectFault::Unreachable(error.to_string());
    let control = swarm
        .connect_control(&hub.provider)
        .await
        .map_err(|error| words(&error))?;
    let greeting = greet(desk, swarm, &control, hub);
    tokio::time::timeout(WELCOME_TIMEOUT, greeting)
        .await
        .map_err(|error| words(&error))??;
    desk.tell(MinerEvent::Joined).await;

    let streams = std::sync::Arc::new(tokio::sync::Semaphore::new(STREAMS_MAX));
    loop {
        let frames = tokio::select! {
            reason = control.closed() => return Ok(reason),
            frames = control.accept() => match frames {
                Ok(frames) => frames,
                Err(error) => return Ok(error.to_string()),
            },
        };
        // Beyond the limit streams are dropped: the hub sees an attempt that lapses.
        if let Ok(permit) = streams.clone().try_acquire_owned() {
            let (desk, hub) = (desk.clone(), hub.clone());
            tokio::spawn(async move {
                attempt::serve(&desk, &hub, frames).await;
                drop(permit);
            });
        }
    }
}

async fn greet(
    desk: &Desk,
    swarm: &Swarm,
    control: &Control,
    hub: &HubAddress,
) -> Result<(), ConnectFault> {
    let words = |error: &dyn std::fmt::Display| ConnectFault::Unreachable(error.to_string());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let key = &desk.config().key;
    let binding = MinerBinding {
        miner: key.address(),
        endpointId: swarm.endpoint_id().0,
        hubWallet: hub.hub.0,
        expiry: now + BINDING_SECONDS,
    };
    let hello = Hello {
        binding: key.sign_record(&hub.domain, binding),
        owner: desk.config().owner,
        capacity: desk.config().capacity,
        software: concat!("haar ", env!("CARGO_PKG_VERSION")).to_owned(),
        addresses: swarm.provider().addresses,
    };
    let mut frames = control.open().await.map_err(|error| words(&error))?;
    frames.send(&hello).await.map_err(|error| words(&error))?;
    match frames
        .recv::<Welcome>()
        .await
        .map_err(|error| words(&error))?
    {
        Some(Welcome::Joined {
            hub: wallet,
            operator,
            domain,
        }) => {
            if wallet != hub.hub {
                return Err(ConnectFault::OtherHub("another wallet"));
            }
            if operator != hub.operator {
                return Err(ConnectFault::OtherHub("another operator"));
            }
            if domain != hub.domain {
                return Err(ConnectFault::OtherHub("another chain"));
            }
            Ok(())
        }
        Some(Welcome::Refused { reason }) => Err(ConnectFault::Refused(reason)),
        None => Err(ConnectFault::Unreachable("it said nothing".to_owned())),
    }
}
