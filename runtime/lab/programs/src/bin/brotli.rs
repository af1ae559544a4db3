//! Decompresses text (crate brotli); it is compressed once, quickly, before.
use lab_programs::{fold, report, scale, text};
use std::io::Read;

fn main() {
    let text = text(600_000);
    let mut packed = Vec::new();
    let params = brotli::enc::BrotliEncoderParams {
        quality: 3,
        ..Default::default()
    };
    brotli::BrotliCompress(&mut text.as_bytes(), &mut packed, &params).unwrap();
    let mut sum = packed.len() as u64;
    for _ in 0..scale(36) {
        let mut plain = Vec::new();
        brotli::Decompressor::new(&packed[..], 4_096)
            .read_to_end(&mut plain)
            .unwrap();
        sum = fold(sum, plain.len() as u64 + u64::from(plain[plain.len() / 2]));
    }
    report(sum);
}
