//! The Mandelbrot set (Benchmarks Game): a short loop of f64 with an early exit.
use lab_programs::{fold, report, scale};

fn main() {
    let side = scale(1_060);
    let mut sum = 0;
    for row in 0..side {
        for column in 0..side {
            let (re, im) = (
                f64::from(column) * 3.0 / f64::from(side) - 2.0,
                f64::from(row) * 2.0 / f64::from(side) - 1.0,
            );
            let (mut x, mut y, mut steps) = (0.0, 0.0, 0_u64);
            while x * x + y * y <= 4.0 && steps < 100 {
                (x, y) = (x * x - y * y + re, 2.0 * x * y + im);
                steps += 1;
            }
            sum = fold(sum, steps);
        }
    }
    report(sum);
}
