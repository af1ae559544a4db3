//! What an author is shown about a module.

use haar_meter::schedule::{Class, Schedule};
use haar_meter::{FunctionReport, GuestKind, Profile, Report, inspect, meter};

use crate::engine::PROFILE;
use crate::hostile::EVERYTHING;

fn look(text: &str) -> Report {
    inspect(&wat::parse_str(text).unwrap(), &PROFILE)
}

fn function<'a>(report: &'a Report, name: &str) -> &'a FunctionReport {
    let mut functions = report.functions.iter();
    functions
        .find(|function| function.name.as_deref() == Some(name))
        .unwrap()
}

#[test]
fn an_admitted_module_is_shown_as_the_pass_sees_it() {
    let bytes = wat::parse_str(EVERYTHING).unwrap();
    let metered = meter(&bytes, &PROFILE).unwrap();
    let report = inspect(&bytes, &PROFILE);

    let admitted = report.admission.as_ref().unwrap();
    assert_eq!(admitted.metered_bytes, metered.bytes.len() as u64);
    assert_eq!(admitted.init_cost, metered.init_cost);
    assert_eq!((admitted.pages_min, admitted.pages_max), (1, 4));
    assert_eq!(report.hash, *blake3::hash(&bytes).as_bytes());
    assert_eq!(report.kind, Some(GuestKind::Command));
    assert_eq!(report.data_bytes, 14);
    assert_eq!(report.manifest.as_deref(), Some(&b"name = everything"[..]));
    assert_eq!(report.unread_from, None);

    let imports: Vec<_> = report.imports.iter().collect();
    let uses = imports
        .iter()
        .map(|import| (import.name.as_str(), import.call_sites));
    assert!(uses.eq([("sched_yield", 1), ("log", 1)]));
    let exports = report.exports.iter();
    assert!(
        exports
            .map(|export| (export.name.as_str(), export.kind))
            .eq([
                ("memory", "memory"),
                ("h", "global"),
                ("_start", "function")
            ])
    );
    assert!(report.functions.iter().map(|it| it.index).eq([2, 3, 4, 5]));
}

#[test]
fn a_function_is_counted_once_through() {
    let report = look(EVERYTHING);
    let f = function(&report, "f");
    assert_eq!((f.loops, f.loop_nesting), (1, 1));
    assert_eq!((f.calls, f.indirect_calls, f.host_calls), (1, 0, 0));
    assert!(f.grows_memory);
    let classes = [
        Class::Loop,
        Class::Integer,
        Class::VectorFloat,
        Class::Vector,
        Class::F32Sqrt,
        Class::BrIf,
        Class::If,
        Class::Call,
        Class::MemoryGrow,
    ];
    let prices: u64 = classes.map(|class| Schedule::V1.price(class)).iter().sum();
    // Moves and locals come on top, and there are few of them.
    let rest = f.static_cost.unwrap() - prices;
    assert!(rest < 10, "{rest}");
    assert!(f.metered_bytes.unwrap() > f.body_bytes);
    let h = function(&report, "h");
    assert_eq!((h.calls, h.indirect_calls, h.host_calls), (0, 1, 2));
    assert_eq!(report.dearest()[0].name.as_deref(), Some("f"));

    let totals = report.totals();
    assert_eq!(totals.functions, 4);
    let sum = report.functions.iter().map(|it| it.static_cost.unwrap());
    assert_eq!(totals.static_cost, sum.sum::<u64>());
}

#[test]
fn a_recursive_function_shows_the_stack_that_a_call_counts() {
    let report = look(
        r#"(module (memory (export "memory") 1)
            (func $deep (param i32) (result i32) (local i64 i64)
                (i32.add (i32.const 1) (call $deep (local.get 0))))
            (func $leaf (result i32) (i32.const 1))
            (func (export "_start") (drop (call $deep (i32.const 0)))))"#,
    );
    assert!(report.admission.is_ok());
    // 320 for the frame, 24 for the parameter, each local and each of the two operands at least.
    assert!(function(&report, "deep").frame_bytes.unwrap() >= 320 + 24 * 5);
    assert_eq!(function(&report, "leaf").frame_bytes, None);
}

#[test]
fn loops_inside_each_other_are_counted_by_their_depth() {
    let report = look(
        r#"(module (memory (export "memory") 1)
            (func (export "_start") (local $i i32)
                (block (loop (block (loop nop)) (loop (if (i32.const 0) (then (loop nop))))))
                (loop nop)))"#,
    );
    let start = function(&report, "_start");
    assert_eq!((start.loops, start.loop_nesting), (5, 3));
    assert!(start.loops_precharged.unwrap() <= 5);
}

#[test]
fn a_loop_whose_rounds_are_known_before_it_starts_is_shown_as_charged_ahead() {
    let report = look(
        r#"(module (memory (export "memory") 1)
            (func $counted (param i32) (result i32) (local $i i32)
                (loop $next
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br_if $next (i32.lt_u (local.get $i) (local.get 0))))
                (local.get $i))
            (func $open (param i32)
                (loop $again (br_if $again (i32.load (local.get 0)))))
            (func (export "_start") (drop (call $counted (i32.const 9))) (call $open (i32.const 0))))"#,
    );
    assert_eq!(function(&report, "counted").loops_precharged, Some(1));
    assert_eq!(function(&report, "open").loops_precharged, Some(0));
    assert_eq!(report.totals().loops_precharged, 1);
}

/// Expects a refusal in this function, with something to do about it.
#[track_caller]
fn check_refused(text: &str, code: &str, in_function: Option<&str>) -> Report {
    let report = look(text);
    let refusal = report.admission.as_ref().unwrap_err();
    assert_eq!(refusal.reason.code(), code);
    assert_eq!(refusal.function_name.as_deref(), in_function);
    assert!(!refusal.advice.is_empty());
    report
}

#[test]
fn a_refusal_names_the_function_and_the_rest_is_still_shown() {
    let report = check_refused(
        r#"(module (memory (export "memory") 1)
            (func $fine (export "_start") (drop (i32.add (i32.const 1) (i32.const 2))))
            (func $shared (drop (i32.atomic.load (i32.const 0))))
            (func $after (loop nop)))"#,
        "E_FEATURE_THREADS",
        Some("shared"),
    );
    assert_eq!(report.kind, Some(GuestKind::Command));
    let price = Schedule::V1.price(Class::Integer);
    assert_eq!(function(&report, "fine").static_cost, Some(price));
    assert_eq!(function(&report, "fine").metered_bytes, None);
    assert_eq!(function(&report, "shared").static_cost, None);
    assert_eq!(function(&report, "after").loops, 1);
    assert_eq!(report.dearest()[0].name.as_deref(), Some("shared"));
}

#[test]
fn a_refusal_outside_of_functions_names_none() {
    check_refused(
        r#"(module (import "env" "system" (func $s (param i32))) (memory (export "memory") 1)
            (func $go (export "_start") (call $s (i32.const 0))))"#,
        "E_IMPORT",
        None,
    );
    check_refused(r#"(module (memory (export "memory") 1))"#, "E_ENTRY", None);
}

#[test]
fn without_a_name_section_exports_give_the_names() {
    let bytes =
        wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start")) (func))"#);
    let report = inspect(&bytes.unwrap(), &PROFILE);
    let names = report.functions.iter().map(|it| it.name.as_deref());
    assert!(names.eq([Some("_start"), None]));
}

#[test]
fn a_module_longer_than_any_is_not_looked_at() {
    let bytes = vec![0; haar_meter::limits::MODULE_BYTES_MAX + 1];
    let report = inspect(&bytes, &PROFILE);
    assert_eq!(report.admission.unwrap_err().reason.code(), "E_LIMIT");
    assert!(report.functions.is_empty());
}

#[test]
fn no_bytes_make_it_panic() {
    let original = wat::parse_str(EVERYTHING).unwrap();
    for profile in [
        PROFILE,
        Profile {
            simd: false,
            ..PROFILE
        },
    ] {
        for place in 0..original.len() {
            for flip in [1, 0x40, 0x80, 0xff] {
                let mut bytes = original.clone();
                bytes[place] ^= flip;
                let report = inspect(&bytes, &profile);
                assert!(report.functions.len() < 100);
            }
            let report = inspect(&original[..place], &profile);
            let metered = meter(&original[..place], &profile);
            assert_eq!(report.admission.is_ok(), metered.is_ok());
        }
    }
}
