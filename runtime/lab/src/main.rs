//! Measures and attacks the machine: agreement of engines, overhead, calibration, fuzzing.

fn main() {}
