//! The first walk over a body: validates it, and notes what is reachable, what each instruction
//! pops and pushes, and which instructions open and close each other.
//!
//! All later passes work on this form and never look at the bytes again.

use wasmparser::{
    FuncValidator, FunctionBody, Operator, OperatorsReader, ValType, WasmModuleResources,
};

use crate::admission::invalid;
use crate::class::{Class, class};
use crate::rejected::Rejected;

/// A validated body.
#[derive(Debug)]
pub(crate) struct Code<'a> {
    pub(crate) ops: Vec<Op<'a>>,
    /// What reachable instructions push, in their order.
    pushed: Vec<ValType>,
    /// Parameters of the function.
    pub(crate) params: Vec<ValType>,
    /// Declared locals, in runs: ten thousand of them may take three bytes of text.
    pub(crate) locals: Vec<(u32, ValType)>,
    /// The greatest height of the operand stack in reachable code, in slots of 64 bits.
    pub(crate) height_max: u64,
    /// Where the body starts in the module.
    pub(crate) offset: u64,
}

/// One instruction.
#[derive(Debug)]
pub(crate) struct Op<'a> {
    pub(crate) op: Operator<'a>,
    pub(crate) class: Class,
    /// Whether it is reachable. Dead instructions are validated and then left out.
    pub(crate) is_live: bool,
    /// Whether what follows this `end` is dead although the validator cannot see it.
    pub(crate) is_dead_after: bool,
    pub(crate) pops: u32,
    pub(crate) pushes: u32,
    pushed_at: u32,
    /// Of `if`: its `else`, or its `end` if it has none. Of `block`, `loop` and `else`: the `end`.
    pub(crate) partner: u32,
}

impl Code<'_> {
    /// The types that the instruction at `index` pushes, deepest first.
    pub(crate) fn pushed(&self, index: usize) -> &[ValType] {
        let op = &self.ops[index];
        let at = op.pushed_at as usize;
        &self.pushed[at..at + op.pushes as usize]
    }

    /// Slots of 64 bits of the declared locals.
    pub(crate) fn local_slots(&self) -> u64 {
        let locals = self.locals.iter();
        locals
            .map(|(count, ty)| u64::from(*count) * width(*ty))
            .sum()
    }

    /// Slots of 64 bits of the parameters.
    pub(crate) fn param_slots(&self) -> u64 {
        self.params.iter().copied().map(width).sum()
    }
}

/// Slots of 64 bits that a value takes.
pub(crate) fn width(ty: ValType) -> u64 {
    if ty == ValType::V128 { 2 } else { 1 }
}

/// Validates a body and takes it apart.
pub(crate) fn read<'a, T: WasmModuleResources>(
    body: &FunctionBody<'a>,
    params: &[ValType],
    validator: &mut FuncValidator<T>,
    simd: bool,
) -> Result<Code<'a>, Rejected> {
    let mut locals = body.get_binary_reader();
    validator.read_locals(&mut locals)?;
    let mut reader = OperatorsReader::new(locals);

    let runs = body.get_locals_reader()?.into_iter();
    let mut walk = Walk::new(Code {
        ops: Vec::new(),
        pushed: Vec::new(),
        params: params.to_vec(),
        locals: runs.collect::<Result<_, _>>()?,
        height_max: 0,
        offset: body.range().start,
    });
    while !reader.eof() {
        let (op, offset) = reader.read_with_offset()?;
        let Some(class) = class(&op, simd) else {
            return Err(invalid(offset, "an instruction without a price"));
        };
        walk.step(op, class, offset, validator)?;
    }
    reader.finish()?;
    Ok(walk.code)
}

/// An open block of reachable code.
#[derive(Debug)]
struct Frame {
    /// The `block`, `loop`, `if` or `else` that opened it; nothing for the body itself.
    opened_by: Option<usize>,
    is_loop: bool,
    is_if: bool,
    /// Slots of the operands below its own, parameters of the block not among them.
    height: u64,
    /// Whether some way other than falling through arrives after its `end`.
    is_joined: bool,
}

#[derive(Debug)]
struct Walk<'a> {
    code: Code<'a>,
    /// The width of each operand.
    operands: Vec<u8>,
    height: u64,
    frames: Vec<Frame>,
    is_alive: bool,
    /// Blocks opened in dead code and not yet closed.
    dead_blocks: u32,
}

impl<'a> Walk<'a> {
    fn new(code: Code<'a>) -> Self {
        let mut walk = Self {
            code,
            operands: Vec::new(),
            height: 0,
            frames: Vec::new(),
            is_alive: true,
            dead_blocks: 0,
        };
        walk.open(None, false, false);
        walk
    }

    fn step<T: WasmModuleResources>(
        &mut self,
        op: Operator<'a>,
        class: Class,
        offset: u64,
        validator: &mut FuncValidator<T>,
    ) -> Result<(), Rejected> {
        let is_live = self.is_alive || self.revives(&op);
        let arity = if is_live {
            op.operator_arity(validator)
        } else {
            Some((0, 0))
        };
        validator.op(offset, &op)?;

        let (pops, pushes) = arity.ok_or_else(|| internal("an instruction has no arity"))?;
        let index = self.code.ops.len();
        self.code.ops.push(Op {
            op,
            class,
            is_live,
            is_dead_after: false,
            pops,
            pushes,
            pushed_at: self.code.pushed.len() as u32,
            partner: 0,
        });
        if !is_live {
            return Ok(());
        }
        let falls = self.is_alive;
        if falls {
            self.pop(pops)?;
        }
        self.control(index, falls)?;
        self.push(pushes, validator);
        Ok(())
    }

    /// Whether an instruction in dead code comes back to life. Only the end of a block opened in
    /// live code can do that.
    fn revives(&mut self, op: &Operator<'_>) -> bool {
        match op {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                self.dead_blocks += 1;
                false
            }
            Operator::End if self.dead_blocks > 0 => {
                self.dead_blocks -= 1;
                false
            }
            Operator::Else => self.dead_blocks == 0,
            Operator::End => true,
            _ => false,
        }
    }

    fn open(&mut self, opened_by: Option<usize>, is_loop: bool, is_if: bool) {
        self.frames.push(Frame {
            opened_by,
            is_loop,
            is_if,
            height: self.height,
            is_joined: false,
        });
    }

    /// Follows the flow of control. Its operands are popped already and pushed afterwards.
    fn control(&mut self, index: usize, falls: bool) -> Result<(), Rejected> {
        match self.code.ops[index].op {
            Operator::Block { .. } => self.open(Some(index), false, false),
            Operator::Loop { .. } => self.open(Some(index), true, false),
            Operator::If { .. } => self.open(Some(index), false, true),
            Operator::Else => self.turn_to_else(index, falls)?,
            Operator::End => self.close(index, falls)?,
            Operator::BrIf { relative_depth } => self.branch(relative_depth)?,
            Operator::Br { relative_depth } => {
                self.branch(relative_depth)?;
                self.is_alive = false;
            }
            Operator::BrTable { ref targets } => {
                let targets = targets.clone();
                self.branch(targets.default())?;
                for target in targets.targets() {
                    self.branch(target?)?;
                }
                self.is_alive = false;
            }
            Operator::Return | Operator::Unreachable => self.is_alive = false,
            _ => {}
        }
        Ok(())
    }

    fn branch(&mut self, depth: u32) -> Result<(), Rejected> {
        let target = self.frames.len().checked_sub(1 + depth as usize);
        let frame = target
            .and_then(|target| self.frames.get_mut(target))
            .ok_or_else(|| internal("a branch leaves the function"))?;
        frame.is_joined |= !frame.is_loop;
        Ok(())
    }

    fn turn_to_else(&mut self, index: usize, falls: bool) -> Result<(), Rejected> {
        let Some(frame) = self.frames.last_mut() else {
            return Err(internal("an else without an if"));
        };
        frame.is_joined |= falls;
        frame.is_if = false;
        if let Some(opened_by) = frame.opened_by.replace(index) {
            self.code.ops[opened_by].partner = index as u32;
        }
        let height = frame.height;
        self.shrink(height);
        self.is_alive = true;
        Ok(())
    }

    fn close(&mut self, index: usize, falls: bool) -> Result<(), Rejected> {
        let Some(frame) = self.frames.pop() else {
            return Err(internal("an end without a block"));
        };
        if let Some(opened_by) = frame.opened_by {
            self.code.ops[opened_by].partner = index as u32;
        }
        self.shrink(frame.height);
        // Without an `else` a false condition arrives here.
        self.is_alive = falls || frame.is_joined || frame.is_if;
        if !self.is_alive && frame.opened_by.is_some() {
            self.code.ops[index].is_dead_after = true;
        }
        Ok(())
    }
}

/// The operand stack.
impl Walk<'_> {
    fn pop(&mut self, count: u32) -> Result<(), Rejected> {
        for _ in 0..count {
            let Some(width) = self.operands.pop() else {
                return Err(internal("an operand is missing"));
            };
            self.height -= u64::from(width);
        }
        Ok(())
    }

    fn push<T: WasmModuleResources>(&mut self, count: u32, validator: &FuncValidator<T>) {
        for depth in (0..count as usize).rev() {
            let ty = validator
                .get_operand_type(depth)
                .flatten()
                .unwrap_or(ValType::I64);
            self.code.pushed.push(ty);
            self.operands.push(width(ty) as u8);
            self.height += width(ty);
        }
        self.code.height_max = self.code.height_max.max(self.height);
    }

    /// Forgets what a branch left behind: nobody sees it.
    fn shrink(&mut self, height: u64) {
        while self.height > height {
            let Some(width) = self.operands.pop() else {
                return;
            };
            self.height -= u64::from(width);
        }
    }
}

pub(crate) fn internal(message: &str) -> Rejected {
    Rejected::Internal {
        message: message.to_owned(),
    }
}
