//! Lets connections in: so many in total, so many from one endpoint, and no panic gets out.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use haar_records::EndpointId;
use iroh::endpoint::{Accepting, Connection, VarInt};
use iroh::protocol::{AcceptError, IncomingFilter, IncomingFilterOutcome, ProtocolHandler};

use crate::limits::{HANDSHAKE_MAX, HANDSHAKES_MAX, RECEIVE_WINDOW_BYTES};
use crate::peer::endpoint_id;

/// A connection's end: all is well.
pub(crate) const CODE_DONE: u32 = 0;
/// A connection's end: come back later.
pub(crate) const CODE_FULL: u32 = 2;

/// Counts who is inside.
#[derive(Debug)]
pub(crate) struct Door {
    total_max: usize,
    each_max: usize,
    inside: Mutex<BTreeMap<EndpointId, usize>>,
}

/// One connection that is inside; leaves when dropped.
#[derive(Debug)]
pub(crate) struct Visit {
    door: Arc<Door>,
    who: EndpointId,
}

impl Door {
    pub(crate) fn new(total_max: usize, each_max: usize) -> Arc<Self> {
        Arc::new(Self {
            total_max,
            each_max,
            inside: Mutex::default(),
        })
    }

    /// Lets one more in, or nobody.
    pub(crate) fn enter(self: &Arc<Self>, who: EndpointId) -> Option<Visit> {
        let mut inside = self.lock();
        let total: usize = inside.values().sum();
        let each = inside.get(&who).copied().unwrap_or(0);
        if total >= self.total_max || each >= self.each_max {
            return None;
        }
        inside.insert(who, each + 1);
        Some(Visit {
            door: Arc::clone(self),
            who,
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<EndpointId, usize>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut inside = self.door.lock();
        if let Some(count) = inside.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                inside.remove(&self.who);
            }
        }
    }
}

/// A protocol handler behind a door.
#[derive(Debug)]
pub(crate) struct Guarded<H> {
    pub(crate) handler: H,
    pub(crate) door: Arc<Door>,
    pub(crate) handshakes: Handshakes,
    pub(crate) streams_max: u32,
}

impl<H: ProtocolHandler> ProtocolHandler for Guarded<H> {
    async fn on_accepting(&self, accepting: Accepting) -> Result<Connection, AcceptError> {
        let _counted = self.handshakes.begin();
        match tokio::time::timeout(HANDSHAKE_MAX, accepting).await {
            Ok(connected) => Ok(connected?),
            Err(late) => Err(AcceptError::from_err(late)),
        }
    }

    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        let remote = endpoint_id(connection.remote_id());
        let Some(_visit) = self.door.enter(remote) else {
            tracing::debug!(target: "haar::swarm::full", remote = remote.short());
            connection.close(CODE_FULL.into(), b"full");
            return Ok(());
        };
        connection.set_max_concurrent_bi_streams(self.streams_max.into());
        connection.set_receive_window(VarInt::from_u32(RECEIVE_WINDOW_BYTES));

        // iroh's router ends at the first panic of a handler, and with it the endpoint.
        match AssertUnwindSafe(self.handler.accept(connection))
            .catch_unwind()
            .await
        {
            Ok(result) => result,
            Err(_) => {
                tracing::error!(target: "haar::swarm::panicked", remote = remote.short());
                Ok(())
            }
        }
    }

    async fn shutdown(&self) {
        self.handler.shutdown().await;
    }
}

/// How many connections are shaking hands; nobody is known by name there.
#[derive(Clone, Default)]
pub(crate) struct Handshakes(Arc<AtomicUsize>);

impl Handshakes {
    fn begin(&self) -> Handshake {
        self.0.fetch_add(1, Ordering::Relaxed);
        Handshake(self.clone())
    }

    /// Turns away whom we have no time for, before any cryptography.
    pub(crate) fn filter(&self) -> IncomingFilter {
        let handshakes = self.clone();
        Arc::new(move |incoming| {
            let busy = handshakes.0.load(Ordering::Relaxed);
            if busy >= HANDSHAKES_MAX {
                IncomingFilterOutcome::Reject
            } else if busy >= HANDSHAKES_MAX / 4 && !incoming.remote_addr_validated() {
                // Under load a sender must show that it listens where it says.
                IncomingFilterOutcome::Retry
            } else {
                IncomingFilterOutcome::Accept
            }
        })
    }
}

impl fmt::Debug for Handshakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handshakes({})", self.0.load(Ordering::Relaxed))
    }
}

struct Handshake(Handshakes);

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use iroh::Endpoint;
    use iroh::endpoint::presets;
    use iroh::protocol::Router;

    use super::*;

    fn endpoint(number: u8) -> EndpointId {
        EndpointId::from([number; 32])
    }

    /// Lets `who` in, one after the other, through a door for 3 in total and 2 of each.
    #[track_caller]
    fn check(who: &[u8], entered: &[bool]) {
        let door = Door::new(3, 2);
        let visits: Vec<_> = who
            .iter()
            .map(|&number| door.enter(endpoint(number)))
            .collect();
        let seen: Vec<_> = visits.iter().map(Option::is_some).collect();
        assert_eq!(seen, entered);
    }

    #[test]
    fn nobody_gets_more_than_his_share() {
        check(&[1, 1, 1, 2], &[true, true, false, true]);
    }

    #[test]
    fn a_full_house_lets_nobody_in() {
        check(&[1, 2, 3, 4], &[true, true, true, false]);
    }

    #[test]
    fn who_leaves_makes_room() {
        let door = Door::new(1, 1);
        let visit = door.enter(endpoint(1)).expect("the house is empty");
        assert!(door.enter(endpoint(2)).is_none());
        drop(visit);
        assert!(door.enter(endpoint(2)).is_some());
        assert!(door.lock().is_empty());
    }

    #[derive(Debug)]
    struct Panics;

    impl ProtocolHandler for Panics {
        async fn accept(&self, _: Connection) -> Result<(), AcceptError> {
            panic!("this is what the test is about");
        }
    }

    async fn bind() -> Endpoint {
        Endpoint::builder(presets::Minimal)
            .clear_ip_transports()
            .bind_addr("127.0.0.1:0")
            .expect("an address")
            .bind()
            .await
            .expect("loopback is there")
    }

    #[tokio::test]
    async fn a_panic_ends_its_own_connection_only() {
        let (server, client) = (bind().await, bind().await);
        let door = Door::new(1, 1);
        let handshakes = Handshakes::default();
        let guarded = Guarded {
            handler: Panics,
            door: Arc::clone(&door),
            handshakes,
            streams_max: 1,
        };
        let router = Router::builder(server.clone())
            .accept(b"panics", guarded)
            .spawn();

        for _ in 0..3 {
            let connection = client
                .connect(server.addr(), b"panics")
                .await
                .expect("it listens");
            connection.closed().await;
            // The visit ends within the same task, a moment after the connection.
            while !door.lock().is_empty() {
                tokio::task::yield_now().await;
            }
        }
        assert!(!router.is_shutdown());
        router
            .shutdown()
            .await
            .expect("the router has not panicked");
    }
}
