//! Peers to test with: honest ones, and ones that lie, lack or keep silent.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use haar_records::BlobHash;
use haar_records::wire::Provider;
use haar_swarm::{Limits, Swarm, SwarmConfig};
use iroh::endpoint::{Connection, PortmapperConfig, presets};
use iroh::{Endpoint, EndpointAddr, SecretKey};
use iroh_blobs::Hash;
use iroh_blobs::protocol::{ChunkRanges, ChunkRangesExt as _};
use iroh_blobs::store::mem::MemStore;
use tempfile::TempDir;

/// Nothing here takes that long; it only keeps a failing test from hanging.
const HANG: Duration = Duration::from_secs(120);

/// An honest peer and the folder it lives in.
pub struct Peer {
    pub swarm: Swarm,
    pub dir: TempDir,
    secret: [u8; 32],
    limits: Limits,
}

impl Peer {
    pub async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub async fn with(limits: Limits) -> Self {
        let dir = TempDir::new().unwrap();
        let secret = SecretKey::generate().to_bytes();
        let config = config(secret, &dir, true);
        let swarm = Swarm::start_with(config, limits.clone()).await.unwrap();
        Self {
            swarm,
            dir,
            secret,
            limits,
        }
    }

    /// Shuts down and starts again in the same folder.
    pub async fn restart(self) -> Self {
        self.swarm.shutdown().await;
        let config = config(self.secret, &self.dir, true);
        let swarm = Swarm::start_with(config, self.limits.clone())
            .await
            .unwrap();
        Self { swarm, ..self }
    }

    pub async fn publish(&self, bytes: &Bytes) -> BlobHash {
        within(self.swarm.publish(bytes.clone())).await.unwrap()
    }

    pub fn provider(&self) -> Provider {
        self.swarm.provider()
    }
}

pub fn config(secret: [u8; 32], dir: &TempDir, serve_control: bool) -> SwarmConfig {
    let bind = "127.0.0.1:0".parse().unwrap();
    SwarmConfig {
        secret,
        dir: dir.path().to_owned(),
        bind,
        serve_control,
    }
}

pub async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(HANG, future)
        .await
        .expect("the test does not hang")
}

/// Looks again and again until the claim is true.
#[track_caller]
pub fn until<'a, F>(claim: F) -> impl Future<Output = ()> + 'a
where
    F: AsyncFn() -> bool + 'a,
{
    within(async move {
        while !claim().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
}

/// Bytes that look random and are the same each time.
pub fn bytes(seed: u64, length: usize) -> Bytes {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// An endpoint of iroh's own, without any of our rules.
pub async fn raw_endpoint(alpns: &[&[u8]]) -> Endpoint {
    Endpoint::builder(presets::Minimal)
        .portmapper_config(PortmapperConfig::Disabled)
        .alpns(alpns.iter().map(|alpn| alpn.to_vec()).collect())
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")
        .unwrap()
        .bind()
        .await
        .unwrap()
}

/// Connects to a peer behind our rules' back.
pub async fn raw_connect(endpoint: &Endpoint, peer: &Peer, alpn: &[u8]) -> Connection {
    within(endpoint.connect(address(&peer.provider()), alpn))
        .await
        .unwrap()
}

pub fn address(provider: &Provider) -> EndpointAddr {
    let key = iroh::PublicKey::from_bytes(provider.endpoint.as_bytes()).unwrap();
    let sockets = provider.addresses.iter().map(|text| text.parse().unwrap());
    sockets.fold(EndpointAddr::new(key), EndpointAddr::with_ip_addr)
}

pub fn provider_of(endpoint: &Endpoint) -> Provider {
    let address = endpoint.addr();
    Provider {
        endpoint: (*address.id.as_bytes()).into(),
        addresses: address.ip_addrs().map(ToString::to_string).collect(),
    }
}

/// Somebody who is not there.
pub async fn absent() -> Provider {
    let endpoint = raw_endpoint(&[]).await;
    let provider = provider_of(&endpoint);
    endpoint.close().await;
    provider
}

/// How a bad peer answers requests for a blob.
#[derive(Clone, Copy, PartialEq)]
pub enum Manner {
    /// Sends nothing and keeps the stream open.
    Silent,
    /// Sends bytes that have nothing to do with the blob.
    Garbage,
    /// Claims that the blob has eight exabytes.
    HugeSize,
    /// Tells the true size, then spoils a byte in the middle of the blob.
    Spoils,
}

/// A peer that has the blob and answers in a bad manner, until the endpoint is dropped.
pub async fn bad_peer(blob: &Bytes, manner: Manner) -> (Endpoint, Provider) {
    let endpoint = raw_endpoint(&[iroh_blobs::ALPN]).await;
    let provider = provider_of(&endpoint);
    let [size, whole] = answers(blob, manner).await;
    let serving = endpoint.clone();
    tokio::spawn(async move {
        while let Some(incoming) = serving.accept().await {
            let connection = incoming.await.unwrap();
            let mut answers = vec![whole.clone(), size.clone()];
            let mut kept = Vec::new();
            while let Ok((mut send, recv)) = connection.accept_bi().await {
                if manner != Manner::Silent {
                    let _ = send.write_all(&answers.pop().unwrap_or_default()).await;
                    let _ = send.finish();
                }
                kept.push((send, recv));
            }
        }
    });
    (endpoint, provider)
}

/// What is sent for the size, and for the whole.
async fn answers(blob: &Bytes, manner: Manner) -> [Vec<u8>; 2] {
    let store = MemStore::new();
    let hash = store.blobs().add_bytes(blob.clone()).await.unwrap().hash;
    let export = |ranges| store.blobs().export_bao(hash, ranges).bao_to_vec();
    let size = export(ChunkRanges::last_chunk()).await.unwrap();
    let mut whole = export(ChunkRanges::all()).await.unwrap();
    assert_eq!(hash, Hash::new(blob));
    match manner {
        Manner::Silent => {}
        Manner::Garbage => return [bytes(1, 10_000).to_vec(), bytes(2, 10_000).to_vec()],
        Manner::HugeSize => {
            let mut huge = size;
            huge[..8].copy_from_slice(&(8_u64 << 60).to_le_bytes());
            return [huge.clone(), huge];
        }
        Manner::Spoils => {
            let middle = whole.len() / 2;
            whole[middle] ^= 1;
        }
    }
    [size, whole]
}
