//! Multiplies matrices of f64 by rows: loads, multiplications and additions.
use lab_programs::{Random, report, scale};

fn main() {
    let n = scale(540) as usize;
    let mut random = Random::new();
    let a: Vec<f64> = (0..n * n).map(|_| random.unit()).collect();
    let b: Vec<f64> = (0..n * n).map(|_| random.unit()).collect();
    let mut product = vec![0.0; n * n];
    for (row, out) in a.chunks_exact(n).zip(product.chunks_exact_mut(n)) {
        for (factor, line) in row.iter().zip(b.chunks_exact(n)) {
            for (sum, value) in out.iter_mut().zip(line) {
                *sum += factor * value;
            }
        }
    }
    report(product.iter().sum::<f64>().to_bits());
}
