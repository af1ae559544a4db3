//! The second walk over a body: writes the metered function that the plan decided on.

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{BlockType, Function, Instruction, ValType};
use wasmparser::Operator;

use crate::callees::Callees;
use crate::emit_nan::NanState;
use crate::flow::{Place, Side};
use crate::fuel::{STATUS_ABORT, STATUS_OUT_OF_FUEL, STATUS_STACK};
use crate::ir::Code;
use crate::placement::Charge;
use crate::plan::BodyPlan;
use crate::rejected::Rejected;
use crate::stack::Depth;
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
    depth: Depth,
    places: &Places,
    callees: Callees<'_>,
    result: BlockType,
) -> Result<Function, Rejected> {
    let mut emitter = Emitter::new(body, plan, depth, places, callees);
    if plan.fuel.folded.is_some() {
        // The guest's last `end` is the function's.
        emitter.write_operators(body)?;
        return Ok(emitter.code);
    }
    emitter.open(result);
    emitter.write_operators(body)?;
    emitter.close();
    Ok(emitter.code)
}

/// The local variables of a metered function. Parameters keep their places, fuel and depth, if
/// there is one, follow them, then come the guest's locals and the temporaries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Locals {
    params: u32,
    /// Parameters that the pass adds.
    threaded: u32,
    pub(crate) i32: u32,
}

impl Locals {
    pub(crate) fn fuel(&self) -> u32 {
        self.params
    }

    pub(crate) fn depth(&self) -> u32 {
        self.params + 1
    }

    pub(crate) fn of_guest(&self, index: u32) -> u32 {
        if index < self.params {
            index
        } else {
            index + self.threaded
        }
    }
}

pub(crate) struct Emitter<'p> {
    pub(crate) code: Function,
    pub(crate) plan: &'p BodyPlan,
    pub(crate) depth: Depth,
    pub(crate) places: &'p Places,
    pub(crate) callees: Callees<'p>,
    pub(crate) locals: Locals,
    pub(crate) nan: NanState,
    /// Blocks of the guest that are open.
    nesting: u32,
}

impl<'p> Emitter<'p> {
    fn new(
        body: &Code<'_>,
        plan: &'p BodyPlan,
        depth: Depth,
        places: &'p Places,
        callees: Callees<'p>,
    ) -> Self {
        let params = body.params.len() as u32;
        let threaded = match plan.fuel.folded {
            Some(_) => 0,
            None => 1 + u32::from(depth.is_parameter),
        };
        let mut runs = Vec::new();
        let mut next = params + threaded;
        for (count, ty) in &body.locals {
            next += count;
            runs.push((*count, encode(*ty)));
        }
        let locals = Locals {
            params,
            threaded,
            i32: next,
        };
        if plan.fuel.needs_temporary {
            runs.push((1, ValType::I32));
            next += 1;
        }
        let nan = NanState::new(&plan.nan, next, &mut runs);
        Self {
            code: Function::new(runs),
            plan,
            depth,
            places,
            callees,
            locals,
            nan,
            nesting: 0,
        }
    }

    pub(crate) fn put(&mut self, instruction: Instruction<'_>) {
        self.code.instruction(&instruction);
    }

    /// Opens the exit blocks, outermost first, and the guest's own outermost label.
    fn open(&mut self, result: BlockType) {
        let fuel = &self.plan.fuel;
        for is_needed in [fuel.is_checked, self.depth.check.is_some(), fuel.aborts] {
            if is_needed {
                self.put(Instruction::Block(BlockType::Empty));
            }
        }
        self.put(Instruction::Block(result));

        // Depth comes before fuel, so that an endless recursion stops alike under any limit.
        if let Some(below) = self.depth.check {
            self.write_depth(below);
        }
    }

    fn close(&mut self) {
        self.put(Instruction::LocalGet(self.locals.fuel()));
        let fuel = &self.plan.fuel;
        let checks_depth = self.depth.check.is_some();
        if fuel.is_checked || checks_depth || fuel.aborts {
            self.put(Instruction::Return);
        }
        for (is_needed, status) in [
            (fuel.aborts, STATUS_ABORT),
            (checks_depth, STATUS_STACK),
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

    pub(crate) fn stack_label(&self) -> u32 {
        self.abort_label() + u32::from(self.plan.fuel.aborts)
    }

    fn out_of_fuel_label(&self) -> u32 {
        self.stack_label() + u32::from(self.depth.check.is_some())
    }

    fn write_operators(&mut self, body: &Code<'_>) -> Result<(), Rejected> {
        let mut charges = self.plan.fuel.charges.iter().peekable();
        let mut counted = self.plan.fuel.ahead.iter().peekable();
        for (index, op) in body.ops.iter().enumerate() {
            let mut charge_at = |side| {
                let place = Place {
                    index: index as u32,
                    side,
                };
                charges.next_if(|charge| charge.place == place)
            };
            // Before any check, so that no run stops between a raw store and its repair.
            self.write_before(index, body)?;
            if let Some(charge) = charge_at(Side::Before) {
                self.write_charge(charge);
            }
            if !op.is_live {
                continue;
            }
            if let Some(ahead) = counted.next_if(|ahead| ahead.counted.index as usize == index) {
                self.write_ahead(ahead);
            }
            match charge_at(Side::Aside) {
                Some(charge) => self.write_aside(&op.op, charge)?,
                None if self.write_store(index, &op.op)? => {}
                None => self.write_operator(op.op.clone())?,
            }
            self.write_after(index);
            if op.is_dead_after {
                self.put(Instruction::Unreachable);
            }
        }
        Ok(())
    }

    /// Writes an instruction with a charge on its second way.
    fn write_aside(&mut self, op: &Operator<'_>, charge: &Charge) -> Result<(), Rejected> {
        if let Operator::BrIf { relative_depth } = op {
            self.put(Instruction::If(BlockType::Empty));
            self.write_charge(charge);
            self.put(Instruction::Br(relative_depth + 1));
            self.put(Instruction::End);
            return Ok(());
        }
        self.put(Instruction::Else);
        self.write_charge(charge);
        self.write_operator(op.clone())
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
    pub(crate) fn write_check(&mut self) {
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
            } => self.write_call_indirect(type_index, table_index),
            Operator::MemoryGrow { .. } => self.write_grow(),
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

    pub(crate) fn copy(&mut self, op: Operator<'_>) -> Result<(), Rejected> {
        let instruction =
            RoundtripReencoder
                .instruction(op)
                .map_err(|error| Rejected::Internal {
                    message: error.to_string(),
                })?;
        self.code.instruction(&instruction);
        Ok(())
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
}
