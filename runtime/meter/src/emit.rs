//! The second walk over a body: writes the metered function that the plan decided on.

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{BlockType, Function, Instruction, ValType};
use wasmparser::Operator;

use crate::charges::Charge;
use crate::floats::{Role, Shape, role};
use crate::fuel::{STATUS_ABORT, STATUS_OUT_OF_FUEL, STATUS_STACK};
use crate::ir::Code;
use crate::plan::BodyPlan;
use crate::rejected::Rejected;
use crate::types::encode;

/// Where the things that the pass adds to a module live.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places {
    /// Imported functions.
    pub(crate) imports: u32,
    /// Original types, and thereby the way to the threaded ones.
    pub(crate) types: u32,
    pub(crate) fuel_global: u32,
    pub(crate) status_global: u32,
    /// The function that grows the memory.
    pub(crate) grow: u32,
    /// Bytes of a bulk operation that cost one, as a power of two.
    pub(crate) bulk_shift: u32,
    /// The price of a page.
    pub(crate) page: u32,
}

/// Writes `__haar_fuel = $fuel; __haar_status = status; unreachable`.
pub(crate) fn write_exit(code: &mut Function, places: &Places, fuel: u32, status: i32) {
    code.instruction(&Instruction::LocalGet(fuel));
    code.instruction(&Instruction::GlobalSet(places.fuel_global));
    write_status(code, places, status);
}

/// Writes `__haar_status = status; unreachable`.
pub(crate) fn write_status(code: &mut Function, places: &Places, status: i32) {
    code.instruction(&Instruction::I32Const(status));
    code.instruction(&Instruction::GlobalSet(places.status_global));
    code.instruction(&Instruction::Unreachable);
}

/// Writes the metered form of one body.
pub(crate) fn write_body(
    body: &Code<'_>,
    plan: &BodyPlan,
    places: &Places,
    result: BlockType,
) -> Result<Function, Rejected> {
    let mut emitter = Emitter::new(body, plan, places);
    emitter.open(result);
    emitter.write_operators(body)?;
    emitter.close();
    Ok(emitter.code)
}

/// The local variables of a metered function. Parameters keep their places, fuel and depth follow
/// them, then come the guest's locals and the temporaries.
#[derive(Debug, Clone, Copy)]
struct Locals {
    params: u32,
    i32: u32,
    f32: u32,
    f64: u32,
    v128: u32,
}

impl Locals {
    fn fuel(&self) -> u32 {
        self.params
    }

    fn depth(&self) -> u32 {
        self.params + 1
    }

    fn of_guest(&self, index: u32) -> u32 {
        if index < self.params {
            index
        } else {
            index + 2
        }
    }

    fn for_shape(&self, shape: Shape) -> u32 {
        match shape {
            Shape::F32 => self.f32,
            Shape::F64 => self.f64,
            Shape::F32x4 | Shape::F64x2 => self.v128,
        }
    }
}

struct Emitter<'p> {
    code: Function,
    plan: &'p BodyPlan,
    places: &'p Places,
    locals: Locals,
    /// Blocks of the guest that are open.
    nesting: u32,
}

impl<'p> Emitter<'p> {
    fn new(body: &Code<'_>, plan: &'p BodyPlan, places: &'p Places) -> Self {
        let params = body.params.len() as u32;
        let mut runs = Vec::new();
        let mut next = params + 2;
        for (count, ty) in &body.locals {
            next += count;
            runs.push((*count, encode(*ty)));
        }
        let mut add = |is_needed, ty| {
            let index = next;
            if is_needed {
                runs.push((1, ty));
                next += 1;
            }
            index
        };
        let temporaries = plan.nan.temporaries;
        let locals = Locals {
            params,
            i32: add(plan.fuel.needs_temporary, ValType::I32),
            f32: add(temporaries.f32, ValType::F32),
            f64: add(temporaries.f64, ValType::F64),
            v128: add(temporaries.v128, ValType::V128),
        };
        Self {
            code: Function::new(runs),
            plan,
            places,
            locals,
            nesting: 0,
        }
    }

    fn put(&mut self, instruction: Instruction<'_>) {
        self.code.instruction(&instruction);
    }

    /// Opens the exit blocks, outermost first, and the guest's own outermost label.
    fn open(&mut self, result: BlockType) {
        let fuel = &self.plan.fuel;
        for is_needed in [fuel.is_checked, fuel.calls, fuel.aborts] {
            if is_needed {
                self.put(Instruction::Block(BlockType::Empty));
            }
        }
        self.put(Instruction::Block(result));

        // Depth comes before fuel, so that an endless recursion stops alike under any limit.
        if self.plan.fuel.calls {
            self.put(Instruction::LocalGet(self.locals.depth()));
            self.put(Instruction::I32Const(self.plan.frame.cast_signed()));
            self.put(Instruction::I32Sub);
            self.put(Instruction::LocalTee(self.locals.depth()));
            self.put(Instruction::I32Const(0));
            self.put(Instruction::I32LtS);
            let label = self.stack_label();
            self.put(Instruction::BrIf(label));
        }
    }

    fn close(&mut self) {
        self.put(Instruction::LocalGet(self.locals.fuel()));
        let fuel = &self.plan.fuel;
        if fuel.is_checked || fuel.calls || fuel.aborts {
            self.put(Instruction::Return);
        }
        for (is_needed, status) in [
            (fuel.aborts, STATUS_ABORT),
            (fuel.calls, STATUS_STACK),
            (fuel.is_checked, STATUS_OUT_OF_FUEL),
        ] {
            if is_needed {
                self.put(Instruction::End);
                write_exit(&mut self.code, self.places, self.locals.fuel(), status);
            }
        }
        self.put(Instruction::End);
    }

    fn abort_label(&self) -> u32 {
        self.nesting + 1
    }

    fn stack_label(&self) -> u32 {
        self.abort_label() + u32::from(self.plan.fuel.aborts)
    }

    fn out_of_fuel_label(&self) -> u32 {
        self.stack_label() + u32::from(self.plan.fuel.calls)
    }

    fn write_operators(&mut self, body: &Code<'_>) -> Result<(), Rejected> {
        let mut charges = self.plan.fuel.charges.iter().peekable();
        let mut canonical = self.plan.nan.canonical.iter().peekable();
        for (index, op) in body.ops.iter().enumerate() {
            while let Some(charge) = charges.next_if(|charge| charge.before == index) {
                self.write_charge(charge);
            }
            if !op.is_live {
                continue;
            }
            self.write_operator(op.op.clone())?;
            if canonical.next_if_eq(&&(index as u32)).is_some()
                && let Role::Makes { to, .. } = role(&op.op)
            {
                self.write_canonical(to);
            }
            if op.is_dead_after {
                self.put(Instruction::Unreachable);
            }
        }
        Ok(())
    }

    fn write_charge(&mut self, charge: &Charge) {
        let fuel = self.locals.fuel();
        self.put(Instruction::LocalGet(fuel));
        if charge.amount > 0 {
            self.put(Instruction::I64Const(charge.amount.cast_signed()));
            self.put(Instruction::I64Sub);
        }
        match (charge.is_checked, charge.amount > 0) {
            (true, true) => {
                self.put(Instruction::LocalTee(fuel));
                self.write_check();
            }
            (true, false) => self.write_check(),
            (false, _) => self.put(Instruction::LocalSet(fuel)),
        }
    }

    /// Leaves if the fuel on the stack is below zero.
    fn write_check(&mut self) {
        self.put(Instruction::I64Const(0));
        self.put(Instruction::I64LtS);
        let label = self.out_of_fuel_label();
        self.put(Instruction::BrIf(label));
    }

    fn write_operator(&mut self, op: Operator<'_>) -> Result<(), Rejected> {
        let locals = self.locals;
        match op {
            Operator::LocalGet { local_index } => {
                self.put(Instruction::LocalGet(locals.of_guest(local_index)));
            }
            Operator::LocalSet { local_index } => {
                self.put(Instruction::LocalSet(locals.of_guest(local_index)));
            }
            Operator::LocalTee { local_index } => {
                self.put(Instruction::LocalTee(locals.of_guest(local_index)));
            }
            Operator::Unreachable => {
                let label = self.abort_label();
                self.put(Instruction::Br(label));
            }
            Operator::Return => {
                self.put(Instruction::LocalGet(locals.fuel()));
                self.put(Instruction::Return);
            }
            Operator::Call { function_index } => self.write_call(function_index),
            Operator::CallIndirect {
                type_index,
                table_index,
            } => {
                self.put(Instruction::LocalSet(locals.i32));
                self.put(Instruction::LocalGet(locals.fuel()));
                self.put(Instruction::LocalGet(locals.depth()));
                self.put(Instruction::LocalGet(locals.i32));
                let type_index = type_index + self.places.types;
                self.put(Instruction::CallIndirect {
                    type_index,
                    table_index,
                });
                self.put(Instruction::LocalSet(locals.fuel()));
            }
            Operator::MemoryGrow { .. } => {
                self.put(Instruction::LocalGet(locals.fuel()));
                self.put(Instruction::LocalGet(locals.depth()));
                self.put(Instruction::Call(self.places.grow));
                self.put(Instruction::LocalSet(locals.fuel()));
            }
            Operator::MemoryFill { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryInit { .. } => {
                self.write_bulk_charge();
                self.copy(op)?;
            }
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                self.nesting += 1;
                self.copy(op)?;
            }
            Operator::End => {
                // The last one closes the guest's outermost label.
                self.nesting = self.nesting.saturating_sub(1);
                self.copy(op)?;
            }
            other => self.copy(other)?,
        }
        Ok(())
    }

    fn copy(&mut self, op: Operator<'_>) -> Result<(), Rejected> {
        let instruction =
            RoundtripReencoder
                .instruction(op)
                .map_err(|error| Rejected::Internal {
                    message: error.to_string(),
                })?;
        self.code.instruction(&instruction);
        Ok(())
    }

    fn write_call(&mut self, function: u32) {
        let fuel = self.locals.fuel();
        self.put(Instruction::LocalGet(fuel));
        if function < self.places.imports {
            // A host function sees the fuel in the global, and charges for itself.
            self.put(Instruction::GlobalSet(self.places.fuel_global));
            self.put(Instruction::Call(function));
            self.put(Instruction::GlobalGet(self.places.fuel_global));
        } else {
            self.put(Instruction::LocalGet(self.locals.depth()));
            self.put(Instruction::Call(function));
        }
        self.put(Instruction::LocalSet(fuel));
    }

    /// Charges for the length on the stack and leaves it there.
    fn write_bulk_charge(&mut self) {
        let (fuel, length) = (self.locals.fuel(), self.locals.i32);
        self.put(Instruction::LocalSet(length));
        self.put(Instruction::LocalGet(fuel));
        self.put(Instruction::LocalGet(length));
        self.put(Instruction::I64ExtendI32U);
        self.put(Instruction::I64Const(self.places.bulk_shift.into()));
        self.put(Instruction::I64ShrU);
        self.put(Instruction::I64Sub);
        self.put(Instruction::LocalTee(fuel));
        self.write_check();
        self.put(Instruction::LocalGet(length));
    }

    /// Replaces every NaN in the value on the stack by the positive canonical one.
    fn write_canonical(&mut self, shape: Shape) {
        /// The canonical NaN in all lanes.
        const F32X4: i128 = 0x7fc0_0000_7fc0_0000_7fc0_0000_7fc0_0000;
        const F64X2: i128 = 0x7ff8_0000_0000_0000_7ff8_0000_0000_0000;

        let value = self.locals.for_shape(shape);
        let (canonical, equal, choose) = match shape {
            Shape::F32 => (
                Instruction::F32Const(wasm_encoder::Ieee32::new(0x7fc0_0000)),
                Instruction::F32Eq,
                Instruction::Select,
            ),
            Shape::F64 => (
                Instruction::F64Const(wasm_encoder::Ieee64::new(0x7ff8_0000_0000_0000)),
                Instruction::F64Eq,
                Instruction::Select,
            ),
            Shape::F32x4 => (
                Instruction::V128Const(F32X4),
                Instruction::F32x4Eq,
                Instruction::V128Bitselect,
            ),
            Shape::F64x2 => (
                Instruction::V128Const(F64X2),
                Instruction::F64x2Eq,
                Instruction::V128Bitselect,
            ),
        };
        self.put(Instruction::LocalTee(value));
        self.put(canonical);
        self.put(Instruction::LocalGet(value));
        self.put(Instruction::LocalGet(value));
        self.put(equal);
        self.put(choose);
    }
}
