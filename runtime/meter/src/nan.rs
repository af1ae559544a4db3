//! Where NaNs of the engine's choice are made canonical: right after the instruction that made
//! them, if anything can see their bits.

use crate::floats::{Role, Shape, role};
use crate::ir::{Code, internal};
use crate::rejected::Rejected;
use wasmparser::Operator;

/// What the second walk does to floats.
#[derive(Debug, Default)]
pub(crate) struct NanPlan {
    /// The instructions whose result is made canonical, ascending.
    pub(crate) canonical: Vec<u32>,
    /// Shapes that need a temporary.
    pub(crate) temporaries: Temporaries,
}

/// The locals that canonicalising needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Temporaries {
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

    /// Slots of 64 bits.
    pub(crate) fn slots(self) -> u64 {
        u64::from(self.f32) + u64::from(self.f64) + 2 * u64::from(self.v128)
    }
}

/// One operand: the instruction that made it, while its NaN may be the engine's.
type Fresh = Option<(u32, Shape)>;

/// Decides which results of a body are made canonical.
pub(crate) fn plan(code: &Code<'_>) -> Result<NanPlan, Rejected> {
    let mut walk = Walk::default();
    for (index, op) in code.ops.iter().enumerate() {
        if op.is_live {
            walk.step(index, code)?;
        }
    }
    walk.plan.canonical.sort_unstable();
    walk.plan.canonical.dedup();
    Ok(walk.plan)
}

#[derive(Debug, Default)]
struct Walk {
    plan: NanPlan,
    operands: Vec<Fresh>,
    /// The heights at which reachable blocks were opened.
    heights: Vec<usize>,
    is_dead: bool,
}

impl Walk {
    fn step(&mut self, index: usize, code: &Code<'_>) -> Result<(), Rejected> {
        let op = &code.ops[index];
        let role = role(&op.op);
        let mut passed = None;
        if !self.is_dead {
            passed = self.pop(op.pops as usize, role)?;
        }
        self.control(&op.op, op.is_dead_after)?;
        let fresh = match role {
            Role::Makes { to, .. } => Some((index as u32, to)),
            _ => passed,
        };
        let pushed = std::iter::repeat_n(fresh, op.pushes as usize);
        self.operands.extend(pushed);
        Ok(())
    }

    /// Takes operands, marks those whose bits are seen, and returns one that passes through.
    fn pop(&mut self, count: usize, role: Role) -> Result<Fresh, Rejected> {
        let mut passed = None;
        for _ in 0..count {
            let Some(operand) = self.operands.pop() else {
                return Err(internal("an operand is missing"));
            };
            let Some((maker, shape)) = operand else {
                continue;
            };
            match role {
                Role::Drops => {}
                Role::Reads(read) | Role::Makes { from: read, .. } if read == shape => {}
                Role::Passes(read) if read == shape => passed = operand,
                _ => {
                    self.plan.canonical.push(maker);
                    self.plan.temporaries.need(shape);
                }
            }
        }
        Ok(passed)
    }

    /// Keeps the height of the stack; what a branch left behind nobody sees.
    fn control(&mut self, op: &Operator<'_>, is_dead_after: bool) -> Result<(), Rejected> {
        match op {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                self.heights.push(self.operands.len());
            }
            Operator::Else => {
                let height = self.heights.last().copied();
                self.operands.truncate(height.unwrap_or(0));
                self.is_dead = false;
            }
            Operator::End => {
                let height = self.heights.pop();
                self.operands.truncate(height.unwrap_or(0));
                self.is_dead = is_dead_after;
            }
            Operator::Br { .. }
            | Operator::BrTable { .. }
            | Operator::Return
            | Operator::Unreachable => self.is_dead = true,
            _ => {}
        }
        Ok(())
    }
}
