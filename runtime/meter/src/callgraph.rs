//! Who can call whom, and which functions can come back to themselves.
//!
//! The graph is collected while bodies are admitted, dead code included, so that no body has to be
//! kept. A `call_indirect` leads to a node of its type, and that to every function of the type in
//! the table. The components come callees first: R. Tarjan, *Depth-first search and linear graph
//! algorithms*, SIAM Journal on Computing 1 (1972), here without recursion.

use std::collections::BTreeMap;

use wasmparser::FuncType;

/// The calls in the bodies read so far, as text says them.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// Where the calls of each body end.
    ends: Vec<u32>,
    callees: Vec<Callee>,
}

/// What one instruction calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Callee {
    /// A function, imported or defined.
    Function(u32),
    /// Any function of this type in the table.
    Type(u32),
}

impl Calls {
    /// Notes a call of the body that is being read.
    pub(crate) fn note(&mut self, callee: Callee) {
        if self.callees.last() != Some(&callee) || self.start() == self.callees.len() {
            self.callees.push(callee);
        }
    }

    /// Ends the body that is being read.
    pub(crate) fn end_body(&mut self) {
        self.ends.push(self.callees.len() as u32);
    }

    fn start(&self) -> usize {
        self.ends.last().map_or(0, |end| *end as usize)
    }
}

/// Equal types are one: which type stands for each.
pub(crate) fn unify(types: &[FuncType]) -> Vec<u32> {
    let mut first = BTreeMap::new();
    let indices = types.iter().enumerate();
    indices
        .map(|(index, ty)| *first.entry(ty).or_insert(index as u32))
        .collect()
}

/// The graph over defined functions, by index without the imports, and after them types.
#[derive(Debug)]
pub(crate) struct CallGraph {
    functions: u32,
    /// Where the targets of each node end.
    ends: Vec<u32>,
    targets: Vec<u32>,
}

/// A node of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node {
    /// A defined function, by index without the imports.
    Function(u32),
    /// The functions of a type in the table.
    Type(u32),
}

/// Nodes that can all reach each other.
#[derive(Debug)]
pub(crate) struct Component<'g> {
    pub(crate) nodes: &'g [Node],
    /// Whether its functions can come back to themselves.
    pub(crate) is_cycle: bool,
}

/// All components, callees before their callers.
#[derive(Debug, Default)]
pub(crate) struct Components {
    nodes: Vec<Node>,
    /// Where each component ends, and whether it is a cycle.
    ends: Vec<(u32, bool)>,
}

impl Components {
    pub(crate) fn iter(&self) -> impl Iterator<Item = Component<'_>> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(end, _)| *end as usize));
        starts
            .zip(&self.ends)
            .map(|(start, (end, is_cycle))| Component {
                nodes: &self.nodes[start..*end as usize],
                is_cycle: *is_cycle,
            })
    }
}

impl CallGraph {
    /// Links the bodies' calls. `unified` is [`unify`]'s answer, `in_table` the functions in the table with
    /// their unified types. Indices that lead nowhere are left to the validator.
    pub(crate) fn new(
        calls: &Calls,
        imports: u32,
        functions: u32,
        unified: &[u32],
        in_table: &[(u32, u32)],
    ) -> Self {
        let mut graph = Self {
            functions,
            ends: Vec::new(),
            targets: Vec::new(),
        };
        let mut start = 0;
        for body in 0..functions as usize {
            let end = calls.ends.get(body).map_or(start, |end| *end as usize);
            for callee in &calls.callees[start..end] {
                graph.link(*callee, imports, unified);
            }
            start = end;
            graph.ends.push(graph.targets.len() as u32);
        }
        let mut by_type: Vec<(u32, u32)> = in_table
            .iter()
            .filter(|(function, _)| *function >= imports)
            .map(|(function, ty)| (*ty, *function - imports))
            .filter(|(_, function)| *function < functions)
            .collect();
        by_type.sort_unstable();
        by_type.dedup();
        let mut entries = by_type.into_iter().peekable();
        for ty in 0..unified.len() as u32 {
            while let Some((_, function)) = entries.next_if(|(entry, _)| *entry == ty) {
                graph.targets.push(function);
            }
            graph.ends.push(graph.targets.len() as u32);
        }
        graph
    }

    fn link(&mut self, callee: Callee, imports: u32, unified: &[u32]) {
        let target = match callee {
            Callee::Function(function) => function
                .checked_sub(imports)
                .filter(|function| *function < self.functions),
            Callee::Type(ty) => unified.get(ty as usize).map(|ty| self.functions + ty),
        };
        self.targets.extend(target);
    }

    fn targets(&self, node: u32) -> (u32, u32) {
        let start = match node.checked_sub(1) {
            Some(before) => self.ends[before as usize],
            None => 0,
        };
        (start, self.ends[node as usize])
    }

    fn node(&self, index: u32) -> Node {
        match index.checked_sub(self.functions) {
            Some(ty) => Node::Type(ty),
            None => Node::Function(index),
        }
    }

    /// What a function calls or a type stands for.
    pub(crate) fn callees(&self, node: Node) -> impl Iterator<Item = Node> {
        let index = match node {
            Node::Function(function) => function,
            Node::Type(ty) => self.functions + ty,
        };
        let (start, end) = self.targets(index);
        let targets = &self.targets[start as usize..end as usize];
        targets.iter().map(|target| self.node(*target))
    }

    /// The strongly connected components, callees before their callers.
    pub(crate) fn components(&self) -> Components {
        let mut search = Search {
            graph: self,
            number: vec![0; self.ends.len()],
            low: vec![0; self.ends.len()],
            next_number: 1,
            open: Vec::new(),
            found: Components::default(),
        };
        for root in 0..self.ends.len() as u32 {
            if search.number[root as usize] == 0 {
                search.visit(root);
            }
        }
        search.found
    }
}

/// Tarjan's search.
struct Search<'g> {
    graph: &'g CallGraph,
    /// The order of discovery, from 1; 0 before it, and `u32::MAX` once the component is closed.
    number: Vec<u32>,
    low: Vec<u32>,
    next_number: u32,
    /// Discovered nodes whose component is open.
    open: Vec<u32>,
    found: Components,
}

impl Search<'_> {
    const CLOSED: u32 = u32::MAX;

    fn visit(&mut self, root: u32) {
        // What would be the call stack: nodes and their next edge.
        let mut path = vec![(root, self.discover(root))];
        while let Some((node, edge)) = path.last_mut() {
            let (node, (_, end)) = (*node, self.graph.targets(*node));
            if *edge == end {
                path.pop();
                if let Some((parent, _)) = path.last() {
                    let (parent, low) = (*parent as usize, self.low[node as usize]);
                    self.low[parent] = self.low[parent].min(low);
                }
                if self.low[node as usize] == self.number[node as usize] {
                    self.close(node);
                }
                continue;
            }
            let target = self.graph.targets[*edge as usize];
            *edge += 1;
            match self.number[target as usize] {
                0 => path.push((target, self.discover(target))),
                Self::CLOSED => {}
                number => self.low[node as usize] = self.low[node as usize].min(number),
            }
        }
    }

    /// Numbers a node and returns its first edge.
    fn discover(&mut self, node: u32) -> u32 {
        self.number[node as usize] = self.next_number;
        self.low[node as usize] = self.next_number;
        self.next_number += 1;
        self.open.push(node);
        self.graph.targets(node).0
    }

    /// Closes the component that was entered through `root`.
    fn close(&mut self, root: u32) {
        let start = self.found.nodes.len();
        while let Some(node) = self.open.pop() {
            self.number[node as usize] = Self::CLOSED;
            self.found.nodes.push(self.graph.node(node));
            if node == root {
                break;
            }
        }
        let nodes = &self.found.nodes[start..];
        let (first, end) = self.graph.targets(root);
        let calls_itself = self.graph.targets[first as usize..end as usize].contains(&root);
        let is_cycle = nodes.len() > 1 || calls_itself;
        self.found
            .ends
            .push((self.found.nodes.len() as u32, is_cycle));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Callee::{Function, Type};
    use Node::Function as F;

    /// Compares the components of bodies that call these; there is one import and one type, which
    /// the functions in `table` have.
    #[track_caller]
    fn check(bodies: &[&[Callee]], table: &[u32], expected: &[(&[Node], bool)]) {
        let mut calls = Calls::default();
        for body in bodies {
            body.iter().for_each(|callee| calls.note(*callee));
            calls.end_body();
        }
        let in_table: Vec<_> = table.iter().map(|function| (*function, 0)).collect();
        let graph = CallGraph::new(&calls, 1, bodies.len() as u32, &[0], &in_table);
        let components = graph.components();
        let found: Vec<_> = components
            .iter()
            .map(|component| (component.nodes, component.is_cycle))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn callees_come_before_their_callers() {
        check(
            &[&[Function(2), Function(0)], &[Function(3)], &[]],
            &[],
            &[
                (&[F(2)], false),
                (&[F(1)], false),
                (&[F(0)], false),
                (&[Node::Type(0)], false),
            ],
        );
    }

    #[test]
    fn a_function_that_calls_itself_is_a_cycle() {
        check(
            &[&[Function(1)]],
            &[],
            &[(&[F(0)], true), (&[Node::Type(0)], false)],
        );
    }

    #[test]
    fn a_cycle_may_lead_through_the_table() {
        check(
            &[&[Type(0)], &[Function(1)], &[]],
            &[2, 0, 2],
            &[(&[F(1), Node::Type(0), F(0)], true), (&[F(2)], false)],
        );
    }

    #[test]
    fn a_chain_of_any_length_is_no_recursion_here() {
        let bodies: Vec<Vec<Callee>> = (0..100_000).map(|next| vec![Function(next + 2)]).collect();
        let bodies: Vec<&[Callee]> = bodies.iter().map(Vec::as_slice).collect();
        let mut calls = Calls::default();
        for body in bodies {
            body.iter().for_each(|callee| calls.note(*callee));
            calls.end_body();
        }
        let graph = CallGraph::new(&calls, 1, 100_000, &[], &[]);
        let components = graph.components();
        let first = components.iter().next().map(|component| component.nodes);
        assert_eq!(first, Some(&[F(99_999)][..]));
        assert_eq!(components.iter().count(), 100_000);
    }
}
