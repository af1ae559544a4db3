use crate::harness::Test;
pub const TESTS: &[Test] = &[];
pub const ATTACK: &str = "act-attack";
pub fn attack(_: &str) {}
