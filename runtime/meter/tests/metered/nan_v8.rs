//! The same metered bytes on wasmtime and on V8, whose NaNs differ: memories must not.

use std::io::Write;
use std::process::{Command, Stdio};

use wasmtime::Val;

use crate::engine::{PLENTY, metered, run_metered};
use crate::nan_programs::program;

const PROGRAMS: u64 = 150;

/// Reads lines of `module in hex, fuel`; writes lines of `result, hash of the memory, fuel left`.
const DRIVER: &str = r#"
const lines = require('fs').readFileSync(0, 'latin1').split('\n').filter(Boolean);
for (const line of lines) {
  const [hex, fuel] = line.split(' ');
  const instance = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(hex, 'hex')));
  const { memory, f, __haar_fuel } = instance.exports;
  __haar_fuel.value = BigInt(fuel);
  const result = f(1, 3);
  let hash = 0x811c9dc5;
  for (const byte of new Uint8Array(memory.buffer)) hash = Math.imul(hash ^ byte, 0x01000193);
  console.log(`${result} ${hash >>> 0} ${__haar_fuel.value}`);
}"#;

/// FNV-1a, because both sides can compute it.
fn hash(memory: &[u8]) -> u32 {
    memory.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// Bytes that choose a program, the same in every run of the test.
fn choices(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..2_000).map(|_| next()).collect()
}

/// What V8 says, or nothing if there is no Node.
fn run_v8(flags: &[&str], input: &str) -> Option<String> {
    let mut node = Command::new("node")
        .args(flags)
        .args(["-e", DRIVER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = node.stdin.take()?;
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "node failed with {flags:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says why")]
fn float_programs_leave_the_same_memory_on_v8() {
    let (mut input, mut expected) = (String::new(), Vec::new());
    for seed in 0..PROGRAMS {
        let module = metered(&program(&choices(seed)));
        let ran = run_metered(&module, "f", &[Val::I32(1), Val::I32(3)], PLENTY);
        let fuel = PLENTY - module.init_cost;
        for byte in &module.bytes {
            input += &format!("{byte:02x}");
        }
        input += &format!(" {fuel}\n");
        let result = ran.results[0].unwrap_i32();
        expected.push(format!("{result} {} {}", hash(&ran.memory), ran.left));
    }
    for flags in [&[][..], &["--no-liftoff"], &["--liftoff-only"]] {
        let Some(output) = run_v8(flags, &input) else {
            eprintln!("skipped: there is no `node` to run V8 with");
            return;
        };
        let found: Vec<&str> = output.lines().collect();
        for (seed, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert_eq!(found, expected, "program {seed} with {flags:?}");
        }
        assert_eq!(found.len(), expected.len());
    }
}
