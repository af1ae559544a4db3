//! Who counts the depth of the stack, who only hands it on, and who never sees it.
//!
//! The bytes of active frames must stay below the profile's limit. Only a cycle of calls can make
//! them many, so only functions on cycles check, each for itself and for the longest chain of calls
//! below it that meets no other check. Chains that are long all the same are cut by checks.

use crate::callgraph::{CallGraph, Component, Node};

/// Bytes of frames that may lie below a check without another one.
const UNCHECKED_BYTES_MAX: u32 = 16 << 10;

/// What a caller must know about a function, or about all functions of a type in the table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Need {
    /// Bytes of the deepest chain of frames from here to the next check.
    pub(crate) below: u32,
    /// Whether something from here on checks the depth.
    pub(crate) depth: bool,
}

impl Need {
    fn join(self, other: Self) -> Self {
        Self {
            below: self.below.max(other.below),
            depth: self.depth || other.depth,
        }
    }
}

/// What one function does about the depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Depth {
    /// Whether the depth is its last parameter.
    pub(crate) is_parameter: bool,
    /// Bytes that must be left after its own frame, if it checks.
    pub(crate) check: Option<u32>,
    /// Bytes of its own frame.
    pub(crate) frame: u32,
}

/// All that is known so far; components are visited callees first.
#[derive(Debug)]
pub(crate) struct Stack<'g> {
    graph: &'g CallGraph,
    functions: Vec<Function>,
    types: Vec<Need>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Function {
    need: Need,
    is_in_table: bool,
    is_on_cycle: bool,
}

impl<'g> Stack<'g> {
    /// Knows nothing but the functions in the table, whose signatures are fixed.
    pub(crate) fn new(graph: &'g CallGraph, functions: usize, types: usize) -> Self {
        let mut stack = Self {
            graph,
            functions: vec![Function::default(); functions],
            types: vec![Need::default(); types],
        };
        for ty in 0..types as u32 {
            for node in graph.callees(Node::Type(ty)) {
                if let Node::Function(function) = node {
                    stack.functions[function as usize].is_in_table = true;
                }
            }
        }
        stack
    }

    /// Starts a component, before any of its functions.
    pub(crate) fn open(&mut self, component: &Component<'_>) {
        for node in component.nodes {
            if let (Node::Function(function), true) = (node, component.is_cycle) {
                let function = &mut self.functions[*function as usize];
                function.is_on_cycle = true;
                function.need.depth = true;
            }
        }
        // The functions of the component check for themselves; what else a type leads to is known.
        for node in component.nodes {
            if let Node::Type(ty) = node {
                self.types[*ty as usize] = self.below(*node);
            }
        }
    }

    /// Decides about a function whose callees are known. `calls` says whether it can reach a call.
    pub(crate) fn decide(&mut self, function: u32, frame: u32, calls: bool) -> Depth {
        let below = self.below(Node::Function(function));
        let found = &mut self.functions[function as usize];
        // Without a call its frame is the last one, for which every stack has room.
        let chain = if calls { frame + below.below } else { 0 };
        let checks = calls && (found.is_on_cycle || chain > UNCHECKED_BYTES_MAX);
        found.need = Need {
            below: if checks { 0 } else { chain },
            depth: found.is_on_cycle || checks || (calls && below.depth),
        };
        Depth {
            is_parameter: found.is_in_table || found.need.depth,
            check: checks.then_some(below.below),
            frame,
        }
    }

    /// What calling a defined function needs.
    pub(crate) fn of_function(&self, function: u32) -> Need {
        let found = self.functions.get(function as usize);
        found.map_or(Need::default(), |found| found.need)
    }

    /// What calling through the table needs; `ty` is a unified type.
    pub(crate) fn of_type(&self, ty: u32) -> Need {
        self.types.get(ty as usize).copied().unwrap_or_default()
    }

    /// Whether a defined function takes the depth as its last parameter.
    pub(crate) fn takes_depth(&self, function: u32) -> bool {
        let found = self.functions.get(function as usize);
        found.is_some_and(|found| found.is_in_table || found.need.depth)
    }

    /// Whether a function is neither in the table, where its type is fixed, nor on a cycle, where
    /// some caller is written before it.
    pub(crate) fn is_only_called(&self, function: u32) -> bool {
        let found = self.functions.get(function as usize);
        found.is_some_and(|found| !found.is_in_table && !found.is_on_cycle)
    }

    fn below(&self, node: Node) -> Need {
        let callees = self.graph.callees(node).map(|callee| match callee {
            Node::Function(function) => self.functions[function as usize].need,
            Node::Type(ty) => self.types[ty as usize],
        });
        callees.fold(Need::default(), Need::join)
    }
}
