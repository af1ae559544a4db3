//! Writes calls: what is threaded through them, and the check of the stack's depth.

use wasm_encoder::Instruction;

use crate::emit::Emitter;
use crate::stack::Need;

impl Emitter<'_> {
    /// Takes the frame off the depth and leaves if too little remains for what lies below.
    pub(crate) fn write_depth(&mut self, below: u32) {
        let depth = self.locals.depth();
        self.put(Instruction::LocalGet(depth));
        self.put(Instruction::I32Const(self.depth.frame.cast_signed()));
        self.put(Instruction::I32Sub);
        self.put(Instruction::LocalTee(depth));
        self.put(Instruction::I32Const(below.cast_signed()));
        self.put(Instruction::I32LtS);
        let label = self.stack_label();
        self.put(Instruction::BrIf(label));
    }

    pub(crate) fn write_call(&mut self, function: u32) {
        // What it costs has been charged here.
        if self.callees.folded(function).is_some() {
            return self.put(Instruction::Call(function));
        }
        let fuel = self.locals.fuel();
        self.put(Instruction::LocalGet(fuel));
        match self.callees.defined(function) {
            // A host function sees the fuel in the global, and charges for itself.
            None => {
                self.put(Instruction::GlobalSet(self.places.fuel_global));
                self.put(Instruction::Call(function));
                self.put(Instruction::GlobalGet(self.places.fuel_global));
            }
            Some(defined) => {
                if self.callees.stack.takes_depth(defined) {
                    self.push_depth(self.callees.stack.of_function(defined));
                }
                self.put(Instruction::Call(function));
            }
        }
        self.put(Instruction::LocalSet(fuel));
    }

    /// A call through the table, whose functions all take the depth.
    pub(crate) fn write_call_indirect(&mut self, ty: u32, table: u32) {
        let (fuel, entry) = (self.locals.fuel(), self.locals.i32);
        let need = self.callees.of_type(ty);
        self.put(Instruction::LocalSet(entry));
        self.put(Instruction::LocalGet(fuel));
        self.push_depth(need);
        self.put(Instruction::LocalGet(entry));
        self.put(Instruction::CallIndirect {
            type_index: ty + self.places.types,
            table_index: table,
        });
        self.put(Instruction::LocalSet(fuel));
    }

    pub(crate) fn write_grow(&mut self) {
        let fuel = self.locals.fuel();
        self.put(Instruction::LocalGet(fuel));
        self.put(Instruction::Call(self.places.grow));
        self.put(Instruction::LocalSet(fuel));
    }

    /// The depth below this function's own frame, which a check has taken off already.
    fn push_depth(&mut self, need: Need) {
        if !need.depth {
            self.put(Instruction::I32Const(0));
            return;
        }
        self.put(Instruction::LocalGet(self.locals.depth()));
        if self.depth.check.is_none() {
            self.put(Instruction::I32Const(self.depth.frame.cast_signed()));
            self.put(Instruction::I32Sub);
        }
    }
}
