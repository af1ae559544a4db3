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
        hash(small, scalar),
    ];
    let pinned = [
        "c70c44f6e7f0c4a65cd76b1a7f09e7e74ab8346728c4ec4e12b6ecd072e75005",
        "3f97ac443001b03a55cd0632a6cd06a53b30f386814ed9d3ff6103b47ce7811e",
        "40400d9569fbc2de7c432979b95c569a3df422719abf46471901699f18c21fe0",
        "88738bc739d2b568593d99d943ed569190b78d98b002c4928c2d6564ae2c71ea",
        "b325231e2e2d70ce3cf962fb02ee5edb61f5736076ef6876403366f0f25f74ec",
    ];
    assert_eq!(found, pinned);
}
