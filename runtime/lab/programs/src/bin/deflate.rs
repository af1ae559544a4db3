//! Compresses and decompresses text (crate miniz_oxide).
use lab_programs::{fold, report, scale, text};
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec;

fn main() {
    let text = text(400_000);
    let mut sum = 0;
    for round in 0..scale(4) {
        let packed = compress_to_vec(text.as_bytes(), 5 + (round % 3) as u8);
        let plain = decompress_to_vec(&packed).unwrap();
        sum = fold(sum, (packed.len() + plain.len()) as u64);
    }
    report(sum);
}
