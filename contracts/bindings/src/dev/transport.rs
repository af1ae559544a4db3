//! Lets alloy's provider talk to a chain in this process as if it were behind a URL.

use alloy::rpc::client::RpcClient;
use alloy::transports::mock::{Asserter, MockTransport};
use alloy::transports::{DualTransport, TransportErrorKind, TransportFut};

use super::DevChain;

/// A client of `chain`.
///
/// alloy takes any tower service as a transport. Its own two-way switch is one already, and this
/// switch never takes either way: the handler in its middle answers.
pub(crate) fn client(chain: DevChain) -> RpcClient {
    let nowhere = || MockTransport::new(Asserter::new());
    let switch =
        DualTransport::<_, _, ()>::new_handler(nowhere(), nowhere(), move |packet, _, _| {
            answer(chain.clone(), serde_json::to_vec(&packet))
        });
    RpcClient::new(switch, true)
}

fn answer(chain: DevChain, request: serde_json::Result<Vec<u8>>) -> TransportFut<'static> {
    Box::pin(async move {
        let request = request.map_err(TransportErrorKind::custom)?;
        // Running a transaction and syncing its record is work that must not hold up the reactor.
        let answer = tokio::task::spawn_blocking(move || chain.handle(&request)).await;
        let answer = answer.map_err(TransportErrorKind::custom)?;
        serde_json::from_slice(&answer).map_err(TransportErrorKind::custom)
    })
}
