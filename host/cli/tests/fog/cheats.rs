//! What becomes of miners that do not do what they are paid for.

use crate::fog::{Conduct, Fog, HONEST};

/// More calls than any draw of miners needs to hire the cheat.
const CALLS_MAX: usize = 60;

/// The first line of wordcount's report on this text.
fn counts(text: &str) -> String {
    let (lines, words) = (text.matches('\n').count(), text.split_whitespace().count());
    format!("{lines:>7} {words:>7} {:>7}\n", text.len())
}

/// Calls with other inputs, and insists on the right answer each time.
async fn call(fog: &Fog, number: usize) -> serde_json::Value {
    let text = format!("haar {number}\nand fog\n");
    let answer = fog.buyer.call("wordcount", text.as_bytes()).await;
    let output = String::from_utf8(answer.output().to_vec()).unwrap();
    assert!(
        output.starts_with(&counts(&text)),
        "a wrong answer reached the buyer: {output}"
    );
    fog.buyer
        .get(&format!("/v1/jobs/{}", answer.header("haar-job")))
        .await
}

/// Four miners, the last of which cheats: it is out at its first answer, and was never paid.
async fn check_dismissed(cheat: Conduct) {
    let fog = Fog::start(&[HONEST, HONEST, HONEST, cheat]).await;
    fog.publish_example("wordcount").await;
    let cheat = fog.miners[3].id.clone();

    let mut hired = false;
    for number in 0..CALLS_MAX {
        let job = call(&fog, number).await;
        let attempts = job["attempts"].as_array().unwrap();
        if let Some(attempt) = attempts
            .iter()
            .find(|attempt| attempt["miner"] == cheat.as_str())
        {
            assert_eq!(
                (&attempt["state"], &attempt["earned"]),
                (&"dissented".into(), &"0 SNM".into())
            );
            assert!(
                job["answer"]["dissenting"].to_string().contains(&cheat),
                "{job:#}"
            );
            assert_eq!(
                job["answer"]["agreeing"].as_array().unwrap().len(),
                3,
                "{job:#}"
            );
            hired = true;
            break;
        }
    }
    assert!(hired, "{CALLS_MAX} calls never hired the cheat");
    let miners = fog.miners_by_id().await;
    assert_eq!(
        (&miners[&cheat]["dismissed"], &miners[&cheat]["earned"]),
        (&true.into(), &"0 SNM".into())
    );
    for honest in &fog.miners[..3] {
        assert_eq!(miners[&honest.id]["dismissed"], false);
    }

    let after = call(&fog, CALLS_MAX).await;
    assert!(
        !after["attempts"].to_string().contains(&cheat),
        "a dismissed miner was hired: {after:#}"
    );
    assert_eq!(fog.buyer.get("/v1/ledger").await["books_add_up"], true);
}

#[tokio::test]
async fn a_liar_is_caught_dismissed_and_never_paid() {
    check_dismissed(Some("lie")).await;
}

#[tokio::test]
async fn a_miner_that_claims_too_much_fuel_is_caught_dismissed_and_never_paid() {
    check_dismissed(Some("fuel-cheat")).await;
}

/// A miner that does not finish is replaced: the buyer gets the right answer, the miner gets nothing.
async fn check_replaced(cheat: Conduct) {
    let fog = Fog::start(&[HONEST, HONEST, cheat]).await;
    fog.publish_example("wordcount").await;
    let cheat = fog.miners[2].id.clone();
    for number in 0..CALLS_MAX {
        let job = call(&fog, number).await;
        let attempts = job["attempts"].as_array().unwrap();
        let Some(attempt) = attempts
            .iter()
            .find(|attempt| attempt["miner"] == cheat.as_str())
        else {
            continue;
        };
        assert_eq!(attempt["revealed"], serde_json::Value::Null);
        assert_eq!(attempt["earned"], "0 SNM");
        assert_eq!(
            job["answer"]["agreeing"].as_array().unwrap().len(),
            2,
            "{job:#}"
        );
        assert_eq!(fog.miners_by_id().await[&cheat]["earned"], "0 SNM");
        assert_eq!(fog.buyer.get("/v1/ledger").await["books_add_up"], true);
        return;
    }
    panic!("{CALLS_MAX} calls never hired the miner");
}

#[tokio::test]
async fn a_silent_miner_costs_time_and_nothing_else() {
    check_replaced(Some("silent")).await;
}

#[tokio::test]
async fn a_miner_that_never_reveals_is_replaced_and_never_paid() {
    check_replaced(Some("never-reveal")).await;
}
