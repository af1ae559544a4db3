//! Answers every request of a stranger to the blob store, and counts the bytes that go out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use iroh_blobs::provider::events::{
    AbortReason, ConnectMode, EventMask, ObserveMode, ProviderMessage, RequestMode, RequestUpdate,
    ThrottleMode,
};
use tokio::sync::mpsc;

/// What strangers may ask, and what we want to hear about it.
pub(crate) const MASK: EventMask = EventMask {
    connected: ConnectMode::Intercept,
    get: RequestMode::InterceptLog,
    // Would bypass the check by hash.
    get_many: RequestMode::Disabled,
    // Would let strangers write into the store.
    push: RequestMode::Disabled,
    // Would tell strangers what we are working on.
    observe: ObserveMode::Intercept,
    throttle: ThrottleMode::None,
};

/// What has happened since the start.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) served_bytes: AtomicU64,
    pub(crate) served_requests: AtomicU64,
    pub(crate) refused_requests: AtomicU64,
    pub(crate) fetched_bytes: AtomicU64,
    pub(crate) fetched_blobs: AtomicU64,
}

/// Answers until the store is gone. Were it to stop earlier, every request would be refused.
pub(crate) async fn answer(mut messages: mpsc::Receiver<ProviderMessage>, tally: Arc<Tally>) {
    while let Some(message) = messages.recv().await {
        match message {
            ProviderMessage::ClientConnected(message) => {
                // Every peer has proved its key in the handshake; without one there is no peer.
                let known = message.inner.endpoint_id.is_some();
                let _ = message.tx.send(verdict(known)).await;
            }
            ProviderMessage::GetRequestReceived(message) => {
                // A sequence would reach other blobs without asking for each.
                let allowed = message.inner.request.ranges.is_blob();
                if !allowed {
                    tally.refused_requests.fetch_add(1, Ordering::Relaxed);
                }
                let _ = message.tx.send(verdict(allowed)).await;

                // Read to the end even when refused: an unread log holds the transfer up.
                let tally = Arc::clone(&tally);
                let mut updates = message.rx;
                tokio::spawn(async move {
                    while let Ok(Some(update)) = updates.recv().await {
                        count(&tally, &update);
                    }
                });
            }
            ProviderMessage::ObserveRequestReceived(message) => {
                tally.refused_requests.fetch_add(1, Ordering::Relaxed);
                let _ = message.tx.send(verdict(false)).await;
            }
            ProviderMessage::GetManyRequestReceived(message) => {
                let _ = message.tx.send(verdict(false)).await;
            }
            ProviderMessage::PushRequestReceived(message) => {
                let _ = message.tx.send(verdict(false)).await;
            }
            // The mask asks for none of the others; dropping them refuses what they are about.
            _ => {}
        }
    }
}

fn verdict(allowed: bool) -> Result<(), AbortReason> {
    if allowed {
        Ok(())
    } else {
        Err(AbortReason::Permission)
    }
}

fn count(tally: &Tally, update: &RequestUpdate) {
    let stats = match update {
        RequestUpdate::Completed(done) => &done.stats,
        RequestUpdate::Aborted(done) => &done.stats,
        RequestUpdate::Started(_) | RequestUpdate::Progress(_) => return,
    };
    tally.served_requests.fetch_add(1, Ordering::Relaxed);
    tally
        .served_bytes
        .fetch_add(stats.payload_bytes_sent, Ordering::Relaxed);
}
