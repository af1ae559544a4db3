//! Gives a module the shell that `haar-wasm/1` asks for, and nothing else: a memory named `memory`,
//! an entry, and calls whose arguments and results stay inside.
//!
//! Floats and vectors may not cross a module's edge, so each call becomes an export `() -> ()` that
//! pushes constants, calls, and leaves the bits of the results in exported integer globals. What the
//! module does stays byte for byte: bodies, types, tables and segments are copied.

use anyhow::Result;
use wasm_encoder::reencode::{Error, Reencode, RoundtripReencoder, utils};
use wasm_encoder::{
    ConstExpr, DataCountSection, ExportKind, ExportSection, Function, GlobalSection, GlobalType,
    Ieee32, Ieee64, ImportSection, Instruction, MemorySection, MemoryType, Module, StartSection,
    ValType,
};
use wasmparser::{FuncType, Operator, TypeRef};

use super::parts::{Parts, is_global, values};

/// The global in which everything that was computed is mixed.
pub(crate) const MIX: &str = "mix";

/// A constant argument.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value {
    I32(i32),
    I64(i64),
    F32(u32),
    F64(u64),
    V128(i128),
}

/// What one call looks at.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    /// A function by its index, with arguments.
    Function(u32, Vec<Value>),
    /// A global by its index.
    Global(u32),
}

/// Why a module cannot be given a shell.
pub(crate) type Unfit = &'static str;

/// The export that makes the call at `index`.
pub(crate) fn call_name(index: usize) -> String {
    format!("call{index}")
}

/// The export that holds a part of a result: two parts of 64 bits each.
pub(crate) fn slot_name(result: usize, part: usize) -> String {
    format!("r{result}.{part}")
}

/// Why this module, or a call of it, has no place in the shell.
pub(crate) fn unfit(parts: &Parts<'_>) -> Option<Unfit> {
    for import in &parts.imports {
        let is_host = matches!(import.module, "wasi_snapshot_preview1" | "haar");
        if import.module != "spectest" && !is_host {
            return Some("it imports from another module of the test");
        }
        if is_host && !matches!(import.ty, TypeRef::Func(_)) {
            return Some("it imports something unknown");
        }
    }
    let imported = |wanted: fn(&TypeRef) -> bool| {
        parts
            .imports
            .iter()
            .filter(|import| wanted(&import.ty))
            .count()
    };
    if imported(|ty| matches!(ty, TypeRef::Memory(_))) + parts.memories.len() > 1 {
        return Some("it has several memories");
    }
    None
}

/// Whether all values of a function's type are numbers.
pub(crate) fn is_numeric(ty: &FuncType) -> bool {
    let is_number = |ty: &wasmparser::ValType| !matches!(ty, wasmparser::ValType::Ref(_));
    ty.params().iter().all(is_number) && ty.results().iter().all(is_number)
}

/// Writes the module with its shell. `_start` makes the calls at the places in `started`.
pub(crate) fn adapt(parts: &Parts<'_>, calls: &[Call], started: &[usize]) -> Result<Vec<u8>> {
    let imports_stay = parts
        .imports
        .iter()
        .all(|import| import.module != "spectest");
    let mut inline = Inline::new(parts, imports_stay);
    let mut module = Module::new();

    let mut types = parts.type_section()?;
    let plain = types.len();
    types.ty().function([], []);
    module.section(&types);
    if imports_stay && !parts.imports.is_empty() {
        let mut imports = ImportSection::new();
        for import in &parts.imports {
            if let TypeRef::Func(ty) = import.ty {
                let ty = wasm_encoder::EntityType::Function(ty);
                imports.import(import.module, import.name, ty);
            }
        }
        module.section(&imports);
    }

    let mut functions = wasm_encoder::FunctionSection::new();
    if !imports_stay {
        parts.imported_functions().for_each(|ty| {
            functions.function(ty);
        });
    }
    for ty in &parts.functions {
        functions.function(*ty);
    }
    for _ in 0..=calls.len() {
        functions.function(plain);
    }
    module.section(&functions);

    let mut tables = wasm_encoder::TableSection::new();
    for import in &parts.imports {
        if let TypeRef::Table(ty) = import.ty {
            tables.table(RoundtripReencoder.table_type(ty)?);
        }
    }
    for table in &parts.tables {
        inline.parse_table(&mut tables, table.clone())?;
    }
    if !tables.is_empty() {
        module.section(&tables);
    }
    module.section(&memory(parts)?);
    let slots = slots(parts, calls);
    module.section(&globals(parts, &mut inline, slots)?);
    module.section(&exports(parts, calls, slots));
    if let Some(function_index) = parts.start {
        module.section(&StartSection { function_index });
    }

    let (elements, data) = parts.segments(&mut inline)?;
    if !elements.is_empty() {
        module.section(&elements);
    }
    if let Some(count) = parts.data_count {
        module.section(&DataCountSection { count });
    }
    module.section(&code(parts, calls, started, imports_stay)?);
    if !data.is_empty() {
        module.section(&data);
    }
    Ok(module.finish())
}

/// How many results the call with the most has.
fn slots(parts: &Parts<'_>, calls: &[Call]) -> usize {
    let results = calls.iter().map(|call| match call {
        Call::Function(function, _) => parts.type_of(*function).map_or(0, |ty| ty.results().len()),
        Call::Global(_) => 1,
    });
    results.max().unwrap_or(0)
}

/// The module's own memory, the one it wanted from outside, or a page that nobody uses.
fn memory(parts: &Parts<'_>) -> Result<MemorySection> {
    // The test suite's has a page and may have two, whatever the import asks for.
    let is_imported = parts
        .imports
        .iter()
        .any(|import| matches!(import.ty, TypeRef::Memory(_)));
    let mut section = MemorySection::new();
    section.memory(match parts.memories.first().copied() {
        Some(ty) => RoundtripReencoder.memory_type(ty)?,
        None => MemoryType {
            minimum: 1,
            maximum: Some(if is_imported { 2 } else { 1 }),
            memory64: false,
            shared: false,
            page_size_log2: None,
        },
    });
    Ok(section)
}

fn globals(parts: &Parts<'_>, inline: &mut Inline, slots: usize) -> Result<GlobalSection> {
    let mut section = GlobalSection::new();
    for (import, value) in parts
        .imports
        .iter()
        .filter(|i| is_global(i))
        .zip(inline.imported.clone())
    {
        if let TypeRef::Global(ty) = import.ty {
            section.global(RoundtripReencoder.global_type(ty)?, &value);
        }
    }
    for global in &parts.globals {
        inline.parse_global(&mut section, global.clone())?;
    }
    let ty = GlobalType {
        val_type: ValType::I64,
        mutable: true,
        shared: false,
    };
    for _ in 0..=2 * slots {
        section.global(ty, &ConstExpr::i64_const(0));
    }
    Ok(section)
}

fn exports(parts: &Parts<'_>, calls: &[Call], slots: usize) -> ExportSection {
    let mut section = ExportSection::new();
    section.export("memory", ExportKind::Memory, 0);
    let first = parts.function_count();
    for index in 0..calls.len() {
        section.export(&call_name(index), ExportKind::Func, first + index as u32);
    }
    section.export("_start", ExportKind::Func, first + calls.len() as u32);
    let mix = parts.global_count();
    section.export(MIX, ExportKind::Global, mix);
    for result in 0..slots {
        for part in 0..2 {
            let global = mix + 1 + (2 * result + part) as u32;
            section.export(&slot_name(result, part), ExportKind::Global, global);
        }
    }
    section
}

fn code(
    parts: &Parts<'_>,
    calls: &[Call],
    started: &[usize],
    imports_stay: bool,
) -> Result<wasm_encoder::CodeSection> {
    let mut section = wasm_encoder::CodeSection::new();
    if !imports_stay {
        for ty in parts.imported_functions() {
            section.function(&nothing(parts.types.get(ty as usize))?);
        }
    }
    for body in &parts.bodies {
        section.raw(body.as_bytes());
    }
    let mix = parts.global_count();
    for call in calls {
        section.function(&wrapper(parts, call, mix)?);
    }
    let mut start = Function::new([]);
    for index in started {
        start.instruction(&Instruction::Call(parts.function_count() + *index as u32));
    }
    start.instruction(&Instruction::End);
    section.function(&start);
    Ok(section)
}

/// A host function of the test suite: it takes its arguments and gives zeros.
fn nothing(ty: Option<&FuncType>) -> Result<Function> {
    let mut function = Function::new([]);
    for result in ty
        .map(|ty| values(ty.results()))
        .transpose()?
        .unwrap_or_default()
    {
        function.instruction(&match result {
            ValType::I32 => Instruction::I32Const(0),
            ValType::I64 => Instruction::I64Const(0),
            ValType::F32 => Instruction::F32Const(Ieee32::new(0)),
            ValType::F64 => Instruction::F64Const(Ieee64::new(0)),
            ValType::V128 => Instruction::V128Const(0),
            ValType::Ref(ty) => Instruction::RefNull(ty.heap_type),
        });
    }
    function.instruction(&Instruction::End);
    Ok(function)
}

/// Makes one call, keeps its results, and mixes them into what came before.
fn wrapper(parts: &Parts<'_>, call: &Call, mix: u32) -> Result<Function> {
    let mut function = Function::new([(1, ValType::V128)]);
    let mut emit = |instruction: Instruction<'_>| {
        function.instruction(&instruction);
    };
    let results = match call {
        Call::Function(index, args) => {
            args.iter().for_each(|arg| emit(constant(*arg)));
            emit(Instruction::Call(*index));
            parts.type_of(*index).map(|ty| values(ty.results()))
        }
        Call::Global(index) => {
            emit(Instruction::GlobalGet(*index));
            global_type(parts, *index).map(|ty| values(&[ty]))
        }
    };
    let results = results.transpose()?.unwrap_or_default();
    for (result, ty) in results.iter().enumerate().rev() {
        let low = mix + 1 + 2 * result as u32;
        match ty {
            ValType::I32 => emit(Instruction::I64ExtendI32U),
            ValType::F32 => {
                emit(Instruction::I32ReinterpretF32);
                emit(Instruction::I64ExtendI32U);
            }
            ValType::F64 => emit(Instruction::I64ReinterpretF64),
            ValType::V128 => {
                emit(Instruction::LocalTee(0));
                emit(Instruction::I64x2ExtractLane(1));
                emit(Instruction::GlobalSet(low + 1));
                emit(Instruction::LocalGet(0));
                emit(Instruction::I64x2ExtractLane(0));
            }
            ValType::I64 | ValType::Ref(_) => {}
        }
        emit(Instruction::GlobalSet(low));
        for part in 0..if *ty == ValType::V128 { 2 } else { 1 } {
            emit(Instruction::GlobalGet(mix));
            emit(Instruction::I64Const(0x100_0000_01b3));
            emit(Instruction::I64Mul);
            emit(Instruction::GlobalGet(low + part));
            emit(Instruction::I64Xor);
            emit(Instruction::GlobalSet(mix));
        }
    }
    emit(Instruction::End);
    Ok(function)
}

fn constant(value: Value) -> Instruction<'static> {
    match value {
        Value::I32(value) => Instruction::I32Const(value),
        Value::I64(value) => Instruction::I64Const(value),
        Value::F32(bits) => Instruction::F32Const(Ieee32::new(bits)),
        Value::F64(bits) => Instruction::F64Const(Ieee64::new(bits)),
        Value::V128(bits) => Instruction::V128Const(bits),
    }
}

/// The type of a global by its index, imported ones first.
pub(crate) fn global_type(parts: &Parts<'_>, index: u32) -> Option<wasmparser::ValType> {
    let imported = parts.imports.iter().filter_map(|import| match import.ty {
        TypeRef::Global(ty) => Some(ty.content_type),
        _ => None,
    });
    let own = parts.globals.iter().map(|global| global.ty.content_type);
    imported.chain(own).nth(index as usize)
}

/// Replaces the test suite's globals by their values, wherever a constant expression reads them.
struct Inline {
    imported: Vec<ConstExpr>,
}

impl Inline {
    fn new(parts: &Parts<'_>, imports_stay: bool) -> Self {
        let mut imported = Vec::new();
        for import in &parts.imports {
            if let (false, TypeRef::Global(ty)) = (imports_stay, import.ty) {
                imported.push(match ty.content_type {
                    wasmparser::ValType::I64 => ConstExpr::i64_const(666),
                    wasmparser::ValType::F32 => ConstExpr::f32_const(Ieee32::from(666.6f32)),
                    wasmparser::ValType::F64 => ConstExpr::f64_const(Ieee64::from(666.6f64)),
                    _ => ConstExpr::i32_const(666),
                });
            }
        }
        Self { imported }
    }
}

impl Reencode for Inline {
    type Error = std::convert::Infallible;

    fn const_expr(
        &mut self,
        expression: wasmparser::ConstExpr<'_>,
    ) -> Result<ConstExpr, Error<Self::Error>> {
        let first = expression.get_operators_reader().read()?;
        if let Operator::GlobalGet { global_index } = first
            && let Some(value) = self.imported.get(global_index as usize)
        {
            return Ok(value.clone());
        }
        utils::const_expr(self, expression)
    }
}
