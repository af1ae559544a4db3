//! Fourier transforms of a power of two and of a prime (crate rustfft, scalar f64).
use lab_programs::{Random, fold, report, scale};
use rustfft::{FftPlanner, num_complex::Complex};

fn main() {
    let mut random = Random::new();
    let mut planner = FftPlanner::<f64>::new();
    let mut sum = 0;
    for len in [4_096, 2_003, 3_000] {
        let (there, back) = (planner.plan_fft_forward(len), planner.plan_fft_inverse(len));
        let mut data: Vec<_> = (0..len)
            .map(|_| Complex::new(random.unit(), random.unit()))
            .collect();
        for _ in 0..scale(240) {
            there.process(&mut data);
            back.process(&mut data);
            data.iter_mut().for_each(|value| *value /= len as f64);
        }
        sum = data
            .iter()
            .fold(sum, |sum, value| fold(sum, (value.re * 1e6) as u64));
    }
    report(sum);
}
