//! The embedded chain behind a URL.

use haar_bindings::{Chain, ChainError, Contracts, dev, hub, pay};
use haar_records::{B256, Snm};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::fog::{Fog, still_chain};

async fn serve() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(dev::serve(listener, still_chain()));
    address
}

#[tokio::test]
async fn two_programs_share_one_chain_by_url() {
    let url = format!("http://{}", serve().await);
    let (one, other) = (
        Chain::connect(&url).await.unwrap(),
        Chain::connect(&url).await.unwrap(),
    );
    let fog = Fog::new(&one).await;
    let (operator, stake) = (fog.operator.address(), Snm::whole(10_000));
    let hub = hub::create_and_register(&fog.contracts, &fog.owner, operator, B256::ZERO, stake);
    let hub = hub.await.unwrap();
    pay::deposit_to_hub(&fog.contracts, &fog.buyer, hub, Snm::whole(5))
        .await
        .unwrap();

    let contracts = Contracts::open(&other, fog.contracts.at().clone())
        .await
        .unwrap();
    let state = hub::state(&contracts, hub).await.unwrap().unwrap();
    assert_eq!((state.frozen, state.held), (stake, Snm::whole(5)));
}

#[tokio::test]
async fn it_is_not_served_to_other_machines() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let error = dev::serve(listener, still_chain()).await.unwrap_err();
    assert!(error.to_string().contains("loopback only"), "{error}");
}

/// Sends these bytes and returns everything that comes back until the server closes.
async fn talk(bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(serve().await).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let body = r#"{"id":1,"method":"eth_chainId"}"#;
    let request = format!(
        "POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = talk(request.repeat(3).as_bytes()).await;
    assert_eq!(answer.matches("0x7a69").count(), 3, "{answer}");
}

#[tokio::test]
async fn what_is_no_post_is_refused() {
    assert!(
        talk(b"GET / HTTP/1.1\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 405")
    );
    assert!(
        talk(b"POST / HTTP/1.1\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 411")
    );
    let endless = format!("POST / HTTP/1.1\r\nX: {}", "x".repeat(20_000));
    assert!(talk(endless.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let large = "POST / HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n";
    assert!(talk(large.as_bytes()).await.starts_with("HTTP/1.1 413"));
    assert_eq!(
        talk(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n{").await,
        ""
    );
}

#[tokio::test]
async fn a_chain_that_is_not_there_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Chain::connect(&format!("http://{address}"))
        .await
        .unwrap_err();
    assert!(matches!(error, ChainError::Unreachable(_)), "{error:?}");
    let error = Chain::connect("no url").await.unwrap_err();
    assert!(error.to_string().contains("no URL"), "{error}");
}
