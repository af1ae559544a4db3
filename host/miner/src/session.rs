//! One connection to the hub, from the hello to its end.

use std::sync::Arc;
use std::time::Duration;

use haar_records::wire::{Hello, Welcome};
use haar_records::{Address, MinerBinding};
use haar_swarm::Control;
use tokio::task::JoinSet;

use crate::attempt::attend;
use crate::check::Parties;
use crate::clock::unix_seconds;
use crate::config::{HubAddress, LookUp};
use crate::driver::Driver;
use crate::event::MinerEvent;
use crate::fault::HubFault;

/// How long a hub may take to answer a hello.
const WELCOME_MAX: Duration = Duration::from_secs(10);
/// How long a hello's binding is good for.
const BINDING_SECONDS: u64 = 60 * 60;
/// How often a connected miner looks whether its hub has moved: a hub that died says no goodbye, and
/// the connection alone would tell after its idle time only.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// How a session ended.
#[derive(Debug)]
pub(crate) enum End {
    /// It never began: the hub could not be reached.
    Unreachable(String),
    /// It never began: the hub does not want this miner.
    Refused(String),
    /// It never began: the hub is not the one that was looked up, or does not speak our language.
    Faulted(HubFault),
    /// It was joined, and then the connection was lost.
    Lost(String),
}

/// Joins the hub and works until the connection ends.
pub(crate) async fn keep(
    driver: &Arc<Driver>,
    owner: Address,
    capacity: u16,
    address: &HubAddress,
    look_up: &impl LookUp,
) -> End {
    let control = match driver.bench.swarm.connect_control(&address.provider).await {
        Ok(control) => control,
        Err(error) => return End::Unreachable(error.to_string()),
    };
    let greeting = Box::pin(greet(driver, owner, capacity, &control));
    match tokio::time::timeout(WELCOME_MAX, greeting).await {
        Ok(Ok(())) => {}
        Ok(Err(end)) => {
            control.close("no welcome");
            return end;
        }
        Err(_) => {
            control.close("no welcome in time");
            return End::Unreachable("the hub does not answer the hello".to_owned());
        }
    }
    tracing::info!(target: "haar::miner::joined", hub = driver.parties.hub.short());
    driver.tell(MinerEvent::Joined {
        hub: driver.parties.hub,
    });

    let mut attempts = JoinSet::new();
    let reason = tokio::select! {
        reason = serve(driver, &control, &mut attempts) => reason,
        () = moved(address, look_up) => "the hub has moved".to_owned(),
    };
    control.close("the miner left");
    // Streams end with the connection; runs go on, for the hub offers them again.
    attempts.shutdown().await;
    driver.disconnected();
    End::Lost(reason)
}

async fn greet(
    driver: &Driver,
    owner: Address,
    capacity: u16,
    control: &Control,
) -> Result<(), End> {
    let unreachable = |error: &dyn std::fmt::Display| End::Unreachable(error.to_string());
    let mut frames = control.open().await.map_err(|error| unreachable(&error))?;
    let Parties {
        miner,
        hub,
        operator,
        domain,
    } = driver.parties;
    let swarm = &driver.bench.swarm;
    let binding = MinerBinding {
        miner: miner.0,
        endpointId: swarm.endpoint_id().0,
        hubWallet: hub.0,
        expiry: unix_seconds().saturating_add(BINDING_SECONDS),
    };
    let hello = Hello {
        binding: driver.key.sign_record(&domain, binding),
        owner,
        capacity,
        software: concat!("haar-miner ", env!("CARGO_PKG_VERSION")).to_owned(),
        addresses: swarm.provider().addresses,
    };
    frames
        .send(&hello)
        .await
        .map_err(|error| unreachable(&error))?;

    let welcome = match frames.recv::<Welcome>().await {
        Ok(Some(welcome)) => welcome,
        Ok(None) => return Err(unreachable(&"the hub ended the hello")),
        Err(error) if error.is_peers_fault() => {
            return Err(End::Faulted(HubFault::Unreadable(error.to_string())));
        }
        Err(error) => return Err(unreachable(&error)),
    };
    frames.finish();
    match welcome {
        Welcome::Refused { reason } => Err(End::Refused(printable(&reason))),
        Welcome::Joined {
            hub: found,
            operator: signer,
            domain: place,
        } => {
            if (found, signer, place) == (hub, operator, domain) {
                return Ok(());
            }
            Err(End::Faulted(HubFault::OtherHub {
                expected: hub,
                found,
            }))
        }
    }
}

/// Takes streams until the connection is lost. How many there are at once is bounded by the swarm.
async fn serve(driver: &Arc<Driver>, control: &Control, attempts: &mut JoinSet<()>) -> String {
    loop {
        tokio::select! {
            stream = control.accept() => match stream {
                Ok(frames) => {
                    attempts.spawn(attend(Arc::clone(driver), frames));
                }
                Err(error) => return error.reason,
            },
            Some(_) = attempts.join_next() => {}
        }
    }
}

/// Returns when the hub listens elsewhere or was started again. One that cannot be looked up has not moved.
async fn moved(address: &HubAddress, look_up: &impl LookUp) {
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        match look_up.look_up().await {
            Ok(now) if (&now.provider, now.life) != (&address.provider, address.life) => return,
            Ok(_) | Err(_) => {}
        }
    }
}

/// What a hub says, without what could move a terminal's cursor.
fn printable(text: &str) -> String {
    let text = text.chars().filter(|char| !char.is_control());
    text.take(haar_records::wire::REASON_BYTES_MAX).collect()
}
