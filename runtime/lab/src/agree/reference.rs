//! A slow second opinion: counts every instruction when it runs, and makes every NaN canonical.
//!
//! It shares nothing with the pass but the numbers of the schedule. Before each instruction stands
//! an addition to a global; after each one that may make a NaN stands a test. No blocks, no paths,
//! no data-flow: what it says about a run that ends by itself must be what the metered run says.

use anyhow::Result;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataCountSection, ExportKind, ExportSection, Function,
    GlobalSection, GlobalType, Ieee32, Ieee64, ImportSection, Instruction, MemorySection,
    MemoryType, Module, ValType,
};
use wasmparser::{FunctionBody, Operator, TypeRef};

use super::parts::{Parts, values};
use super::price::{Price, Shape, maker, moves, price};

/// What the instructions of a run cost so far.
pub(crate) const COUNT: &str = "__haar_fuel";
/// Not 0 once the count passed the limit: the run was stopped.
pub(crate) const STOPPED: &str = "__haar_status";
/// The original's start function.
pub(crate) const START: &str = "__haar_start";

const F32_NAN: u32 = 0x7fc0_0000;
const F64_NAN: u64 = 0x7ff8_0000_0000_0000;

/// The module with its counter, stopped soon after it has counted to `limit`.
pub(crate) fn count(module: &[u8], pages_max: u32, limit: i64) -> Result<Vec<u8>> {
    let parts = Parts::read(module)?;
    let counter = Counter {
        count: parts.global_count(),
        limit,
    };
    let mut written = Module::new();
    written.section(&parts.type_section()?);
    let mut imports = ImportSection::new();
    for import in &parts.imports {
        if let TypeRef::Func(ty) = import.ty {
            let ty = wasm_encoder::EntityType::Function(ty);
            imports.import(import.module, import.name, ty);
        }
    }
    written.section(&imports);
    written.section(&parts.function_section());
    written.section(&parts.table_section()?);
    written.section(&memories(&parts, pages_max));
    written.section(&globals(&parts)?);
    written.section(&exports(&parts, counter.count)?);
    let (elements, data) = parts.segments(&mut RoundtripReencoder)?;
    written.section(&elements);
    if let Some(count) = parts.data_count {
        written.section(&DataCountSection { count });
    }
    let mut code = CodeSection::new();
    for (body, ty) in parts.bodies.iter().zip(&parts.functions) {
        let params = parts
            .types
            .get(*ty as usize)
            .map_or(0, |ty| ty.params().len());
        code.function(&counter.body(body, params as u32)?);
    }
    written.section(&code);
    written.section(&data);
    Ok(written.finish())
}

/// Growth beyond the profile's pages is refused, as the pass refuses it.
fn memories(parts: &Parts<'_>, pages_max: u32) -> MemorySection {
    let mut section = MemorySection::new();
    for memory in &parts.memories {
        let own = memory.maximum.unwrap_or(65_536);
        section.memory(MemoryType {
            minimum: memory.initial,
            maximum: Some(own.min(pages_max.into())),
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
    }
    section
}

fn globals(parts: &Parts<'_>) -> Result<GlobalSection> {
    let mut section = GlobalSection::new();
    for global in &parts.globals {
        RoundtripReencoder.parse_global(&mut section, global.clone())?;
    }
    for (val_type, zero) in [
        (ValType::I64, ConstExpr::i64_const(0)),
        (ValType::I32, ConstExpr::i32_const(0)),
    ] {
        let ty = GlobalType {
            val_type,
            mutable: true,
            shared: false,
        };
        section.global(ty, &zero);
    }
    Ok(section)
}

fn exports(parts: &Parts<'_>, count: u32) -> Result<ExportSection> {
    let mut section = ExportSection::new();
    for export in &parts.exports {
        RoundtripReencoder.parse_export(&mut section, *export)?;
    }
    section.export(COUNT, ExportKind::Global, count);
    section.export(STOPPED, ExportKind::Global, count + 1);
    if let Some(start) = parts.start {
        section.export(START, ExportKind::Func, start);
    }
    Ok(section)
}

/// Writes bodies.
struct Counter {
    /// The counting global; the one after it says that the run was stopped.
    count: u32,
    limit: i64,
}

/// Locals of ours behind the function's own, in this order.
const LOCALS: [(u32, ValType); 4] = [
    (2, ValType::I32),
    (1, ValType::F32),
    (1, ValType::F64),
    (1, ValType::V128),
];

impl Counter {
    fn body(&self, body: &FunctionBody<'_>, params: u32) -> Result<Function> {
        let mut locals = Vec::new();
        let (mut first, mut slots) = (params, 0);
        for entry in body.get_locals_reader()? {
            let (count, ty) = entry?;
            first += count;
            for ty in values(&[ty])? {
                locals.push((count, ty));
                slots += i64::from(count) * if ty == ValType::V128 { 2 } else { 1 };
            }
        }
        locals.extend(LOCALS);
        let mut function = Function::new(locals);
        self.stop(&mut function);
        self.pay(&mut function, super::price::locals(slots));
        let mut moved = 0;
        for op in body.get_operators_reader()? {
            let op = op?;
            match price(&op) {
                Price::Move => moved += 1,
                Price::Plain(cost) => self.pay(&mut function, cost),
                Price::EndsPiece(cost) => {
                    self.pay(&mut function, cost + moves(moved));
                    moved = 0;
                }
            }
            self.operator(&mut function, op, first)?;
        }
        Ok(function)
    }

    fn pay(&self, function: &mut Function, cost: i64) {
        if cost != 0 {
            function.instruction(&Instruction::I64Const(cost));
            self.add(function);
        }
    }

    fn operator(&self, function: &mut Function, op: Operator<'_>, first: u32) -> Result<()> {
        match op {
            Operator::MemoryFill { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryInit { .. } => {
                function.instruction(&Instruction::LocalTee(first));
                function.instruction(&Instruction::LocalGet(first));
                function.instruction(&Instruction::I64ExtendI32U);
                function.instruction(&Instruction::I64Const(super::price::BULK_BYTES));
                function.instruction(&Instruction::I64DivU);
                self.add(function);
            }
            Operator::MemoryGrow { .. } => {
                function.instruction(&Instruction::LocalTee(first));
            }
            _ => {}
        }

        let shape = maker(&op);
        let is_loop = matches!(op, Operator::Loop { .. });
        let is_growth = matches!(op, Operator::MemoryGrow { .. });
        function.instruction(&RoundtripReencoder.instruction(op)?);
        if is_loop {
            self.stop(function);
        }
        if is_growth {
            self.growth(function, first);
        }
        if let Some(shape) = shape {
            canonical(function, shape, first);
        }
        Ok(())
    }

    /// Pays for pages that the engine gave.
    fn growth(&self, function: &mut Function, first: u32) {
        for instruction in [
            Instruction::LocalTee(first + 1),
            Instruction::LocalGet(first),
            Instruction::I64ExtendI32U,
            Instruction::I64Const(super::price::PAGE),
            Instruction::I64Mul,
            Instruction::I64Const(0),
            Instruction::LocalGet(first + 1),
            Instruction::I32Const(-1),
            Instruction::I32Ne,
            Instruction::Select,
        ] {
            function.instruction(&instruction);
        }
        self.add(function);
    }

    /// Adds what lies on the stack.
    fn add(&self, function: &mut Function) {
        function.instruction(&Instruction::GlobalGet(self.count));
        function.instruction(&Instruction::I64Add);
        function.instruction(&Instruction::GlobalSet(self.count));
    }

    /// Ends a run that would go on for ever.
    fn stop(&self, function: &mut Function) {
        for instruction in [
            Instruction::GlobalGet(self.count),
            Instruction::I64Const(self.limit),
            Instruction::I64GtS,
            Instruction::If(BlockType::Empty),
            Instruction::I32Const(1),
            Instruction::GlobalSet(self.count + 1),
            Instruction::Unreachable,
            Instruction::End,
        ] {
            function.instruction(&instruction);
        }
    }
}

/// Replaces the value on the stack by the canonical NaN of its shape, if it is a NaN.
fn canonical(function: &mut Function, shape: Shape, first: u32) {
    let doubled = |bits: u128| i128::from_le_bytes(bits.to_le_bytes());
    let (local, nan, equal, choose) = match shape {
        Shape::F32 => (
            first + 2,
            Instruction::F32Const(Ieee32::new(F32_NAN)),
            Instruction::F32Eq,
            Instruction::Select,
        ),
        Shape::F64 => (
            first + 3,
            Instruction::F64Const(Ieee64::new(F64_NAN)),
            Instruction::F64Eq,
            Instruction::Select,
        ),
        Shape::F32x4 => (
            first + 4,
            Instruction::V128Const(doubled(
                u128::from(F32_NAN) * 0x1_0000_0001_0000_0001_0000_0001,
            )),
            Instruction::F32x4Eq,
            Instruction::V128Bitselect,
        ),
        Shape::F64x2 => (
            first + 4,
            Instruction::V128Const(doubled(u128::from(F64_NAN) * 0x1_0000_0000_0000_0001)),
            Instruction::F64x2Eq,
            Instruction::V128Bitselect,
        ),
    };
    function.instruction(&Instruction::LocalTee(local));
    function.instruction(&nan);
    function.instruction(&Instruction::LocalGet(local));
    function.instruction(&Instruction::LocalGet(local));
    function.instruction(&equal);
    function.instruction(&choose);
}
