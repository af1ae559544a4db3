//! SIGKILL for the hub at every step of a job's life: what was acknowledged has one end, and one pay.

use std::collections::BTreeMap;

use haar_records::Snm;
use reqwest::Method;
use serde_json::{Value, json};

use crate::buyer::Answer;
use crate::fog::{Fog, HONEST};
use crate::guests;
use crate::process::until;

/// Where in a job's life the hub is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// As soon as the order is acknowledged.
    Ordered,
    /// As soon as an attempt has come this far.
    Attempt(&'static str),
    /// As soon as there is an answer.
    Answered,
    /// Amid the job, and again while the journal is read.
    Recovery,
}

/// The states of an attempt, in the order in which they come.
const STATES: [&str; 5] = ["offered", "accepted", "sealed", "revealed", "agreed"];

/// Orders under a key, as a buyer does who may have to ask again.
async fn order(fog: &Fog, key: &str) -> String {
    let order = || async {
        let request = fog.buyer.request(Method::POST, "/v1/jobs/echo");
        let request = request.header("idempotency-key", key).body(key.to_owned());
        fog.buyer.try_send(request).await
    };
    let answer: Answer = until("the order's acknowledgement", order).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json()["job"].as_str().unwrap().to_owned()
}

/// Waits until the job has come this far or farther.
async fn reached(fog: &Fog, job: &str, moment: Moment) {
    let is_reached = |seen: &Value| match moment {
        Moment::Ordered => true,
        Moment::Attempt(state) => {
            let rank = |word: &str| STATES.iter().position(|&state| state == word);
            let attempts = seen["attempts"].as_array().unwrap();
            attempts
                .iter()
                .any(|attempt| rank(attempt["state"].as_str().unwrap()) >= rank(state))
        }
        Moment::Answered => !seen["answer"].is_null(),
        Moment::Recovery => !seen["attempts"].as_array().unwrap().is_empty(),
    };
    let path = format!("/v1/jobs/{job}");
    until("the moment to kill the hub", || async {
        is_reached(&fog.buyer.get(&path).await).then_some(())
    })
    .await;
}

/// What each miner has earned so far.
async fn earnings(fog: &Fog) -> BTreeMap<String, Snm> {
    let earned = |(id, miner): (String, Value)| (id, amount(&miner["earned"]));
    fog.miners_by_id().await.into_iter().map(earned).collect()
}

fn amount(value: &Value) -> Snm {
    value.as_str().unwrap().parse().unwrap()
}

/// Kills the hub at a moment of a job, and checks that nothing was lost and nothing paid twice.
async fn check(fog: &mut Fog, name: &str, moment: Moment) {
    fog.everybody_is_here().await;
    let before = earnings(fog).await;
    let job = order(fog, name).await;
    reached(fog, &job, moment).await;
    fog.hub.kill();
    if matches!(moment, Moment::Recovery) {
        fog.hub.start_again();
        fog.hub.logged("haar::swarm::started").await;
        fog.hub.kill();
        fog.hub.start_again();
        fog.hub.logged("haar::hub::replayed").await;
    }
    fog.hub.restart().await;

    assert_eq!(
        order(fog, name).await,
        job,
        "{name}: the same key is the same job"
    );
    let ended = fog.ended(&job).await;
    assert_eq!(ended["answer"]["kind"], "agreed", "{name}: {ended:#}");
    assert_eq!(
        ended["answer"]["agreeing"].as_array().unwrap().len(),
        2,
        "{name}: {ended:#}"
    );
    assert_eq!(
        ended["answer"]["dissenting"],
        json!([]),
        "{name}: {ended:#}"
    );
    let path = format!("/v1/jobs/{job}/output");
    let output = fog.buyer.send(fog.buyer.request(Method::GET, &path)).await;
    assert_eq!(output.output(), name.as_bytes());

    let mut expected = before;
    for attempt in ended["attempts"].as_array().unwrap() {
        let miner = attempt["miner"].as_str().unwrap().to_owned();
        let earned = amount(&attempt["earned"]);
        let was_right = attempt["state"] == "agreed";
        assert_eq!(was_right, earned > Snm::ZERO, "{name}: {ended:#}");
        expected.entry(miner).or_default().0 += earned.0;
    }
    assert_eq!(
        earnings(fog).await,
        expected,
        "{name}: each attempt counts once"
    );
    let ledger = fog.buyer.get("/v1/ledger").await;
    assert_eq!(
        (&ledger["books_add_up"], &ledger["jobs_live"]),
        (&json!(true), &json!(0))
    );
    assert_eq!(
        amount(&ledger["miners_earned"]),
        expected.into_values().sum()
    );
}

#[tokio::test]
async fn a_hub_killed_at_any_moment_ends_each_job_once_and_pays_each_miner_once() {
    let mut fog = Fog::start(&[HONEST, HONEST, HONEST]).await;
    fog.publish("echo", &guests::slow_echo()).await;
    let moments = [
        ("as soon as it is ordered", Moment::Ordered),
        ("while it is accepted", Moment::Attempt("accepted")),
        ("when one has sealed", Moment::Attempt("sealed")),
        ("when one has revealed", Moment::Attempt("revealed")),
        ("after the answer", Moment::Answered),
        ("and again in the recovery", Moment::Recovery),
    ];
    for (name, moment) in moments {
        check(&mut fog, name, moment).await;
    }

    // The receipts are the same for ever: a second, other one would be a fraud that anybody can prove.
    let ledger = fog.buyer.get("/v1/ledger").await;
    let mut receipts = Vec::new();
    for (name, _) in moments {
        let job = order(&fog, name).await;
        receipts.push((
            job.clone(),
            fog.buyer.get(&format!("/v1/receipts/{job}")).await,
        ));
    }
    fog.hub.restart().await;
    for (job, receipt) in &receipts {
        assert_eq!(
            fog.buyer.get(&format!("/v1/receipts/{job}")).await,
            *receipt
        );
        fog.check_replay(job).await;
    }
    assert_eq!(fog.buyer.get("/v1/ledger").await, ledger);
}

#[tokio::test]
async fn a_buyer_whose_call_is_cut_off_asks_again_with_its_key_and_pays_once() {
    let mut fog = Fog::start(&[HONEST, HONEST]).await;
    fog.publish("echo", &guests::slow_echo()).await;
    let call = |buyer: crate::buyer::Buyer| async move {
        let request = buyer.request(Method::POST, "/v1/call/echo").body("cut off");
        buyer
            .try_send(request.header("idempotency-key", "cut"))
            .await
    };
    let cut_off = tokio::spawn(call(fog.buyer.clone()));
    until("the job's start", || async {
        (fog.buyer.get("/v1/ledger").await["jobs_live"] == 1).then_some(())
    })
    .await;
    fog.hub.restart().await;
    assert!(
        cut_off.await.unwrap().is_none(),
        "the hub died before it could answer"
    );

    let answer = call(fog.buyer.clone()).await.unwrap();
    assert_eq!(answer.output(), b"cut off");
    let ledger = fog.buyer.get("/v1/ledger").await;
    assert_eq!(ledger["house"]["spent"], answer.header("haar-charged"));
    assert_eq!(ledger["jobs_unsettled"], 1);
}
