//! Blocks and branches: where values meet.

use super::{Frame, Kind, Operand, Walk};
use crate::floats::Use;
use crate::ir::{Op, internal};
use crate::nan::access::Address;
use crate::nan::assigned::is_float;
use crate::nan::graph::{NONE, Node, OBSERVER, RAW, Site};
use crate::rejected::Rejected;

impl<'c> Walk<'c, '_> {
    pub(super) fn open(&mut self, opened_by: Option<u32>, kind: Kind) {
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

    pub(super) fn enter(&mut self, index: u32, op: &Op<'_>, kind: Kind) -> Result<(), Rejected> {
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

    pub(super) fn turn_to_else(&mut self, index: u32, op: &Op<'_>) -> Result<(), Rejected> {
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

    pub(super) fn close(&mut self, index: u32, op: &Op<'_>) -> Result<(), Rejected> {
        let top = self.target(0)?;
        self.fall_out(top, index, op.pops)?;
        if self.frames[top].kind == Kind::If {
            // A false condition arrives here, too, with the locals of before, and with the
            // parameters for results.
            self.restore(top);
            let opened_by = self.frames[top].opened_by;
            self.flow_to(top, opened_by);
            if let [ty] = self.code.pushed(index as usize)
                && is_float(*ty)
            {
                let result = self.result(top);
                let site = Site::Top { after: opened_by };
                let graph = &mut self.flow.graph;
                graph.connect(RAW, result, Use::Passes, site, 0);
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
    pub(super) fn branch(
        &mut self,
        index: u32,
        depth: u32,
        carried: &[Operand],
    ) -> Result<bool, Rejected> {
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

    pub(super) fn target(&self, depth: u32) -> Result<usize, Rejected> {
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
