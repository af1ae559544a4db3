//! Which float locals each block assigns: only those can differ between the ways to its end.

use wasmparser::{Operator, ValType};

use crate::ir::Code;

/// No block.
const NOBODY: u32 = u32::MAX;

/// The float locals assigned in each block, loop and `if` of a body.
#[derive(Debug, Default)]
pub(crate) struct Assigned {
    /// Where the locals of the block opened by an instruction are, by ascending instruction.
    ranges: Vec<(u32, u32, u32)>,
    locals: Vec<u32>,
}

/// Whether NaNs are looked for in values of this type.
pub(crate) fn is_float(ty: ValType) -> bool {
    matches!(ty, ValType::F32 | ValType::F64 | ValType::V128)
}

/// Whether each local, parameters first, holds floats.
pub(crate) fn float_locals(code: &Code<'_>) -> Vec<bool> {
    let mut floats: Vec<bool> = code.params.iter().copied().map(is_float).collect();
    for (count, ty) in &code.locals {
        floats.extend(std::iter::repeat_n(is_float(*ty), *count as usize));
    }
    floats
}

impl Assigned {
    /// Collects the sets, or nothing if together they are larger than `max`.
    pub(crate) fn new(code: &Code<'_>, floats: &[bool], max: usize) -> Option<Self> {
        let mut walk = Walk {
            assigned: Self::default(),
            last_by: vec![NOBODY; floats.len()],
            open: Vec::new(),
        };
        walk.open.push((NOBODY - 1, Vec::new()));
        for (index, op) in code.ops.iter().enumerate() {
            if !op.is_live {
                continue;
            }
            match op.op {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                    walk.open.push((index as u32, Vec::new()));
                }
                Operator::End => walk.close(),
                Operator::LocalSet { local_index } | Operator::LocalTee { local_index }
                    if floats[local_index as usize] =>
                {
                    walk.assign(local_index);
                }
                _ => {}
            }
            if walk.assigned.locals.len() > max {
                return None;
            }
        }
        walk.assigned.ranges.sort_unstable();
        Some(walk.assigned)
    }

    /// The locals assigned in the block that the instruction at `index` opened.
    pub(crate) fn of(&self, index: u32) -> &[u32] {
        let range = self
            .ranges
            .binary_search_by_key(&index, |(opened_by, ..)| *opened_by)
            .map(|at| self.ranges[at]);
        range.map_or(&[], |(_, start, end)| {
            &self.locals[start as usize..end as usize]
        })
    }
}

struct Walk {
    assigned: Assigned,
    /// The innermost open block known to assign each local.
    last_by: Vec<u32>,
    /// Open blocks: what opened them; the locals they assign, each with the block outside of it
    /// that was known to assign it, too.
    open: Vec<(u32, Vec<(u32, u32)>)>,
}

impl Walk {
    fn assign(&mut self, local: u32) {
        let last_by = &mut self.last_by[local as usize];
        if let Some((block, locals)) = self.open.last_mut()
            && *last_by != *block
        {
            locals.push((local, std::mem::replace(last_by, *block)));
        }
    }

    fn close(&mut self) {
        let Some((opened_by, locals)) = self.open.pop() else {
            return;
        };
        let start = self.assigned.locals.len() as u32;
        for (local, outside) in locals {
            self.assigned.locals.push(local);
            self.last_by[local as usize] = outside;
            self.assign(local);
        }
        if start < self.assigned.locals.len() as u32 {
            let end = self.assigned.locals.len() as u32;
            self.assigned.ranges.push((opened_by, start, end));
        }
    }
}
