//! The modules that are called.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const DATA_BYTES: u32 = 16 << 10;

/// Where a guest's stack ends and its data begins. The stack lies below the data, so that an overflow
/// is a trap, and grows down towards 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    /// What Rust's linker reserves unless it is told otherwise: 1 MiB.
    Default,
    /// 32 KiB, by `-zstack-size=32768`.
    Small,
}

impl Stack {
    pub const ALL: [Self; 2] = [Self::Default, Self::Small];

    fn bytes(self) -> u32 {
        match self {
            Self::Default => 1 << 20,
            Self::Small => 32 << 10,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "1 MiB",
            Self::Small => "32 KiB",
        }
    }
}

/// A reactor of about 100 KB that looks like a compiled function: its stack, 16 KiB of data, room
/// for answer and input, 256 functions of which a call uses 32.
///
/// A different `salt` is a different module of the same shape. The first four bytes of the input
/// say how many bytes behind that it writes to.
pub fn reactor(stack: Stack, salt: u32) -> Vec<u8> {
    let data_at = stack.bytes();
    let answer_at = data_at + DATA_BYTES;
    let input_at = answer_at + 256;
    let dirty_at = input_at + 3_840;
    let mut wat = format!(
        r#"(module
            (memory (export "memory") 40)
            (global $sp (mut i32) (i32.const {data_at}))
            (table 8 8 funcref)
            (elem (i32.const 1) $f0 $f1 $f2 $f3 $f4 $f5 $f6)
            (func (export "haar_abi_v1") (result i32) (i32.const 0))
            (func (export "haar_alloc") (param i32) (result i32) (i32.const {input_at}))
            "#,
    );
    let data: String = (0..DATA_BYTES)
        .map(|at| format!("\\{:02x}", at.wrapping_mul(at ^ salt) as u8))
        .collect();
    writeln!(wat, r#"(data (i32.const {data_at}) "{data}")"#).unwrap();
    for index in 0..256_u32 {
        function(&mut wat, index, data_at, salt);
    }
    let calls: String = (0..32)
        .map(|index| format!("(local.set $sum (call $f{} (local.get $sum)))", index * 8))
        .collect();
    write!(
        wat,
        r#"(func (export "haar_run") (param $ptr i32) (param $len i32) (result i64)
            (local $sum i32)
            (global.set $sp (i32.sub (global.get $sp) (i32.const 2048)))
            (i32.store (global.get $sp) (local.get $len))
            (if (i32.ge_u (local.get $len) (i32.const 4))
                (then (memory.fill
                    (i32.const {dirty_at}) (i32.const 1) (i32.load (local.get $ptr)))))
            (local.set $sum (local.get $len))
            {calls}
            (i32.store (i32.const {}) (local.get $sum))
            (global.set $sp (i32.add (global.get $sp) (i32.const 2048)))
            (i64.or
                (i64.shl (i64.const {answer_at}) (i64.const 32))
                (i64.const 5))))"#,
        answer_at + 1
    )
    .unwrap();
    wat::parse_str(wat).unwrap()
}

/// A function with arithmetic, loads of data and a branch.
fn function(wat: &mut String, index: u32, data_at: u32, salt: u32) {
    let mut body = String::new();
    for step in 0..16_u32 {
        let constant = index.wrapping_mul(0x9e37_79b9) ^ step.wrapping_mul(salt | 1);
        let at = data_at + (index * 37 + step * 4) % 16_000;
        write!(
            body,
            "(local.set $x (i32.add
                (i32.mul (local.get $x) (i32.const {}))
                (i32.load (i32.const {at}))))",
            constant.cast_signed()
        )
        .unwrap();
    }
    write!(
        wat,
        "(func $f{index} (param $x i32) (result i32)
            (if (i32.eqz (local.get $x)) (then (return (i32.const {index}))))
            {body} (local.get $x))"
    )
    .unwrap();
}

/// A reactor whose `_initialize` fills a table of 4,096 words, as a regular expression or a parser
/// does before its first call.
pub fn with_table() -> Vec<u8> {
    let wat = r#"(module
        (memory (export "memory") 2)
        (func (export "haar_abi_v1") (result i32) (i32.const 0))
        (func (export "haar_alloc") (param i32) (result i32) (i32.const 1024))
        (func (export "haar_init"))
        (func (export "_initialize") (local $at i32) (local $x i32)
            (loop $more
                (local.set $x (i32.add
                    (i32.mul (local.get $x) (i32.const 1103515245)) (i32.const 12345)))
                (i32.store offset=8192 (local.get $at) (local.get $x))
                (local.set $at (i32.add (local.get $at) (i32.const 4)))
                (br_if $more (i32.lt_u (local.get $at) (i32.const 16384)))))
        (func (export "haar_run") (param i32 i32) (result i64)
            (i32.store (i32.const 4097) (i32.load (i32.const 9000)))
            (i64.const 0x1000_0000_0005)))"#;
    wat::parse_str(wat).unwrap()
}

/// A command that writes five bytes, as a program with a libc does at least.
pub fn command() -> Vec<u8> {
    let wat = r#"(module
        (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 2)
        (data (i32.const 16) "\20\00\00\00\05\00\00\00")
        (data (i32.const 32) "hello")
        (func (export "_start")
            (drop (call $write
                (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 48)))))"#;
    wat::parse_str(wat).unwrap()
}

/// An example of this project, if it is built.
pub fn example(name: &str) -> Option<Vec<u8>> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests");
    [
        std::env::var_os("HAAR_GUESTS").map(PathBuf::from),
        Some(target),
    ]
    .into_iter()
    .flatten()
    .find_map(|folder| std::fs::read(folder.join(format!("{name}.wasm"))).ok())
}
