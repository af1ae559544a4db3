//! Published functions: publish, list, show.

use std::sync::Arc;

use haar_records::{FunctionName, FunctionRecord, SignedFunction};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Problem, json, read_body};
use crate::functions::{PublishError, Published};
use crate::shared::Shared;

/// Bytes of a publication; the module itself goes to `PUT /v1/blobs/<hash>`.
const PUBLICATION_BYTES_MAX: u64 = 8 << 10;

/// What an author sends to publish.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Publication {
    name: String,
    version: String,
    module: String,
    module_bytes: u64,
    author: String,
    signature: String,
}

impl Publication {
    fn into_record(self) -> Result<SignedFunction, String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        let function =
            FunctionName::new(&self.name, &self.version).map_err(|error| words(&error))?;
        let record = FunctionRecord {
            function,
            module: self.module.parse().map_err(|error| words(&error))?,
            module_bytes: self.module_bytes,
            author: self.author.parse().map_err(|error| words(&error))?,
        };
        let signature = self.signature.parse().map_err(|error| words(&error))?;
        Ok(SignedFunction { record, signature })
    }
}

/// `POST /v1/functions`.
pub async fn publish(shared: &Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Problem> {
    let bytes = read_body(request, PUBLICATION_BYTES_MAX).await?;
    let malformed = |detail: String| {
        Problem::bad_request(
            "bad-publication",
            detail,
            "send {name, version, module, module_bytes, author, signature}; `haar publish` does",
        )
    };
    let publication: Publication =
        serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
    let record = publication.into_record().map_err(malformed)?;
    let published = shared.functions.publish(&shared.swarm, record).await?;
    Ok(json(StatusCode::CREATED, &describe(&published)))
}

/// `GET /v1/functions`.
pub fn list(shared: &Shared) -> Answer {
    let functions: Vec<Value> = shared.functions.latest().iter().map(describe).collect();
    json(StatusCode::OK, &json!({ "functions": functions }))
}

/// `GET /v1/functions/<name>`.
pub fn show(shared: &Shared, name: &str) -> Result<Answer, Problem> {
    let published = shared
        .functions
        .find(name)
        .ok_or_else(|| Problem::unknown_function(name))?;
    Ok(json(StatusCode::OK, &describe(&published)))
}

fn describe(published: &Published) -> Value {
    let record = &published.signed.record;
    json!({
        "name": record.function.name(),
        "version": record.function.version(),
        "module": record.module.to_string(),
        "module_bytes": record.module_bytes,
        "author": record.author.to_string(),
        "signature": published.signed.signature.to_string(),
        "kind": published.kind,
        "call": format!("/v1/call/{}", record.function),
        "http": (published.kind == "http").then(|| format!("/f/{}/", record.function.name())),
    })
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        let detail = error.to_string();
        match error {
            PublishError::Signature(_) => Problem::new(
                StatusCode::FORBIDDEN,
                "bad-signature",
                detail,
                "sign the record with the author's key",
            ),
            PublishError::NoModule { .. } => Problem::new(
                StatusCode::CONFLICT,
                "module-missing",
                detail,
                "PUT /v1/blobs/<hash> first, then publish",
            ),
            PublishError::Refused(rejected) => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "module-refused",
                detail,
                "build for wasm32-wasip1 with the features that Haar accepts (runtime/meter/SPEC.md)",
            )
            .with("reason", rejected.code())
            .with("offset", rejected.offset().map(|offset| offset as u64)),
            PublishError::OtherAuthor { .. } | PublishError::NotNewer { .. } => Problem::new(
                StatusCode::CONFLICT,
                "name-taken",
                detail,
                "raise the version, or choose another name",
            ),
            PublishError::TooMany => Problem::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "registry-full",
                detail,
                "publish at another hub",
            ),
            PublishError::Hub(_) => Problem::internal(detail),
        }
    }
}
