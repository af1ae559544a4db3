//! Jobs that a buyer does not wait for, what became of them, and their receipts.

use std::sync::Arc;

use haar_protocol::Answer as Verdict;
use haar_protocol::hub::{AttemptState, AttemptView, JobState, JobView};
use haar_records::{JobId, Snm};
use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::call::{ask, find, finish};
use super::{Answer, Problem, full, json, read_body};
use crate::limits::INPUT_BYTES_MAX;
use crate::receipts::outcome_json;
use crate::shared::Shared;

fn parse(job: &str) -> Result<JobId, Problem> {
    job.parse().map_err(|error| {
        let next = "use the id from Haar-Job or from POST /v1/jobs/<function>";
        Problem::bad_request("bad-job", format!("{error}"), next)
    })
}

fn view(shared: &Shared, job: &str) -> Result<(JobId, JobView), Problem> {
    let id = parse(job)?;
    let view = shared.core.look(|machine| machine.job(&id));
    view.map(|view| (id, view))
        .ok_or_else(|| Problem::not_found(format_args!("job {id}")))
}

/// `POST /v1/jobs/<function>`: the job is durable when this answers.
pub async fn order(
    shared: &Arc<Shared>,
    name: &str,
    request: Request<Incoming>,
) -> Result<Answer, Problem> {
    let function = find(shared, name)?;
    let headers = request.headers().clone();
    let input = read_body(request, INPUT_BYTES_MAX).await?;
    let (job, answer) = shared.place(ask(function, input, &headers)?).await?;
    drop(answer);
    shared.calls.forget(&job);
    let links = json!({
        "job": job.to_string(),
        "state": format!("/v1/jobs/{job}"),
        "output": format!("/v1/jobs/{job}/output"),
        "receipt": format!("/v1/receipts/{job}"),
    });
    Ok(json(StatusCode::ACCEPTED, &links))
}

/// `GET /v1/jobs/<job>`: who was hired, what each answered, the verdict.
pub fn show(shared: &Shared, job: &str) -> Result<Answer, Problem> {
    let (id, view) = view(shared, job)?;
    let attempts: Vec<Value> = view.attempts.iter().map(attempt_json).collect();
    let ended = view.ended_at.map(|ended| ended.ms_since(view.ordered_at));
    Ok(json(
        StatusCode::OK,
        &json!({
            "job": id.to_string(),
            "spec": view.order.spec.to_string(),
            "buyer": view.order.buyer.to_string(),
            "state": state_word(view.state),
            "quorum": view.order.quorum,
            "attempts": attempts,
            "answer": view.answer.as_ref().map(verdict_json),
            "took_ms": ended,
            "epoch": view.epoch,
        }),
    ))
}

/// `GET /v1/jobs/<job>/output`.
pub async fn output(shared: &Arc<Shared>, job: &str) -> Result<Answer, Problem> {
    let (id, view) = view(shared, job)?;
    let Some(verdict) = &view.answer else {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "not-ready",
            format!("job {id} is {}", state_word(view.state)),
            "ask again when GET /v1/jobs/<job> shows an answer",
        )
        .retry_after(1));
    };
    let done = finish(shared, id, verdict).await?;
    Ok(Answer::new(full(done.output)))
}

/// `GET /v1/receipts/<job>`.
pub fn receipt(shared: &Arc<Shared>, job: &str) -> Result<Answer, Problem> {
    let id = parse(job)?;
    let live = shared
        .core
        .look(|machine| machine.job(&id))
        .and_then(|view| {
            let row = shared.calls.row(shared, &id).ok().flatten()?;
            shared
                .receipt_document(id, &view, &row)
                .map(|document| format!("{document:#}"))
        });
    let text = match live {
        Some(text) => Some(text),
        None => shared
            .read(|journal| journal.receipt(&id))
            .map_err(Problem::internal)?,
    };
    let text = text.ok_or_else(|| Problem::not_found(format_args!("receipt of job {id}")))?;
    let mut answer = Answer::new(full(text + "\n"));
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    Ok(answer)
}

fn attempt_json(attempt: &AttemptView) -> Value {
    json!({
        "miner": attempt.miner.to_string(),
        "owner": attempt.owner,
        "attempt": attempt.attempt,
        "round": attempt.round,
        "state": attempt_word(attempt.state),
        "sealed": attempt.seal.map(|(seal, _)| seal),
        "revealed": attempt.reveal.map(|reveal| outcome_json(&reveal.outcome)),
        "earned": attempt.earned.to_string(),
    })
}

fn verdict_json(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Agreed {
            outcome,
            charged,
            attempts,
            agreeing,
            dissenting,
            ..
        } => json!({
            "kind": "agreed",
            "outcome": outcome_json(outcome),
            "charged": charged.to_string(),
            "attempts": attempts,
            "agreeing": agreeing.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "dissenting": dissenting.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
        Verdict::Refused(refusal) => json!({ "kind": "refused", "reason": refusal.to_string() }),
        Verdict::NoMiner { retry_after_ms } => {
            json!({ "kind": "no-miner", "retry_after_ms": retry_after_ms })
        }
        Verdict::NoVerdict { reason, attempts } => json!({
            "kind": "no-verdict", "reason": reason.to_string(), "attempts": attempts,
            "charged": Snm::ZERO.to_string(),
        }),
        _ => json!({ "kind": "other" }),
    }
}

fn state_word(state: JobState) -> &'static str {
    match state {
        JobState::Collecting => "collecting",
        JobState::Revealing => "revealing",
        JobState::Fetching => "fetching",
        JobState::Settled => "settled",
        JobState::Refunded => "refunded",
    }
}

fn attempt_word(state: AttemptState) -> &'static str {
    use haar_records::wire::AttemptEnd;
    match state {
        AttemptState::Offered => "offered",
        AttemptState::Accepted => "accepted",
        AttemptState::Sealed => "sealed",
        AttemptState::Revealed => "revealed",
        AttemptState::Ended(AttemptEnd::Agreed) => "agreed",
        AttemptState::Ended(AttemptEnd::Dissented) => "dissented",
        AttemptState::Ended(AttemptEnd::Cancelled) => "cancelled",
        AttemptState::Ended(AttemptEnd::Lapsed) => "lapsed",
    }
}
