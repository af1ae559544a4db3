//! Fibonacci numbers by plain recursion: nothing but calls.
use lab_programs::{report, scale};

fn fib(n: u32) -> u64 {
    if n < 2 {
        n.into()
    } else {
        fib(n - 1) + fib(n - 2)
    }
}

fn main() {
    report(fib(std::hint::black_box(scale(37))));
}
