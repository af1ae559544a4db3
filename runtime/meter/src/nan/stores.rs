//! Gathers the stores of fresh values that one test can stand for.
//!
//! Invariant: between the first raw store of a group and its repair nothing can observe memory and
//! nothing can leave the run in an orderly way. No label, branch or call lies between, and so no check of fuel;
//! loads and other stores only where they are certainly apart from all members. A trap may lie
//! between: what it leaves behind is no outcome, and its memory is never compared.
//!
//! Members may overlap one another, for the repair does all of them again, in their order.

use crate::class::Class;
use crate::floats::Shape;
use crate::ir::Code;
use crate::nan::access::Access;

/// The most stores that one test stands for.
pub(crate) const GROUP_MAX: usize = 4;

/// Stores of one shape that are repaired together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) shape: Shape,
    /// The instructions, ascending.
    pub(crate) stores: Vec<u32>,
    /// The instruction before which they are repaired.
    pub(crate) before: u32,
}

/// Gathers `stores`, which are ascending.
pub(crate) fn gather(code: &Code<'_>, accesses: &[Access], stores: &[(u32, Shape)]) -> Vec<Group> {
    let mut groups = Groups::default();
    let mut accesses = accesses.iter().peekable();
    let mut stores = stores.iter().peekable();
    for (index, op) in code.ops.iter().enumerate() {
        if !op.is_live {
            continue;
        }
        let index = index as u32;
        let access = accesses.next_if(|access| access.index == index);
        if let (Some((_, shape)), Some(access)) = (stores.next_if(|(at, _)| *at == index), access) {
            groups.add(*shape, access);
        } else if !is_quiet(op.class) && !access.is_some_and(|access| groups.are_apart(access)) {
            groups.close(index);
        }
    }
    groups.closed
}

#[derive(Debug, Default)]
struct Groups {
    closed: Vec<Group>,
    open: Vec<Access>,
    shape: Option<Shape>,
}

impl Groups {
    fn add(&mut self, shape: Shape, access: &Access) {
        if self.shape != Some(shape) || self.open.len() == GROUP_MAX {
            self.close(access.index);
        }
        self.shape = Some(shape);
        self.open.push(*access);
    }

    fn are_apart(&self, access: &Access) -> bool {
        self.open.iter().all(|member| member.is_apart(access))
    }

    fn close(&mut self, before: u32) {
        if let Some(shape) = self.shape.take() {
            let stores = self.open.drain(..).map(|member| member.index).collect();
            self.closed.push(Group {
                shape,
                stores,
                before,
            });
        }
    }
}

/// Whether an instruction neither touches memory nor leads anywhere else.
#[rustfmt::skip]
fn is_quiet(class: Class) -> bool {
    use Class::*;
    match class {
        Structure | Loop | Br | BrIf | If | BrTable | Call | CallIndirect | Load | Store |
        MemoryGrow | Bulk | DataDrop | VectorLoad | VectorStore => false,
        Move | Select | Global | MemorySize | Integer | IntegerMul | IntegerCount | I32Div |
        I64Div | FloatBits | FloatCast | FloatCompare | Float | FloatRound | FloatMinMax |
        F32Div | F64Div | F32Sqrt | F64Sqrt | ConvertSigned | ConvertUnsigned | Truncate |
        Vector | VectorShuffle | VectorFloat | VectorMinMax | I64x2Mul | F32x4Div | F64x2Div |
        F32x4Sqrt | F64x2Sqrt | VectorConvertUnsigned | VectorTruncate => true,
    }
}
