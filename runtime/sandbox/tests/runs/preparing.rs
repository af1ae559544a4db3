//! What is refused before it runs, and what is remembered.

use std::sync::Arc;

use haar_records::{Profile, RunConfig};
use haar_sandbox::{GuestKind, PrepareError, Sandbox, SandboxConfig};

use crate::guests::{assemble, command_wat, config, refusal, sandbox};

#[test]
fn garbage_is_refused_with_a_reason() {
    let module = b"\0asm but not really";
    let error = sandbox().prepare(module, &config(module, b"")).unwrap_err();
    assert!(matches!(error, PrepareError::Rejected(reason) if reason.code() == "E_INVALID"));
}

#[test]
fn an_unknown_import_is_refused() {
    let wat = r#"(module
        (import "env" "system" (func (param i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")))"#;
    let error = refusal(wat, 16);
    assert!(matches!(error, PrepareError::Rejected(reason) if reason.code() == "E_IMPORT"));
}

#[test]
fn a_module_that_starts_with_more_pages_than_the_job_has_is_refused() {
    let wat = r#"(module (memory (export "memory") 17) (func (export "_start")))"#;
    assert!(matches!(refusal(wat, 16), PrepareError::Rejected(_)));
}

#[test]
fn another_profile_is_refused() {
    let module = assemble(&command_wat(""));
    let profile = Profile {
        stack_limit: 1 << 20,
        ..Profile::V1
    };
    let config = RunConfig {
        profile,
        ..config(&module, b"")
    };
    let error = sandbox().prepare(&module, &config).unwrap_err();
    assert_eq!(error, PrepareError::UnknownProfile);
}

#[test]
fn more_pages_than_the_profile_has_are_refused() {
    let module = assemble(&command_wat(""));
    let config = RunConfig {
        memory_pages_max: Profile::V1.pages_max + 1,
        ..config(&module, b"")
    };
    let error = sandbox().prepare(&module, &config).unwrap_err();
    assert_eq!(error, PrepareError::BadConfig);
}

#[test]
fn a_module_is_prepared_once_for_one_page_limit() {
    let module = assemble(&command_wat("(call $exit (i32.const 41))"));
    let config = config(&module, b"");
    let first = sandbox().prepare(&module, &config).unwrap();
    assert_eq!(first.kind(), GuestKind::Command);
    let again = sandbox().prepare(&module, &config).unwrap();
    assert!(Arc::ptr_eq(&first, &again));

    let other = RunConfig {
        memory_pages_max: 9,
        ..config
    };
    let other = sandbox().prepare(&module, &other).unwrap();
    assert!(!Arc::ptr_eq(&first, &other));
}

#[test]
fn many_that_ask_at_once_get_the_same() {
    let module = assemble(&command_wat("(call $exit (i32.const 42))"));
    let config = config(&module, b"");
    let prepared: Vec<_> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| sandbox().prepare(&module, &config).unwrap()))
            .collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for one in &prepared {
        assert!(Arc::ptr_eq(one, &prepared[0]));
    }
}

#[test]
fn the_longest_unused_module_is_forgotten_first() {
    let sandbox = Sandbox::new(SandboxConfig {
        concurrency: 1,
        prepared_max: 2,
    })
    .unwrap();
    let prepare = |code: u8| {
        let module = assemble(&command_wat(&format!("(call $exit (i32.const {code}))")));
        sandbox.prepare(&module, &config(&module, b"")).unwrap()
    };

    let (one, two) = (prepare(1), prepare(2));
    assert!(Arc::ptr_eq(&one, &prepare(1)));
    prepare(3);
    assert!(Arc::ptr_eq(&one, &prepare(1)));
    assert!(!Arc::ptr_eq(&two, &prepare(2)));
}

#[test]
fn the_profile_names_the_prices_that_are_charged() {
    let prices = haar_meter::schedule::Schedule::V1.hash();
    assert_eq!(Profile::V1.schedule.0, prices);
}
