//! Parses and prints a document of a megabyte (crate serde_json).
use lab_programs::{Random, fold, report, scale};
use serde_json::{Value, json};

fn main() {
    let mut random = Random::new();
    let records: Vec<Value> = (0..2_000)
        .map(|id| {
            json!({
                "id": id, "price": random.unit() * 1e3, "name": format!("miner \"{}\"", random.next()),
                "tags": ["fog", "hub", null, true], "at": {"x": random.below(9_999), "y": -1.5e-7},
            })
        })
        .collect();
    let mut text = Value::Array(records).to_string();
    let mut sum = 0;
    for _ in 0..scale(26) {
        let value: Value = serde_json::from_str(&text).unwrap();
        sum = fold(sum, value[17]["at"]["x"].as_u64().unwrap());
        text = value.to_string();
        sum = fold(sum, text.len() as u64);
    }
    report(sum);
}
