//! Follows the flow of control through a body: pieces of code and the ways between them.
//!
//! A node is a piece of code that runs as a whole once it is entered (or ends in a call, a trap or
//! an exit on the way). The graph leaves out what placement never needs: ways back to a loop's
//! header and out of the function, which are all alike, are a flag of the node they start from. So
//! what is left has no cycle, and the order of the text is an order from sources to targets.
//! Counted loops are no nodes at all but part of the straight code around them.

use std::iter::Peekable;

use wasmparser::Operator;

use crate::callees::Callees;
use crate::ir::{Code, Op, internal};
use crate::loops::{self, Counted};
use crate::placement::UNCHECKED_COST_MAX;
use crate::rejected::Rejected;
use crate::schedule::{Class, Schedule};

/// A body as pieces of code and the ways between them.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) nodes: Vec<Node>,
    /// The nodes in the order of the text: every way leads from an earlier one to a later one.
    pub(crate) order: Vec<u32>,
    /// What counted loops cost beyond their first round, in the order of the text.
    pub(crate) ahead: Vec<Ahead>,
    /// Whether some way from the entry reaches a call of a defined function before any check.
    pub(crate) calls_unchecked: bool,
}

/// A counted loop that is charged before it starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ahead {
    pub(crate) counted: Counted,
    /// The price of one round.
    pub(crate) round: u64,
}

/// A piece of code.
#[derive(Debug)]
pub(crate) struct Node {
    /// The instruction before which its own charge stands, if it is a boundary.
    pub(crate) start: u32,
    pub(crate) kind: Kind,
    /// The sum of the prices of its instructions.
    pub(crate) cost: u64,
    /// The dearest way from the entry to its start, going round no loop.
    pub(crate) reach: u64,
    /// Whether some way from the entry to here, or to the end of what has been read of it, meets no
    /// check.
    is_unchecked: bool,
    /// Whether some way leads straight out of the function or to a boundary.
    pub(crate) leaves: bool,
    /// Whether it ends in `unreachable`.
    pub(crate) aborts: bool,
    pub(crate) ways: [Option<Way>; 2],
}

/// What stands at the start of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The function's entry, a boundary.
    Entry,
    /// A loop's header, a boundary.
    Header,
    /// A label that some edge without room for code leads to, a boundary.
    Crowded,
    /// Anything else.
    Plain,
}

impl Kind {
    /// Whether a charge of its own stands at its start, and none on the ways to it.
    pub(crate) fn is_boundary(self) -> bool {
        self != Self::Plain
    }
}

/// A way from one node to another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) to: u32,
    pub(crate) place: Place,
}

/// Where code can be put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) index: u32,
    pub(crate) side: Side,
}

/// Where code can be put around one instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// Before it, where only control that falls into it comes by.
    Before,
    /// On its second way: where a `br_if` is taken, or in the `else` that is missing before an
    /// `end`.
    Aside,
}

/// Takes a body apart.
pub(crate) fn read(
    code: &Code<'_>,
    callees: &Callees<'_>,
    schedule: &Schedule,
) -> Result<Flow, Rejected> {
    let mut walk = Walk {
        schedule,
        callees,
        calls_unchecked: false,
        counted: loops::find(code, callees).into_iter().peekable(),
        open_loops: Vec::new(),
        ahead: Vec::new(),
        nodes: Vec::new(),
        order: Vec::new(),
        frames: Vec::new(),
        here: None,
        moves: 0,
    };
    let entry = walk.node(Kind::Entry);
    walk.nodes[entry as usize].is_unchecked = true;
    walk.start(entry, 0);
    walk.charge(schedule.locals(code.local_slots()));
    walk.open(Opener::Body);
    for (index, op) in code.ops.iter().enumerate() {
        if op.is_live {
            walk.step(index as u32, op)?;
        }
    }
    walk.ahead.sort_unstable_by_key(|ahead| ahead.counted.index);
    Ok(Flow {
        nodes: walk.nodes,
        order: walk.order,
        ahead: walk.ahead,
        calls_unchecked: walk.calls_unchecked,
    })
}

/// An open block of reachable code.
#[derive(Debug, Clone, Copy)]
struct Frame {
    opener: Opener,
    /// The node after its `end`, once something branches there.
    label: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
enum Opener {
    Body,
    Block,
    Loop,
    /// An `if` whose `else` has not come, with the node that its condition ends.
    If(u32),
}

/// A counted loop that is open.
#[derive(Debug)]
struct OpenLoop {
    counted: Counted,
    end: u32,
    /// What a round costs, so far.
    round: u64,
}

#[derive(Debug)]
struct Walk<'s> {
    schedule: &'s Schedule,
    callees: &'s Callees<'s>,
    calls_unchecked: bool,
    counted: Peekable<std::vec::IntoIter<Counted>>,
    open_loops: Vec<OpenLoop>,
    ahead: Vec<Ahead>,
    nodes: Vec<Node>,
    order: Vec<u32>,
    frames: Vec<Frame>,
    /// The node that goes on here; nothing in dead code.
    here: Option<u32>,
    /// Moves since the last instruction that ends a piece.
    moves: u64,
}

impl Walk<'_> {
    fn step(&mut self, index: u32, op: &Op<'_>) -> Result<(), Rejected> {
        let ended = self.open_loops.pop_if(|open| open.end == index);
        if let Some(open) = ended {
            self.close_counted(&open);
            self.price(op.class);
            return Ok(());
        }
        self.price(op.class);
        if let Operator::Call { function_index } = op.op {
            self.charge(self.callees.folded(function_index).unwrap_or(0));
        }
        let opened = self.counted.next_if(|counted| counted.index == index);
        if let Some(counted) = opened {
            self.open_loops.push(OpenLoop {
                counted,
                end: op.partner,
                round: 0,
            });
        } else if self.open_loops.is_empty() {
            self.control(&op.op, index, op.pushes > 0)?;
        }
        Ok(())
    }

    /// Charges around a counted loop what it certainly costs, and leaves the rest to be charged
    /// and checked before it.
    fn close_counted(&mut self, open: &OpenLoop) {
        let OpenLoop { counted, round, .. } = *open;
        let all = counted
            .more
            .map(|more| more.saturating_add(1).saturating_mul(round));
        match all.filter(|all| *all <= UNCHECKED_COST_MAX) {
            Some(all) => self.charge(all),
            None => {
                self.charge(round);
                self.check();
                self.ahead.push(Ahead { counted, round });
            }
        }
    }
}

/// Prices and nodes.
impl Walk<'_> {
    fn price(&mut self, class: Class) {
        self.charge(self.schedule.price(class));
        self.moves += u64::from(class == Class::Move);
        if class.ends_piece() {
            let moves = std::mem::take(&mut self.moves);
            self.charge(self.schedule.moves(moves));
        }
    }

    fn charge(&mut self, cost: u64) {
        if let Some(open) = self.open_loops.last_mut() {
            open.round += cost;
        } else if let Some(here) = self.here {
            self.nodes[here as usize].cost += cost;
        }
    }

    /// Notes that fuel is checked here.
    fn check(&mut self) {
        if let Some(here) = self.here {
            self.nodes[here as usize].is_unchecked = false;
        }
    }

    /// Notes a call of a defined function.
    fn call(&mut self) {
        let here = self.here.map(|here| &self.nodes[here as usize]);
        self.calls_unchecked |= here.is_some_and(|here| here.is_unchecked);
    }

    fn node(&mut self, kind: Kind) -> u32 {
        self.nodes.push(Node {
            start: 0,
            kind,
            cost: 0,
            reach: 0,
            is_unchecked: false,
            leaves: false,
            aborts: false,
            ways: [None; 2],
        });
        self.nodes.len() as u32 - 1
    }

    /// Goes on in `node`, whose first instruction is `index`.
    fn start(&mut self, node: u32, index: u32) {
        self.nodes[node as usize].start = index;
        self.order.push(node);
        self.here = Some(node);
    }

    /// Notes that control may go from `from`, which is complete, to `to`.
    fn reach(&mut self, from: u32, to: u32) {
        let source = &self.nodes[from as usize];
        let (reach, is_unchecked) = (source.reach + source.cost, source.is_unchecked);
        let target = &mut self.nodes[to as usize];
        target.reach = target.reach.max(reach);
        target.is_unchecked |= is_unchecked && target.kind != Kind::Header;
    }

    /// Adds a way on which code can be put.
    fn way(&mut self, from: u32, to: u32, index: u32, side: Side) -> Result<(), Rejected> {
        self.reach(from, to);
        let ways = &mut self.nodes[from as usize].ways;
        let free = ways.iter_mut().find(|way| way.is_none());
        let place = Place { index, side };
        *free.ok_or_else(|| internal("a piece of code has three ways on"))? =
            Some(Way { to, place });
        Ok(())
    }

    /// Notes that `here` leads straight out of the function or to a boundary.
    fn leave(&mut self) {
        if let Some(here) = self.here {
            self.nodes[here as usize].leaves = true;
        }
    }
}

/// Control.
impl Walk<'_> {
    fn control(
        &mut self,
        op: &Operator<'_>,
        index: u32,
        has_operands: bool,
    ) -> Result<(), Rejected> {
        match op {
            Operator::Call { function_index } if self.callees.is_threaded(*function_index) => {
                self.call();
            }
            Operator::CallIndirect { .. } => self.call(),
            Operator::MemoryFill { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryInit { .. } => self.check(),
            Operator::Block { .. } => self.open(Opener::Block),
            Operator::Loop { .. } => self.open_loop(index),
            Operator::If { .. } => self.open_if(index)?,
            Operator::Else => self.turn_to_else(index)?,
            Operator::End => self.close(index)?,
            Operator::BrIf { relative_depth } => {
                if has_operands {
                    self.crowd(*relative_depth)?;
                } else {
                    self.branch(*relative_depth, index, Side::Aside)?;
                }
                let next = self.node(Kind::Plain);
                self.fall(next, index + 1)?;
                self.start(next, index + 1);
            }
            Operator::Br { relative_depth } => {
                self.branch(*relative_depth, index, Side::Before)?;
                self.here = None;
            }
            Operator::BrTable { targets } => {
                self.crowd(targets.default())?;
                for target in targets.targets() {
                    self.crowd(target?)?;
                }
                self.here = None;
            }
            Operator::Return => {
                self.leave();
                self.here = None;
            }
            Operator::Unreachable => {
                if let Some(here) = self.here.take() {
                    self.nodes[here as usize].aborts = true;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, opener: Opener) {
        let label = None;
        self.frames.push(Frame { opener, label });
    }

    fn open_loop(&mut self, index: u32) {
        let header = self.node(Kind::Header);
        if let Some(here) = self.here {
            self.reach(here, header);
        }
        self.leave();
        self.open(Opener::Loop);
        self.start(header, index + 1);
    }

    fn open_if(&mut self, index: u32) -> Result<(), Rejected> {
        let Some(condition) = self.here else {
            return Err(internal("an if in dead code"));
        };
        let then = self.node(Kind::Plain);
        self.fall(then, index + 1)?;
        self.open(Opener::If(condition));
        self.start(then, index + 1);
        Ok(())
    }

    fn turn_to_else(&mut self, index: u32) -> Result<(), Rejected> {
        let Some(Frame {
            opener: Opener::If(condition),
            ..
        }) = self.frames.last().copied()
        else {
            return Err(internal("an else without an if"));
        };
        if self.here.is_some() {
            self.branch(0, index, Side::Before)?;
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.opener = Opener::Block;
        }
        let otherwise = self.node(Kind::Plain);
        self.way(condition, otherwise, index + 1, Side::Before)?;
        self.start(otherwise, index + 1);
        Ok(())
    }

    fn close(&mut self, index: u32) -> Result<(), Rejected> {
        let Some(mut frame) = self.frames.pop() else {
            return Err(internal("an end without a block"));
        };
        if matches!(frame.opener, Opener::Body) {
            self.leave();
            self.here = None;
            return Ok(());
        }
        if let Opener::If(condition) = frame.opener {
            // Without an `else` a false condition arrives here.
            let label = self.label_of(&mut frame);
            self.way(condition, label, index, Side::Aside)?;
        }
        if let Some(label) = frame.label {
            self.fall(label, index)?;
            self.start(label, index + 1);
        }
        Ok(())
    }

    /// Falls from here, if anything does, to `to`; code on that way stands before `index`.
    fn fall(&mut self, to: u32, index: u32) -> Result<(), Rejected> {
        match self.here {
            Some(here) => self.way(here, to, index, Side::Before),
            None => Ok(()),
        }
    }

    fn label_of(&mut self, frame: &mut Frame) -> u32 {
        match frame.label {
            Some(label) => label,
            None => *frame.label.insert(self.node(Kind::Plain)),
        }
    }

    /// The label that a branch leads to, or nothing if it goes round a loop or out of the function.
    fn target(&mut self, depth: u32) -> Result<Option<u32>, Rejected> {
        let place = self.frames.len().checked_sub(1 + depth as usize);
        let found = place.and_then(|place| Some((place, *self.frames.get(place)?)));
        let (place, mut frame) = found.ok_or_else(|| internal("a branch leaves the function"))?;
        if matches!(frame.opener, Opener::Body | Opener::Loop) {
            return Ok(None);
        }
        let label = self.label_of(&mut frame);
        self.frames[place] = frame;
        Ok(Some(label))
    }

    /// A branch that can carry code.
    fn branch(&mut self, depth: u32, index: u32, side: Side) -> Result<(), Rejected> {
        match (self.here, self.target(depth)?) {
            (Some(here), Some(label)) => self.way(here, label, index, side)?,
            _ => self.leave(),
        }
        Ok(())
    }

    /// A branch that can carry no code: its label must charge for itself.
    fn crowd(&mut self, depth: u32) -> Result<(), Rejected> {
        if let Some(label) = self.target(depth)? {
            self.nodes[label as usize].kind = Kind::Crowded;
            if let Some(here) = self.here {
                self.reach(here, label);
            }
        }
        self.leave();
        Ok(())
    }
}
