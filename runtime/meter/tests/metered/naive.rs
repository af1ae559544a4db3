//! Counts fuel before every instruction, on the engine: what placement must never change.
//!
//! Each instruction of the original is preceded by `count += price`. Slow, and nothing to prove.

use haar_meter::schedule::{Class, class};
use wasm_encoder::reencode::{Error, Reencode, RoundtripReencoder, utils};
use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, Function, GlobalSection, GlobalType, Instruction,
    Module, ValType,
};
use wasmparser::{FunctionBody, Operator, Parser, Payload};
use wasmtime::Val;

use crate::engine::count_plain;
use crate::prices::ROUND;

const NAME: &str = "count";

/// Runs the counted form of `wat` and returns its fuel.
pub fn count(wat: &str, entry: &str, args: &[Val]) -> u64 {
    let original = wat::parse_str(wat).unwrap();
    let mut module = Module::new();
    let mut counter = Counter::new(&original);
    counter
        .parse_core_module(&mut module, Parser::new(0), &original)
        .unwrap();
    let fuel = count_plain(&module.finish(), entry, args, NAME);
    fuel.cast_unsigned()
}

/// Rewrites a module that has globals and exports of its own or none at all.
struct Counter {
    params: Vec<u32>,
    next: usize,
    global: u32,
}

impl Counter {
    fn new(original: &[u8]) -> Self {
        let (mut types, mut params, mut global) = (Vec::new(), Vec::new(), 0);
        for payload in Parser::new(0).parse_all(original) {
            match payload.unwrap() {
                Payload::TypeSection(section) => {
                    let all = section.into_iter_err_on_gc_types();
                    types = all.map(|ty| ty.unwrap().params().len() as u32).collect();
                }
                Payload::FunctionSection(section) => {
                    let all = section.into_iter();
                    params = all.map(|ty| types[ty.unwrap() as usize]).collect();
                }
                Payload::GlobalSection(section) => global = section.count(),
                _ => {}
            }
        }
        assert_eq!(global, 0, "only modules without globals are counted");
        Self {
            params,
            next: 0,
            global,
        }
    }

    fn add(&self, code: &mut Function, cost: u64) {
        code.instruction(&Instruction::I64Const(cost.cast_signed()));
        self.add_top(code);
    }

    /// Adds the i64 on the stack.
    fn add_top(&self, code: &mut Function) {
        code.instruction(&Instruction::GlobalGet(self.global));
        code.instruction(&Instruction::I64Add);
        code.instruction(&Instruction::GlobalSet(self.global));
    }

    /// Adds what the moves since the last end of a piece cost.
    fn end_piece(&self, code: &mut Function, moves: u32) {
        code.instruction(&Instruction::LocalGet(moves));
        code.instruction(&Instruction::I64Const(ROUND.moves_per_fuel.into()));
        code.instruction(&Instruction::I64DivU);
        self.add_top(code);
        code.instruction(&Instruction::I64Const(0));
        code.instruction(&Instruction::LocalSet(moves));
    }

    fn before(&self, code: &mut Function, op: &Operator<'_>, temporaries: u32) {
        let (moves, length) = (temporaries, temporaries + 1);
        let class = class(op, true).unwrap();
        self.add(code, ROUND.price(class));
        if class == Class::Move {
            code.instruction(&Instruction::LocalGet(moves));
            code.instruction(&Instruction::I64Const(1));
            code.instruction(&Instruction::I64Add);
            code.instruction(&Instruction::LocalSet(moves));
        }
        if class.ends_piece() {
            self.end_piece(code, moves);
        }
        if class == Class::Bulk {
            code.instruction(&Instruction::LocalTee(length));
            code.instruction(&Instruction::LocalGet(length));
            code.instruction(&Instruction::I32Const(ROUND.bulk_shift.cast_signed()));
            code.instruction(&Instruction::I32ShrU);
            code.instruction(&Instruction::I64ExtendI32U);
            self.add_top(code);
        }
        if class == Class::MemoryGrow {
            code.instruction(&Instruction::LocalTee(length));
        }
    }

    /// Pays for the pages, unless the growth was refused.
    fn after_growth(&self, code: &mut Function, length: u32) {
        let before = length + 1;
        code.instruction(&Instruction::LocalTee(before));
        code.instruction(&Instruction::LocalGet(length));
        code.instruction(&Instruction::I32Const(0));
        code.instruction(&Instruction::LocalGet(before));
        code.instruction(&Instruction::I32Const(-1));
        code.instruction(&Instruction::I32Ne);
        code.instruction(&Instruction::Select);
        code.instruction(&Instruction::I64ExtendI32U);
        code.instruction(&Instruction::I64Const(ROUND.page.into()));
        code.instruction(&Instruction::I64Mul);
        self.add_top(code);
    }
}

impl Reencode for Counter {
    type Error = std::convert::Infallible;

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Result<(), Error<Self::Error>> {
        utils::parse_export_section(self, exports, section)?;
        exports.export(NAME, ExportKind::Global, self.global);
        Ok(())
    }

    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        after: Option<wasm_encoder::SectionId>,
        _before: Option<wasm_encoder::SectionId>,
    ) -> Result<(), Error<Self::Error>> {
        if after == Some(wasm_encoder::SectionId::Memory) {
            let mut globals = GlobalSection::new();
            let ty = GlobalType {
                val_type: ValType::I64,
                mutable: true,
                shared: false,
            };
            globals.global(ty, &wasm_encoder::ConstExpr::i64_const(0));
            module.section(&globals);
        }
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        section: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error<Self::Error>> {
        let mut runs = Vec::new();
        let (mut next, mut slots) = (self.params[self.next], 0);
        self.next += 1;
        for run in body.get_locals_reader()? {
            let (count, ty) = run?;
            runs.push((count, RoundtripReencoder.val_type(ty)?));
            next += count;
            slots += u64::from(count)
                * if ty == wasmparser::ValType::V128 {
                    2
                } else {
                    1
                };
        }
        runs.extend([(1, ValType::I64), (2, ValType::I32)]);

        let mut code = Function::new(runs);
        self.add(&mut code, slots / u64::from(ROUND.locals_per_fuel));
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            let op = reader.read()?;
            let grows = matches!(op, Operator::MemoryGrow { .. });
            self.before(&mut code, &op, next);
            code.instruction(&RoundtripReencoder.instruction(op)?);
            if grows {
                self.after_growth(&mut code, next + 1);
            }
        }
        section.function(&code);
        Ok(())
    }
}
