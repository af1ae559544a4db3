//! Where fuel is charged and checked: one charge for each straight piece of code, at its start.

use wasmparser::Operator;

use crate::class::Class;
use crate::ir::{Code, internal};
use crate::rejected::Rejected;
use crate::schedule::Schedule;

/// A function without calls is checked at its entry only if some way through it costs more.
const UNCHECKED_COST_MAX: u64 = 1_024;

/// A charge of fuel, written before one instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) before: usize,
    pub(crate) amount: u64,
    pub(crate) is_checked: bool,
}

/// All charges of a body.
#[derive(Debug, Default)]
pub(crate) struct FuelPlan {
    /// In the order of their places.
    pub(crate) charges: Vec<Charge>,
    /// Whether a defined function is called, directly or through the table.
    pub(crate) calls: bool,
    /// Whether some check can fail.
    pub(crate) is_checked: bool,
    pub(crate) aborts: bool,
    /// Whether an i32 must wait aside, while fuel is taken or handed on.
    pub(crate) needs_temporary: bool,
}

/// Decides where the fuel of a body is charged; `imports` are the functions that are not defined.
pub(crate) fn plan(
    code: &Code<'_>,
    imports: u32,
    schedule: &Schedule,
) -> Result<FuelPlan, Rejected> {
    let mut walk = Walk {
        schedule,
        imports,
        plan: FuelPlan::default(),
        has_dynamic_cost: false,
        frames: Vec::new(),
        is_alive: true,
        moves: 0,
        cost: 0,
        cost_max: 0,
    };
    walk.open(Kind::Body);
    walk.cut(0, false);
    walk.charge(schedule.locals(code.local_slots()));
    for (index, op) in code.ops.iter().enumerate() {
        if op.is_live {
            walk.step(index, &op.op, op.class)?;
        }
    }
    Ok(walk.finish())
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
    /// Whether some way other than falling through arrives after its `end`.
    is_joined: bool,
    /// The dearest of those ways.
    joined_cost: u64,
    /// The dearest way to an `if`, from which its other arm starts.
    condition_cost: u64,
}

#[derive(Debug)]
struct Walk<'s> {
    schedule: &'s Schedule,
    imports: u32,
    plan: FuelPlan,
    has_dynamic_cost: bool,
    frames: Vec<Frame>,
    is_alive: bool,
    /// Moves since the last instruction that ends a piece.
    moves: u64,
    /// The dearest way to here, going round no loop, and to any end of the function.
    cost: u64,
    cost_max: u64,
}

impl Walk<'_> {
    fn step(&mut self, index: usize, op: &Operator<'_>, class: Class) -> Result<(), Rejected> {
        self.charge(self.schedule.price(class));
        self.moves += u64::from(class == Class::Move);
        if class.ends_piece() {
            let moves = std::mem::take(&mut self.moves);
            self.charge(self.schedule.moves(moves));
        }
        self.note(op);
        self.control(op, index)
    }

    fn charge(&mut self, cost: u64) {
        self.cost += cost;
        if let Some(site) = self.plan.charges.last_mut() {
            site.amount += cost;
        }
    }

    /// Starts a new straight piece of code before instruction `before`.
    fn cut(&mut self, before: usize, is_checked: bool) {
        self.plan.charges.push(Charge {
            before,
            amount: 0,
            is_checked,
        });
    }

    fn open(&mut self, kind: Kind) {
        self.frames.push(Frame {
            kind,
            is_joined: false,
            joined_cost: 0,
            condition_cost: self.cost,
        });
    }

    /// Notes what the function needs because of an instruction.
    fn note(&mut self, op: &Operator<'_>) {
        match op {
            Operator::Call { function_index } => self.plan.calls |= *function_index >= self.imports,
            Operator::CallIndirect { .. } => {
                self.plan.calls = true;
                self.plan.needs_temporary = true;
            }
            Operator::MemoryFill { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryInit { .. } => {
                self.has_dynamic_cost = true;
                self.plan.needs_temporary = true;
            }
            Operator::Unreachable => self.plan.aborts = true,
            _ => {}
        }
    }

    /// Follows the flow of control.
    fn control(&mut self, op: &Operator<'_>, index: usize) -> Result<(), Rejected> {
        let next = index + 1;
        let falls = self.is_alive;
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
        self.is_alive = falls || frame.is_joined;
        if frame.kind == Kind::Body {
            self.cost_max = self.cost_max.max(self.cost);
        } else if self.is_alive && (frame.is_joined || frame.kind == Kind::Else) {
            self.cut(index + 1, false);
        }
        Ok(())
    }

    fn finish(mut self) -> FuelPlan {
        if let Some(entry) = self.plan.charges.first_mut() {
            entry.is_checked = self.plan.calls || self.cost_max > UNCHECKED_COST_MAX;
        }
        let charges = &mut self.plan.charges;
        charges.retain(|charge| charge.amount > 0 || charge.is_checked);
        self.plan.is_checked =
            self.has_dynamic_cost || charges.iter().any(|charge| charge.is_checked);
        self.plan
    }
}
