//! Writes what makes NaNs canonical, where the plan says so.

use wasm_encoder::{BlockType, Ieee32, Ieee64, Instruction, ValType};
use wasmparser::Operator;

use crate::emit::Emitter;
use crate::floats::Shape;
use crate::ir::Code;
use crate::nan::{Group, NanPlan};
use crate::rejected::Rejected;

/// The temporaries of canonicalising, and how far the plan is written.
#[derive(Debug)]
pub(crate) struct NanState {
    f32: u32,
    f64: u32,
    v128: u32,
    /// The first of the addresses and values of stores that wait for their repair.
    addresses: u32,
    f32_stores: u32,
    f64_stores: u32,
    v128_stores: u32,
    locals_written: usize,
    tops_written: usize,
    group: usize,
    /// Stores of that group that are written.
    stored: u32,
}

impl NanState {
    /// Adds the temporaries after the locals below `next`.
    pub(crate) fn new(plan: &NanPlan, mut next: u32, runs: &mut Vec<(u32, ValType)>) -> Self {
        let temporaries = plan.temporaries;
        let mut add = |count: u32, ty| {
            let index = next;
            if count > 0 {
                runs.push((count, ty));
                next += count;
            }
            index
        };
        Self {
            f32: add(temporaries.f32.into(), ValType::F32),
            f64: add(temporaries.f64.into(), ValType::F64),
            v128: add(temporaries.v128.into(), ValType::V128),
            addresses: add(temporaries.addresses(), ValType::I32),
            f32_stores: add(temporaries.f32_stores, ValType::F32),
            f64_stores: add(temporaries.f64_stores, ValType::F64),
            v128_stores: add(temporaries.v128_stores, ValType::V128),
            locals_written: 0,
            tops_written: 0,
            group: 0,
            stored: 0,
        }
    }

    fn temporary(&self, shape: Shape) -> u32 {
        match shape {
            Shape::F32 => self.f32,
            Shape::F64 => self.f64,
            Shape::F32x4 | Shape::F64x2 => self.v128,
        }
    }

    /// Where the address and the value of the `nth` store of a group wait.
    fn store(&self, shape: Shape, nth: u32) -> (u32, u32) {
        let values = match shape {
            Shape::F32 => self.f32_stores,
            Shape::F64 => self.f64_stores,
            Shape::F32x4 | Shape::F64x2 => self.v128_stores,
        };
        (self.addresses + nth, values + nth)
    }
}

impl<'p> Emitter<'p> {
    /// Writes what comes before the instruction at `index`, and before its charge.
    pub(crate) fn write_before(&mut self, index: usize, body: &Code<'_>) -> Result<(), Rejected> {
        let plan: &'p NanPlan = &self.plan.nan;
        while let Some(group) = plan.groups.get(self.nan.group)
            && group.before as usize == index
        {
            self.write_repair(group, body)?;
            self.nan.group += 1;
            self.nan.stored = 0;
        }
        while let Some((before, local, shape)) = plan.locals.get(self.nan.locals_written)
            && *before as usize == index
        {
            let local = self.locals.of_guest(*local);
            self.write_choice(*shape, local);
            self.put(Instruction::LocalSet(local));
            self.nan.locals_written += 1;
        }
        Ok(())
    }

    /// Writes the instruction itself if it is a store that is repaired later, and says so.
    pub(crate) fn write_store(
        &mut self,
        index: usize,
        op: &Operator<'_>,
    ) -> Result<bool, Rejected> {
        let plan: &'p NanPlan = &self.plan.nan;
        let Some(group) = plan.groups.get(self.nan.group) else {
            return Ok(false);
        };
        let nth = self.nan.stored;
        if group.stores.get(nth as usize) != Some(&(index as u32)) {
            return Ok(false);
        }
        let (address, value) = self.nan.store(group.shape, nth);
        self.put(Instruction::LocalSet(value));
        self.put(Instruction::LocalTee(address));
        self.put(Instruction::LocalGet(value));
        self.copy(op.clone())?;
        self.nan.stored += 1;
        Ok(true)
    }

    /// Writes what comes after the instruction at `index`.
    pub(crate) fn write_after(&mut self, index: usize) {
        let plan: &'p NanPlan = &self.plan.nan;
        if let Some((after, shape)) = plan.tops.get(self.nan.tops_written)
            && *after as usize == index
        {
            let value = self.nan.temporary(*shape);
            self.put(Instruction::LocalSet(value));
            self.write_choice(*shape, value);
            self.nan.tops_written += 1;
        }
    }

    /// Tests all values of a group at once, and stores all of them again if one may be a NaN.
    fn write_repair(&mut self, group: &Group, body: &Code<'_>) -> Result<(), Rejected> {
        self.put(Instruction::Block(BlockType::Empty));
        let (_, first) = self.nan.store(group.shape, 0);
        let mut tested = first;
        self.put(Instruction::LocalGet(first));
        if group.stores.len() > 1 {
            // The sum of opposite infinities is a NaN, too: then the repair changes nothing.
            tested = self.nan.temporary(group.shape);
            for nth in 1..group.stores.len() as u32 {
                let (_, value) = self.nan.store(group.shape, nth);
                self.put(Instruction::LocalGet(value));
                self.put(add(group.shape));
            }
            self.put(Instruction::LocalTee(tested));
        }
        self.put(Instruction::LocalGet(tested));
        self.write_has_no_nan(group.shape);
        self.put(Instruction::BrIf(0));
        for (nth, store) in (0..).zip(&group.stores) {
            let (address, value) = self.nan.store(group.shape, nth);
            self.put(Instruction::LocalGet(address));
            if group.stores.len() > 1 {
                self.write_choice(group.shape, value);
            } else {
                self.write_repaired(group.shape, value);
            }
            self.copy(body.ops[*store as usize].op.clone())?;
        }
        self.put(Instruction::End);
        Ok(())
    }

    /// Compares the value that is twice on the stack with itself: 1 if no lane is a NaN.
    fn write_has_no_nan(&mut self, shape: Shape) {
        match shape {
            // One condition of the processor, where `ne` takes two.
            Shape::F32 => self.put(Instruction::F32Ge),
            Shape::F64 => self.put(Instruction::F64Ge),
            Shape::F32x4 => {
                self.put(Instruction::F32x4Ne);
                self.put(Instruction::I32x4Bitmask);
                self.put(Instruction::I32Eqz);
            }
            Shape::F64x2 => {
                self.put(Instruction::F64x2Ne);
                self.put(Instruction::I64x2Bitmask);
                self.put(Instruction::I32Eqz);
            }
        }
    }

    /// Pushes what stands for a value with a NaN in it.
    fn write_repaired(&mut self, shape: Shape, local: u32) {
        match shape {
            Shape::F32 | Shape::F64 => self.put(canonical(shape)),
            Shape::F32x4 | Shape::F64x2 => self.write_choice(shape, local),
        }
    }

    /// Pushes what is in a local, or the canonical NaN in place of every NaN.
    fn write_choice(&mut self, shape: Shape, local: u32) {
        let (is_number, choose) = match shape {
            Shape::F32 => (Instruction::F32Ge, Instruction::Select),
            Shape::F64 => (Instruction::F64Ge, Instruction::Select),
            Shape::F32x4 => (Instruction::F32x4Eq, Instruction::V128Bitselect),
            Shape::F64x2 => (Instruction::F64x2Eq, Instruction::V128Bitselect),
        };
        self.put(Instruction::LocalGet(local));
        self.put(canonical(shape));
        self.put(Instruction::LocalGet(local));
        self.put(Instruction::LocalGet(local));
        self.put(is_number);
        self.put(choose);
    }
}

fn add(shape: Shape) -> Instruction<'static> {
    match shape {
        Shape::F32 => Instruction::F32Add,
        Shape::F64 => Instruction::F64Add,
        Shape::F32x4 => Instruction::F32x4Add,
        Shape::F64x2 => Instruction::F64x2Add,
    }
}

/// The canonical NaN, in all lanes.
fn canonical(shape: Shape) -> Instruction<'static> {
    const F32X4: i128 = 0x7fc0_0000_7fc0_0000_7fc0_0000_7fc0_0000;
    const F64X2: i128 = 0x7ff8_0000_0000_0000_7ff8_0000_0000_0000;
    match shape {
        Shape::F32 => Instruction::F32Const(Ieee32::new(0x7fc0_0000)),
        Shape::F64 => Instruction::F64Const(Ieee64::new(0x7ff8_0000_0000_0000)),
        Shape::F32x4 => Instruction::V128Const(F32X4),
        Shape::F64x2 => Instruction::V128Const(F64X2),
    }
}
