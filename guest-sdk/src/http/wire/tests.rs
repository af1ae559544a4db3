//! Frames that cannot be read, messages that cannot be written, and everything in between.
#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

fn sample() -> Request {
    Request::new("POST", "/a")
        .with_query("b=1")
        .with_header("accept", "text/html")
        .with_fact("client", "::1")
        .with_body("body")
}

#[track_caller]
fn check_request(bytes: &[u8], expected: FrameError) {
    assert_eq!(Request::from_wire(bytes), Err(expected));
}

#[track_caller]
fn check_response(response: Response, expected: Result<(), FrameError>) {
    assert_eq!(response.to_wire().map(|_| ()), expected);
}

#[test]
fn a_frame_cut_anywhere_is_refused() {
    let frame = sample().to_wire().unwrap();
    for len in 0..frame.len() {
        assert!(
            matches!(
                Request::from_wire(&frame[..len]),
                Err(FrameError::Truncated { .. })
            ),
            "{len} bytes of {}",
            frame.len()
        );
    }
}

#[test]
fn a_frame_of_another_version_is_refused() {
    check_request(&[2], FrameError::Version(2));
    check_request(&[0], FrameError::Version(0));
}

#[test]
fn bytes_after_the_body_are_refused() {
    let mut frame = sample().to_wire().unwrap();
    frame.extend_from_slice(b"xyz");
    check_request(&frame, FrameError::Trailing { extra: 3 });
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    check_request(&[1, 1, 0xff], FrameError::NotUtf8 { field: "method" });
    check_request(&[1, 0, 1, 0, 0xff], FrameError::NotUtf8 { field: "path" });
}

#[test]
fn a_length_beyond_the_frame_allocates_nothing() {
    let mut frame = Request::new("GET", "/").to_wire().unwrap();
    let body_len = frame.len() - 8;
    frame[body_len..].copy_from_slice(&u64::MAX.to_le_bytes());
    check_request(&frame, FrameError::Truncated { field: "body" });
}

#[test]
fn what_a_length_field_cannot_say_is_not_written() {
    let long = "x".repeat(65_536);
    let too_long = |field, len, max| Err(FrameError::TooLong { field, len, max });
    assert_eq!(
        Request::new("GET", &long).to_wire(),
        too_long("path", 65_536, 65_535)
    );
    assert_eq!(
        Request::new("M".repeat(256), "/").to_wire(),
        too_long("method", 256, 255)
    );
    assert_eq!(
        Response::status(200).with_header("a", long).to_wire(),
        too_long("headers", 65_536, 65_535)
    );
    assert!(Request::new("GET", "x".repeat(65_535)).to_wire().is_ok());
}

#[test]
fn a_header_cannot_smuggle_another() {
    let refused = |name: &str| Err(FrameError::Header { name: name.into() });
    let with = |name: &str, value: &str| Response::status(200).with_header(name, value);
    check_response(with("x-a", "tab\tand ü"), Ok(()));
    check_response(with("X-A", "lower case is made"), Ok(()));
    check_response(with("x-a", "1\r\nset-cookie: b=2"), refused("x-a"));
    check_response(with("x-a", "nul\0"), refused("x-a"));
    check_response(with("x a", "1"), refused("x a"));
    check_response(with("", "1"), refused(""));
}

#[test]
fn only_a_final_status_is_sent() {
    check_response(Response::status(200), Ok(()));
    check_response(Response::status(999), Ok(()));
    check_response(Response::status(101), Err(FrameError::Status(101)));
    check_response(Response::status(1000), Err(FrameError::Status(1000)));
}

#[test]
fn a_payload_that_could_not_be_written_is_not_read() {
    let mut payload = Response::status(200).to_wire().unwrap();
    payload[..2].copy_from_slice(&100u16.to_le_bytes());
    assert_eq!(Response::from_wire(&payload), Err(FrameError::Status(100)));
}

proptest! {
    #[test]
    fn any_request_comes_back_as_it_was(
        method in "[A-Z]{0,9}", path in "\\PC{0,20}", query in "\\PC{0,20}",
        headers in prop::collection::vec(("[a-z-]{1,9}", "\\PC{0,9}"), 0..5),
        facts in prop::collection::vec(("\\PC{0,9}", "\\PC{0,9}"), 0..5),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let request = Request { method, path, query, headers, facts, body };
        let frame = request.to_wire().unwrap();
        prop_assert_eq!(Request::from_wire(&frame), Ok(request));
    }

    #[test]
    fn hostile_bytes_are_refused_or_read_back_alike(
        bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1u8), 2u8..5, any::<u8>()], 0..60),
    ) {
        if let Ok(request) = Request::from_wire(&bytes) {
            prop_assert_eq!(request.to_wire(), Ok(bytes.clone()));
        }
        if let Ok(response) = Response::from_wire(&bytes) {
            prop_assert_eq!(response.to_wire(), Ok(bytes.clone()));
        }
    }
}
