//! The hub's signed answer, and the document by which anybody can check it.

use haar_protocol::Answer;
use haar_protocol::hub::{AttemptView, JobView};
use haar_records::{HubReceipt, JobId, Outcome, Signed, Status};
use serde_json::{Value, json};

use crate::journal::JobRow;
use crate::shared::Shared;

/// What was agreed on, with the hub's signature.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// The hub's signed word.
    pub signed: Signed<HubReceipt>,
    /// The agreed outcome.
    pub outcome: Outcome,
    /// How many agreed, of how many that answered.
    pub verified: String,
}

impl Shared {
    /// The receipt of a settled job. The same job always has the same receipt: it is a function of
    /// the journal, so a restarted hub never signs two.
    #[must_use]
    pub fn receipt(&self, job: JobId, view: &JobView) -> Option<Receipt> {
        let Some(Answer::Agreed {
            outcome,
            charged,
            agreeing,
            dissenting,
            receipts_hash,
            ..
        }) = &view.answer
        else {
            return None;
        };
        let record = HubReceipt {
            jobId: job.0,
            specHash: view.order.spec.0,
            buyer: view.order.buyer.0,
            hubWallet: self.options.hub.0,
            resultHash: outcome.result_hash(),
            fuelUsed: outcome.fuel_used.0,
            charged: charged.0,
            receiptsHash: *receipts_hash,
            paymentRef: haar_records::B256::ZERO,
            completedAt: view.ended_at?.0 / 1_000,
        };
        let verified = match view.order.quorum {
            1 => "optimistic".to_owned(),
            _ => format!(
                "quorum={}/{}",
                agreeing.len(),
                agreeing.len() + dissenting.len()
            ),
        };
        let signed = self.options.key.sign_record(&self.options.domain, record);
        Some(Receipt {
            signed,
            outcome: *outcome,
            verified,
        })
    }

    /// The document that `haar replay` reads.
    #[must_use]
    pub fn receipt_document(&self, job: JobId, view: &JobView, row: &JobRow) -> Option<Value> {
        let receipt = self.receipt(job, view)?;
        let signed = &receipt.signed.record;
        let order = &row.order.record;
        let domain = self.options.domain;
        Some(json!({
            "version": 1,
            "job": job.to_string(),
            "function": row.function,
            "verified": receipt.verified,
            "domain": { "chain_id": domain.chain_id, "settlement": domain.settlement },
            "spec": spec_json(row),
            "outcome": outcome_json(&receipt.outcome),
            "order": {
                "buyer": order.buyer, "hub": order.hubWallet, "channel": order.channelId,
                "max_charge": order.maxCharge.to_string(), "fuel_price": order.fuelPrice,
                "base_fee": order.baseFee.to_string(), "attempts": order.attempts,
                "quorum": order.quorum, "deadline": order.deadline,
                "nonce": order.nonce.to_string(), "signature": row.order.signature.to_string(),
            },
            "hub_receipt": {
                "buyer": signed.buyer, "hub": signed.hubWallet, "charged": signed.charged.to_string(),
                "receipts_hash": signed.receiptsHash, "payment_ref": signed.paymentRef,
                "completed_at": signed.completedAt,
                "operator": self.options.key.address(),
                "signature": receipt.signed.signature.to_string(),
            },
            "miners": agreeing(view).map(miner_json).collect::<Vec<_>>(),
        }))
    }
}

/// The attempts whose outcome is the agreed one.
fn agreeing(view: &JobView) -> impl Iterator<Item = &AttemptView> {
    let agreed = match &view.answer {
        Some(Answer::Agreed { agreeing, .. }) => agreeing.clone(),
        _ => Vec::new(),
    };
    view.attempts
        .iter()
        .filter(move |attempt| agreed.contains(&attempt.miner))
}

fn miner_json(attempt: &AttemptView) -> Value {
    json!({
        "miner": attempt.miner.to_string(),
        "owner": attempt.owner,
        "executed_at": attempt.reveal.map(|reveal| reveal.executed_at),
        "signature": attempt.reveal.map(|reveal| reveal.signature.to_string()),
    })
}

fn spec_json(row: &JobRow) -> Value {
    let (spec, config) = (&row.spec, &row.spec.config);
    let profile = config.profile;
    json!({
        "hash": spec.hash().to_string(),
        "module": spec.module.to_string(),
        "module_bytes": row.module_bytes,
        "input": spec.input.to_string(),
        "input_bytes": row.input.len(),
        "fuel_max": spec.fuel_max.0,
        "memory_pages_max": config.memory_pages_max,
        "seed": config.seed,
        "time_ns": config.time_ns,
        "args": config.args,
        "env": config.env,
        "profile": {
            "meter": profile.meter, "cost": profile.cost, "wasm": profile.wasm,
            "wasi": profile.wasi, "stack_limit": profile.stack_limit,
            "pages_max": profile.pages_max, "simd": profile.simd,
            "output_bytes_max": profile.output_bytes_max,
            "schedule": profile.schedule,
        },
    })
}

/// An outcome for people and programs.
#[must_use]
pub fn outcome_json(outcome: &Outcome) -> Value {
    json!({
        "status": status_word(outcome.status),
        "exit_code": outcome.exit_code,
        "output": outcome.output.to_string(),
        "output_bytes": outcome.output_bytes,
        "fuel_used": outcome.fuel_used.0,
        "trap": outcome.trap.map(haar_records::TrapKind::code),
        "result_hash": outcome.result_hash(),
    })
}

/// A status as a stable word.
#[must_use]
pub fn status_word(status: Status) -> &'static str {
    match status {
        Status::Returned => "returned",
        Status::Trapped => "trapped",
        Status::OutOfFuel => "out-of-fuel",
    }
}
