//! Reads function bodies for admission: every instruction has a price, every count a ceiling.

use wasmparser::{BlockType, FunctionBody, Operator};

use crate::Profile;
use crate::admission::{Module, admit_value, cap, feature, invalid};
use crate::callgraph::{Callee, Calls};
use crate::class::class;
use crate::limits;
use crate::rejected::{Feature, Rejected, place};

/// What the bodies read so far add up to.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    bodies: usize,
    operands_moved: u64,
    /// The number of operands that a branch to each open block carries.
    labels: Vec<u64>,
}

impl Scan {
    /// Reads one body, notes its calls, and says whether it grows the memory.
    pub(crate) fn read(
        &mut self,
        body: &FunctionBody<'_>,
        module: &Module<'_>,
        calls: &mut Calls,
        profile: &Profile,
    ) -> Result<bool, Rejected> {
        let range = body.range();
        let at = Some(place(range.start));
        cap(
            "bytes in a function body",
            range.end - range.start,
            limits::BODY_BYTES_MAX,
            at,
        )?;
        read_locals(body, profile)?;

        let Some(signature) = module
            .functions
            .get(self.bodies)
            .and_then(|ty| module.types.get(*ty as usize))
        else {
            return Err(invalid(range.start, "a body without a function"));
        };
        self.bodies += 1;
        self.labels.clear();
        self.labels.push(signature.results().len() as u64);

        let mut grows_memory = false;
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            let (op, offset) = reader.read_with_offset()?;
            if class(&op, profile.simd).is_none() {
                return Err(refuse(&op, offset));
            }
            if let Operator::TypedSelect { ty } = op {
                admit_value(ty, profile, offset)?;
            }
            self.count(&op, module, profile, offset)?;
            match op {
                Operator::MemoryGrow { .. } => grows_memory = true,
                Operator::Call { function_index } => calls.note(Callee::Function(function_index)),
                Operator::CallIndirect { type_index, .. } => calls.note(Callee::Type(type_index)),
                _ => {}
            }
        }
        reader.finish()?;
        calls.end_body();
        Ok(grows_memory)
    }

    fn count(
        &mut self,
        op: &Operator<'_>,
        module: &Module<'_>,
        profile: &Profile,
        offset: u64,
    ) -> Result<(), Rejected> {
        let at = Some(place(offset));
        let moved = match op {
            Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                cap(
                    "blocks inside each other",
                    self.labels.len() as u64,
                    limits::NESTING_MAX,
                    at,
                )?;
                let (params, results) = block_arity(*blockty, module, profile, offset)?;
                let is_loop = matches!(op, Operator::Loop { .. });
                self.labels.push(if is_loop { params } else { results });
                2 * (params + results)
            }
            Operator::End => {
                self.labels.pop();
                0
            }
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                self.label(*relative_depth)
            }
            Operator::BrTable { targets } => {
                cap(
                    "br_table targets",
                    targets.len().into(),
                    limits::BR_TABLE_MAX,
                    at,
                )?;
                let mut moved = self.label(targets.default());
                for target in targets.targets() {
                    moved += self.label(target?);
                }
                moved
            }
            Operator::Return => self.labels.first().copied().unwrap_or(0),
            Operator::Call { function_index } => arity(module.signature(*function_index)),
            Operator::CallIndirect { type_index, .. } => {
                arity(module.types.get(*type_index as usize))
            }
            _ => 0,
        };
        self.operands_moved = self.operands_moved.saturating_add(moved);
        cap(
            "operands moved",
            self.operands_moved,
            limits::OPERANDS_MOVED_MAX,
            at,
        )
    }

    fn label(&self, depth: u32) -> u64 {
        let index = self.labels.len().checked_sub(1 + depth as usize);
        index
            .and_then(|index| self.labels.get(index))
            .copied()
            .unwrap_or(0)
    }
}

fn read_locals(body: &FunctionBody<'_>, profile: &Profile) -> Result<(), Rejected> {
    let mut locals = body.get_locals_reader()?;
    let mut count = 0;
    for _ in 0..locals.get_count() {
        let offset = locals.original_position();
        let (more, ty) = locals.read()?;
        count += u64::from(more);
        cap(
            "locals in a function",
            count,
            limits::LOCALS_MAX,
            Some(place(offset)),
        )?;
        admit_value(ty, profile, offset)?;
    }
    Ok(())
}

fn block_arity(
    ty: BlockType,
    module: &Module<'_>,
    profile: &Profile,
    offset: u64,
) -> Result<(u64, u64), Rejected> {
    match ty {
        BlockType::Empty => Ok((0, 0)),
        BlockType::Type(ty) => admit_value(ty, profile, offset).map(|()| (0, 1)),
        BlockType::FuncType(index) => match module.types.get(index as usize) {
            Some(ty) => Ok((ty.params().len() as u64, ty.results().len() as u64)),
            None => Err(invalid(offset, "a block of an unknown type")),
        },
    }
}

fn arity(ty: Option<&wasmparser::FuncType>) -> u64 {
    ty.map_or(0, |ty| (ty.params().len() + ty.results().len()) as u64)
}

/// Why an operator without a price is refused.
fn refuse(op: &Operator<'_>, offset: u64) -> Rejected {
    match proposal(op) {
        "bulk_memory" | "reference_types" => Rejected::Table {
            what: "an instruction on tables or references",
            offset: place(offset),
        },
        name => match Feature::of_proposal(name) {
            Some(found) => feature(found, offset),
            None => invalid(offset, "an instruction without a price"),
        },
    }
}

/// The proposal that brought an operator, as the parser names it.
fn proposal(op: &Operator<'_>) -> &'static str {
    macro_rules! name_proposals {
        ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
            match op {
                $(Operator::$op { .. } => stringify!($proposal),)*
                _ => "unknown",
            }
        };
    }
    wasmparser::for_each_operator!(name_proposals)
}
