//! Somebody who talks HTTP to a hub: a buyer, an author, or its operator.

use haar_records::{BlobHash, FunctionRecord, Keypair, SignedFunction};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::process::PATIENCE;

/// A client of one hub.
#[derive(Clone)]
pub struct Buyer {
    /// The hub's URL.
    pub url: String,
    http: reqwest::Client,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Buyer {
    /// A client of the hub at this URL. It never asks again by itself, and it keeps no connection:
    /// one belongs to the runtime of the test that opened it, and ends with that test.
    pub fn new(url: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
        let http = http
            .pool_max_idle_per_host(0)
            .retry(reqwest::retry::never());
        let http = http.build().unwrap();
        Self {
            url: url.to_owned(),
            http,
        }
    }

    /// A request to be sent.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// Sends a request; `None` when the hub is not there, or goes away meanwhile.
    pub async fn try_send(&self, request: RequestBuilder) -> Option<Answer> {
        read(request).await.ok()
    }

    /// Sends a request to a hub that is there.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let answer = read(request).await;
        answer.unwrap_or_else(|error| panic!("the hub does not answer: {error:?}"))
    }

    /// `GET`, as JSON.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.send(self.request(Method::GET, path)).await;
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.text());
        answer.json()
    }

    /// `POST /v1/call/<function>`.
    pub async fn call(&self, function: &str, input: &[u8]) -> Answer {
        self.call_with(function, input, &[]).await
    }

    /// A call with headers.
    pub async fn call_with(
        &self,
        function: &str,
        input: &[u8],
        headers: &[(&str, &str)],
    ) -> Answer {
        let request = self.request(Method::POST, &format!("/v1/call/{function}"));
        let with =
            |request: RequestBuilder, (name, value): &(&str, &str)| request.header(*name, *value);
        let request = headers.iter().fold(request.body(input.to_vec()), with);
        self.send(request).await
    }

    /// `POST /v1/jobs/<function>`; the job's id.
    pub async fn order(&self, function: &str, input: &[u8]) -> String {
        let request = self.request(Method::POST, &format!("/v1/jobs/{function}"));
        let answer = self.send(request.body(input.to_vec())).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()["job"].as_str().unwrap().to_owned()
    }

    /// Sends a module and publishes it under a name, as `haar publish` does.
    pub async fn publish(&self, function: &str, module: &[u8], author: &Keypair) -> Answer {
        self.put_blob(module).await;
        let body = publication(&sign(function, module, author));
        self.publish_record(&body).await
    }

    /// Sends a publication without looking at it.
    pub async fn publish_record(&self, publication: &Value) -> Answer {
        let request = self.request(Method::POST, "/v1/functions");
        self.send(request.body(publication.to_string())).await
    }

    /// Gives the hub a blob.
    pub async fn put_blob(&self, bytes: &[u8]) {
        let path = format!("/v1/blobs/{}", BlobHash::of(bytes));
        let answer = self
            .send(self.request(Method::PUT, &path).body(bytes.to_vec()))
            .await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
}

async fn read(request: RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await?.to_vec();
    Ok(Answer {
        status,
        headers,
        body,
    })
}

/// An author's word about a name.
pub fn sign(function: &str, module: &[u8], author: &Keypair) -> SignedFunction {
    let record = FunctionRecord {
        function: function.parse().unwrap(),
        module: BlobHash::of(module),
        module_bytes: module.len() as u64,
        author: author.address(),
    };
    record.sign(author)
}

/// The same as the hub wants it.
pub fn publication(signed: &SignedFunction) -> Value {
    let record = &signed.record;
    json!({
        "name": record.function.name(),
        "version": record.function.version(),
        "module": record.module.to_string(),
        "module_bytes": record.module_bytes,
        "author": record.author,
        "signature": signed.signature.to_string(),
    })
}

impl Answer {
    /// A header's text; it must be there.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_else(|| panic!("no header {name} in {self:?}"))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// Insists on an output.
    #[track_caller]
    pub fn output(&self) -> &[u8] {
        assert_eq!(self.status, 200, "{}", self.text());
        &self.body
    }

    /// Insists on a problem with this code, and that it says what happened and what to do.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let body = self.json();
        assert_eq!(
            (self.status, body["code"].as_str()),
            (status, Some(code)),
            "{body:#}"
        );
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(body["status"], status);
        for field in ["type", "title", "detail", "next"] {
            let text = body[field].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "no {field} in {body:#}");
        }
        body
    }
}
