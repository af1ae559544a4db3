//! The same file is checked by the hub, which writes what is read here and reads what is written.

use haar::{Request, Response, Wire};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    requests: Vec<RequestCase>,
    responses: Vec<ResponseCase>,
}

#[derive(Deserialize)]
struct RequestCase {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    facts: Vec<(String, String)>,
    body_hex: String,
    frame_hex: String,
}

#[derive(Deserialize)]
struct ResponseCase {
    status: u16,
    headers: Vec<(String, String)>,
    body_hex: String,
    payload_hex: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../vectors/http-frame.json")).unwrap()
}

fn from_hex(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 2, 0);
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

#[test]
fn requests_are_read_and_written_as_the_vectors_say() {
    let cases = vectors().requests;
    assert!(!cases.is_empty());
    for case in cases {
        let mut request = Request::new(case.method, case.path)
            .with_query(case.query)
            .with_body(from_hex(&case.body_hex));
        for (name, value) in case.headers {
            request = request.with_header(&name, value);
        }
        for (name, value) in case.facts {
            request = request.with_fact(name, value);
        }
        let frame = from_hex(&case.frame_hex);
        assert_eq!(Request::from_wire(&frame).as_ref(), Ok(&request));
        assert_eq!(request.to_wire(), Ok(frame));
    }
}

#[test]
fn responses_are_read_and_written_as_the_vectors_say() {
    let cases = vectors().responses;
    assert!(!cases.is_empty());
    for case in cases {
        let mut response = Response::status(case.status).with_body(from_hex(&case.body_hex));
        for (name, value) in case.headers {
            response = response.with_header(&name, value);
        }
        let payload = from_hex(&case.payload_hex);
        assert_eq!(Response::from_wire(&payload).as_ref(), Ok(&response));
        assert_eq!(response.to_wire(), Ok(payload));
    }
}
