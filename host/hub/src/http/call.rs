//! Calls: `POST /v1/call/<function>` for bytes, `/f/<function>/<path…>` for HTTP functions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use haar_protocol::hub::JobView;
use haar_protocol::{Answer as Verdict, NoVerdict, Refusal};
use haar_records::http_frame::{self, HEADERS_ALLOWED};
use haar_records::{Fuel, JobId, Outcome, Status};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;

use super::{Answer, Problem, full, read_body};
use crate::calls::{Ask, AskFault};
use crate::functions::Published;
use crate::limits::{
    CALL_DEADLINE, FUEL_DEFAULT, FUEL_MAX, IDEMPOTENCY_BYTES_MAX, INPUT_BYTES_MAX,
};
use crate::receipts::{Receipt, outcome_json};
use crate::shared::Shared;

/// A job that came to a verdict, and its output.
pub struct Done {
    /// Its id.
    pub job: JobId,
    /// What the hub signs.
    pub receipt: Receipt,
    /// The output.
    pub output: Bytes,
}

/// `POST /v1/call/<function>`: input in, output out.
pub async fn call(
    shared: &Arc<Shared>,
    name: &str,
    request: Request<Incoming>,
) -> Result<Answer, Problem> {
    let function = find(shared, name)?;
    let headers = request.headers().clone();
    let input = read_body(request, INPUT_BYTES_MAX).await?;
    let done = run(shared, ask(function, input, &headers)?).await?;
    let mut answer = Answer::new(full(done.output.clone()));
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    put_headers(answer.headers_mut(), &done);
    Ok(answer)
}

/// `/f/<function>/<path…>`: the request as a canonical frame in, a response payload out.
pub async fn http_function(
    shared: &Arc<Shared>,
    rest: &str,
    request: Request<Incoming>,
) -> Result<Answer, Problem> {
    let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
    let function = find(shared, name)?;
    if function.kind != "http" {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "not-http",
            format!("'{name}' is a {}, not an HTTP function", function.kind),
            "POST its input to /v1/call/<function>",
        ));
    }

    let headers = request.headers().clone();
    let method = request.method().to_string();
    let query = request.uri().query().unwrap_or("").to_owned();
    let path = format!("/{path}");
    let body = read_body(request, INPUT_BYTES_MAX).await?;
    let frame = frame(&method, &path, &query, &headers, body)?;
    let done = run(shared, ask(function, frame.into(), &headers)?).await?;
    if done.receipt.outcome.exit_code != 0 {
        return Err(problem_of_function(&done));
    }
    respond(&done)
}

fn frame(
    method: &str,
    path: &str,
    query: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Vec<u8>, Problem> {
    let bad = |detail: String| {
        Problem::bad_request(
            "bad-request",
            detail,
            "send visible ASCII in address and headers",
        )
    };
    let mut texts = Vec::new();
    for (name, value) in headers {
        if HEADERS_ALLOWED.contains(&name.as_str()) {
            let value = value
                .to_str()
                .map_err(|_| bad(format!("{name} is not plain text")))?;
            texts.push((name.as_str(), value));
        }
    }
    let allowed = &HEADERS_ALLOWED;
    http_frame::Request::canonical(method, path, query, texts, allowed, body.to_vec())
        .and_then(|request| request.encode())
        .map_err(|error| bad(error.to_string()))
}

/// Turns a function's response payload into the HTTP response that it asks for.
fn respond(done: &Done) -> Result<Answer, Problem> {
    let bad = |detail: String| {
        let next = "tell the function's author: its answer is no HTTP response";
        Problem::new(StatusCode::BAD_GATEWAY, "bad-response", detail, next)
            .with("job", done.job.to_string())
    };
    let response =
        http_frame::Response::decode(&done.output).map_err(|error| bad(error.to_string()))?;
    let mut answer = Answer::new(full(response.body));
    *answer.status_mut() = StatusCode::from_u16(response.status)
        .ok()
        .filter(|status| status.as_u16() >= 200)
        .ok_or_else(|| bad(format!("status {}", response.status)))?;
    for (name, value) in response.headers {
        let name = HeaderName::try_from(name).map_err(|error| bad(error.to_string()))?;
        let value = HeaderValue::try_from(value).map_err(|error| bad(error.to_string()))?;
        if may_pass(&name) {
            answer.headers_mut().append(name, value);
        }
    }
    put_headers(answer.headers_mut(), done);
    Ok(answer)
}

/// Framing belongs to the hub, and `Haar-*` is the hub's word; a guest can set neither.
fn may_pass(name: &HeaderName) -> bool {
    let framing = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::TE,
        header::TRAILER,
        header::UPGRADE,
        header::DATE,
    ];
    !framing.contains(name) && name != "keep-alive" && !name.as_str().starts_with("haar-")
}

/// A function by name, `name@version`, or module hash.
pub fn find(shared: &Shared, name: &str) -> Result<Published, Problem> {
    shared
        .functions
        .find(name)
        .ok_or_else(|| Problem::unknown_function(name))
}

/// Reads what a call's headers ask for.
pub fn ask(function: Published, input: Bytes, headers: &HeaderMap) -> Result<Ask, Problem> {
    let fuel_max = match text(headers, "haar-fuel-max")? {
        None => FUEL_DEFAULT,
        Some(digits) => digits
            .parse()
            .ok()
            .filter(|fuel| *fuel <= FUEL_MAX)
            .ok_or_else(|| {
                let detail = format!("Haar-Fuel-Max is not a number up to {FUEL_MAX}");
                Problem::bad_request("bad-fuel", detail, "send a whole number, or leave it out")
            })?,
    };
    let quorum = match text(headers, "haar-verification")? {
        None | Some("quorum") => 2,
        Some("optimistic") => 1,
        Some("strict") => 3,
        Some(_) => {
            let detail = "Haar-Verification is not optimistic, quorum or strict";
            return Err(Problem::bad_request(
                "bad-verification",
                detail,
                "choose one of them",
            ));
        }
    };
    let key = text(headers, "idempotency-key")?.map(str::to_owned);
    if key
        .as_ref()
        .is_some_and(|key| key.is_empty() || key.len() > IDEMPOTENCY_BYTES_MAX)
    {
        let detail = format!("Idempotency-Key must have 1 to {IDEMPOTENCY_BYTES_MAX} bytes");
        return Err(Problem::bad_request(
            "bad-key",
            detail,
            "send a shorter key",
        ));
    }
    let order = text(headers, "haar-order")?.map(order).transpose()?;
    let deadline = CALL_DEADLINE;
    Ok(Ask {
        function,
        input,
        fuel_max: Fuel(fuel_max),
        quorum,
        order,
        key,
        deadline,
    })
}

/// A buyer's signed order: its CBOR in hexadecimal.
fn order(hex: &str) -> Result<haar_records::Signed<haar_records::JobOrder>, Problem> {
    let bad = |detail: String| {
        Problem::bad_request("bad-order", detail, "send what `haar call --key` sends")
    };
    let bytes = (0..hex.len() / 2)
        .map(|at| {
            hex.get(2 * at..2 * at + 2)
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
        })
        .collect::<Option<Vec<u8>>>()
        .filter(|_| hex.len().is_multiple_of(2))
        .ok_or_else(|| bad("Haar-Order is not hexadecimal".to_owned()))?;
    haar_records::wire::decode(&bytes).map_err(|error| bad(error.to_string()))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Problem> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    value.to_str().map(Some).map_err(|_| {
        let detail = format!("the header {name} is not plain text");
        Problem::bad_request("bad-header", detail, "send visible ASCII")
    })
}

/// Orders the job and waits for its verdict.
pub async fn run(shared: &Arc<Shared>, ask: Ask) -> Result<Done, Problem> {
    let asked = Instant::now();
    let wait = ask.deadline + Duration::from_secs(5);
    let (job, answer) = shared.place(ask).await?;
    let verdict = match tokio::time::timeout(wait, answer).await {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(_)) => return Err(Problem::internal("the hub is stopping")),
        Err(_) => {
            shared.calls.forget(&job);
            return Err(no_verdict(job, NoVerdict::Deadline));
        }
    };
    tracing::debug!(target: "haar::call::answered", job = job.short(), ms = asked.elapsed().as_millis());
    finish(shared, job, &verdict).await
}

/// The buyer's answer from the machine's.
pub async fn finish(shared: &Arc<Shared>, job: JobId, verdict: &Verdict) -> Result<Done, Problem> {
    let outcome = match verdict {
        Verdict::Agreed { outcome, .. } => *outcome,
        Verdict::Refused(refusal) => return Err(refused(*refusal)),
        Verdict::NoMiner { retry_after_ms } => {
            return Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "no-miner",
                "too few miners are here to answer this; nothing was charged",
                "try again later, or ask for Haar-Verification: optimistic",
            )
            .retry_after(retry_after_ms.div_ceil(1_000).max(1)));
        }
        Verdict::NoVerdict { reason, .. } => return Err(no_verdict(job, *reason)),
        _ => return Err(Problem::internal("an answer of a newer hub")),
    };
    let view: Option<JobView> = shared.core.look(|machine| machine.job(&job));
    let receipt = view.and_then(|view| shared.receipt(job, &view));
    let receipt = receipt.ok_or_else(|| Problem::internal("a settled job has no receipt"))?;
    if outcome.status != Status::Returned {
        return Err(failed(job, &receipt));
    }
    let output = output(shared, &outcome).await?;
    Ok(Done {
        job,
        receipt,
        output,
    })
}

async fn output(shared: &Shared, outcome: &Outcome) -> Result<Bytes, Problem> {
    if outcome.output == haar_records::BlobHash::of(b"") {
        return Ok(Bytes::new());
    }
    let found = shared
        .blob(outcome.output, INPUT_BYTES_MAX)
        .await
        .map_err(Problem::internal)?;
    found.ok_or_else(|| Problem::internal("an agreed output is gone"))
}

/// A trap or an exhausted limit: an answer, agreed on and charged like any other.
fn failed(job: JobId, receipt: &Receipt) -> Problem {
    let outcome = &receipt.outcome;
    let problem = match outcome.status {
        Status::OutOfFuel => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "out-of-fuel",
            format!(
                "the function used up its limit of {} fuel",
                outcome.fuel_used
            ),
            "raise Haar-Fuel-Max, or send a smaller input",
        ),
        _ => {
            let kind = outcome.trap.unwrap_or(haar_records::TrapKind::Other);
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "trap",
                kind.message(),
                "the function's author can replay this: haar replay <receipt>",
            )
            .with("trap", kind.code())
        }
    };
    let charged = haar_records::Snm(receipt.signed.record.charged);
    problem
        .with("job", job.to_string())
        .with("fuel_used", outcome.fuel_used.0)
        .with("charged", charged.to_string())
        .with("verified", receipt.verified.clone())
        .with("receipt", format!("/v1/receipts/{job}"))
}

/// An HTTP function that answered with an application error.
fn problem_of_function(done: &Done) -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "function-failed",
        String::from_utf8_lossy(&done.output)
            .chars()
            .take(2_000)
            .collect::<String>(),
        "see what the function wants: GET its root",
    )
    .with("job", done.job.to_string())
    .with("outcome", outcome_json(&done.receipt.outcome))
}

fn no_verdict(job: JobId, reason: NoVerdict) -> Problem {
    let status = match reason {
        NoVerdict::Deadline => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    Problem::new(
        status,
        "no-verdict",
        format!("{reason}; nothing was charged"),
        "try again; GET /v1/jobs/<job> shows what each miner answered",
    )
    .retry_after(5)
    .with("job", job.to_string())
}

fn refused(refusal: Refusal) -> Problem {
    let detail = refusal.to_string();
    match refusal {
        Refusal::InsufficientFunds { needed, available } => Problem::new(
            StatusCode::PAYMENT_REQUIRED,
            "insufficient-funds",
            detail,
            "deposit SNM to the hub's wallet, or lower Haar-Fuel-Max",
        )
        .with("needed", needed.to_string())
        .with("available", available.to_string()),
        Refusal::TooManyJobs => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too-many-jobs",
            detail,
            "try again later",
        )
        .retry_after(5),
        _ => Problem::bad_request("bad-order", detail, "change the order"),
    }
}

impl From<AskFault> for Problem {
    fn from(fault: AskFault) -> Self {
        let detail = fault.to_string();
        match fault {
            AskFault::KeyReused => Problem::new(
                StatusCode::CONFLICT,
                "key-reused",
                detail,
                "choose another key",
            ),
            AskFault::Order(_) => {
                Problem::bad_request("bad-order", detail, "sign an order for this very call")
            }
            AskFault::Busy => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                detail,
                "try again later",
            )
            .retry_after(2),
            AskFault::Hub(_) => Problem::internal(detail),
        }
    }
}

/// The hub's facts about the answer.
fn put_headers(headers: &mut HeaderMap, done: &Done) {
    let outcome = &done.receipt.outcome;
    let facts = [
        ("haar-job", done.job.to_string()),
        ("haar-output", outcome.output.to_string()),
        ("haar-fuel-used", outcome.fuel_used.0.to_string()),
        ("haar-exit-code", outcome.exit_code.to_string()),
        ("haar-verified", done.receipt.verified.clone()),
        (
            "haar-charged",
            haar_records::Snm(done.receipt.signed.record.charged).to_string(),
        ),
        ("haar-receipt", format!("/v1/receipts/{}", done.job)),
        (
            "haar-receipt-signature",
            done.receipt.signed.signature.to_string(),
        ),
    ];
    for (name, value) in facts {
        let value = HeaderValue::try_from(value).expect("hashes and numbers are header values");
        headers.insert(HeaderName::from_static(name), value);
    }
}
