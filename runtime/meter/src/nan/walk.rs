//! Follows a body once and writes down its float values and their uses.
//!
//! Structured control flow says where values can meet: a local that a block assigns, at the end
//! of the block; one that a loop assigns, at its header. So the joins are placed when a block is
//! opened, and every way to them adds one edge for each of its locals (the placement of Braun et
//! al. 2013, "Simple and Efficient Construction of Static Single Assignment Form").

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
        let is_scalar_store =
            matches!(op.op, Operator::F32Store { .. } | Operator::F64Store { .. });
        let last = operands.len().wrapping_sub(1);
        for (at, mut operand) in operands.into_iter().enumerate() {
            if is_scalar_store && matches!(operand.site, Site::Top { .. }) {
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

/// Control flow.
impl<'c> Walk<'c, '_> {
    fn open(&mut self, opened_by: Option<u32>, kind: Kind) {
        let opened_by = opened_by.unwrap_or(u32::MAX);
        let assigned = match (self.assigned, kind) {
            (Some(assigned), Kind::Block | Kind::Loop | Kind::If) => assigned.of(opened_by),
            _ => &[],
        };
        self.frames.push(Frame {
            kind,
            opened_by,
            height: self.operands.len(),
            assigned,
            joins: None,
            result: None,
            last_branch: None,
        });
    }

    fn enter(&mut self, index: u32, op: &Op<'_>, kind: Kind) -> Result<(), Rejected> {
        // Parameters of blocks are rare: they count as seen.
        self.see(op.pops)?;
        self.open(Some(index), kind);
        let frame = self.frames.len() - 1;
        match kind {
            Kind::Loop => {
                self.flow_to(frame, index);
                self.arrive(frame);
                for local in self.frames[frame].assigned {
                    self.changing[*local as usize] += 1;
                }
                self.loops.push(index);
            }
            Kind::If => {
                let locals = self.frames[frame].assigned.iter();
                let values = locals.map(|local| self.current[*local as usize]);
                self.saved.extend(values);
            }
            _ => {}
        }
        self.push_kept(index, op);
        Ok(())
    }

    fn turn_to_else(&mut self, index: u32, op: &Op<'_>) -> Result<(), Rejected> {
        let top = self.target(0)?;
        self.fall_out(top, index, op.pops)?;
        let frame = &mut self.frames[top];
        frame.kind = Kind::Else;
        self.operands.truncate(frame.height);
        self.restore(top);
        self.is_dead = false;
        self.push_kept(index, op);
        Ok(())
    }

    /// Gives the locals back the values that they had before the open `if`.
    fn restore(&mut self, frame: usize) {
        let locals = self.frames[frame].assigned;
        let values = self.saved.split_off(self.saved.len() - locals.len());
        for (local, value) in locals.iter().zip(values) {
            self.current[*local as usize] = value;
        }
    }

    fn close(&mut self, index: u32, op: &Op<'_>) -> Result<(), Rejected> {
        let top = self.target(0)?;
        self.fall_out(top, index, op.pops)?;
        if self.frames[top].kind == Kind::If {
            // A false condition arrives here, too, with the locals of before, and with the
            // parameters for results.
            self.restore(top);
            self.flow_to(top, self.frames[top].opened_by);
            if let [ty] = self.code.pushed(index as usize)
                && is_float(*ty)
            {
                self.frames[top].result = Some(RAW);
            }
        }
        let kind = self.frames[top].kind;
        if kind == Kind::Loop {
            self.loops.pop();
            for local in self.frames[top].assigned {
                self.changing[*local as usize] -= 1;
            }
        } else {
            self.arrive(top);
        }
        let frame = self.frames.pop();
        let Some(frame) = frame else { return Ok(()) };
        self.operands.truncate(frame.height);
        self.is_dead = op.is_dead_after;
        match (self.code.pushed(index as usize), frame.result) {
            ([_], Some(result)) => {
                self.flow.graph.place(result, index, self.level());
                self.push(index, result, Address::default());
            }
            _ => self.push_kept(index, op),
        }
        Ok(())
    }

    /// Falls out of the block whose frame is the innermost.
    fn fall_out(&mut self, frame: usize, index: u32, results: u32) -> Result<(), Rejected> {
        if self.is_dead {
            return Ok(());
        }
        let carried = self.take(results)?;
        let kind = self.frames[frame].kind;
        self.carry(frame, &carried, kind != Kind::Body);
        // What leaves a loop at its end meets nobody there.
        if kind != Kind::Loop {
            self.flow_to(frame, index);
        }
        Ok(())
    }

    /// Branches with some operands, and says whether they met others at a join.
    fn branch(&mut self, index: u32, depth: u32, carried: &[Operand]) -> Result<bool, Rejected> {
        let target = self.target(depth)?;
        let frame = &mut self.frames[target];
        let joins = !matches!(frame.kind, Kind::Body | Kind::Loop);
        // A table may name one target ten thousand times.
        if frame.last_branch.replace(index) != Some(index) {
            self.carry(target, carried, joins);
            self.flow_to(target, index);
        }
        Ok(joins)
    }

    fn target(&self, depth: u32) -> Result<usize, Rejected> {
        let target = self.frames.len().checked_sub(1 + depth as usize);
        target.ok_or_else(|| internal("a branch leaves the function"))
    }

    /// Lets the locals that a block assigns flow to its joins, before instruction `before`.
    fn flow_to(&mut self, frame: usize, before: u32) {
        let locals = self.frames[frame].assigned;
        if self.flow.graph.size() + locals.len() > self.edges_max {
            self.is_too_large = true;
            return;
        }
        let joins = match self.frames[frame].joins {
            Some(joins) => joins,
            None => {
                let joins = self.flow.graph.joins(locals.len());
                self.frames[frame].joins = Some(joins);
                joins
            }
        };
        let level = self.level();
        for (join, local) in (joins..).zip(locals) {
            let site = Site::Local {
                before,
                local: *local,
            };
            let from = self.current[*local as usize];
            let graph = &mut self.flow.graph;
            graph.connect(from, join, Use::Passes, site, level);
        }
    }

    /// Makes the joins of a block the values of its locals.
    fn arrive(&mut self, frame: usize) {
        let frame = &self.frames[frame];
        if let Some(joins) = frame.joins {
            for (join, local) in (joins..).zip(frame.assigned) {
                self.current[*local as usize] = join;
            }
        }
    }

    /// Brings operands to a label or an `end`. A single one meets its like at a join; several
    /// count as seen.
    fn carry(&mut self, frame: usize, carried: &[Operand], joins: bool) {
        match carried {
            [operand] if joins => {
                if operand.node != NONE {
                    let result = self.result(frame);
                    self.connect(*operand, result, Use::Passes);
                }
            }
            _ => {
                for operand in carried {
                    self.connect(*operand, OBSERVER, Use::Sees);
                }
            }
        }
    }

    /// The join of a block's only result.
    fn result(&mut self, frame: usize) -> Node {
        match self.frames[frame].result {
            Some(result) => result,
            None => {
                let result = self.flow.graph.joins(1);
                self.frames[frame].result = Some(result);
                result
            }
        }
    }
}
