//! Guests that want more than they may have: each gets its typed outcome and harms nobody.

use serde_json::Value;

use crate::fog::{Shared, shared};
use crate::guests;

/// Publishes a guest, runs it to its bad end, and insists that the fog works as before.
async fn check(name: &str, module: &[u8], fuel_max: u64, code: &str, trap: Option<&str>) -> Value {
    let fog: Shared = shared().await;
    fog.publish(name, module).await;
    let fuel = fuel_max.to_string();
    let answer = fog
        .buyer
        .call_with(name, b"", &[("haar-fuel-max", &fuel)])
        .await;
    let problem = answer.problem(422, code);
    assert_eq!(problem["trap"].as_str(), trap, "{problem:#}");
    assert_eq!(problem["verified"], "quorum=2/2", "{problem:#}");
    assert!(
        problem["fuel_used"].as_u64().unwrap() <= fuel_max,
        "{problem:#}"
    );

    let job = problem["job"].as_str().unwrap();
    let receipt = fog.buyer.get(&format!("/v1/receipts/{job}")).await;
    assert_eq!(receipt["outcome"]["fuel_used"], problem["fuel_used"]);
    fog.buyer.call("wordcount", name.as_bytes()).await.output();
    problem
}

#[tokio::test]
async fn a_loop_without_end_uses_up_exactly_its_fuel() {
    let problem = check(
        "loops",
        &guests::endless_loop(),
        50_000_000,
        "out-of-fuel",
        None,
    )
    .await;
    assert_eq!(problem["fuel_used"], 50_000_000);
}

#[tokio::test]
async fn recursion_without_end_meets_the_stack_limit() {
    let module = guests::endless_recursion();
    check(
        "recurses",
        &module,
        1_000_000_000,
        "trap",
        Some("stack-limit"),
    )
    .await;
}

#[tokio::test]
async fn memory_without_end_stops_at_the_limit_of_the_profile() {
    // 2,048 pages at 65,536 fuel each: 134 million, and then the guest is told that there is no more.
    let module = guests::endless_memory();
    check("grows", &module, 1_000_000_000, "trap", Some("abort")).await;
    let problem = check("grows-fast", &module, 50_000_000, "out-of-fuel", None).await;
    assert_eq!(problem["fuel_used"], 50_000_000);
}

#[tokio::test]
async fn output_without_end_is_no_output_at_all() {
    let module = guests::endless_output();
    check("writes", &module, 1_000_000_000, "trap", Some("host-call")).await;
}

#[tokio::test]
async fn a_trap_says_its_kind() {
    let cases = [
        ("aborts", "unreachable", "abort"),
        (
            "divides",
            "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
            "arithmetic",
        ),
        (
            "overflows",
            "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
            "arithmetic",
        ),
        (
            "reaches",
            "(drop (i32.load (i32.const 0x7fffffff)))",
            "bounds",
        ),
    ];
    for (name, body, trap) in cases {
        check(name, &guests::command(body), 1_000_000, "trap", Some(trap)).await;
    }
}
