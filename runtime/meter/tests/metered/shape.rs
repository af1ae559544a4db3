//! The form of metered modules: sections, names, doors, the section `haar.meter`.

use haar_meter::{GuestKind, Profile, SECTION_MANIFEST, SECTION_METER, meter};
use wasmparser::{ExternalKind, Parser, Payload};

use crate::engine::{PROFILE, metered};

const COMMAND: &str = r#"(module
    (import "haar" "log" (func $log (param i32 i32)))
    (memory (export "memory") 2)
    (global (export "g") (mut i32) (i32.const 5))
    (data (i32.const 0) "0123456789")
    (@custom "haar.manifest" "name = x")
    (@custom "producers" "gone")
    (func $s)
    (start $s)
    (func (export "_start") (call $log (i32.const 0) (i32.const 3))))"#;

#[test]
fn only_the_manifest_and_our_own_custom_section_remain() {
    let module = metered(COMMAND);
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(&module.bytes) {
        match payload.unwrap() {
            Payload::CustomSection(section) => names.push(section.name().to_owned()),
            Payload::StartSection { .. } => panic!("the start section must be gone"),
            _ => {}
        }
    }
    assert_eq!(names, [SECTION_MANIFEST, SECTION_METER]);
    assert_eq!(module.manifest.as_deref(), Some(&b"name = x"[..]));
}

#[test]
fn the_section_says_what_was_metered_and_for_what() {
    let original = wat::parse_str(COMMAND).unwrap();
    let module = meter(&original, &PROFILE).unwrap();
    let about = Parser::new(0)
        .parse_all(&module.bytes)
        .find_map(|payload| match payload.unwrap() {
            Payload::CustomSection(section) if section.name() == SECTION_METER => {
                Some(section.data().to_vec())
            }
            _ => None,
        })
        .unwrap();
    let mut expected = Vec::new();
    expected.extend(1u32.to_le_bytes());
    expected.extend(1u32.to_le_bytes());
    expected.extend(blake3::hash(&original).as_bytes());
    expected.extend((20_000u64 + 2 * 65_536 + 10 / 8).to_le_bytes());
    expected.extend(PROFILE.stack_limit.to_le_bytes());
    expected.extend(PROFILE.pages_max.to_le_bytes());
    expected.extend(1u32.to_le_bytes());
    assert_eq!(about, expected);
}

#[test]
fn our_exports_come_after_the_guests() {
    let module = metered(COMMAND);
    let mut exports = Vec::new();
    for payload in Parser::new(0).parse_all(&module.bytes) {
        if let Payload::ExportSection(section) = payload.unwrap() {
            for export in section {
                let export = export.unwrap();
                exports.push((export.name.to_owned(), export.kind, export.index));
            }
        }
    }
    // One import, two functions; the doors of $s and _start follow.
    let expected = [
        ("memory", ExternalKind::Memory, 0),
        ("g", ExternalKind::Global, 0),
        ("_start", ExternalKind::Func, 4),
        ("__haar_fuel", ExternalKind::Global, 1),
        ("__haar_status", ExternalKind::Global, 2),
        ("__haar_start", ExternalKind::Func, 3),
    ];
    assert_eq!(
        exports,
        expected.map(|(name, kind, index)| (name.to_owned(), kind, index))
    );
}

#[test]
fn the_marker_of_the_abi_makes_a_reactor() {
    let wat = r#"(module (memory (export "memory") 1)
        (func (export "_start"))
        (func (export "haar_abi_v1") (result i32) (i32.const 0))
        (func (export "haar_alloc") (param i32) (result i32) (i32.const 8))
        (func (export "haar_run") (param i32 i32) (result i64) (i64.const 0)))"#;
    assert_eq!(metered(wat).kind, GuestKind::Reactor);
    assert_eq!(metered(COMMAND).kind, GuestKind::Command);
}

#[test]
fn the_smaller_of_both_page_limits_holds() {
    let wat = |memory| {
        format!(r#"(module (memory (export "memory") {memory}) (func (export "_start")))"#)
    };
    for (memory, expected) in [("1", (1, 64)), ("2 9", (2, 9)), ("0 65536", (0, 64))] {
        let module = metered(&wat(memory));
        assert_eq!((module.pages_min, module.pages_max), expected);
    }
}

#[test]
fn the_profile_is_part_of_the_bytes() {
    let original = wat::parse_str(COMMAND).unwrap();
    let hash = |profile: Profile| blake3::hash(&meter(&original, &profile).unwrap().bytes);
    let base = hash(PROFILE);
    assert_ne!(
        base,
        hash(Profile {
            stack_limit: PROFILE.stack_limit + 1,
            ..PROFILE
        })
    );
    assert_ne!(
        base,
        hash(Profile {
            pages_max: PROFILE.pages_max + 1,
            ..PROFILE
        })
    );
    assert_ne!(
        base,
        hash(Profile {
            simd: false,
            ..PROFILE
        })
    );
}

#[test]
fn integers_only_modules_get_no_float_instruction() {
    let module = metered(COMMAND);
    for payload in Parser::new(0).parse_all(&module.bytes) {
        if let Payload::CodeSectionEntry(body) = payload.unwrap() {
            for op in body.get_operators_reader().unwrap() {
                let name = format!("{:?}", op.unwrap());
                assert!(!name.starts_with('F'), "{name}");
            }
        }
    }
}
