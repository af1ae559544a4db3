//! The modules that are published here: the project's examples, and hostile ones written by hand.

use std::path::{Path, PathBuf};

/// An example's module, from `HAAR_GUESTS` or from where the build leaves it.
pub fn example(name: &str) -> Vec<u8> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let folders = [
        std::env::var_os("HAAR_GUESTS").map(PathBuf::from),
        Some(target.join("guests")),
        Some(target.join("wasm32-wasip1/guest")),
    ];
    let mut folders = folders.into_iter().flatten();
    folders
        .find_map(|folder| std::fs::read(folder.join(format!("{name}.wasm"))).ok())
        .unwrap_or_else(|| panic!("{name}.wasm is not built: run `cargo xtask test`"))
}

/// A command whose `_start` has this body. `$read` and `$write` are WASI's, `$deeper` has no end.
pub fn command(body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_read"
                (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 2)
            (func $deeper (param i32) (result i32)
                (i32.add (i32.const 1) (call $deeper (local.get 0))))
            (func (export "_start") (local $count i64) {body}))"#
    );
    wat::parse_str(text).unwrap()
}

/// Writes its input back after a second or so of one core. What is there to write takes no part
/// in how long that is.
pub fn slow_echo() -> Vec<u8> {
    command(
        "(loop $again
            (local.set $count (i64.add (local.get $count) (i64.const 1)))
            (br_if $again (i64.lt_u (local.get $count) (i64.const 1500000000))))
         (i32.store (i32.const 0) (i32.const 64))
         (i32.store (i32.const 4) (i32.const 1024))
         (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
         (i32.store (i32.const 4) (i32.load (i32.const 8)))
         (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))",
    )
}

/// Runs until its fuel is used up.
pub fn endless_loop() -> Vec<u8> {
    command("(loop $again (br $again))")
}

/// Calls itself until its stack is used up.
pub fn endless_recursion() -> Vec<u8> {
    command("(drop (call $deeper (i32.const 0)))")
}

/// Asks for more and more memory, and gives up only if it gets none.
pub fn endless_memory() -> Vec<u8> {
    command(
        "(loop $again
            (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
         unreachable",
    )
}

/// Writes 64 KiB again and again.
pub fn endless_output() -> Vec<u8> {
    command(
        "(i32.store (i32.const 0) (i32.const 64))
         (i32.store (i32.const 4) (i32.const 65536))
         (loop $again
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (br $again))",
    )
}
