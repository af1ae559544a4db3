//! A canary for the engine's pool: whatever a guest leaves in a slot, the next one finds nothing.

use std::io::Write as _;
use std::sync::Arc;

use haar_records::{RunConfig, Status};
use haar_sandbox::{CodeKey, Prepared, RunSpec, Runner, Sandbox, SandboxConfig};

use crate::guests::{PLENTY, assemble, config};

/// Instances of the test, over all modules. `HAAR_CANARY_RUNS` asks for more.
const RUNS: usize = 2_000;

/// A guest that looks at every byte of its memory, its globals and its table, and then spoils all
/// that it can reach. It answers with kind 1 where it found a trace.
///
/// `pages` and `data_at` move its image against those of the others; the input's first byte decides
/// how many pages it grows by before it spoils.
fn canary(pages: u32, data_at: u32, salt: u8) -> Vec<u8> {
    let data = format!("\\{salt:02x}").repeat(5_000);
    // The guest compares eight bytes at a time; 5,000 bytes are 625 words.
    let word = u64::from_le_bytes([salt; 8]).cast_signed();
    assemble(&format!(
        r#"(module
            (memory (export "memory") {pages} 64)
            (global $count (mut i64) (i64.const {salt}))
            (global $vector (mut v128) (v128.const i64x2 {salt} {salt}))
            (table 4 4 funcref)
            (type $nothing (func))
            (type $number (func (result i32)))
            (elem (i32.const 1) $seven)
            (data (i32.const {data_at}) "{data}")
            (func $seven (result i32) (i32.const 7))
            (func (export "haar_abi_v1") (result i32) (i32.const 0))
            (func (export "haar_alloc") (param i32) (result i32) (i32.const 65528))
            (func $traces (result i64) (local $at i32) (local $end i32) (local $sum i64)
                (local.set $end (i32.shl (memory.size) (i32.const 16)))
                (loop $more
                    ;; The input itself lies in the last word of the first page.
                    (if (i32.ne (local.get $at) (i32.const 65528)) (then
                        (local.set $sum (i64.or (local.get $sum) (i64.xor
                            (i64.load (local.get $at))
                            (select (i64.const {word}) (i64.const 0)
                                (i32.lt_u
                                    (i32.sub (local.get $at) (i32.const {data_at}))
                                    (i32.const 5000))))))))
                    (local.set $at (i32.add (local.get $at) (i32.const 8)))
                    (br_if $more (i32.lt_u (local.get $at) (local.get $end))))
                (i64.or (local.get $sum) (i64.or
                    (i64.xor (global.get $count) (i64.const {salt}))
                    (i64.xor
                        (i64x2.extract_lane 1 (global.get $vector)) (i64.const {salt})))))
            (func (export "haar_run") (param $ptr i32) (param $len i32) (result i64)
                (local $grow i32) (local $kind i32)
                (local.set $grow (i32.load8_u (local.get $ptr)))
                (local.set $kind (i64.ne (call $traces) (i64.const 0)))
                (if (i32.ne (memory.size) (i32.const {pages}))
                    (then (local.set $kind (i32.const 1))))
                (if (i32.ne (call_indirect (type $number) (i32.const 1)) (i32.const 7))
                    (then (local.set $kind (i32.const 1))))

                (drop (memory.grow (local.get $grow)))
                ;; New pages are zero, whoever had them before.
                (i64.store (i32.const 65528) (i64.const 0))
                (if (i64.ne (call $traces) (i64.const 0))
                    (then (local.set $kind (i32.const 1))))
                (memory.fill (i32.const 0) (i32.const 0xa5)
                    (i32.shl (memory.size) (i32.const 16)))
                (global.set $count (i64.const -1))
                (global.set $vector (v128.const i64x2 -1 -1))

                ;; A canary that cannot see is none.
                (if (i64.eqz (call $traces)) (then (local.set $kind (i32.const 1))))
                (i32.store8 (i32.const 8) (local.get $kind))
                (if (i32.and (local.get $len) (i32.const 4)) (then unreachable))
                (i64.const 0x8_0000_0001)))"#
    ))
}

struct Canary {
    prepared: Arc<Prepared>,
    config: RunConfig,
}

impl Canary {
    fn new(sandbox: &Sandbox, pages: u32, data_at: u32, salt: u8) -> Self {
        let module = canary(pages, data_at, salt);
        let config = config(&module, b"");
        let prepared = sandbox.prepare(&module, &config).unwrap();
        Self { prepared, config }
    }

    /// Runs it; three bytes of input end well, four in a trap.
    fn run(&self, runner: &Runner<'_>, grow: u8, traps: bool) {
        let input = [grow; 4];
        let spec = RunSpec {
            input: &input[..if traps { 4 } else { 3 }],
            config: &self.config,
            fuel_max: PLENTY,
        };
        let outcome = runner.run(&self.prepared, &spec).unwrap().outcome;
        let expected = if traps {
            Status::Trapped
        } else {
            Status::Returned
        };
        assert_eq!(outcome.status, expected, "{outcome:?}");
        assert_eq!(outcome.exit_code, 0, "a trace of another instance");
    }
}

#[test]
fn no_instance_finds_a_trace_of_another() {
    // One thread and so one warm slot, used by all in turn; images below, across and behind the
    // bytes that stay resident, and one that has no image in common with any other.
    let sandbox = Sandbox::new(SandboxConfig {
        concurrency: 1,
        prepared_max: 8,
    })
    .unwrap();
    let canaries = [
        Canary::new(&sandbox, 1, 1_024, 0x11),
        Canary::new(&sandbox, 2, 63_000, 0x22),
        Canary::new(&sandbox, 3, 131_072, 0x33),
        Canary::new(&sandbox, 17, 1_048_576, 0x44),
    ];
    let runs = std::env::var("HAAR_CANARY_RUNS")
        .ok()
        .and_then(|runs| runs.parse().ok())
        .unwrap_or(RUNS);
    sandbox
        .with_runner(|runner| {
            for run in 0..runs {
                // The same module three times, then the next, so that a slot is reset for its own
                // image as well as for another's.
                let canary = &canaries[(run / 3) % canaries.len()];
                canary.run(runner, (run % 5) as u8, run % 7 == 0);
            }
        })
        .unwrap();
}

#[test]
fn a_mapped_file_is_read_and_never_written() {
    let sandbox = Sandbox::new(SandboxConfig {
        concurrency: 1,
        prepared_max: 1,
    })
    .unwrap();
    let module = canary(2, 4_096, 0x77);
    let config = config(&module, b"");
    let key = CodeKey::from_bytes([1; 32]);
    let artifact = sandbox.compiler().compile(&module, &config).unwrap();
    let bytes = artifact.to_bytes(&key);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&bytes).unwrap();
    let canary = Canary {
        prepared: sandbox.load_file(file.reopen().unwrap(), &key).unwrap(),
        config,
    };

    sandbox
        .with_runner(|runner| {
            for run in 0..100 {
                canary.run(runner, (run % 4) as u8, run % 3 == 0);
            }
        })
        .unwrap();
    assert!(std::fs::read(file.path()).unwrap() == bytes);
}

#[test]
fn slots_that_are_used_at_the_same_time_stay_apart() {
    let sandbox = Sandbox::new(SandboxConfig {
        concurrency: 3,
        prepared_max: 8,
    })
    .unwrap();
    let canaries = [
        Canary::new(&sandbox, 1, 8_192, 0x55),
        Canary::new(&sandbox, 2, 65_536, 0x66),
    ];
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (sandbox, canaries) = (&sandbox, &canaries);
            scope.spawn(move || {
                sandbox.with_runner(|runner| {
                    for run in 0..200_usize {
                        canaries[(run + thread) % 2].run(runner, (run % 3) as u8, run % 4 == 0);
                    }
                })
            });
        }
    });
}
