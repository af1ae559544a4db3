//! What canonical NaNs cost: kernels plain, metered, and under Cranelift's own switch.
//!
//! Run by hand: `cargo test -p haar-meter --test metered nan_cost -- --ignored --nocapture`.
#![expect(clippy::disallowed_types, reason = "it measures")]
#![expect(clippy::print_stdout, reason = "it is a table")]

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

use haar_meter::EXPORT_FUEL;
use wasmtime::{Config, Engine, Instance, Module, Store, TypedFunc, Val};

use crate::engine::{PLENTY, metered};
use crate::nan_kernels::kernels;

/// Each variant is timed this often, in turns; the least time counts.
const TIMES: usize = 1_000;

const DRIVER: &str = r#"
const lines = require('fs').readFileSync(0, 'latin1').split('\n').filter(Boolean);
for (const line of lines) {
  const [rounds, ...modules] = line.split(' ');
  const runs = modules.map((hex) => {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(hex, 'hex')));
    return { exports, least: Infinity };
  });
  for (let time = 0; time < TIMES; time++) for (const run of runs) {
    if (run.exports.__haar_fuel) run.exports.__haar_fuel.value = 1n << 40n;
    const start = performance.now();
    run.exports.run(Number(rounds));
    run.least = Math.min(run.least, performance.now() - start);
  }
  console.log(runs.map((run) => run.least).join(' '));
}"#;

struct Timed {
    store: Store<()>,
    instance: Instance,
    run: TypedFunc<i32, ()>,
    least: f64,
}

impl Timed {
    fn new(bytes: &[u8], canonical: bool) -> Self {
        let mut config = Config::new();
        config.cranelift_nan_canonicalization(canonical);
        let engine = Engine::new(&config).unwrap();
        let module = Module::new(&engine, bytes).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let run = instance.get_typed_func(&mut store, "run").unwrap();
        let least = f64::INFINITY;
        Self {
            store,
            instance,
            run,
            least,
        }
    }

    fn time(&mut self, rounds: i32) {
        if let Some(fuel) = self.instance.get_global(&mut self.store, EXPORT_FUEL) {
            let plenty = Val::I64(PLENTY.cast_signed());
            fuel.set(&mut self.store, plenty).unwrap();
        }
        let start = Instant::now();
        self.run.call(&mut self.store, rounds).unwrap();
        self.least = self.least.min(start.elapsed().as_secs_f64());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The least times on V8, one line for each kernel.
fn time_v8(input: &str) -> Option<Vec<Vec<f64>>> {
    let driver = DRIVER.replace("TIMES", &TIMES.to_string());
    let mut node = Command::new("node")
        .args(["--no-liftoff", "-e", &driver])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = node.stdin.take()?;
    stdin.write_all(input.as_bytes()).ok()?;
    drop(stdin);
    let output = String::from_utf8(node.wait_with_output().ok()?.stdout).ok()?;
    let numbers = |line: &str| line.split(' ').map(|word| word.parse().unwrap()).collect();
    Some(output.lines().map(numbers).collect())
}

fn percent(time: f64, plain: f64) -> f64 {
    (time / plain - 1.0) * 100.0
}

#[test]
#[ignore = "it measures, and judges nothing"]
fn overhead_of_canonical_nans() {
    let mut rows = Vec::new();
    let mut input = String::new();
    for (name, rounds, wat) in kernels() {
        let plain = wat::parse_str(&wat).unwrap();
        let ours = metered(&wat).bytes;
        input += &format!("{rounds} {} {}\n", hex(&plain), hex(&ours));
        let mut runs = [
            Timed::new(&plain, false),
            Timed::new(&ours, false),
            Timed::new(&plain, true),
        ];
        for _ in 0..TIMES {
            for run in &mut runs {
                run.time(rounds);
            }
        }
        rows.push((name, runs.map(|run| run.least)));
    }
    let v8 = time_v8(&input);
    println!("| Kernel | wasmtime | V8 | Cranelift's switch |");
    for (nth, (name, [plain, ours, switch])) in rows.into_iter().enumerate() {
        let on_v8 = v8.as_ref().map_or_else(
            || String::from("no node"),
            |rows| format!("{:+.0}", percent(rows[nth][1], rows[nth][0])),
        );
        let (ours, switch) = (percent(ours, plain), percent(switch, plain));
        println!("| {name} | {ours:+.0} | {on_v8} | {switch:+.0} |");
    }
}
