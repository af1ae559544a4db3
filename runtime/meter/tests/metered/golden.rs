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

#[track_caller]
fn check(wat: &str, profile: Profile, expected: &str) {
    let original = wat::parse_str(wat).unwrap();
    let once = meter(&original, &profile).unwrap();
    assert_eq!(once, meter(&original, &profile).unwrap());
    assert_eq!(blake3::hash(&once.bytes).to_hex().as_str(), expected);
}

#[test]
fn the_bytes_of_version_one_do_not_change() {
    assert_eq!(METER_VERSION, 1);
    check(
        EVERYTHING,
        PROFILE,
        "958f432d07ff86acaea255b07e00b0ed1d40288c282cc3034c0337648b475fd9",
    );
    check(
        EVERYTHING,
        Profile::DESKTOP,
        "678e32298523f927d56774dd1847df6bcc0f56cd1ca9941dbb8b8246bec6512e",
    );
    check(
        EVERYTHING,
        Profile::PHONE,
        "4df98944040855eb9fe9043c37dceb70b50aef2fac34da1971aa1e9992bea841",
    );
    check(
        CORNERS,
        PROFILE,
        "fe6cc1eafea66182b2b5a3d0dd49908264d8c20cf762bfc87ecba4e77d96f6f0",
    );
    let small = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
    check(
        small,
        Profile {
            simd: false,
            ..PROFILE
        },
        "b325231e2e2d70ce3cf962fb02ee5edb61f5736076ef6876403366f0f25f74ec",
    );
}
