//! Shows an author what the pass sees in a module, from the bare file: why it is refused, or what
//! each of its functions costs and what metering adds.
//!
//! It looks at the module twice. The original is read leniently, so that a refused module is shown
//! as far as its bytes can be read. Of an admitted one the metered bytes are read as well, and what
//! only the pass decides (frames, checks, growth) is taken from there and not computed again: what
//! is shown is what is charged. It decides nothing, and it never panics on any bytes.

mod metered;
mod reading;

use crate::{GuestKind, Profile, Rejected, limits, meter};

/// What can be known about a module before it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// BLAKE3 of the bytes: the module's identity.
    pub hash: [u8; 32],
    /// Length of the module.
    pub bytes: u64,
    /// What the pass says.
    pub admission: Result<Admitted, Refusal>,
    /// How it is entered; of a refused module, how its exports look.
    pub kind: Option<GuestKind>,
    /// Imported functions, in their order.
    pub imports: Vec<ImportReport>,
    /// Exports, in their order.
    pub exports: Vec<ExportReport>,
    /// The first memory.
    pub memory: Option<MemoryReport>,
    /// Bytes of data segments.
    pub data_bytes: u64,
    /// The author's `haar.manifest`, byte for byte.
    pub manifest: Option<Vec<u8>>,
    /// Defined functions, in their order.
    pub functions: Vec<FunctionReport>,
    /// Where reading stopped, if it did before the module's end.
    pub unread_from: Option<u64>,
}

/// What metering gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// Length of the metered module.
    pub metered_bytes: u64,
    /// Fuel that a run pays before its first instruction.
    pub init_cost: u64,
    /// Pages at the start.
    pub pages_min: u32,
    /// Pages that memory can reach under the profile.
    pub pages_max: u32,
}

/// Why the pass admits it not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, with its code and its byte.
    pub reason: Rejected,
    /// The index of the function whose body has that byte.
    pub function: Option<u32>,
    /// That function's name.
    pub function_name: Option<String>,
    /// What the author can do, beyond what the reason says itself.
    pub advice: &'static str,
}

/// An imported function and how it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReport {
    /// The module that it is imported from.
    pub module: String,
    /// Its name there.
    pub name: String,
    /// Places that call it. None at all means it is linked for nothing.
    pub call_sites: u32,
}

/// An export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportReport {
    /// Its name.
    pub name: String,
    /// `function`, `memory`, `global`, `table` or `tag`.
    pub kind: &'static str,
    /// Which one.
    pub index: u32,
}

/// A memory's size in pages of 64 KiB, as the module declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryReport {
    /// At the start.
    pub pages_min: u64,
    /// At most; without it only the profile says so.
    pub pages_max: Option<u64>,
}

/// One function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FunctionReport {
    /// Its index, imports counted first.
    pub index: u32,
    /// Its name from the name section, or else from an export; shortened, never demangled.
    pub name: Option<String>,
    /// The byte at which its body starts.
    pub offset: u64,
    /// Length of the body.
    pub body_bytes: u64,
    /// Instructions in the body.
    pub instructions: u64,
    /// The cost of the straight text: every instruction once, as if no branch were taken. Without
    /// it there is an instruction that has no price or cannot be read.
    pub static_cost: Option<u64>,
    /// Loops in the body.
    pub loops: u32,
    /// The deepest nesting of loops.
    pub loop_nesting: u32,
    /// Of the reachable loops, those whose fuel is charged before them and not inside.
    pub loops_precharged: Option<u32>,
    /// Direct calls of defined functions.
    pub calls: u32,
    /// Indirect calls.
    pub indirect_calls: u32,
    /// Calls of the host.
    pub host_calls: u32,
    /// Whether it grows the memory.
    pub grows_memory: bool,
    /// Bytes of stack that a call counts. Without it, calls count none.
    pub frame_bytes: Option<u32>,
    /// Length of the metered body.
    pub metered_bytes: Option<u64>,
}

/// Sums over all functions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Functions.
    pub functions: u64,
    /// Bytes of bodies.
    pub body_bytes: u64,
    /// Instructions.
    pub instructions: u64,
    /// The cost of all text, once.
    pub static_cost: u64,
    /// Loops.
    pub loops: u64,
    /// Loops that are charged before they start.
    pub loops_precharged: u64,
    /// Bytes of metered bodies.
    pub metered_bytes: u64,
}

/// Looks at `module` as the pass would see it under `profile`.
pub fn inspect(module: &[u8], profile: &Profile) -> Report {
    let hash = *blake3::hash(module).as_bytes();
    let metered = meter(module, profile);
    // What is longer than any module is not looked at: nobody would run it anyway.
    let readable = match module.len() <= limits::MODULE_BYTES_MAX {
        true => module,
        false => &[],
    };
    let mut read = reading::read(readable, profile);
    let (admission, kind) = match metered {
        Ok(metered) => {
            metered::complete(&mut read.functions, &read.params, &metered.bytes);
            let admitted = Admitted {
                metered_bytes: metered.bytes.len() as u64,
                init_cost: metered.init_cost,
                pages_min: metered.pages_min,
                pages_max: metered.pages_max,
            };
            (Ok(admitted), Some(metered.kind))
        }
        Err(reason) => (Err(refusal(reason, &read.functions)), read.kind()),
    };
    Report {
        hash,
        bytes: module.len() as u64,
        admission,
        kind,
        imports: read.imports,
        exports: read.exports,
        memory: read.memory,
        data_bytes: read.data_bytes,
        manifest: read.manifest,
        functions: read.functions,
        unread_from: read.unread_from,
    }
}

impl Report {
    /// The functions, the dearest text first; those without a price are the most urgent of all.
    pub fn dearest(&self) -> Vec<&FunctionReport> {
        let mut functions: Vec<&FunctionReport> = self.functions.iter().collect();
        functions.sort_by_key(|function| {
            let cost = function.static_cost.unwrap_or(u64::MAX);
            (
                std::cmp::Reverse((cost, function.body_bytes)),
                function.index,
            )
        });
        functions
    }

    /// Sums over all functions.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for function in &self.functions {
            totals.functions += 1;
            totals.body_bytes += function.body_bytes;
            totals.instructions += function.instructions;
            totals.static_cost += function.static_cost.unwrap_or(0);
            totals.loops += u64::from(function.loops);
            totals.loops_precharged += u64::from(function.loops_precharged.unwrap_or(0));
            totals.metered_bytes += function.metered_bytes.unwrap_or(0);
        }
        totals
    }
}

/// A refusal with the function in which its byte stands.
fn refusal(reason: Rejected, functions: &[FunctionReport]) -> Refusal {
    let place = reason.offset().map(|offset| offset as u64);
    let function = place.and_then(|at| {
        let after = functions.partition_point(|function| function.offset <= at);
        let function = functions.get(after.checked_sub(1)?)?;
        (at < function.offset + function.body_bytes).then_some(function)
    });
    Refusal {
        function: function.map(|function| function.index),
        function_name: function.and_then(|function| function.name.clone()),
        advice: advice(reason.code()),
        reason,
    }
}

/// What an author can do about a refusal, by its code.
fn advice(code: &str) -> &'static str {
    match code {
        "E_INVALID" => {
            "check that the file is a core module (not a component, not text) and was copied whole; \
             build it again with a current compiler"
        }
        "E_FEATURE_THREADS" => {
            "build for wasm32-wasip1 and not for wasm32-wasip1-threads; drop -pthread"
        }
        "E_FEATURE_RELAXED_SIMD" => "use the ordinary SIMD intrinsics: these differ between CPUs",
        "E_FEATURE_SIMD" => "build without -C target-feature=+simd128 (in C: -msimd128)",
        "E_FEATURE_MEMORY" => "build for wasm32, with one memory",
        "E_FEATURE_EXCEPTIONS" => "build with panic = \"abort\" (in C++: -fno-exceptions)",
        "E_FEATURE_GC" | "E_FEATURE_FUNCTION_REFERENCES" => {
            "use a compiler that targets linear memory (Rust, C, C++, Zig, TinyGo)"
        }
        "E_FEATURE_TAIL_CALL" => "build with -C target-feature=-tail-call (in C: -mno-tail-call)",
        "E_FEATURE_EXTENDED_CONST" => "link statically, without -shared or -fPIC",
        "E_TABLE" => {
            "build with -C target-feature=-reference-types (in C: -mno-reference-types); link \
             without --export-table and --import-table"
        }
        "E_MEMORY" => "link without --import-memory, and with --export-memory",
        "E_IMPORT" => {
            "build for wasm32-wasip1; imports named env or __wbindgen_placeholder__ come from \
             missing C functions or from wasm-bindgen, which needs a browser"
        }
        "E_BOUNDARY_FLOAT" => "do not export the symbol, or give its value through memory",
        "E_RESERVED" => "publish the module as the compiler wrote it",
        "E_SEGMENT_OOB" => "raise --initial-memory until the data fits",
        "E_LIMIT" => {
            "split the function or the module, or build it smaller: opt-level = \"s\", lto = true, \
             wasm-opt -Os; runtime/meter/SPEC.md has every ceiling"
        }
        "E_ENTRY" => {
            "a program needs a main; a library needs #[haar::function] and crate-type cdylib"
        }
        _ => "see runtime/meter/SPEC.md",
    }
}
