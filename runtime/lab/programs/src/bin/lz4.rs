//! Compresses and decompresses text (crate lz4_flex, its safe code).
use lab_programs::{fold, report, scale, text};
use lz4_flex::block::{compress_prepend_size, decompress_size_prepended};

fn main() {
    let text = text(1 << 20);
    let mut sum = 0;
    for _ in 0..scale(20) {
        let packed = compress_prepend_size(text.as_bytes());
        let plain = decompress_size_prepended(&packed).unwrap();
        sum = fold(sum, (packed.len() + plain.len()) as u64);
    }
    report(sum);
}
