//! Lets other processes on this machine use a development chain by URL.
//!
//! Just enough of HTTP/1.1 for JSON-RPC clients: POST with a Content-Length, keep-alive, bounds on
//! everything. Whoever can reach the port can spend the well-known accounts and turn the clock, so
//! it listens on loopback only.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{DevChain, REQUEST_BYTES_MAX};

const HEAD_BYTES_MAX: usize = 16 << 10;
const CONNECTIONS_MAX: usize = 64;

/// A client that is silent for this long has to connect again.
const IDLE_MAX: Duration = Duration::from_secs(120);

/// Serves the chain on `listener` until the task is dropped. Fails unless it listens on loopback.
pub async fn serve(listener: TcpListener, chain: DevChain) -> io::Result<()> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        let message = format!("a development chain is served on loopback only, not on {address}");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }

    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let place = places
            .clone()
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // Out of descriptors, or the peer is gone already: both pass.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let chain = chain.clone();
        connections.spawn(async move {
            // A broken connection is the client's affair.
            let _ = talk(stream, &chain).await;
            drop(place);
        });
    }
}

async fn talk(mut stream: TcpStream, chain: &DevChain) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let head_end = match read_head(&mut stream, &mut buffer).await? {
            Some(end) => end,
            None if buffer.is_empty() => return Ok(()),
            None => return refuse(&mut stream, "431 Request Header Fields Too Large").await,
        };
        let head = match parse_head(&buffer[..head_end]) {
            Ok(head) => head,
            Err(status) => return refuse(&mut stream, status).await,
        };
        buffer.drain(..head_end);
        if head.expects_continue && buffer.len() < head.length {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        while buffer.len() < head.length {
            if !read_more(&mut stream, &mut buffer).await? {
                return Ok(());
            }
        }

        let body: Vec<u8> = buffer.drain(..head.length).collect();
        let chain = chain.clone();
        let answer = tokio::task::spawn_blocking(move || chain.handle(&body)).await;
        respond(
            &mut stream,
            "200 OK",
            &answer.map_err(io::Error::other)?,
            head.keep_alive,
        )
        .await?;
        if !head.keep_alive {
            return stream.shutdown().await;
        }
    }
}

/// Reads until the empty line and returns where it ends; `None` if the client left or the head is
/// too large.
async fn read_head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<usize>> {
    loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(Some(at + 4));
        }
        if buffer.len() > HEAD_BYTES_MAX {
            return Ok(None);
        }
        if !read_more(stream, buffer).await? {
            buffer.clear();
            return Ok(None);
        }
    }
}

async fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut chunk = [0; 8 << 10];
    let count = timeout(IDLE_MAX, stream.read(&mut chunk)).await??;
    buffer.extend(&chunk[..count]);
    Ok(count > 0)
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    length: usize,
    keep_alive: bool,
    expects_continue: bool,
}

/// Reads what matters of a request's head, or returns the status that refuses it.
fn parse_head(bytes: &[u8]) -> Result<Head, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "400 Bad Request")?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, version) = (words.next(), words.nth(1));
    if method != Some("POST") {
        return Err("405 Method Not Allowed");
    }
    let mut keep_alive = match version {
        Some("HTTP/1.1") => true,
        Some("HTTP/1.0") => false,
        _ => return Err("505 HTTP Version Not Supported"),
    };

    let mut length = None;
    let mut expects_continue = false;
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or("400 Bad Request")?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                let parsed = value.parse::<usize>().ok().filter(|_| digits);
                let parsed = parsed.ok_or("400 Bad Request")?;
                if length.is_some_and(|other| other != parsed) {
                    return Err("400 Bad Request");
                }
                length = Some(parsed);
            }
            "transfer-encoding" => return Err("411 Length Required"),
            "connection" if value.eq_ignore_ascii_case("close") => keep_alive = false,
            "expect" => expects_continue = value.eq_ignore_ascii_case("100-continue"),
            _ => {}
        }
    }
    let length = length.ok_or("411 Length Required")?;
    if length > REQUEST_BYTES_MAX {
        return Err("413 Content Too Large");
    }
    Ok(Head {
        length,
        keep_alive,
        expects_continue,
    })
}

async fn refuse(stream: &mut TcpStream, status: &str) -> io::Result<()> {
    respond(stream, status, b"", false).await?;
    stream.shutdown().await
}

async fn respond(
    stream: &mut TcpStream,
    status: &str,
    body: &[u8],
    keep_alive: bool,
) -> io::Result<()> {
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: {connection}\r\n\r\n",
        body.len()
    );
    let answer = [head.as_bytes(), body].concat();
    timeout(IDLE_MAX, stream.write_all(&answer)).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &str, expected: Result<(usize, bool), &str>) {
        let found = parse_head(head.replace('\n', "\r\n").as_bytes());
        assert_eq!(
            found.map(|head| (head.length, head.keep_alive)),
            expected,
            "{head}"
        );
    }

    #[test]
    fn a_post_with_a_length_is_read() {
        check("POST / HTTP/1.1\nContent-Length: 12\n\n", Ok((12, true)));
        check(
            "POST / HTTP/1.1\ncontent-length:12\nConnection: close\n\n",
            Ok((12, false)),
        );
        check("POST / HTTP/1.0\nContent-Length: 0\n\n", Ok((0, false)));
    }

    #[test]
    fn everything_else_is_refused_before_its_body_is_read() {
        check("GET / HTTP/1.1\n\n", Err("405 Method Not Allowed"));
        check("POST / HTTP/1.1\n\n", Err("411 Length Required"));
        check(
            "POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n",
            Err("411 Length Required"),
        );
        check(
            "POST / HTTP/1.1\nContent-Length: 1048577\n\n",
            Err("413 Content Too Large"),
        );
        check(
            "POST / HTTP/1.1\nContent-Length: +1\n\n",
            Err("400 Bad Request"),
        );
        check(
            "POST / HTTP/1.1\nContent-Length: 1\nContent-Length: 2\n\n",
            Err("400 Bad Request"),
        );
        check(
            "POST / HTTP/2\nContent-Length: 1\n\n",
            Err("505 HTTP Version Not Supported"),
        );
        check("POST", Err("505 HTTP Version Not Supported"));
    }
}
