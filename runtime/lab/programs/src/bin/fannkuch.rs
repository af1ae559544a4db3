//! Flips pancakes over all permutations (Benchmarks Game, fannkuch-redux).
use lab_programs::{fold, report, scale};

fn main() {
    let n = scale(10) as usize;
    let (mut order, mut count): (Vec<usize>, Vec<usize>) = ((0..n).collect(), vec![0; n]);
    let (mut most, mut sum, mut sign, mut left) = (0, 0_i64, 1, n);
    loop {
        while left != 1 {
            count[left - 1] = left;
            left -= 1;
        }
        let (mut flipped, mut flips) = (order.clone(), 0);
        while flipped[0] != 0 {
            let first = flipped[0];
            flipped[..=first].reverse();
            flips += 1;
        }
        most = most.max(flips);
        sum += sign * flips;
        sign = -sign;
        loop {
            if left == n {
                return report(fold(sum as u64, most as u64));
            }
            order[..=left].rotate_left(1);
            count[left] -= 1;
            if count[left] > 0 {
                break;
            }
            left += 1;
        }
    }
}
