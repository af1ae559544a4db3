//! Heat spreads over a plate: a five-point stencil of f64.
use lab_programs::{report, scale};

const SIDE: usize = 256;

fn main() {
    let mut heat = vec![0.0_f64; SIDE * SIDE];
    heat[..SIDE].fill(100.0);
    let mut next = heat.clone();
    for _ in 0..scale(1_500) {
        for y in 1..SIDE - 1 {
            let (above, here, below) = (
                &heat[(y - 1) * SIDE..][..SIDE],
                &heat[y * SIDE..][..SIDE],
                &heat[(y + 1) * SIDE..][..SIDE],
            );
            let out = &mut next[y * SIDE..][..SIDE];
            for x in 1..SIDE - 1 {
                out[x] = 0.25 * (above[x] + below[x] + here[x - 1] + here[x + 1]);
            }
        }
        std::mem::swap(&mut heat, &mut next);
    }
    report(heat.iter().sum::<f64>().to_bits());
}
