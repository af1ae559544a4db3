//! Writes what makes NaNs canonical, where the plan says so.

use wasm_encoder::{Ieee32, Ieee64, Instruction, ValType};
use wasmparser::Operator;

use crate::emit::Emitter;
use crate::floats::{Role, Shape, role};
use crate::nan::NanPlan;

/// The locals that canonicalising needs, and how far the plan is written.
#[derive(Debug)]
pub(crate) struct NanState {
    f32: u32,
    f64: u32,
    v128: u32,
    written: usize,
}

impl NanState {
    /// Adds the temporaries after the locals below `next`.
    pub(crate) fn new(plan: &NanPlan, mut next: u32, runs: &mut Vec<(u32, ValType)>) -> Self {
        let temporaries = plan.temporaries;
        let mut add = |is_needed, ty| {
            let index = next;
            if is_needed {
                runs.push((1, ty));
                next += 1;
            }
            index
        };
        Self {
            f32: add(temporaries.f32, ValType::F32),
            f64: add(temporaries.f64, ValType::F64),
            v128: add(temporaries.v128, ValType::V128),
            written: 0,
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

impl Emitter<'_> {
    /// Writes what comes before the instruction at `index`, and before its charge.
    pub(crate) fn write_before(&mut self, _index: usize) {}

    /// Writes the instruction itself if it is one that the plan changes, and says so.
    pub(crate) fn write_float(&mut self, _index: usize, _op: &Operator<'_>) -> bool {
        false
    }

    /// Writes what comes after the instruction at `index`.
    pub(crate) fn write_after(&mut self, index: usize, op: &Operator<'_>) {
        if self.plan.nan.canonical.get(self.nan.written) != Some(&(index as u32)) {
            return;
        }
        self.nan.written += 1;
        if let Role::Makes { to, .. } = role(op) {
            self.write_canonical(to);
        }
    }

    /// Replaces every NaN in the value on the stack by the positive canonical one.
    fn write_canonical(&mut self, shape: Shape) {
        /// The canonical NaN in all lanes.
        const F32X4: i128 = 0x7fc0_0000_7fc0_0000_7fc0_0000_7fc0_0000;
        const F64X2: i128 = 0x7ff8_0000_0000_0000_7ff8_0000_0000_0000;

        let value = self.nan.for_shape(shape);
        let (canonical, equal, choose) = match shape {
            Shape::F32 => (
                Instruction::F32Const(Ieee32::new(0x7fc0_0000)),
                Instruction::F32Eq,
                Instruction::Select,
            ),
            Shape::F64 => (
                Instruction::F64Const(Ieee64::new(0x7ff8_0000_0000_0000)),
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
