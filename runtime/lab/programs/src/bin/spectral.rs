//! The largest eigenvalue of an endless matrix (Benchmarks Game, spectral-norm): f64 divisions.
use lab_programs::{report, scale};

fn entry(row: usize, column: usize) -> f64 {
    1.0 / ((row + column) * (row + column + 1) / 2 + row + 1) as f64
}

fn times(vector: &[f64], entry: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let row = |at| {
        vector
            .iter()
            .enumerate()
            .map(|(k, v)| entry(at, k) * v)
            .sum()
    };
    (0..vector.len()).map(row).collect()
}

fn main() {
    let mut u = vec![1.0; scale(1_200) as usize];
    let mut v = u.clone();
    for _ in 0..10 {
        v = times(&times(&u, entry), |row, column| entry(column, row));
        u = times(&times(&v, entry), |row, column| entry(column, row));
    }
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    report((dot(&u, &v) / dot(&v, &v)).sqrt().to_bits());
}
