//! Finds counted loops: those whose rounds can be told before they start.
//!
//! Such a loop has one way round, the `br_if` before its `end`, and otherwise only instructions that
//! go on to the next one, or other counted loops. One round is followed with symbols: a local is
//! worth what it held when the round began plus a constant, or it is not known. If what the `br_if`
//! tests is then a comparison of a local that each round steps by a constant with a value that no
//! round changes, the rounds are a matter of arithmetic. A general form of this is D. Gerlek, E. Stoltz and
//! M. Wolfe, *Beyond induction variables*, TOPLAS 1995; compilers of Rust write nothing else.

use wasmparser::Operator;

use crate::callees::Callees;
use crate::ir::{Code, Op};
use crate::schedule::Class;
use crate::trips::{Relation, Trip, mask};

/// Locals that are followed in one block; more are forgotten.
const LOCALS_FOLLOWED_MAX: usize = 32;

/// A loop whose rounds are known when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Its `loop`.
    pub(crate) index: u32,
    pub(crate) trip: Trip,
    /// The local that is stepped.
    pub(crate) counter: u32,
    /// How far the value compared at the end of the first round is ahead of it.
    pub(crate) ahead: u64,
    pub(crate) bound: Bound,
    /// The rounds after the first, if they are known here. A loop that never ends is not counted
    /// then.
    pub(crate) more: Option<u64>,
}

/// What the counter is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Constant(u64),
    Local(u32),
}

/// The counted loops of a body, in the order of the text.
pub(crate) fn find(code: &Code<'_>, callees: &Callees<'_>) -> Vec<Counted> {
    let mut walk = Walk {
        code,
        callees,
        frames: Vec::new(),
        operands: Vec::new(),
        locals: Vec::new(),
        found: Vec::new(),
    };
    walk.open(None);
    for (index, op) in code.ops.iter().enumerate() {
        if op.is_live {
            walk.step(index);
        }
    }
    walk.found.sort_unstable_by_key(|counted| counted.index);
    walk.found
}

/// A value that can be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Simple {
    Constant(u64),
    /// What the local held when the round began, plus a constant.
    Local(u32, u64),
}

impl Simple {
    fn plus(self, more: u64, width: u32) -> Self {
        let sum = |value: u64| value.wrapping_add(more) & mask(width);
        match self {
            Self::Constant(value) => Self::Constant(sum(value)),
            Self::Local(local, ahead) => Self::Local(local, sum(ahead)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Unknown,
    Simple(Simple),
    Compare(Comparison),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Comparison {
    relation: Relation,
    width: u32,
    left: Simple,
    right: Simple,
}

/// An open block.
#[derive(Debug)]
struct Frame {
    /// The `loop` that opened it.
    looped: Option<usize>,
    /// Whether it may still turn out to be a counted loop. Then a local that is not followed has the
    /// value of the round's beginning, else it is not known.
    is_candidate: bool,
    condition: Value,
    operands: usize,
    locals: usize,
}

struct Walk<'c> {
    code: &'c Code<'c>,
    callees: &'c Callees<'c>,
    frames: Vec<Frame>,
    operands: Vec<Value>,
    /// The locals that were set in each open block and their values, innermost last.
    locals: Vec<(u32, Value)>,
    found: Vec<Counted>,
}

/// Control.
impl Walk<'_> {
    fn step(&mut self, index: usize) {
        let op = &self.code.ops[index];
        match op.op {
            Operator::Block { .. } | Operator::If { .. } => {
                self.spoil();
                self.drop(op.pops);
                self.open(None);
            }
            Operator::Loop { .. } => {
                self.drop(op.pops);
                self.open((op.pops == 0).then_some(index));
            }
            Operator::Else => self.forget(),
            Operator::End => self.close(index),
            Operator::BrIf { relative_depth: 0 } if self.ends_round(index) => {
                let condition = self.pop();
                if let Some(frame) = self.frames.last_mut() {
                    frame.condition = condition;
                }
            }
            Operator::BrIf { .. }
            | Operator::Br { .. }
            | Operator::BrTable { .. }
            | Operator::Return
            | Operator::Unreachable => {
                self.spoil();
                self.drop(op.pops);
                self.push(op.pushes);
            }
            _ => self.compute(index),
        }
    }

    /// Whether the innermost block is a loop that ends after this instruction.
    fn ends_round(&self, index: usize) -> bool {
        let opened_by = self.frames.last().and_then(|frame| frame.looped);
        opened_by.is_some_and(|opened_by| {
            let op = &self.code.ops[opened_by];
            op.partner as usize == index + 1 && self.code.ops[index].pushes == 0
        })
    }

    fn open(&mut self, looped: Option<usize>) {
        self.frames.push(Frame {
            looped,
            is_candidate: looped.is_some(),
            condition: Value::Unknown,
            operands: self.operands.len(),
            locals: self.locals.len(),
        });
    }

    /// Notes that the innermost block is no counted loop.
    fn spoil(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.is_candidate = false;
        }
    }

    /// Forgets everything about the innermost block: control may come from somewhere else.
    fn forget(&mut self) {
        if let Some(frame) = self.frames.last() {
            self.operands.truncate(frame.operands);
            self.locals.truncate(frame.locals);
        }
    }

    fn close(&mut self, index: usize) {
        let Some(frame) = self.frames.pop() else {
            return;
        };
        let counted = self.recognise(&frame);
        self.operands.truncate(frame.operands);
        if let Some(counted) = counted {
            self.found.push(counted);
            // What it sets is not known after it.
            for place in frame.locals..self.locals.len() {
                self.locals[place].1 = Value::Unknown;
            }
            self.crop();
        } else {
            self.spoil();
            self.forget();
        }
        self.push(self.code.ops[index].pushes);
    }

    /// The counted loop that a frame is, if it is one.
    fn recognise(&self, frame: &Frame) -> Option<Counted> {
        let index = frame.looped.filter(|_| frame.is_candidate)?;
        let comparison = match frame.condition {
            Value::Unknown => return None,
            Value::Compare(comparison) => comparison,
            // The value itself is tested.
            Value::Simple(value) => Comparison {
                relation: Relation::Differs,
                width: 32,
                left: value,
                right: Simple::Constant(0),
            },
        };
        let swapped = Comparison {
            relation: comparison.relation.swapped(),
            left: comparison.right,
            right: comparison.left,
            ..comparison
        };
        let found = self.count(frame, &comparison);
        let (trip, counter, ahead, bound) = found.or_else(|| self.count(frame, &swapped))?;
        let more = match (self.before(frame, counter), self.bound_before(frame, bound)) {
            (Some(start), Some(bound)) => {
                let compared = start.wrapping_add(ahead) & mask(trip.width);
                Some(trip.more(compared, bound)?)
            }
            _ => None,
        };
        Some(Counted {
            index: index as u32,
            trip,
            counter,
            ahead,
            bound,
            more,
        })
    }

    /// The trip of a comparison whose left side is stepped and whose right side stays.
    fn count(&self, frame: &Frame, comparison: &Comparison) -> Option<(Trip, u32, u64, Bound)> {
        let Simple::Local(counter, ahead) = comparison.left else {
            return None;
        };
        let Value::Simple(Simple::Local(stepped, step)) = self.set_in(frame, counter)? else {
            return None;
        };
        if stepped != counter {
            return None;
        }
        let (bound, known) = match comparison.right {
            Simple::Constant(value) => (Bound::Constant(value), Some(value)),
            Simple::Local(local, 0) if self.stays(frame, local) => (Bound::Local(local), None),
            Simple::Local(..) => return None,
        };
        let known = known.or_else(|| self.bound_before(frame, bound));
        let trip = Trip::new(comparison.relation, comparison.width, step, known)?;
        Some((trip, counter, ahead, bound))
    }

    fn stays(&self, frame: &Frame, local: u32) -> bool {
        match self.set_in(frame, local) {
            None => true,
            Some(value) => value == Value::Simple(Simple::Local(local, 0)),
        }
    }

    /// The value that a loop has last given to a local, if it sets it.
    fn set_in(&self, frame: &Frame, local: u32) -> Option<Value> {
        let set = self.locals[frame.locals..].iter().rev();
        set.into_iter()
            .find(|(other, _)| *other == local)
            .map(|(_, value)| *value)
    }

    /// The constant that a local holds when a loop starts.
    fn before(&self, frame: &Frame, local: u32) -> Option<u64> {
        let outside = self.frames.last()?;
        let set = self.locals[outside.locals..frame.locals].iter().rev();
        match set.into_iter().find(|(other, _)| *other == local)?.1 {
            Value::Simple(Simple::Constant(value)) => Some(value),
            _ => None,
        }
    }

    fn bound_before(&self, frame: &Frame, bound: Bound) -> Option<u64> {
        match bound {
            Bound::Constant(value) => Some(value),
            Bound::Local(local) => self.before(frame, local),
        }
    }
}

/// Values.
impl Walk<'_> {
    fn compute(&mut self, index: usize) {
        let op = &self.code.ops[index];
        if !self.is_plain(op) {
            self.spoil();
        }
        let value = match op.op {
            Operator::LocalGet { local_index } => self.get(local_index),
            Operator::LocalSet { local_index } => {
                let value = self.pop();
                return self.set(local_index, value);
            }
            Operator::LocalTee { local_index } => {
                let value = self.pop();
                self.set(local_index, value);
                value
            }
            Operator::I32Const { value } => {
                Value::Simple(Simple::Constant(value.cast_unsigned().into()))
            }
            Operator::I64Const { value } => Value::Simple(Simple::Constant(value.cast_unsigned())),
            Operator::I32Add => self.sum(32, false),
            Operator::I64Add => self.sum(64, false),
            Operator::I32Sub => self.sum(32, true),
            Operator::I64Sub => self.sum(64, true),
            Operator::I32Eqz => self.equals_zero(32),
            Operator::I64Eqz => self.equals_zero(64),
            ref other => match comparison(other) {
                Some((relation, width)) => self.compare(relation, width),
                None => {
                    self.drop(op.pops);
                    return self.push(op.pushes);
                }
            },
        };
        self.operands.push(value);
    }

    /// Whether an instruction goes on to the next one and charges nothing by itself.
    fn is_plain(&self, op: &Op<'_>) -> bool {
        match (&op.op, op.class) {
            (Operator::Call { function_index }, _) => {
                self.callees.folded(*function_index).is_some()
            }
            (_, Class::CallIndirect | Class::MemoryGrow | Class::Bulk) => false,
            _ => true,
        }
    }

    /// A sum, or a difference if `is_negated` says so of the right operand.
    fn sum(&mut self, width: u32, is_negated: bool) -> Value {
        let (right, left) = (self.pop(), self.pop());
        let simple = match (left, right) {
            (Value::Simple(left), Value::Simple(Simple::Constant(value))) => {
                let value = if is_negated {
                    value.wrapping_neg()
                } else {
                    value
                };
                left.plus(value, width)
            }
            (Value::Simple(Simple::Constant(value)), Value::Simple(right)) if !is_negated => {
                right.plus(value, width)
            }
            _ => return Value::Unknown,
        };
        Value::Simple(simple)
    }

    fn compare(&mut self, relation: Relation, width: u32) -> Value {
        match (self.pop(), self.pop()) {
            (Value::Simple(right), Value::Simple(left)) => Value::Compare(Comparison {
                relation,
                width,
                left,
                right,
            }),
            _ => Value::Unknown,
        }
    }

    fn equals_zero(&mut self, width: u32) -> Value {
        match self.pop() {
            Value::Unknown => Value::Unknown,
            Value::Simple(left) => Value::Compare(Comparison {
                relation: Relation::Equal,
                width,
                left,
                right: Simple::Constant(0),
            }),
            Value::Compare(comparison) => Value::Compare(Comparison {
                relation: comparison.relation.negated(),
                ..comparison
            }),
        }
    }

    fn get(&self, local: u32) -> Value {
        let Some(frame) = self.frames.last() else {
            return Value::Unknown;
        };
        match self.set_in(frame, local) {
            Some(value) => value,
            None if frame.is_candidate => Value::Simple(Simple::Local(local, 0)),
            None => Value::Unknown,
        }
    }

    fn set(&mut self, local: u32, value: Value) {
        let start = self.frames.last().map_or(0, |frame| frame.locals);
        let place = self.locals[start..]
            .iter()
            .rposition(|(other, _)| *other == local);
        match place {
            Some(place) => self.locals[start + place].1 = value,
            None => self.locals.push((local, value)),
        }
        self.crop();
    }

    /// Keeps what is followed in the innermost block within bounds.
    fn crop(&mut self) {
        let start = self.frames.last().map_or(0, |frame| frame.locals);
        if self.locals.len() - start > LOCALS_FOLLOWED_MAX {
            self.spoil();
            self.locals.truncate(start);
        }
    }

    fn pop(&mut self) -> Value {
        let height = self.frames.last().map_or(0, |frame| frame.operands);
        if self.operands.len() > height {
            self.operands.pop().unwrap_or(Value::Unknown)
        } else {
            Value::Unknown
        }
    }

    fn drop(&mut self, count: u32) {
        for _ in 0..count {
            self.pop();
        }
    }

    fn push(&mut self, count: u32) {
        let unknown = std::iter::repeat_n(Value::Unknown, count as usize);
        self.operands.extend(unknown);
    }
}

/// An integer comparison and the bits of its operands.
fn comparison(op: &Operator<'_>) -> Option<(Relation, u32)> {
    use Operator::*;
    let order = |less, is_signed, is_inclusive| Relation::Order {
        less,
        is_signed,
        is_inclusive,
    };
    Some(match op {
        I32Eq => (Relation::Equal, 32),
        I64Eq => (Relation::Equal, 64),
        I32Ne => (Relation::Differs, 32),
        I64Ne => (Relation::Differs, 64),
        I32LtU => (order(true, false, false), 32),
        I64LtU => (order(true, false, false), 64),
        I32LtS => (order(true, true, false), 32),
        I64LtS => (order(true, true, false), 64),
        I32LeU => (order(true, false, true), 32),
        I64LeU => (order(true, false, true), 64),
        I32LeS => (order(true, true, true), 32),
        I64LeS => (order(true, true, true), 64),
        I32GtU => (order(false, false, false), 32),
        I64GtU => (order(false, false, false), 64),
        I32GtS => (order(false, true, false), 32),
        I64GtS => (order(false, true, false), 64),
        I32GeU => (order(false, false, true), 32),
        I64GeU => (order(false, false, true), 64),
        I32GeS => (order(false, true, true), 32),
        I64GeS => (order(false, true, true), 64),
        _ => return None,
    })
}
