//! Reads off the metered bytes what only the pass decides.
//!
//! Guest code cannot name the parameters that the pass appends, so an access to one of them is
//! the pass's own: a frame is what is taken from the depth at the entry, and a loop is charged
//! inside of itself if its head touches the fuel.

use wasmparser::{FunctionBody, Operator, Parser, Payload};

use super::FunctionReport;

/// Instructions at a function's entry among which its frame is looked for.
const ENTRY_INSTRUCTIONS_MAX: usize = 16;

/// Fills in what the metered module says. Bodies stand in the order of the original; `params` are
/// the original's parameters of each function, the fuel is the next one after them, and the depth
/// the one after that, where there is one.
pub(super) fn complete(functions: &mut [FunctionReport], params: &[u32], metered: &[u8]) {
    let mut types = Vec::new();
    let mut defined = Vec::new();
    // After the original's bodies come the wrappers.
    let mut bodies = functions.iter_mut().zip(params).enumerate();
    for payload in Parser::new(0).parse_all(metered).map_while(Result::ok) {
        match payload {
            Payload::TypeSection(section) => {
                let read = section.into_iter_err_on_gc_types().map_while(Result::ok);
                types.extend(read.map(|ty| ty.params().len()));
            }
            Payload::FunctionSection(section) => {
                defined.extend(section.into_iter().map_while(Result::ok));
            }
            Payload::CodeSectionEntry(body) => {
                let Some((place, (function, &fuel))) = bodies.next() else {
                    return;
                };
                let range = body.range();
                function.metered_bytes = Some(range.end - range.start);
                let metered = defined.get(place).and_then(|ty| types.get(*ty as usize));
                let has_depth = metered.is_some_and(|params| *params > fuel as usize + 1);
                read_body(function, &body, fuel, has_depth.then_some(fuel + 1));
            }
            _ => {}
        }
    }
}

fn read_body(
    function: &mut FunctionReport,
    body: &FunctionBody<'_>,
    fuel: u32,
    depth: Option<u32>,
) {
    let Ok(mut reader) = body.get_operators_reader() else {
        return;
    };
    let mut loops = 0_u32;
    let mut loops_checked = 0;
    let mut entry = Pattern::default();
    let mut head = None;
    for place in 0.. {
        let Ok(op) = reader.read() else { break };
        if let (Some(depth), None, ..ENTRY_INSTRUCTIONS_MAX) = (depth, function.frame_bytes, place)
        {
            let taken = entry.see(&op, depth);
            function.frame_bytes = taken.and_then(|bytes| u32::try_from(bytes).ok());
        }
        if let Operator::Loop { .. } = op {
            loops += 1;
            head = Some(Pattern::default());
        } else if let Some(pattern) = &mut head {
            if pattern.see(&op, fuel).is_some() {
                loops_checked += 1;
            }
            // The charge stands first; anything else at the head is the guest's.
            if pattern.step == 0 {
                head = None;
            }
        }
    }
    function.loops_precharged = Some(loops.saturating_sub(loops_checked).min(function.loops));
}

/// Recognises `local.get $x; const c; sub`, by which the pass takes from the fuel or the depth, and
/// the bare check of the fuel, where nothing is to be taken.
#[derive(Default)]
struct Pattern {
    step: u8,
    constant: i64,
}

impl Pattern {
    /// Sees the next instruction; gives the constant when the pattern is complete.
    fn see(&mut self, op: &Operator<'_>, local: u32) -> Option<i64> {
        let step = std::mem::take(&mut self.step);
        match (step, op) {
            (_, Operator::LocalGet { local_index }) if *local_index == local => self.step = 1,
            (1, Operator::I32Const { value }) => {
                (self.step, self.constant) = (2, (*value).into());
            }
            (1, Operator::I64Const { value }) => (self.step, self.constant) = (2, *value),
            (2, Operator::I32Sub | Operator::I64Sub | Operator::I64LtS) => {
                return Some(self.constant);
            }
            _ => {}
        }
        None
    }
}
