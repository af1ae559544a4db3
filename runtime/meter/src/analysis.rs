//! The first walk over a body: where fuel is charged, which NaNs are made canonical, how deep the
//! frame is, and what is dead. The second walk (`emit`) writes what this one decided.
//!
//! Validation happens in the same walk, so every operand on the stack has a known type. Dead code
//! is validated and then ignored.

use wasmparser::{
    FuncValidator, FunctionBody, Operator, OperatorsReader, ValType, WasmModuleResources,
};

use crate::admission::{cap, invalid};
use crate::floats::{Role, Shape, role};
use crate::limits::FRAME_BYTES_MAX;
use crate::price::price;
use crate::rejected::{Rejected, place};

/// Bytes of a frame before its values, by the formula of the profile.
const FRAME_BASE: u64 = 320;
/// Bytes of a frame for each value of 64 bits.
const FRAME_SLOT: u64 = 24;
/// A function without calls is checked at its entry only if some way through it costs more.
const UNCHECKED_COST_MAX: u64 = 1_024;

/// What the second walk needs to know about one body.
#[derive(Debug)]
pub(crate) struct BodyPlan {
    /// For each instruction, a set of [`KEEP`], [`CANONICAL`] and [`DEAD_AFTER`].
    pub(crate) marks: Vec<u8>,
    /// In the order of their places.
    pub(crate) charges: Vec<Charge>,
    pub(crate) exits: Exits,
    pub(crate) temporaries: Temporaries,
    /// Bytes of the frame.
    pub(crate) frame: u32,
}

/// The instruction is reachable and is written.
pub(crate) const KEEP: u8 = 1;
/// The instruction's float result is made canonical.
pub(crate) const CANONICAL: u8 = 2;
/// What follows this `end` is dead although the validator cannot see it.
pub(crate) const DEAD_AFTER: u8 = 4;

/// A charge of fuel, written before one instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) before: usize,
    pub(crate) amount: u64,
    pub(crate) is_checked: bool,
}

/// The exit blocks that a function needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Exits {
    pub(crate) out_of_fuel: bool,
    pub(crate) stack: bool,
    pub(crate) abort: bool,
}

/// The locals that the pass adds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Temporaries {
    pub(crate) i32: bool,
    pub(crate) f32: bool,
    pub(crate) f64: bool,
    pub(crate) v128: bool,
}

impl Temporaries {
    fn need(&mut self, shape: Shape) {
        match shape {
            Shape::F32 => self.f32 = true,
            Shape::F64 => self.f64 = true,
            Shape::F32x4 | Shape::F64x2 => self.v128 = true,
        }
    }

    fn slots(self) -> u64 {
        u64::from(self.i32) + u64::from(self.f32) + u64::from(self.f64) + 2 * u64::from(self.v128)
    }
}

/// Validates a body and decides what the pass does to it.
pub(crate) fn analyse<T: WasmModuleResources>(
    body: &FunctionBody<'_>,
    validator: &mut FuncValidator<T>,
    imports: u32,
    simd: bool,
) -> Result<BodyPlan, Rejected> {
    let mut locals = body.get_binary_reader();
    validator.read_locals(&mut locals)?;
    let mut reader = OperatorsReader::new(locals);

    let mut walk = Walk::new(imports, simd, local_slots(body, validator)?);
    while !reader.eof() {
        let (op, offset) = reader.read_with_offset()?;
        walk.step(&op, offset, validator)?;
    }
    reader.finish()?;
    walk.finish(place(body.range().start))
}

/// The width of parameters and locals, read by runs: a run of ten thousand takes three bytes.
fn local_slots<T: WasmModuleResources>(
    body: &FunctionBody<'_>,
    validator: &FuncValidator<T>,
) -> Result<u64, Rejected> {
    let mut slots = 0;
    let mut declared = 0;
    for local in body.get_locals_reader()? {
        let (count, ty) = local?;
        declared += count;
        slots += u64::from(count) * width(ty);
    }
    for param in 0..validator.len_locals().saturating_sub(declared) {
        slots += validator.get_local_type(param).map_or(1, width);
    }
    Ok(slots)
}

/// Slots of 64 bits that a value takes.
fn width(ty: ValType) -> u64 {
    if ty == ValType::V128 { 2 } else { 1 }
}

/// One operand. `fresh` names the instruction that made it, while its NaN may be the engine's.
#[derive(Debug, Clone, Copy)]
struct Operand {
    fresh: Option<(u32, Shape)>,
    width: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Body,
    Block,
    Loop,
    If,
    Else,
}

/// An open block of reachable code.
#[derive(Debug)]
struct Frame {
    kind: Kind,
    /// Operands below its own.
    height: usize,
    /// Whether some way other than falling through arrives after its `end`.
    is_joined: bool,
    /// The dearest of those ways.
    joined_cost: u64,
    /// The dearest way to an `if`, from which its other arm starts.
    condition_cost: u64,
}

#[derive(Debug)]
struct Walk {
    imports: u32,
    simd: bool,
    slots: u64,
    marks: Vec<u8>,
    charges: Vec<Charge>,
    operands: Vec<Operand>,
    height: u64,
    height_max: u64,
    frames: Vec<Frame>,
    is_alive: bool,
    /// Blocks opened in dead code and not yet closed.
    dead_blocks: u32,
    /// The dearest way to here, going round no loop, and to any end of the function.
    cost: u64,
    cost_max: u64,
    calls: bool,
    has_dynamic_cost: bool,
    exits: Exits,
    temporaries: Temporaries,
}

impl Walk {
    fn new(imports: u32, simd: bool, slots: u64) -> Self {
        let mut walk = Self {
            imports,
            simd,
            slots,
            marks: Vec::new(),
            charges: Vec::new(),
            operands: Vec::new(),
            height: 0,
            height_max: 0,
            frames: Vec::new(),
            is_alive: true,
            dead_blocks: 0,
            cost: 0,
            cost_max: 0,
            calls: false,
            has_dynamic_cost: false,
            exits: Exits::default(),
            temporaries: Temporaries::default(),
        };
        walk.open(Kind::Body);
        walk.cut(0, false);
        walk
    }

    fn step<T: WasmModuleResources>(
        &mut self,
        op: &Operator<'_>,
        offset: u64,
        validator: &mut FuncValidator<T>,
    ) -> Result<(), Rejected> {
        let Some(cost) = price(op, self.simd) else {
            return Err(invalid(offset, "an instruction without a price"));
        };
        let is_skipped = !self.is_alive && self.is_dead(op);
        let arity = if is_skipped {
            Some((0, 0))
        } else {
            op.operator_arity(validator)
        };
        validator.op(offset, op)?;

        let index = self.marks.len();
        self.marks.push(if is_skipped { 0 } else { KEEP });
        if is_skipped {
            return Ok(());
        }
        let (pops, pushes) = arity.ok_or_else(|| internal("an instruction has no arity"))?;
        self.charge(cost);
        self.note(op);

        let falls = self.is_alive;
        let role = role(op);
        let passed = if falls {
            self.pop(pops as usize, role)?
        } else {
            None
        };
        self.control(op, index, falls)?;
        let fresh = match role {
            Role::Makes { to, .. } => Some((index as u32, to)),
            _ => passed,
        };
        self.push(pushes as usize, fresh, validator);
        cap(
            "bytes of stack frame",
            self.frame_bytes(),
            FRAME_BYTES_MAX,
            Some(place(offset)),
        )
    }

    /// Whether an instruction in dead code stays dead. Only the end of a block opened in live code
    /// can bring life back.
    fn is_dead(&mut self, op: &Operator<'_>) -> bool {
        match op {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                self.dead_blocks += 1;
                true
            }
            Operator::End if self.dead_blocks > 0 => {
                self.dead_blocks -= 1;
                true
            }
            Operator::Else => self.dead_blocks > 0,
            Operator::End => false,
            _ => true,
        }
    }

    fn charge(&mut self, cost: u64) {
        self.cost += cost;
        if let Some(site) = self.charges.last_mut() {
            site.amount += cost;
        }
    }

    /// Starts a new straight piece of code before instruction `before`.
    fn cut(&mut self, before: usize, is_checked: bool) {
        self.charges.push(Charge {
            before,
            amount: 0,
            is_checked,
        });
    }

    fn open(&mut self, kind: Kind) {
        let height = self.operands.len();
        let condition_cost = self.cost;
        self.frames.push(Frame {
            kind,
            height,
            is_joined: false,
            joined_cost: 0,
            condition_cost,
        });
    }

    /// Notes what the function needs because of an instruction.
    fn note(&mut self, op: &Operator<'_>) {
        match op {
            Operator::Call { function_index } => self.calls |= *function_index >= self.imports,
            Operator::CallIndirect { .. } => {
                self.calls = true;
                self.temporaries.i32 = true;
            }
            Operator::MemoryFill { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryInit { .. } => {
                self.has_dynamic_cost = true;
                self.temporaries.i32 = true;
            }
            Operator::Unreachable => self.exits.abort = true,
            _ => {}
        }
    }

    /// Follows the flow of control. Its operands are popped already and pushed afterwards.
    fn control(&mut self, op: &Operator<'_>, index: usize, falls: bool) -> Result<(), Rejected> {
        let next = index + 1;
        match op {
            Operator::Block { .. } => self.open(Kind::Block),
            Operator::Loop { .. } => {
                self.open(Kind::Loop);
                self.cut(next, true);
            }
            Operator::If { .. } => {
                self.open(Kind::If);
                self.cut(next, false);
            }
            Operator::Else => self.turn_to_else(next, falls)?,
            Operator::End => self.close(index, falls)?,
            Operator::BrIf { relative_depth } => {
                self.branch(*relative_depth)?;
                self.cut(next, false);
            }
            Operator::Br { relative_depth } => {
                self.branch(*relative_depth)?;
                self.is_alive = false;
            }
            Operator::BrTable { targets } => {
                self.branch(targets.default())?;
                for target in targets.targets() {
                    self.branch(target?)?;
                }
                self.is_alive = false;
            }
            Operator::Return | Operator::Unreachable => {
                self.cost_max = self.cost_max.max(self.cost);
                self.is_alive = false;
            }
            _ => {}
        }
        Ok(())
    }

    fn branch(&mut self, depth: u32) -> Result<(), Rejected> {
        let cost = self.cost;
        self.cost_max = self.cost_max.max(cost);
        let target = self.frames.len().checked_sub(1 + depth as usize);
        let frame = target
            .and_then(|target| self.frames.get_mut(target))
            .ok_or_else(|| internal("a branch leaves the function"))?;
        if frame.kind != Kind::Loop {
            frame.is_joined = true;
            frame.joined_cost = frame.joined_cost.max(cost);
        }
        Ok(())
    }

    fn turn_to_else(&mut self, next: usize, falls: bool) -> Result<(), Rejected> {
        let cost = self.cost;
        let Some(frame) = self.frames.last_mut() else {
            return Err(internal("an else without an if"));
        };
        if falls {
            frame.is_joined = true;
            frame.joined_cost = frame.joined_cost.max(cost);
        }
        frame.kind = Kind::Else;
        self.cost = frame.condition_cost;
        let height = frame.height;
        self.shrink(height);
        self.is_alive = true;
        self.cut(next, false);
        Ok(())
    }

    fn close(&mut self, index: usize, falls: bool) -> Result<(), Rejected> {
        let Some(mut frame) = self.frames.pop() else {
            return Err(internal("an end without a block"));
        };
        // Without an `else` a false condition arrives here.
        if frame.kind == Kind::If {
            frame.is_joined = true;
            frame.joined_cost = frame.joined_cost.max(frame.condition_cost);
        }
        let here = if falls { self.cost } else { 0 };
        self.cost = if frame.is_joined {
            here.max(frame.joined_cost)
        } else {
            here
        };
        self.shrink(frame.height);
        self.is_alive = falls || frame.is_joined;

        if frame.kind == Kind::Body {
            self.cost_max = self.cost_max.max(self.cost);
        } else if !self.is_alive {
            self.marks[index] |= DEAD_AFTER;
        } else if frame.is_joined || frame.kind == Kind::Else {
            self.cut(index + 1, false);
        }
        Ok(())
    }
}

/// The operand stack, and the end of the walk.
impl Walk {
    /// Takes operands, marks those whose bits are seen, and returns one that passes through.
    fn pop(&mut self, count: usize, role: Role) -> Result<Option<(u32, Shape)>, Rejected> {
        let mut passed = None;
        for _ in 0..count {
            let Some(operand) = self.operands.pop() else {
                return Err(internal("an operand is missing"));
            };
            self.height -= u64::from(operand.width);
            let Some((maker, shape)) = operand.fresh else {
                continue;
            };
            match role {
                Role::Drops => {}
                Role::Reads(read) | Role::Makes { from: read, .. } if read == shape => {}
                Role::Passes(read) if read == shape => passed = operand.fresh,
                _ => {
                    self.marks[maker as usize] |= CANONICAL;
                    self.temporaries.need(shape);
                }
            }
        }
        Ok(passed)
    }

    fn push<T: WasmModuleResources>(
        &mut self,
        count: usize,
        fresh: Option<(u32, Shape)>,
        validator: &FuncValidator<T>,
    ) {
        for depth in (0..count).rev() {
            let ty = validator
                .get_operand_type(depth)
                .flatten()
                .unwrap_or(ValType::I64);
            let width = width(ty);
            self.operands.push(Operand {
                fresh,
                width: width as u8,
            });
            self.height += width;
        }
        self.height_max = self.height_max.max(self.height);
    }

    /// Forgets what a branch left behind: nobody sees it.
    fn shrink(&mut self, height: usize) {
        while self.operands.len() > height {
            let width = self.operands.pop().map_or(0, |operand| operand.width);
            self.height -= u64::from(width);
        }
    }

    fn frame_bytes(&self) -> u64 {
        // Fuel and depth are locals of the pass, too.
        let slots = self.slots + 2 + self.temporaries.slots() + self.height_max;
        FRAME_BASE + FRAME_SLOT * slots
    }

    fn finish(mut self, offset: usize) -> Result<BodyPlan, Rejected> {
        cap(
            "bytes of stack frame",
            self.frame_bytes(),
            FRAME_BYTES_MAX,
            Some(offset),
        )?;
        let frame = self.frame_bytes() as u32;
        if let Some(entry) = self.charges.first_mut() {
            entry.is_checked = self.calls || self.cost_max > UNCHECKED_COST_MAX;
        }
        self.charges
            .retain(|charge| charge.amount > 0 || charge.is_checked);
        self.exits.stack = self.calls;
        self.exits.out_of_fuel =
            self.has_dynamic_cost || self.charges.iter().any(|charge| charge.is_checked);
        Ok(BodyPlan {
            marks: self.marks,
            charges: self.charges,
            exits: self.exits,
            temporaries: self.temporaries,
            frame,
        })
    }
}

fn internal(message: &str) -> Rejected {
    Rejected::Internal {
        message: message.to_owned(),
    }
}
