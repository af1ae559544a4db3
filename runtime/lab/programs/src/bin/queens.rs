//! Counts the ways to place queens by bits: recursion and logic.
use lab_programs::{report, scale};

fn place(all: u32, columns: u32, left: u32, right: u32) -> u64 {
    if columns == all {
        return 1;
    }
    let mut free = all & !(columns | left | right);
    let mut ways = 0;
    while free != 0 {
        let queen = free & free.wrapping_neg();
        free ^= queen;
        ways += place(
            all,
            columns | queen,
            (left | queen) << 1,
            (right | queen) >> 1,
        );
    }
    ways
}

fn main() {
    report(place((1 << scale(14)) - 1, 0, 0, 0));
}
