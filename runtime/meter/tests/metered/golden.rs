//! Pins the bytes of version 1. A change here is a new version, never an edit.

use haar_meter::{METER_VERSION, Profile, meter};

use crate::engine::PROFILE;
use crate::hostile::EVERYTHING;

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
