//! A scripting language's interpreter runs a small script (crate rhai): trees, dynamic values.
use lab_programs::{report, scale};
use rhai::{Engine, INT, Scope};

const SCRIPT: &str = r#"
    fn collatz(n) { let steps = 0; while n != 1 { n = if n % 2 == 0 { n / 2 } else { 3 * n + 1 }; steps += 1; } steps }
    let best = 0; let words = [];
    for n in 1..limit { let steps = collatz(n); if steps > best { best = steps; words.push("n" + n); } }
    let total = 0; for word in words { total += word.len(); }
    best * 1000 + total
"#;

fn main() {
    let mut engine = Engine::new();
    engine.set_max_expr_depths(0, 0);
    let mut scope = Scope::new();
    scope.push("limit", INT::from(scale(3_000) as i32));
    let answer = engine.eval_with_scope::<INT>(&mut scope, SCRIPT).unwrap();
    report(answer as u64);
}
