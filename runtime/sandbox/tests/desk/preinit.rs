//! A module's initialisation, run once before it is published.

use haar_meter::{Profile, inspect};
use haar_records::{BlobHash, Fuel, RunConfig, Status};
use haar_sandbox::{
    INIT_FUEL_MAX, PreinitError, Run, RunSpec, Sandbox, SandboxConfig, preinit, preinit_within,
};

/// A reactor that sums a table which `haar_init` fills by the given body; a call fills it itself
/// if nobody has. `$table` is at 1,024 and has 4,096 entries.
fn reactor(init: &str, more: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            (import "haar" "log" (func $log (param i32 i32)))
            (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
            (memory (export "memory") 1)
            (global $ready (mut i32) (i32.const 0))
            (global $scale (mut f64) (f64.const 1))
            (data (i32.const 16) "before")
            (func $fill (local $i i32) (local $at i32) (local $value i32)
                (loop $next
                    (local.set $value (i32.add (i32.mul (local.get $value) (i32.const 1664525)) (i32.const 1013904223)))
                    (local.set $at (i32.add (i32.const 1024) (i32.mul (local.get $i) (i32.const 4))))
                    (i32.store (local.get $at) (local.get $value))
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br_if $next (i32.lt_u (local.get $i) (i32.const 4096))))
                (global.set $scale (f64.div (f64.const 0) (f64.const 0)))
                (global.set $ready (i32.const 1)))
            (func (export "haar_init") {init})
            (func (export "haar_abi_v1") (result i32) (i32.const 0))
            (func (export "haar_alloc") (param i32) (result i32) (i32.const 32768))
            (func (export "haar_run") (param i32 i32) (result i64) (local $i i32) (local $sum i32)
                (if (i32.eqz (global.get $ready)) (then (call $fill)))
                (loop $next
                    (local.set $sum (i32.add (local.get $sum)
                        (i32.load (i32.add (i32.const 1024) (local.get $i)))))
                    (local.set $i (i32.add (local.get $i) (i32.const 4)))
                    (br_if $next (i32.lt_u (local.get $i) (i32.const 16384))))
                (i32.store8 (i32.const 512) (i32.const 0))
                (i32.store (i32.const 513) (local.get $sum))
                (i64.store (i32.const 517) (i64.reinterpret_f64 (global.get $scale)))
                (i64.const 0x000002000000000d))
            {more})"#
    );
    wat::parse_str(text).unwrap()
}

fn run(module: &[u8]) -> Run {
    let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
    let config = RunConfig::for_call(BlobHash::of(b"module"), BlobHash::of(b""));
    let prepared = sandbox.prepare(module, &config).unwrap();
    let spec = RunSpec {
        input: b"",
        config: &config,
        fuel_max: Fuel(1_000_000_000),
    };
    let run = sandbox.run(&prepared, &spec).unwrap();
    assert_eq!(run.outcome.status, Status::Returned, "{run:?}");
    run
}

#[test]
fn an_initialised_module_gives_the_same_answers_for_less() {
    let module = reactor("(call $fill)", "");
    let initialised = preinit(&module).unwrap();
    let (before, after) = (run(&module), run(&initialised.module));
    assert_eq!(before.output, after.output);
    // 16 KiB of table are paid by each call, and are far cheaper than filling it.
    let more = initialised.init_cost - initialised.init_cost_before;
    assert!(0 < more && more < initialised.fuel_used / 2, "{more}");
    let gain = before.outcome.fuel_used.0 - after.outcome.fuel_used.0;
    assert!(gain > initialised.fuel_used / 2, "{gain}");
}

#[test]
fn two_initialisations_give_the_same_bytes() {
    let module = reactor("(call $fill)", "");
    assert_eq!(preinit(&module).unwrap(), preinit(&module).unwrap());
}

#[test]
fn the_entries_of_initialisation_are_gone_and_the_rest_stays() {
    let more = r#"(func (export "_initialize") (i32.store (i32.const 900) (i32.const 7)))
        (@custom "haar.manifest" "{}") (start $s)
        (func $s (i32.store (i32.const 904) (i32.const 9)))"#;
    let initialised = preinit(&reactor("(call $fill)", more)).unwrap();
    let report = inspect(&initialised.module, &Profile::DESKTOP);
    assert!(report.admission.is_ok());
    let exports: Vec<&str> = report.exports.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(exports, ["memory", "haar_abi_v1", "haar_alloc", "haar_run"]);
    assert_eq!(report.manifest.as_deref(), Some(&b"{}"[..]));
    // The second time there is nothing to run.
    assert_eq!(preinit(&initialised.module), Err(PreinitError::NoInit));
}

#[test]
fn memory_that_grew_is_part_of_the_state() {
    let body = r#"(drop (memory.grow (i32.const 2))) (i32.store (i32.const 190000) (i32.const 5))
        (call $fill)"#;
    let initialised = preinit(&reactor(body, "")).unwrap();
    let report = inspect(&initialised.module, &Profile::DESKTOP);
    assert_eq!(report.memory.unwrap().pages_min, 3);
    run(&initialised.module);
}

/// Expects an initialisation with this body to fail.
#[track_caller]
fn check(body: &str, expected: impl Fn(&PreinitError) -> bool, text: &str) {
    let error = preinit(&reactor(body, "")).unwrap_err();
    assert!(expected(&error), "{error:?}");
    assert!(error.to_string().contains(text), "{error}");
}

#[test]
fn an_initialisation_that_asks_the_host_is_told_what_it_asked() {
    check(
        "(drop (call $clock (i32.const 0) (i64.const 0) (i32.const 8)))",
        |error| {
            let name = "clock_time_get";
            matches!(error, PreinitError::CalledHost { name: called, .. } if *called == name)
        },
        "haar_init called wasi_snapshot_preview1.clock_time_get",
    );
    let outside = "(drop (call $random (i32.const -1) (i32.const 4)))";
    let called = |error: &PreinitError| matches!(error, PreinitError::CalledHost { .. });
    check(outside, called, "random_get");
}

#[test]
fn random_bytes_are_fixed_ones_that_differ_between_modules_and_cost_fuel() {
    let body = "(drop (call $random (i32.const 1024) (i32.const 16384))) (global.set $ready (i32.const 1))";
    let module = reactor(body, "");
    let (first, second) = (preinit(&module).unwrap(), preinit(&module).unwrap());
    assert_eq!(first, second);
    assert!(first.fuel_used >= 8_192, "{}", first.fuel_used);
    let other = preinit(&reactor(&format!("nop {body}"), "")).unwrap();
    assert_ne!(run(&first.module).output, run(&other.module).output);
    let fuel_max = first.init_cost_before + first.fuel_used - 1;
    let error = preinit_within(&module, fuel_max).unwrap_err();
    assert_eq!(error, PreinitError::OutOfFuel { fuel_max });
    assert_eq!(preinit_within(&module, fuel_max + 1), Ok(first));
}

#[test]
fn an_initialisation_that_panics_shows_what_it_logged() {
    check(
        "(call $log (i32.const 16) (i32.const 6)) unreachable",
        |error| matches!(error, PreinitError::Trapped { .. }),
        "it logged: before",
    );
}

#[test]
fn an_initialisation_that_traps_or_goes_too_deep_is_an_error() {
    let trapped = |error: &PreinitError| matches!(error, PreinitError::Trapped { .. });
    check(
        "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
        trapped,
        "divide by zero",
    );
    check("(call 4)", trapped, "too deep");
}

#[test]
fn an_endless_initialisation_ends() {
    let fuel_max = 10_000_000;
    let module = reactor("(loop $again (br $again))", "");
    let error = preinit_within(&module, fuel_max).unwrap_err();
    assert_eq!(error, PreinitError::OutOfFuel { fuel_max });
    assert!(preinit_within(&reactor("(call $fill)", ""), INIT_FUEL_MAX).is_ok());
}

#[test]
fn a_module_without_an_initialisation_or_with_another_type_has_none() {
    let plain = wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start")))"#);
    assert_eq!(preinit(&plain.unwrap()), Err(PreinitError::NoInit));
    let typed = r#"(module (memory (export "memory") 1) (func (export "_start"))
        (func (export "haar_init") (param i32)))"#;
    assert_eq!(
        preinit(&wat::parse_str(typed).unwrap()),
        Err(PreinitError::NoInit)
    );
}

#[test]
fn a_refused_module_stays_refused() {
    let error = preinit(b"no module").unwrap_err();
    assert!(matches!(error, PreinitError::Rejected(_)), "{error:?}");
}

#[test]
fn what_a_snapshot_cannot_keep_is_said() {
    let dropped = reactor("(data.drop $gone)", r#"(data $gone "x")"#);
    let error = preinit(&dropped).unwrap_err();
    assert!(
        matches!(error, PreinitError::Unsupported { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("--no-init"), "{error}");
}

#[test]
fn a_state_of_any_size_is_kept_or_refused_and_never_half_kept() {
    // 40 MiB of ones: more than any module may have.
    let body = r#"(drop (memory.grow (i32.const 640)))
        (memory.fill (i32.const 65536) (i32.const 1) (i32.const 41943040))"#;
    let error = preinit(&reactor(body, "")).unwrap_err();
    assert!(matches!(error, PreinitError::Outgrown { .. }), "{error:?}");
}
