//! Pins the bytes of version 1. A change here is a new version, never an edit.

use haar_meter::{METER_VERSION, Profile, meter};

use crate::engine::PROFILE;
use crate::hostile::EVERYTHING;

/// Arms and blocks that end in dead code, several results, and every temporary.
const CORNERS: &str = r#"(module (memory (export "memory") 1) (func (export "_start"))
    (func $f (param i32) (result i32 i64)
        (if (local.get 0) (then (return (i32.const 1) (i64.const 2))) (else (drop (i32.eqz (i32.const 0)))))
        (block $a (br $a) (drop (i32.const 1)))
        (if (result i32) (local.get 0) (then (unreachable)) (else (br 1 (i32.const 3) (i64.const 4))))
        (drop) (loop (br 0)) unreachable)
    (func (export "g") (param i32) (result i64) (local f32 f64 v128)
        (local.set 1 (f32.sqrt (f32.neg (f32.add (local.get 1) (f32.const 1)))))
        (local.set 2 (f64.abs (f64.promote_f32 (local.get 1))))
        (local.set 3 (f64x2.div (f64x2.splat (f64.ceil (local.get 2))) (local.get 3)))
        (memory.copy (i32.const 0) (i32.const 8) (i32.const 16))
        (call $f (memory.grow (i32.const 1))) (drop) (drop)
        (i64x2.extract_lane 1 (local.get 3))))"#;

/// Counted loops of every kind, recursion, a chain below it, and functions that need no depth.
const LOOPS: &str = r#"(module (memory (export "memory") 1) (func (export "_start"))
    (func $leaf (param i64) (result i64) (i64.mul (local.get 0) (i64.const 3)))
    (func $chain (call $rec (i32.wrap_i64 (call $leaf (i64.const 5)))))
    (func $rec (param i32) (local i32 i64)
        (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (loop
            (local.set 1 (i32.const 0))
            (loop (local.set 2 (call $leaf (local.get 2)))
                (br_if 0 (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 9))))
            (loop (br_if 0 (i64.gt_s (local.tee 2 (i64.add (local.get 2) (i64.const -12))) (i64.const 70))))
            (br_if 0 (i32.ne (local.get 0) (local.tee 1 (i32.add (local.get 1) (i32.const 12))))))
        (loop (i32.store (local.get 0) (local.get 1))
            (br_if 0 (i32.ne (local.tee 0 (i32.add (local.get 0) (i32.const 12))) (local.get 1))))
        (if (local.get 0) (then (call $rec (i32.const 1)) (call $leaf (i64.const 1)) (drop)))))"#;

fn hash(wat: &str, profile: Profile) -> String {
    let original = wat::parse_str(wat).unwrap();
    let once = meter(&original, &profile).unwrap();
    assert_eq!(once, meter(&original, &profile).unwrap());
    blake3::hash(&once.bytes).to_hex().to_string()
}

#[test]
fn the_bytes_of_version_one_do_not_change() {
    assert_eq!(METER_VERSION, 1);
    let small = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
    let scalar = Profile {
        simd: false,
        ..PROFILE
    };
    let found = [
        hash(EVERYTHING, PROFILE),
        hash(EVERYTHING, Profile::DESKTOP),
        hash(EVERYTHING, Profile::PHONE),
        hash(CORNERS, PROFILE),
        hash(LOOPS, PROFILE),
        hash(small, scalar),
    ];
    let pinned = [
        "ae266648a77f3b134b93e3f8487a4db51720af6bc4f12b40a09a8862780a7142",
        "a5e99520c1637e0428c2b1abce3c493b6e26d435ff12e7b1dd2bbbfc70c7431b",
        "47bda288ea2d62b499556508e6c893a31c512fdb7d500d3303aa590863e649bc",
        "b805bd76e5f76ad9a5c5f8ebba7ffc4b90cf225800c44bce7e372bb0f6bc16d0",
        "23658671474cff7b24543d586240c6067064e855663440f66bb22c1d253c9575",
        "28e1ae1a92ac2e7a15939e908c22f3f9c3778364712785ae53db45570ece2216",
    ];
    assert_eq!(found, pinned);
}
