//! Every named refusal, with the byte at which it stands.

use haar_meter::{Profile, limits, meter};

use crate::engine::PROFILE;

/// A module that would be admitted without `parts`.
fn with(parts: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module {parts} (memory (export "memory") 1) (func (export "_start")))"#
    ))
    .unwrap()
}

#[track_caller]
fn check_bytes(bytes: &[u8], code: &str) -> Option<usize> {
    let refused = meter(bytes, &PROFILE).unwrap_err();
    assert_eq!(refused.code(), code, "{refused}");
    if let Some(offset) = refused.offset() {
        assert!(offset <= bytes.len());
    }
    let sentence = refused.to_string();
    assert!(sentence.len() < 600 && sentence.contains(' '), "{sentence}");
    refused.offset()
}

#[track_caller]
fn check(parts: &str, code: &str) {
    assert!(check_bytes(&with(parts), code).is_some(), "no offset");
}

#[track_caller]
fn check_module(wat: &str, code: &str) {
    check_bytes(&wat::parse_str(wat).unwrap(), code);
}

#[test]
fn what_is_not_a_module_is_invalid() {
    check_bytes(b"", "E_INVALID");
    check_bytes(b"\0asm", "E_INVALID");
    check_bytes(b"\0asm\x0d\0\x01\0", "E_INVALID");
    check_bytes(b"GIF89a", "E_INVALID");
}

#[test]
fn an_invalid_function_that_is_never_called_is_invalid() {
    check("(func (result i32) i64.const 1)", "E_INVALID");
    check("(func i32.add drop)", "E_INVALID");
    check("(func (br 1))", "E_INVALID");
    check(
        "(func unreachable (i64.add (i32.const 1)) drop)",
        "E_INVALID",
    );
}

#[test]
fn the_offset_points_at_the_instruction() {
    let bytes = with("(func (result i32) (return_call 0))");
    let at = check_bytes(&bytes, "E_FEATURE_TAIL_CALL").unwrap();
    assert_eq!(bytes[at], 0x12);
}

#[test]
fn proposals_are_refused_by_name() {
    check("(func (atomic.fence))", "E_FEATURE_THREADS");
    check(
        "(func (drop (i32.atomic.load (i32.const 0))))",
        "E_FEATURE_THREADS",
    );
    check(
        "(func (drop (f32x4.relaxed_min (v128.const i64x2 0 0) (v128.const i64x2 0 0))))",
        "E_FEATURE_RELAXED_SIMD",
    );
    check("(func (return_call 0))", "E_FEATURE_TAIL_CALL");
    check("(tag)", "E_FEATURE_EXCEPTIONS");
    check("(func (try_table))", "E_FEATURE_EXCEPTIONS");
    check("(type (struct))", "E_FEATURE_GC");
    check("(rec (type (func)) (type (func)))", "E_FEATURE_GC");
    check("(func (param anyref))", "E_FEATURE_GC");
    check("(type $t (func)) (func (param (ref $t)))", "E_FEATURE_GC");
    check("(func (call_ref 0))", "E_FEATURE_FUNCTION_REFERENCES");
    check(
        "(func (drop (drop (i64.mul_wide_s (i64.const 0) (i64.const 0)))))",
        "E_FEATURE_WIDE_ARITHMETIC",
    );
    check(
        "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
        "E_FEATURE_EXTENDED_CONST",
    );
    check(
        "(global i32 (i32.const 1)) (global i32 (global.get 0))",
        "E_FEATURE_EXTENDED_CONST",
    );
}

#[test]
fn a_profile_without_vectors_refuses_them() {
    let profile = Profile {
        simd: false,
        ..PROFILE
    };
    for parts in [
        "(func (param v128))",
        "(func (local v128))",
        "(func (drop (v128.const i64x2 0 0)))",
        "(global v128 (v128.const i64x2 0 0))",
    ] {
        assert_eq!(
            meter(&with(parts), &profile).unwrap_err().code(),
            "E_FEATURE_SIMD"
        );
    }
}

#[test]
fn unusual_memories_are_refused() {
    let module = |memory: &str| format!(r#"(module {memory} (func (export "_start")))"#);
    check_module(
        &module(r#"(memory (export "memory") i64 1)"#),
        "E_FEATURE_MEMORY",
    );
    check_module(
        &module(r#"(memory (export "memory") 1) (memory 1)"#),
        "E_FEATURE_MEMORY",
    );
    check_module(
        &module(r#"(memory (export "memory") 1 (pagesize 1))"#),
        "E_FEATURE_MEMORY",
    );
    check_module(
        &module(r#"(memory (export "memory") 1 2 shared)"#),
        "E_FEATURE_THREADS",
    );
    check_module(
        &module(r#"(import "a" "b" (memory 1 2 shared))"#),
        "E_FEATURE_THREADS",
    );
    check_module(&module(r#"(import "env" "memory" (memory 1))"#), "E_MEMORY");
    check_module(&module(r#"(import "env" "g" (global i32))"#), "E_MEMORY");
    check_module(&module(""), "E_MEMORY");
    check_module(&module(r#"(memory 1)"#), "E_MEMORY");
    check_module(&module(r#"(memory (export "mem") 1)"#), "E_MEMORY");
    check_module(
        &module(r#"(memory 1) (func (export "memory"))"#),
        "E_MEMORY",
    );
    check_module(&module(r#"(memory (export "memory") 65)"#), "E_LIMIT");
}

#[test]
fn tables_may_only_be_filled_once() {
    check("(table 1 funcref) (table 1 funcref)", "E_TABLE");
    check("(table (export \"t\") 1 funcref)", "E_TABLE");
    check(r#"(import "a" "b" (table 1 funcref))"#, "E_TABLE");
    check("(table 1 externref)", "E_TABLE");
    check("(table 1 funcref) (func $f) (elem func $f)", "E_TABLE");
    check("(func $f) (elem declare func $f)", "E_TABLE");
    check(
        "(table 1 funcref) (func (drop (table.get (i32.const 0))))",
        "E_TABLE",
    );
    check("(table 1 funcref) (func (drop (table.size)))", "E_TABLE");
    check(
        "(table 1 funcref) (func (drop (table.grow (ref.null func) (i32.const 1))))",
        "E_TABLE",
    );
    check("(func (drop (ref.null extern)))", "E_TABLE");
    check("(func (param externref))", "E_TABLE");
    check("(func (local funcref))", "E_TABLE");
    check("(global funcref (ref.null func))", "E_TABLE");
    check(
        "(table 1 i64 funcref)".replace("1 i64", "i64 1").as_str(),
        "E_FEATURE_MEMORY",
    );
}

#[test]
fn imports_are_only_the_hosts() {
    check(r#"(import "env" "f" (func))"#, "E_IMPORT");
    check(
        r#"(import "wasi_snapshot_preview1" "fd_open" (func))"#,
        "E_IMPORT",
    );
    check(
        r#"(import "wasi_snapshot_preview1" "fd_close" (func))"#,
        "E_IMPORT",
    );
    check(
        r#"(import "wasi_snapshot_preview1" "fd_close" (func (param f32)))"#,
        "E_BOUNDARY_FLOAT",
    );
    check(
        r#"(import "haar" "log" (func $log (param i32 i32))) (export "l" (func $log))"#,
        "E_IMPORT",
    );
    check(
        &format!(r#"(import "{}" "f" (func))"#, "ä".repeat(10_000)),
        "E_IMPORT",
    );
}

#[test]
fn floats_do_not_cross_the_edge() {
    for ty in ["f32", "f64", "v128"] {
        check(
            &format!("(func (export \"f\") (param {ty}))"),
            "E_BOUNDARY_FLOAT",
        );
        check(
            &format!("(func (export \"f\") (result {ty}) unreachable)"),
            "E_BOUNDARY_FLOAT",
        );
    }
    check(
        r#"(global (export "g") (mut f64) (f64.const 0))"#,
        "E_BOUNDARY_FLOAT",
    );
    meter(
        &with(r#"(global (export "g") f64 (f64.const 0))"#),
        &PROFILE,
    )
    .unwrap();
}

#[test]
fn our_names_are_reserved() {
    check(r#"(func (export "__haar_x"))"#, "E_RESERVED");
    check(r#"(import "haar" "__haar_fuel" (func))"#, "E_RESERVED");
    let once = meter(&with(""), &PROFILE).unwrap().bytes;
    check_bytes(&once, "E_RESERVED");
}

#[test]
fn segments_must_fit() {
    check(r#"(data (i32.const 65533) "1234")"#, "E_SEGMENT_OOB");
    check(r#"(data (i32.const -1) "")"#, "E_SEGMENT_OOB");
    check(
        "(table 1 funcref) (func $f) (elem (i32.const 1) $f)",
        "E_SEGMENT_OOB",
    );
    meter(&with(r#"(data (i32.const 65532) "1234")"#), &PROFILE).unwrap();
    meter(&with(r#"(data (i32.const 65536) "")"#), &PROFILE).unwrap();
}

#[test]
fn an_entry_must_exist_and_have_its_type() {
    let module = |functions: &str| format!(r#"(module (memory (export "memory") 1) {functions})"#);
    check_module(&module(""), "E_ENTRY");
    check_module(
        &module(r#"(func (export "_start") (param i32))"#),
        "E_ENTRY",
    );
    check_module(
        &module(r#"(global (export "_start") i32 (i32.const 0))"#),
        "E_ENTRY",
    );
    let marker = r#"(func (export "haar_abi_v1") (result i32) (i32.const 0))"#;
    check_module(&module(marker), "E_ENTRY");
    let half =
        format!(r#"{marker} (func (export "haar_alloc") (param i32) (result i32) (i32.const 0))"#);
    check_module(&module(&half), "E_ENTRY");
    let wrong =
        format!(r#"{half} (func (export "haar_run") (param i32 i32) (result i32) (i32.const 0))"#);
    check_module(&module(&wrong), "E_ENTRY");
}

/// A ceiling, a module's part around repeated items, and the item.
type Ceiling = (u64, fn(&str) -> String, &'static str);

#[test]
fn ceilings_hold_and_the_value_below_passes() {
    let many = |text: &str, count: u64| text.repeat(count as usize);
    let cases: [Ceiling; 6] = [
        (
            limits::PARAMS_MAX,
            |x| format!("(func (param {x}))"),
            "i32 ",
        ),
        (
            limits::RESULTS_MAX,
            |x| format!("(type (func (result {x})))"),
            "i32 ",
        ),
        (
            limits::GLOBALS_MAX,
            |x| x.to_owned(),
            "(global i32 (i32.const 0))",
        ),
        (
            limits::NESTING_MAX - 1,
            |x| format!("(func {x} {})", x.replace("block", "end")),
            "block ",
        ),
        (
            limits::BR_TABLE_MAX - 1,
            |x| format!("(func (br_table {x} 0 (i32.const 0)))"),
            "0 ",
        ),
        (limits::DATA_SEGMENTS_MAX, |x| x.to_owned(), r#"(data "")"#),
    ];
    for (max, shape, item) in cases {
        meter(&with(&shape(&many(item, max))), &PROFILE).unwrap();
        check(&shape(&many(item, max + 2)), "E_LIMIT");
    }
}

#[test]
fn frames_tables_and_locals_have_ceilings() {
    // 320 + 24 * (fuel, depth and locals) may be 65,536.
    let locals = |count: u64| format!("(func (local {}))", "i64 ".repeat(count as usize));
    let fits = (limits::FRAME_BYTES_MAX - 320) / 24 - 2;
    meter(&with(&locals(fits)), &PROFILE).unwrap();
    check(&locals(fits + 1), "E_LIMIT");
    check(&locals(limits::LOCALS_MAX + 1), "E_LIMIT");
    let vectors = |count: u64| format!("(func (local {}))", "v128 ".repeat(count as usize));
    meter(&with(&vectors(fits / 2)), &PROFILE).unwrap();
    check(&vectors(fits / 2 + 1), "E_LIMIT");
    check("(table 1000001 funcref)", "E_LIMIT");
    let big = Profile {
        stack_limit: limits::STACK_LIMIT_MAX + 1,
        ..PROFILE
    };
    assert_eq!(meter(&with(""), &big).unwrap_err().code(), "E_LIMIT");
}

#[test]
fn instructions_with_many_operands_are_budgeted() {
    let params = "i32 ".repeat(500);
    let body = "(block (type $t) (br 0))".repeat(40_000);
    check(
        &format!("(type $t (func (param {params}) (result {params}))) (func unreachable {body})"),
        "E_LIMIT",
    );
}

#[test]
fn a_second_manifest_is_refused() {
    check(
        r#"(@custom "haar.manifest" "a") (@custom "haar.manifest" "b")"#,
        "E_LIMIT",
    );
}
