//! A long-lived connection between a hub and a miner: many streams of frames, one per topic.
//!
//! The miner dials. A silent peer is tried every few seconds and counts as dead after
//! [`crate::limits::IDLE_MAX`]; then every wait on the connection ends with an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use haar_records::EndpointId;
use haar_records::wire::{CONTROL_ALPN, Provider, REASON_BYTES_MAX};
use iroh::endpoint::{Connection, ConnectionError, VarInt};
use iroh::protocol::{AcceptError, ProtocolHandler};
use tokio::sync::mpsc;

use crate::door::{CODE_DONE, CODE_FULL};
use crate::frames::Frames;
use crate::limits::CONTROL_STREAMS_MAX;
use crate::peer::{BadProvider, endpoint_addr, endpoint_id};
use crate::start::Swarm;

/// A hub that could not be connected to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// What was given names no endpoint.
    #[error(transparent)]
    BadProvider(#[from] BadProvider),
    /// Nobody answered in time.
    #[error("{endpoint} does not answer")]
    Silent {
        /// Who.
        endpoint: EndpointId,
    },
    /// It cannot be reached, or does not take control connections.
    #[error("cannot connect to {endpoint}: {reason}")]
    Failed {
        /// To whom.
        endpoint: EndpointId,
        /// Why, for people.
        reason: String,
    },
}

/// A control connection that has ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the connection is closed: {reason}")]
#[non_exhaustive]
pub struct ControlError {
    /// Why, for people; the peer's word where it closed the connection.
    pub reason: String,
}

/// A control connection. Clones are the same connection; it closes with the last of them and of its
/// streams.
#[derive(Debug, Clone)]
pub struct Control {
    id: u64,
    connection: Connection,
}

impl Control {
    /// Numbers the connections of this process, so that a new one of the same peer is told apart.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Who is at the other end, as proved in the handshake.
    #[must_use]
    pub fn remote(&self) -> EndpointId {
        endpoint_id(self.connection.remote_id())
    }

    /// Opens a stream. The peer learns of it with the first message.
    pub async fn open(&self) -> Result<Frames, ControlError> {
        match self.connection.open_bi().await {
            Ok((send, recv)) => Ok(Frames::new(send, recv)),
            Err(error) => Err(ControlError {
                reason: describe(&error),
            }),
        }
    }

    /// Waits for a stream that the peer opens.
    pub async fn accept(&self) -> Result<Frames, ControlError> {
        match self.connection.accept_bi().await {
            Ok((send, recv)) => Ok(Frames::new(send, recv)),
            Err(error) => Err(ControlError {
                reason: describe(&error),
            }),
        }
    }

    /// Waits for the connection's end and says why it came.
    pub async fn closed(&self) -> String {
        describe(&self.connection.closed().await)
    }

    /// Ends the connection at once; what is still under way is lost.
    pub fn close(&self, reason: &str) {
        self.close_with(CODE_DONE, reason);
    }

    fn close_with(&self, code: u32, reason: &str) {
        let bytes = reason.as_bytes();
        self.connection.close(
            VarInt::from_u32(code),
            &bytes[..bytes.len().min(REASON_BYTES_MAX)],
        );
    }
}

impl Swarm {
    /// Connects to a hub.
    pub async fn connect_control(&self, hub: &Provider) -> Result<Control, ConnectError> {
        let endpoint = hub.endpoint;
        let address = endpoint_addr(hub)?;
        let connecting = self.inner.endpoint.connect(address, CONTROL_ALPN);
        let connection = tokio::time::timeout(self.inner.limits.connect_max, connecting)
            .await
            .map_err(|_| ConnectError::Silent { endpoint })?
            .map_err(|error| ConnectError::Failed {
                endpoint,
                reason: format!("{error:#}"),
            })?;
        connection.set_max_concurrent_bi_streams(CONTROL_STREAMS_MAX.into());
        let id = self.inner.control_ids.fetch_add(1, Ordering::Relaxed);
        Ok(Control { id, connection })
    }

    /// Waits for the next control connection.
    ///
    /// `None` when this swarm serves no control connections, or is shut down.
    pub async fn accept_control(&self) -> Option<Control> {
        self.inner.arrivals.lock().await.recv().await
    }
}

/// Takes incoming control connections to whoever accepts them.
#[derive(Debug)]
pub(crate) struct ControlHandler {
    pub(crate) ids: Arc<AtomicU64>,
    pub(crate) arrivals: mpsc::Sender<Control>,
}

impl ProtocolHandler for ControlHandler {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        // Does not keep the connection alive: who accepted it decides how long it lives.
        let closed = connection.weak_handle().closed();
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        if let Err(refused) = self.arrivals.try_send(Control { id, connection }) {
            refused
                .into_inner()
                .close_with(CODE_FULL, "too many are waiting");
            return Ok(());
        }
        closed.await;
        Ok(())
    }
}

/// A connection's end in words; what the peer says is cut and made printable.
pub(crate) fn describe(error: &ConnectionError) -> String {
    let ConnectionError::ApplicationClosed(close) = error else {
        return error.to_string();
    };
    let bytes = &close.reason[..close.reason.len().min(REASON_BYTES_MAX)];
    let reason: String = String::from_utf8_lossy(bytes)
        .chars()
        .filter(|char| !char.is_control())
        .collect();
    if reason.is_empty() {
        format!("closed with code {}", close.error_code)
    } else {
        reason
    }
}
