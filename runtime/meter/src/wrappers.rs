//! The functions that the pass adds: doors between the host's signatures and the threaded ones.

use wasm_encoder::{BlockType, Function, Instruction, ValType};

use crate::emit::{Places, write_exit, write_status};
use crate::fuel::{STATUS_HOST_MEMORY, STATUS_OUT_OF_FUEL, STATUS_STACK};

/// A function of the original, for the host: reads the fuel global, grants the whole stack if the
/// function counts it, calls, writes the global back.
pub(crate) fn export(
    function: u32,
    params: u32,
    stack_limit: Option<u32>,
    places: &Places,
) -> Function {
    let mut code = Function::new([]);
    for param in 0..params {
        code.instruction(&Instruction::LocalGet(param));
    }
    code.instruction(&Instruction::GlobalGet(places.fuel_global));
    if let Some(limit) = stack_limit {
        code.instruction(&Instruction::I32Const(limit.cast_signed()));
    }
    code.instruction(&Instruction::Call(function));
    code.instruction(&Instruction::GlobalSet(places.fuel_global));
    code.instruction(&Instruction::End);
    code
}

/// The door of a function whose frames the stack limit has no room for.
pub(crate) fn too_deep(places: &Places) -> Function {
    let mut code = Function::new([]);
    write_status(&mut code, places, STATUS_STACK);
    code.instruction(&Instruction::End);
    code
}

/// An import in the table, for `call_indirect`: takes fuel and depth, leaves the fuel in the
/// global while the host has control.
pub(crate) fn import(function: u32, params: u32, places: &Places) -> Function {
    let mut code = Function::new([]);
    code.instruction(&Instruction::LocalGet(params));
    code.instruction(&Instruction::GlobalSet(places.fuel_global));
    for param in 0..params {
        code.instruction(&Instruction::LocalGet(param));
    }
    code.instruction(&Instruction::Call(function));
    code.instruction(&Instruction::GlobalGet(places.fuel_global));
    code.instruction(&Instruction::End);
    code
}

/// `memory.grow` as `(delta, fuel) -> (pages before or -1, fuel)`, up to `pages_max`.
///
/// The specification lets an engine refuse any growth. Here the limit alone decides, and an engine
/// that cannot follow gives no receipt.
pub(crate) fn grow(pages_max: u32, places: &Places) -> Function {
    const DELTA: u32 = 0;
    const FUEL: u32 = 1;
    const BEFORE: u32 = 2;
    let mut code = Function::new([(1, ValType::I32)]);
    let mut put = |instruction: Instruction<'_>| {
        code.instruction(&instruction);
    };

    put(Instruction::LocalGet(DELTA));
    put(Instruction::I32Const(pages_max.cast_signed()));
    put(Instruction::MemorySize(0));
    put(Instruction::I32Sub);
    put(Instruction::I32GtU);
    put(Instruction::If(BlockType::Empty));
    put(Instruction::I32Const(-1));
    put(Instruction::LocalGet(FUEL));
    put(Instruction::Return);
    put(Instruction::End);

    put(Instruction::LocalGet(FUEL));
    put(Instruction::LocalGet(DELTA));
    put(Instruction::I64ExtendI32U);
    put(Instruction::I64Const(places.page.into()));
    put(Instruction::I64Mul);
    put(Instruction::I64Sub);
    put(Instruction::LocalTee(FUEL));
    put(Instruction::I64Const(0));
    put(Instruction::I64LtS);
    put(Instruction::If(BlockType::Empty));
    write_exit(&mut code, places, FUEL, STATUS_OUT_OF_FUEL);
    code.instruction(&Instruction::End);

    let mut put = |instruction: Instruction<'_>| {
        code.instruction(&instruction);
    };
    put(Instruction::LocalGet(DELTA));
    put(Instruction::MemoryGrow(0));
    put(Instruction::LocalTee(BEFORE));
    put(Instruction::I32Const(-1));
    put(Instruction::I32Eq);
    put(Instruction::If(BlockType::Empty));
    write_status(&mut code, places, STATUS_HOST_MEMORY);
    code.instruction(&Instruction::End);
    code.instruction(&Instruction::LocalGet(BEFORE));
    code.instruction(&Instruction::LocalGet(FUEL));
    code.instruction(&Instruction::End);
    code
}
