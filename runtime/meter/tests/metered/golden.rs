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
        "aa1e658f3fc8d344baf62fdfa6c1c57388d1ead3a83d069573b58bac39ad84e7",
        "46e75b00c9687d04ea656cb4f4e104dafb7d528d57f668e3a3db4e0207b14296",
        "ec9a7916080d484d2b98dbfe5eb30c0432dd87e5b16a39d9e881b475483bf445",
        "257bf90821387c3b6c8a67e62f005f1e9db18ab2f0fee92d32b13236a3319ec8",
        "28e1ae1a92ac2e7a15939e908c22f3f9c3778364712785ae53db45570ece2216",
    ];
    assert_eq!(found, pinned);
}
