//! Follows a body once and writes down its float values and their uses.
//!
//! Structured control flow says where values can meet: a local that a block assigns, at the end
//! of the block; one that a loop assigns, at its header. So the joins are placed when a block is
//! opened, and every way to them adds one edge for each of its locals (the placement of Braun et
//! al. 2013, "Simple and Efficient Construction of Static Single Assignment Form").

mod control;

use wasmparser::Operator;

use crate::floats::{Nans, Use, effect};
use crate::ir::{Code, Op, internal};
use crate::nan::access::{Access, Address, Versions, access};
use crate::nan::assigned::{Assigned, is_float};
use crate::nan::graph::{Graph, NONE, Node, OBSERVER, PLAIN, RAW, Site};
use crate::rejected::Rejected;

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    pub(crate) graph: Graph,
    /// The loads and stores, in their order.
    pub(crate) accesses: Vec<Access>,
}

/// Follows `code`, or gives nothing if the graph would have more than `edges_max` edges. Without
/// `assigned`, locals are observers.
pub(crate) fn walk(
    code: &Code<'_>,
    floats: &[bool],
    assigned: Option<&Assigned>,
    edges_max: usize,
) -> Result<Option<Flow>, Rejected> {
    let mut walk = Walk {
        code,
        assigned,
        flow: Flow::default(),
        versions: Versions::new(floats.len()),
        current: floats
            .iter()
            .enumerate()
            .map(|(local, is_float)| match is_float {
                // Without joins a local may hold anything at any time.
                true if assigned.is_none() || local < code.params.len() => RAW,
                true => PLAIN,
                false => NONE,
            })
            .collect(),
        changing: vec![0; floats.len()],
        operands: Vec::new(),
        frames: Vec::new(),
        loops: Vec::new(),
        saved: Vec::new(),
        edges_max,
        is_too_large: false,
        is_dead: false,
    };
    walk.open(None, Kind::Body);
    for index in 0..code.ops.len() {
        if code.ops[index].is_live {
            walk.step(index as u32)?;
        }
        if walk.is_too_large {
            return Ok(None);
        }
    }
    Ok(Some(walk.flow))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Body,
    Block,
    Loop,
    If,
    Else,
}

#[derive(Debug, Clone, Copy)]
struct Operand {
    node: Node,
    site: Site,
    level: u16,
    address: Address,
}

/// An open block of reachable code.
#[derive(Debug)]
struct Frame<'c> {
    kind: Kind,
    opened_by: u32,
    height: usize,
    assigned: &'c [u32],
    /// The joins of those locals, one after the other, once there are any.
    joins: Option<Node>,
    /// The join of its only result.
    result: Option<Node>,
    /// The last branch that brought values here.
    last_branch: Option<u32>,
}

#[derive(Debug)]
struct Walk<'c, 'a> {
    code: &'c Code<'a>,
    assigned: Option<&'c Assigned>,
    flow: Flow,
    versions: Versions,
    /// The value of each local.
    current: Vec<Node>,
    /// For each local how many of the open loops assign it. Those are always the outer ones.
    changing: Vec<u16>,
    operands: Vec<Operand>,
    frames: Vec<Frame<'c>>,
    /// What opened the open loops.
    loops: Vec<u32>,
    /// What the locals were at each open `if` that it assigns.
    saved: Vec<Node>,
    edges_max: usize,
    is_too_large: bool,
    is_dead: bool,
}

impl<'c> Walk<'c, '_> {
    fn step(&mut self, index: u32) -> Result<(), Rejected> {
        let code = self.code;
        let op = &code.ops[index as usize];
        match op.op {
            Operator::LocalGet { local_index } => self.get(index, local_index),
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                self.set(index, local_index, op.pushes > 0)?;
            }
            Operator::Block { .. } => self.enter(index, op, Kind::Block)?,
            Operator::Loop { .. } => self.enter(index, op, Kind::Loop)?,
            Operator::If { .. } => self.enter(index, op, Kind::If)?,
            Operator::Else => self.turn_to_else(index, op)?,
            Operator::End => self.close(index, op)?,
            Operator::Br { relative_depth } => {
                let carried = self.take(op.pops)?;
                self.branch(index, relative_depth, &carried)?;
                self.is_dead = true;
            }
            Operator::BrIf { relative_depth } => {
                self.pop()?;
                let carried = self.take(op.pushes)?;
                let joins = self.branch(index, relative_depth, &carried)?;
                match carried.as_slice() {
                    [operand] if joins => self.push(index, operand.node, operand.address),
                    _ => self.push_kept(index, op),
                }
            }
            Operator::BrTable { ref targets } => {
                self.pop()?;
                let carried = self.take(op.pops.saturating_sub(1))?;
                self.branch(index, targets.default(), &carried)?;
                for depth in targets.targets() {
                    self.branch(index, depth?, &carried)?;
                }
                self.is_dead = true;
            }
            Operator::Return | Operator::Unreachable => {
                self.see(op.pops)?;
                self.is_dead = true;
            }
            _ => self.compute(index, op)?,
        }
        Ok(())
    }

    fn level(&self) -> u16 {
        self.loops.len() as u16
    }

    /// An instruction that only takes operands and pushes results.
    fn compute(&mut self, index: u32, op: &Op<'_>) -> Result<(), Rejected> {
        let effect = effect(&op.op);
        let pushed = self.code.pushed(index as usize);
        let makes = pushed.len() == 1 && is_float(pushed[0]);
        let node = match effect.result {
            _ if !makes => NONE,
            Nans::RAW if !effect.first.is_flow() => RAW,
            Nans::PLAIN if effect.first == Use::Sees => PLAIN,
            nans => self.flow.graph.value(nans, Some(index), self.level()),
        };

        let access = access(&op.op);
        let operands = self.take(op.pops)?;
        if let (Some(access), Some(address)) = (access, operands.first()) {
            self.flow.accesses.push(access.at(index, address.address));
        }
        let is_store = matches!(
            op.op,
            Operator::F32Store { .. } | Operator::F64Store { .. } | Operator::V128Store { .. }
        );
        let last = operands.len().wrapping_sub(1);
        for (at, mut operand) in operands.into_iter().enumerate() {
            if is_store && matches!(operand.site, Site::Top { .. }) {
                operand.site = Site::Store { at: index };
            }
            let how = if at == last {
                effect.last
            } else {
                effect.first
            };
            let into = if how.is_flow() && node != NONE {
                node
            } else {
                OBSERVER
            };
            self.connect(operand, into, how);
        }
        match pushed {
            [_] => self.push(index, node, Address::of(&op.op)),
            _ => self.push_kept(index, op),
        }
        Ok(())
    }

    fn connect(&mut self, from: Operand, into: Node, how: Use) {
        let graph = &mut self.flow.graph;
        graph.connect(from.node, into, how, from.site, from.level);
    }

    fn pop(&mut self) -> Result<Operand, Rejected> {
        let operand = self.operands.pop();
        operand.ok_or_else(|| internal("an operand is missing"))
    }

    fn take(&mut self, count: u32) -> Result<Vec<Operand>, Rejected> {
        let at = self.operands.len().checked_sub(count as usize);
        let at = at.ok_or_else(|| internal("an operand is missing"))?;
        Ok(self.operands.split_off(at))
    }

    fn push(&mut self, pushed_by: u32, node: Node, address: Address) {
        self.operands.push(Operand {
            node,
            site: Site::Top { after: pushed_by },
            level: self.level(),
            address,
        });
    }

    /// Pushes values whose bits are final.
    fn push_kept(&mut self, index: u32, op: &Op<'_>) {
        let code = self.code;
        debug_assert_eq!(code.pushed(index as usize).len(), op.pushes as usize);
        for ty in code.pushed(index as usize) {
            let node = if is_float(*ty) { RAW } else { NONE };
            self.push(index, node, Address::default());
        }
    }

    /// Pops operands all of whose bits count.
    fn see(&mut self, count: u32) -> Result<(), Rejected> {
        for operand in self.take(count)? {
            self.connect(operand, OBSERVER, Use::Sees);
        }
        Ok(())
    }
}

/// Locals.
impl Walk<'_, '_> {
    fn get(&mut self, index: u32, local: u32) {
        let node = self.current[local as usize];
        self.push(index, node, self.versions.of(local));
        let changing = self.changing[local as usize];
        if self.assigned.is_none() || changing >= self.level() {
            return;
        }
        // The loops from this one on leave the local alone: once before them is enough.
        if let (Some(operand), Some(before)) = (
            self.operands.last_mut(),
            self.loops.get(usize::from(changing)),
        ) {
            operand.site = Site::Local {
                before: *before,
                local,
            };
            operand.level = changing;
        }
    }

    fn set(&mut self, index: u32, local: u32, is_tee: bool) -> Result<(), Rejected> {
        let operand = self.pop()?;
        self.versions.assign(local, index);
        let mut node = operand.node;
        if self.assigned.is_none() && node != NONE {
            self.connect(operand, OBSERVER, Use::Sees);
            node = RAW;
        }
        self.current[local as usize] = node;
        if is_tee {
            self.push(index, node, self.versions.of(local));
        }
        Ok(())
    }
}
