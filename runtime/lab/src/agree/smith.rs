//! Programs that nobody wrote: wasm-smith's modules within `haar-wasm/1`, with an entry that calls
//! every function and mixes the bits of every result.

use anyhow::Result;
use arbitrary::Unstructured;
use wasm_smith::{Config, Module};
use wasmparser::ValType;

use super::adapter::{Call, Value, adapt, is_numeric};
use super::parts::Parts;
use super::random::Random;

/// Bytes of chance that one module is made from.
const ENTROPY_BYTES: usize = 16 << 10;
const MEMORY_BYTES_MAX: u64 = 16 << 16;

/// Imports that a third of the modules may use.
const IMPORTS: &str = r#"(module
    (import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_filestat_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_sizes_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
    (import "haar" "log" (func (param i32 i32))))"#;

/// The module at `index` of the seed's sequence.
pub(crate) fn module(seed: u64, index: u64) -> Result<Vec<u8>> {
    let mut random = Random::new(seed, index);
    let config = config(&mut random)?;
    let entropy = random.bytes(ENTROPY_BYTES);
    let module = Module::new(config, &mut Unstructured::new(&entropy))?;
    with_entry(&module.to_bytes(), &mut random)
}

fn config(random: &mut Random) -> Result<Config> {
    let has_table = random.once_in(2);
    let available_imports = if random.once_in(3) {
        Some(wat::parse_str(IMPORTS)?)
    } else {
        None
    };
    Ok(Config {
        max_imports: if available_imports.is_some() { 8 } else { 0 },
        available_imports,
        // Instructions on tables come with bulk memory as soon as there is a table.
        bulk_memory_enabled: !has_table,
        max_tables: usize::from(has_table),
        min_tables: u32::from(has_table),
        max_table_elements: 64,
        max_element_segments: 8 * usize::from(has_table),
        reference_types_enabled: false,
        min_memories: 1,
        max_memories: 1,
        max_memory32_bytes: MEMORY_BYTES_MAX,
        memory_max_size_required: random.once_in(2),
        min_funcs: 2,
        max_funcs: 12,
        max_instructions: 40 + random.below(400) as usize,
        max_data_segments: 4,
        allow_floats: !random.once_in(8),
        simd_enabled: !random.once_in(3),
        disallow_traps: !random.once_in(3),
        allow_start_export: random.once_in(8),
        exceptions_enabled: false,
        gc_enabled: false,
        compact_imports_enabled: false,
        custom_descriptors_enabled: false,
        custom_page_sizes_enabled: false,
        relaxed_simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        shared_everything_threads_enabled: false,
        wide_arithmetic_enabled: false,
        acquire_release_atomics_enabled: false,
        extended_const_enabled: false,
        memory64_enabled: false,
        generate_custom_sections: false,
        ..Config::default()
    })
}

/// Calls each function once, beginning somewhere, with arguments that like to make trouble.
fn with_entry(module: &[u8], random: &mut Random) -> Result<Vec<u8>> {
    let parts = Parts::read(module)?;
    let mut calls = Vec::new();
    for function in parts.imported_functions().count() as u32..parts.function_count() {
        let ty = parts.type_of(function).filter(|ty| is_numeric(ty));
        if let Some(ty) = ty {
            let args = ty.params().iter().map(|ty| argument(*ty, random));
            calls.push(Call::Function(function, args.collect()));
        }
    }
    let mut order: Vec<usize> = (0..calls.len()).collect();
    order.rotate_left(random.below(calls.len() as u64) as usize);
    adapt(&parts, &calls, &order)
}

fn argument(ty: ValType, random: &mut Random) -> Value {
    const INTEGERS: [u64; 9] = [
        0,
        1,
        2,
        8,
        0xffff_ffff_ffff_ffff,
        0x8000_0000,
        0x7fff_ffff,
        0x8000_0000_0000_0000,
        65_536,
    ];
    const SINGLES: [u32; 8] = [
        0,
        0x8000_0000,
        0x7f80_0000,
        0xffc0_0000,
        0x7fa0_0001,
        0x3f80_0000,
        1,
        0xff80_0001,
    ];
    const DOUBLES: [u64; 8] = [
        0,
        0x8000_0000_0000_0000,
        0x7ff0_0000_0000_0000,
        0xfff8_0000_0000_0000,
        0x7ff4_0000_0000_0001,
        0x3ff0_0000_0000_0000,
        1,
        0xfff0_0000_0000_0001,
    ];
    let wild = random.next();
    let is_wild = random.once_in(2);
    let integer = if is_wild {
        None
    } else {
        random.choose(&INTEGERS)
    }
    .unwrap_or(wild);
    match ty {
        ValType::I32 | ValType::Ref(_) => Value::I32(integer as i32),
        ValType::I64 => Value::I64(integer.cast_signed()),
        ValType::F32 => {
            let chosen = if is_wild {
                None
            } else {
                random.choose(&SINGLES)
            };
            Value::F32(chosen.unwrap_or(wild as u32))
        }
        ValType::F64 => {
            let chosen = if is_wild {
                None
            } else {
                random.choose(&DOUBLES)
            };
            Value::F64(chosen.unwrap_or(wild))
        }
        ValType::V128 => {
            let low = random.choose(&DOUBLES).unwrap_or(wild);
            Value::V128(i128::from(wild.cast_signed()) << 64 | i128::from(low))
        }
    }
}
