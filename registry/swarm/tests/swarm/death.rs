//! A process that is killed: what it published is there, and its peers notice.

use std::path::PathBuf;
use std::process::{Child, Command};

use haar_records::wire::{Provider, ToHub};
use haar_records::{BlobHash, EndpointId};
use haar_swarm::{FramesError, Swarm, SwarmConfig};

use crate::peers::{Peer, bytes, config, within};

const DIR: &str = "HAAR_SWARM_TEST_DIR";
const HUB: &str = "HAAR_SWARM_TEST_HUB";

/// Kills the process when a test fails in between.
struct Mortal(Child);

impl Drop for Mortal {
    fn drop(&mut self) {
        // SIGKILL on Unix: nothing is flushed and nobody is told.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_keeps_its_blobs_and_its_peers_notice() {
    let hub = Peer::start().await;
    let dir = tempfile::TempDir::new().unwrap();
    let provider = hub.provider();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "death::a_process_to_be_killed", "--ignored"])
        .env(DIR, dir.path())
        .env(
            HUB,
            format!("{} {}", provider.endpoint, provider.addresses[0]),
        )
        .spawn()
        .unwrap();
    let child = Mortal(child);

    let control = within(hub.swarm.accept_control()).await.unwrap();
    let mut frames = within(control.accept()).await.unwrap();
    let received = within(frames.recv::<ToHub>()).await.unwrap();
    assert_eq!(received, Some(ToHub::Accepted));
    drop(child);

    let received = within(frames.recv::<ToHub>()).await;
    assert!(
        matches!(received, Err(FramesError::Lost { .. })),
        "{received:?}"
    );
    within(control.closed()).await;

    let heir = within(Swarm::start(config([9; 32], &dir, false)))
        .await
        .unwrap();
    for blob in [bytes(1, 10), bytes(2, 1_000_000)] {
        assert_eq!(heir.read(BlobHash::of(&blob), 1 << 20).await, Ok(blob));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "only the test above starts it, as a process of its own"]
async fn a_process_to_be_killed() {
    let (Ok(dir), Ok(hub)) = (std::env::var(DIR), std::env::var(HUB)) else {
        return;
    };
    let (endpoint, address) = hub.split_once(' ').unwrap();
    let endpoint: EndpointId = endpoint.parse().unwrap();
    let hub = Provider {
        endpoint,
        addresses: vec![address.to_owned()],
    };
    let bind = "127.0.0.1:0".parse().unwrap();
    let dir = PathBuf::from(dir);
    let config = SwarmConfig {
        secret: [8; 32],
        dir,
        bind,
        serve_control: false,
    };

    let swarm = Swarm::start(config).await.unwrap();
    let control = swarm.connect_control(&hub).await.unwrap();
    let mut frames = control.open().await.unwrap();
    swarm.publish(bytes(1, 10)).await.unwrap();
    swarm.publish(bytes(2, 1_000_000)).await.unwrap();
    frames.send(&ToHub::Accepted).await.unwrap();
    // Not for ever: a parent that was killed itself kills nobody.
    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
}
