//! Solves a hard sudoku by trying, with sets of bits.
use lab_programs::{fold, report, scale};

const PUZZLE: &[u8; 81] =
    b"8..........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4..";

fn solve(cells: &mut [u8; 81], used: &mut [[u16; 9]; 3], tried: &mut u64) -> bool {
    let mut best = None;
    for at in (0..81).filter(|&at| cells[at] == 0) {
        let (row, column, square) = (at / 9, at % 9, at / 27 * 3 + at % 9 / 3);
        let free = !(used[0][row] | used[1][column] | used[2][square]) & 0x3fe;
        if best.is_none_or(|(_, set): (_, u16)| free.count_ones() < set.count_ones()) {
            best = Some((at, free));
        }
    }
    let Some((at, mut free)) = best else {
        return true;
    };
    let lines = [at / 9, at % 9, at / 27 * 3 + at % 9 / 3];
    while free != 0 {
        let bit = free & free.wrapping_neg();
        free ^= bit;
        *tried += 1;
        cells[at] = bit.trailing_zeros() as u8;
        (0..3).for_each(|kind| used[kind][lines[kind]] ^= bit);
        if solve(cells, used, tried) {
            return true;
        }
        (0..3).for_each(|kind| used[kind][lines[kind]] ^= bit);
    }
    cells[at] = 0;
    false
}

fn main() {
    let mut sum = 0;
    for round in 0..scale(80) as usize {
        let (mut cells, mut used, mut tried) = ([0; 81], [[0; 9]; 3], 0);
        for at in 0..81 {
            // Another order of digits is another search.
            let digit = PUZZLE[at].wrapping_sub(b'1');
            if digit < 9 {
                cells[at] = (digit + round as u8) % 9 + 1;
                let bit = 1 << cells[at];
                used[0][at / 9] |= bit;
                used[1][at % 9] |= bit;
                used[2][at / 27 * 3 + at % 9 / 3] |= bit;
            }
        }
        let solved = solve(&mut cells, &mut used, &mut tried);
        sum = fold(sum, tried + u64::from(solved) + u64::from(cells[0]));
    }
    report(sum);
}
