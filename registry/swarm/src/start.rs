//! Brings a swarm up and down.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use haar_records::EndpointId;
use haar_records::wire::{CONTROL_ALPN, Provider};
use iroh::endpoint::{IdleTimeout, PortmapperConfig, QuicTransportConfig, VarInt, presets};
use iroh::protocol::Router;
use iroh::{Endpoint, RelayMode, SecretKey};
use iroh_blobs::BlobsProtocol;
use iroh_blobs::provider::events::EventSender;
use tokio::sync::{Mutex, Semaphore, mpsc};

use crate::control::{Control, ControlHandler};
use crate::door::{Door, Guarded, Handshakes};
use crate::events::{MASK, Tally, answer};
use crate::fetch::Flights;
use crate::limits::{
    ARRIVALS_MAX, BLOB_STREAMS_MAX, CONNECTIONS_EACH_MAX, CONNECTIONS_MAX, CONTROL_STREAMS_MAX,
    FETCHES_MAX, IDLE_MAX, KEEP_ALIVE, Limits,
};
use crate::peer::{AddressBook, BadProvider, endpoint_id, provider};
use crate::store::{Shelves, StoreError};

/// Requests of strangers that wait for our answer.
const EVENTS_MAX: usize = 256;

/// Who we are, and where.
#[derive(Clone)]
pub struct SwarmConfig {
    /// The ed25519 key. No two running swarms may have the same.
    pub secret: [u8; 32],
    /// Where the blobs are kept. No two running swarms may have the same.
    pub dir: PathBuf,
    /// The UDP address to listen at; port 0 takes any.
    pub bind: SocketAddr,
    /// Whether others may open control connections to us.
    pub serve_control: bool,
}

impl std::fmt::Debug for SwarmConfig {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SwarmConfig")
            .field("dir", &self.dir)
            .field("bind", &self.bind)
            .field("serve_control", &self.serve_control)
            .finish_non_exhaustive()
    }
}

/// A swarm that could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The blobs cannot be opened; perhaps another process has them open.
    #[error("cannot open the blobs in {}: {source}", dir.display())]
    Store {
        /// Where.
        dir: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// The address cannot be listened at.
    #[error("cannot listen at {bind}: {reason}")]
    Bind {
        /// Where.
        bind: SocketAddr,
        /// Why, for people.
        reason: String,
    },
}

/// What happened since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Bytes of blobs that others loaded from us.
    pub served_bytes: u64,
    /// Requests that we answered, also in part.
    pub served_requests: u64,
    /// Requests that nobody may ask.
    pub refused_requests: u64,
    /// Bytes of blobs that we loaded from others.
    pub fetched_bytes: u64,
    /// Blobs that we loaded from others.
    pub fetched_blobs: u64,
    /// Fetched blobs that are kept now.
    pub cached_blobs: u64,
}

/// One member of the swarm. Clones are the same member.
#[derive(Debug, Clone)]
pub struct Swarm {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) endpoint: Endpoint,
    pub(crate) shelves: Shelves,
    pub(crate) limits: Limits,
    pub(crate) flights: Flights,
    pub(crate) fetches: Semaphore,
    pub(crate) tally: Arc<Tally>,
    pub(crate) control_ids: Arc<AtomicU64>,
    pub(crate) arrivals: Mutex<mpsc::Receiver<Control>>,
    book: AddressBook,
    router: Router,
}

impl Swarm {
    /// Opens the blobs, listens, and serves.
    pub async fn start(config: SwarmConfig) -> Result<Self, StartError> {
        Self::start_with(config, Limits::default()).await
    }

    /// Like [`Self::start`], with other limits.
    pub async fn start_with(config: SwarmConfig, limits: Limits) -> Result<Self, StartError> {
        let dir = config.dir.clone();
        // Boxed, else every caller's future carries iroh's largest ones.
        let shelves = Box::pin(Shelves::open(&dir, &limits))
            .await
            .map_err(|source| StartError::Store { dir, source })?;
        let book = AddressBook::default();
        let endpoint = match Box::pin(listen(&config, &book)).await {
            Ok(endpoint) => endpoint,
            Err(error) => {
                // Else the directory stays locked as long as this process lives.
                let _ = shelves.store().shutdown().await;
                return Err(error);
            }
        };

        let tally = Arc::new(Tally::default());
        let control_ids = Arc::new(AtomicU64::new(1));
        let (sender, arrivals) = mpsc::channel(ARRIVALS_MAX);
        let control = ControlHandler {
            ids: Arc::clone(&control_ids),
            arrivals: sender,
        };
        let router = serve(
            &endpoint,
            &shelves,
            &tally,
            config.serve_control.then_some(control),
        );
        tracing::info!(
            target: "haar::swarm::started",
            endpoint = endpoint_id(endpoint.id()).short(),
            sockets = ?endpoint.bound_sockets(),
        );

        let inner = Inner {
            endpoint,
            shelves,
            limits,
            flights: Flights::default(),
            fetches: Semaphore::new(FETCHES_MAX),
            tally,
            control_ids,
            arrivals: Mutex::new(arrivals),
            book,
            router,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The public key by which others know us.
    #[must_use]
    pub fn endpoint_id(&self) -> EndpointId {
        endpoint_id(self.inner.endpoint.id())
    }

    /// How others can reach us now.
    #[must_use]
    pub fn provider(&self) -> Provider {
        provider(&self.inner.endpoint.addr())
    }

    /// Remembers where a peer listens, instead of what was known before.
    pub fn learn(&self, provider: &Provider) -> Result<(), BadProvider> {
        self.inner.book.learn(provider)
    }

    /// What happened since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let tally = &self.inner.tally;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            served_bytes: read(&tally.served_bytes),
            served_requests: read(&tally.served_requests),
            refused_requests: read(&tally.refused_requests),
            fetched_bytes: read(&tally.fetched_bytes),
            fetched_blobs: read(&tally.fetched_blobs),
            cached_blobs: self.inner.shelves.lock().len() as u64,
        }
    }

    /// Closes every connection and the store; every clone is dead afterwards.
    pub async fn shutdown(self) {
        // The router's end also closes the store, which makes the last writes durable.
        if let Err(error) = self.inner.router.shutdown().await {
            tracing::error!(target: "haar::swarm::shutdown", %error);
        }
    }
}

/// An endpoint that talks to nobody by itself.
async fn listen(config: &SwarmConfig, book: &AddressBook) -> Result<Endpoint, StartError> {
    let bind = config.bind;
    let refused = |reason: String| StartError::Bind { bind, reason };
    Endpoint::builder(presets::Minimal)
        .secret_key(SecretKey::from_bytes(&config.secret))
        .relay_mode(RelayMode::Disabled)
        .portmapper_config(PortmapperConfig::Disabled)
        .address_lookup(book.lookup())
        .transport_config(transport())
        .clear_ip_transports()
        .bind_addr(bind)
        .map_err(|error| refused(format!("{error:#}")))?
        .bind()
        .await
        .map_err(|error| refused(format!("{error:#}")))
}

fn transport() -> QuicTransportConfig {
    let idle = IdleTimeout::try_from(IDLE_MAX).expect("the idle time-out fits QUIC's integer");
    QuicTransportConfig::builder()
        .keep_alive_interval(KEEP_ALIVE)
        .max_idle_timeout(Some(idle))
        .max_concurrent_bidi_streams(VarInt::from_u32(BLOB_STREAMS_MAX))
        // Neither protocol has any.
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .build()
}

fn serve(
    endpoint: &Endpoint,
    shelves: &Shelves,
    tally: &Arc<Tally>,
    control: Option<ControlHandler>,
) -> Router {
    let (events, messages) = EventSender::channel(EVENTS_MAX, MASK);
    tokio::spawn(answer(messages, Arc::clone(tally)));

    let handshakes = Handshakes::default();
    let blobs = Guarded {
        handler: BlobsProtocol::new(shelves.store(), Some(events)),
        door: Door::new(CONNECTIONS_MAX, CONNECTIONS_EACH_MAX),
        handshakes: handshakes.clone(),
        streams_max: BLOB_STREAMS_MAX,
    };
    let mut router = Router::builder(endpoint.clone())
        .incoming_filter(handshakes.filter())
        .accept(iroh_blobs::ALPN, blobs);
    if let Some(handler) = control {
        let door = Door::new(CONNECTIONS_MAX, CONNECTIONS_EACH_MAX);
        let streams_max = CONTROL_STREAMS_MAX;
        router = router.accept(
            CONTROL_ALPN,
            Guarded {
                handler,
                door,
                handshakes,
                streams_max,
            },
        );
    }
    router.spawn()
}
