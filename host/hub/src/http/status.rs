//! What the hub says about itself, and the operator's few requests.

use std::sync::Arc;

use haar_protocol::hub::MinerView;
use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{Answer, Problem, full, json};
use crate::limits::{FUEL_DEFAULT, FUEL_MAX, INPUT_BYTES_MAX, MODULE_BYTES_MAX};
use crate::shared::Shared;

/// `GET /healthz` and `/readyz`: the machine answers, so the journal works.
pub fn health(shared: &Shared) -> Answer {
    let miners = shared
        .core
        .look(|machine| machine.miners().filter(|m| m.is_present).count());
    json(StatusCode::OK, &json!({ "status": "ok", "miners": miners }))
}

/// `GET /v1/hub`: all that a buyer or a miner needs to know to deal with this hub.
pub fn hub(shared: &Shared) -> Answer {
    let provider = shared.swarm.provider();
    let options = &shared.options;
    json(
        StatusCode::OK,
        &json!({
            "software": concat!("haar ", env!("CARGO_PKG_VERSION")),
            "hub": options.hub.to_string(),
            "operator": options.key.address(),
            "chain_id": options.domain.chain_id,
            "settlement": options.domain.settlement,
            "house": options.house.to_string(),
            "endpoint": provider.endpoint.to_string(),
            "addresses": provider.addresses,
            "life": shared.life,
            "base_fee": options.prices.base_fee.to_string(),
            "base_fee_atoms": options.prices.base_fee.0.to_string(),
            "fuel_price_atoms": options.prices.fuel_price,
            "limits": {
                "input_bytes_max": INPUT_BYTES_MAX,
                "module_bytes_max": MODULE_BYTES_MAX,
                "fuel_default": FUEL_DEFAULT,
                "fuel_max": FUEL_MAX,
            },
        }),
    )
}

/// `GET /v1/miners`.
pub fn miners(shared: &Shared) -> Answer {
    let miners: Vec<Value> = shared
        .core
        .look(|machine| machine.miners().map(|miner| miner_json(&miner)).collect());
    json(StatusCode::OK, &json!({ "miners": miners }))
}

fn miner_json(miner: &MinerView) -> Value {
    json!({
        "miner": miner.miner.to_string(),
        "owner": miner.owner,
        "present": miner.is_present,
        "dismissed": miner.is_dismissed,
        "capacity": miner.capacity,
        "running": miner.running,
        "record": miner.record,
        "earned": miner.cumulative.to_string(),
    })
}

/// `GET /v1/ledger`: the books in sum. Accounts are their buyers' business.
pub fn ledger(shared: &Shared) -> Answer {
    let house = shared.options.house;
    let body = shared.core.look(|machine| {
        let ledger = machine.ledger();
        let account = ledger.account(&house);
        json!({
            "epoch": machine.epoch(),
            "jobs_live": machine.jobs_live(),
            "jobs_unsettled": machine.jobs_unsettled(),
            "miners_earned": ledger.earned_total().to_string(),
            "hub_fees": ledger.fees().to_string(),
            "house": {
                "deposited": account.deposited.to_string(),
                "available": account.available.to_string(),
                "held": account.held.to_string(),
                "spent": account.spent.to_string(),
            },
            "books_add_up": ledger.check().is_ok(),
        })
    });
    json(StatusCode::OK, &body)
}

/// `GET /metrics` in Prometheus' text form.
pub fn metrics(shared: &Shared) -> Answer {
    let counters = shared.swarm.counters();
    let (live, unsettled, present) = shared.core.look(|machine| {
        let present = machine.miners().filter(|miner| miner.is_present).count();
        (machine.jobs_live(), machine.jobs_unsettled(), present)
    });
    let text = format!(
        "# TYPE haar_jobs_live gauge\nhaar_jobs_live {live}\n\
         # TYPE haar_jobs_unsettled gauge\nhaar_jobs_unsettled {unsettled}\n\
         # TYPE haar_miners_present gauge\nhaar_miners_present {present}\n\
         # TYPE haar_swarm_served_bytes counter\nhaar_swarm_served_bytes {}\n\
         # TYPE haar_swarm_fetched_bytes counter\nhaar_swarm_fetched_bytes {}\n",
        counters.served_bytes, counters.fetched_bytes,
    );
    let mut answer = Answer::new(full(text));
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4"),
    );
    answer
}

/// `GET /v1/batches/<epoch>`: what was settled, as the hub signed it; `data` names the blob with
/// all leaves.
pub fn batch(shared: &Shared, epoch: &str) -> Result<Answer, Problem> {
    let number: u64 = epoch.parse().map_err(|_| {
        let detail = format!(
            "'{}' is no epoch",
            epoch.chars().take(40).collect::<String>()
        );
        Problem::bad_request("bad-epoch", detail, "epochs are counted from 1")
    })?;
    let batch = crate::settle::describe(shared, number);
    let batch = batch.ok_or_else(|| Problem::not_found(format_args!("batch {number}")))?;
    Ok(json(StatusCode::OK, &batch))
}

/// `POST /v1/settle`: the operator closes the epoch, and finalizes and pays what is due.
pub async fn settle(shared: &Arc<Shared>, request: &Request<Incoming>) -> Result<Answer, Problem> {
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let expected = format!("Bearer {}", shared.token);
    // Hashes are compared, so that the time taken tells nothing about the token.
    let is_operator = given
        .is_some_and(|given| blake3::hash(given.as_bytes()) == blake3::hash(expected.as_bytes()));
    if !is_operator {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "not-the-operator",
            "only the hub's operator settles",
            "send Authorization: Bearer with the token from operator.token in the hub's folder",
        ));
    }
    let report = shared
        .settler
        .settle_now(shared)
        .await
        .map_err(Problem::internal)?;
    Ok(json(StatusCode::OK, &report))
}
