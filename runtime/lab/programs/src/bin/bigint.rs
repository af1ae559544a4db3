//! Factorials, powers and decimal digits of large numbers (crate num-bigint).
use lab_programs::{fold, report, scale};
use num_bigint::BigUint;

fn main() {
    let mut sum = 0;
    for round in 0..scale(6) {
        let factorial: BigUint = (1..1_500_u32 + round).map(BigUint::from).product();
        let modulus = (BigUint::from(1_u32) << 521_u32) - 1_u32;
        let power = BigUint::from(3_u32 + round).modpow(&factorial, &modulus);
        let digits = (factorial * &power).to_string();
        sum = fold(
            sum,
            digits.len() as u64 + power.iter_u64_digits().next().unwrap_or(0),
        );
    }
    report(sum);
}
