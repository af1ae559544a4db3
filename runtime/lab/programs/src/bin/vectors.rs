//! 128-bit vectors by hand: a dot product, a scaled sum and a count of bytes.
#[cfg(target_arch = "wasm32")]
#[target_feature(enable = "simd128")]
fn round(a: &mut [f32], b: &[f32], bytes: &[u8]) -> f32 {
    use std::arch::wasm32::*;
    let mut sum = f32x4_splat(0.0);
    let half = f32x4_splat(0.5);
    for (a, b) in a.chunks_exact_mut(4).zip(b.chunks_exact(4)) {
        let (x, y) = (f32x4(a[0], a[1], a[2], a[3]), f32x4(b[0], b[1], b[2], b[3]));
        sum = f32x4_add(sum, f32x4_mul(x, y));
        let mixed = f32x4_add(f32x4_mul(x, half), f32x4_mul(y, half));
        a[0] = f32x4_extract_lane::<0>(mixed);
        a[3] = f32x4_extract_lane::<3>(mixed);
    }
    let mut spaces = u8x16_splat(0);
    for chunk in bytes.chunks_exact(16) {
        let (low, high) = chunk.split_at(8);
        let word = |half: &[u8]| u64::from_le_bytes(half.try_into().unwrap());
        let lanes = u64x2(word(low), word(high));
        spaces = u8x16_sub(spaces, u8x16_eq(lanes, u8x16_splat(b' ')));
    }
    f32x4_extract_lane::<1>(sum) + f32::from(u8x16_extract_lane::<3>(spaces))
}

#[cfg(not(target_arch = "wasm32"))]
fn round(_: &mut [f32], _: &[f32], _: &[u8]) -> f32 {
    0.0
}

fn main() {
    use lab_programs::{Random, fold, report, scale, text};
    let mut random = Random::new();
    let mut a: Vec<f32> = (0..65_536).map(|_| random.unit() as f32).collect();
    let b: Vec<f32> = (0..65_536).map(|_| random.unit() as f32).collect();
    let text = text(200_000);
    let mut sum = 0;
    for _ in 0..scale(3_000) {
        sum = fold(sum, round(&mut a, &b, text.as_bytes()).to_bits().into());
    }
    report(sum);
}
