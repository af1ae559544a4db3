//! The float values of a body and where each of them goes.
//!
//! Nodes are values in the sense of single assignment: what an instruction pushes, and a *join*
//! for each local (or block result) that several ways bring to one place. An edge is one use.
//! Two questions are answered over it, each by a worklist: what the NaNs of a node may be (forward,
//! over the sets of [`Nans`], Kildall 1973), and whether anything demands its bits (backward).
//! A node's set grows at most five times and its demand once, so both are linear in the edges.

use crate::floats::{Nans, Shape, Use};

/// A value. The first three stand for all of their kind.
pub(crate) type Node = u32;

/// An operand that is no float.
pub(crate) const NONE: Node = u32::MAX;
/// Everything that can see bits.
pub(crate) const OBSERVER: Node = 0;
/// Bits that must be kept.
pub(crate) const RAW: Node = 1;
/// No NaN, or the canonical one.
pub(crate) const PLAIN: Node = 2;

/// Where a use can be given a canonical value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Site {
    /// Before this instruction, in this local of the guest.
    Local { before: u32, local: u32 },
    /// On top of the stack, after this instruction.
    Top { after: u32 },
    /// In memory, at this store.
    Store { at: u32 },
}

/// One use of a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edge {
    pub(crate) from: Node,
    /// What it becomes part of; for everything else than a flow, the observer.
    into: Node,
    how: Use,
    pub(crate) site: Site,
    /// Loops around the site.
    pub(crate) level: u16,
    /// The next edges of the same `from` and of the same `into`.
    next_from: u32,
    next_into: u32,
}

#[derive(Debug, Clone, Copy)]
struct Value {
    nans: Nans,
    is_demanded: bool,
    /// The instruction that pushed it, unless it is a join of locals.
    made_by: Option<u32>,
    level: u16,
    first_from: u32,
    first_into: u32,
}

const END: u32 = u32::MAX;

/// All values of a body and all their uses.
#[derive(Debug)]
pub(crate) struct Graph {
    values: Vec<Value>,
    edges: Vec<Edge>,
}

impl Default for Graph {
    fn default() -> Self {
        let mut graph = Self {
            values: Vec::new(),
            edges: Vec::new(),
        };
        for nans in [Nans::RAW, Nans::RAW, Nans::PLAIN] {
            graph.value(nans, None, 0);
        }
        graph
    }
}

impl Graph {
    /// Adds a value whose NaNs are `nans` and whatever flows into it.
    pub(crate) fn value(&mut self, nans: Nans, made_by: Option<u32>, level: u16) -> Node {
        self.values.push(Value {
            nans,
            is_demanded: false,
            made_by,
            level,
            first_from: END,
            first_into: END,
        });
        (self.values.len() - 1) as Node
    }

    /// Adds `count` values that are what flows into them, and gives the first.
    pub(crate) fn joins(&mut self, count: usize) -> Node {
        let first = self.values.len() as Node;
        for _ in 0..count {
            self.value(Nans::PLAIN, None, 0);
        }
        first
    }

    /// Says which instruction pushes a join.
    pub(crate) fn place(&mut self, node: Node, made_by: u32, level: u16) {
        let value = &mut self.values[node as usize];
        value.made_by = Some(made_by);
        value.level = level;
    }

    /// Adds a use. Values that cannot be fresh need none.
    pub(crate) fn connect(&mut self, from: Node, into: Node, how: Use, site: Site, level: u16) {
        // A scalar has one shape for ever, so its lanes always fit.
        let is_blind = matches!(how, Use::Drops | Use::Reads(Shape::F32 | Shape::F64));
        if matches!(from, NONE | OBSERVER) || is_blind {
            return;
        }
        // Kept and plain bits bring nothing but themselves.
        if matches!(from, RAW | PLAIN) {
            if how.is_flow() {
                let nans = how.through(self.values[from as usize].nans);
                let value = &mut self.values[into as usize];
                value.nans = value.nans.or(nans);
            }
            return;
        }
        let index = self.edges.len() as u32;
        self.edges.push(Edge {
            from,
            into,
            how,
            site,
            level,
            next_from: std::mem::replace(&mut self.values[from as usize].first_from, index),
            next_into: std::mem::replace(&mut self.values[into as usize].first_into, index),
        });
    }

    /// Answers both questions.
    pub(crate) fn solve(&mut self) {
        self.spread_nans();
        self.spread_demand();
    }

    fn spread_nans(&mut self) {
        let mut work: Vec<Node> = (0..self.values.len() as Node).collect();
        while let Some(node) = work.pop() {
            let value = self.values[node as usize];
            let mut next = value.first_from;
            while let Some(edge) = self.edges.get(next as usize) {
                next = edge.next_from;
                if !edge.how.is_flow() {
                    continue;
                }
                let into = &mut self.values[edge.into as usize];
                let nans = into.nans.or(edge.how.through(value.nans));
                if nans != into.nans {
                    into.nans = nans;
                    work.push(edge.into);
                }
            }
        }
    }

    fn spread_demand(&mut self) {
        let mut work = Vec::new();
        for edge in &self.edges {
            let from = &mut self.values[edge.from as usize];
            if edge.how.sees(from.nans) && !from.is_demanded {
                from.is_demanded = true;
                work.push(edge.from);
            }
        }
        while let Some(node) = work.pop() {
            let mut next = self.values[node as usize].first_into;
            while let Some(edge) = self.edges.get(next as usize) {
                next = edge.next_into;
                let from = &mut self.values[edge.from as usize];
                if edge.how.is_flow() && !from.is_demanded {
                    from.is_demanded = true;
                    work.push(edge.from);
                }
            }
        }
    }

    /// The uses that must be given a canonical value, and its lanes.
    ///
    /// A value that is fresh and nothing else is made canonical where it is seen, or where it flows
    /// into a demanded conflict. A demanded conflict is made of such uses and of kept bits, so
    /// nothing more happens to it.
    pub(crate) fn exposed(&self) -> impl Iterator<Item = (&Edge, Shape)> {
        self.edges.iter().filter_map(|edge| {
            let nans = self.values[edge.from as usize].nans;
            let into = self.values[edge.into as usize];
            let conflicts = edge.how.is_flow() && into.is_demanded && into.nans.is_conflict();
            let is_exposed = edge.how.sees(nans) || conflicts;
            Some((edge, nans.only_fresh().filter(|_| is_exposed)?))
        })
    }

    /// The instruction that pushed a value, and the loops around it.
    pub(crate) fn maker(&self, node: Node) -> Option<(u32, u16)> {
        let value = self.values[node as usize];
        value.made_by.map(|op| (op, value.level))
    }

    /// Values and edges.
    pub(crate) fn size(&self) -> usize {
        self.values.len() + self.edges.len()
    }
}
