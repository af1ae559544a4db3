//! Encodes and decodes (crate base64): short loops over bytes and tables.
use base64::{Engine, engine::general_purpose::STANDARD};
use lab_programs::{Random, fold, report, scale};

fn main() {
    let mut data = Random::new().bytes(1 << 20);
    let mut sum = 0;
    for round in 0..scale(50) {
        let text = STANDARD.encode(&data);
        data = STANDARD.decode(&text).unwrap();
        data[round as usize] ^= text.as_bytes()[5];
        sum = fold(sum, data[round as usize].into());
    }
    report(sum);
}
