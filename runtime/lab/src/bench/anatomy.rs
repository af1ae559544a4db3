//! Reads what the pass wrote: how much code, how many charges, how many checks.

use anyhow::Result;
use wasmparser::{FunctionBody, Operator, Parser, Payload, ValType};

/// The size of a module's code and what of it counts fuel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Anatomy {
    /// Bytes of the code section.
    pub code_bytes: usize,
    /// Places where fuel is taken.
    pub charges: usize,
    /// Places where the fuel is compared with zero.
    pub checks: usize,
}

/// Looks through a module. In one that is not metered there is nothing to count but bytes.
pub fn dissect(module: &[u8]) -> Result<Anatomy> {
    let mut anatomy = Anatomy::default();
    let mut fuels = Vec::new();
    let mut functions = Vec::new();
    let mut next = 0;
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::TypeSection(types) => {
                for ty in types.into_iter_err_on_gc_types() {
                    fuels.push(fuel_index(ty?.params()));
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    functions.push(ty? as usize);
                }
            }
            Payload::CodeSectionStart { size, .. } => anatomy.code_bytes = size as usize,
            Payload::CodeSectionEntry(body) => {
                let ty = functions.get(next).copied().unwrap_or_default();
                next += 1;
                if let Some(fuel) = fuels.get(ty).copied().flatten() {
                    count(&body, fuel, &mut anatomy)?;
                }
            }
            _ => {}
        }
    }
    Ok(anatomy)
}

/// Which parameter the fuel is, if it is one: the last `i64`, followed by the depth at the most. In a
/// function that is not threaded this may name the guest's own; then nothing below matches.
fn fuel_index(params: &[ValType]) -> Option<u32> {
    let before = match params {
        [before @ .., ValType::I64] | [before @ .., ValType::I64, ValType::I32] => before,
        _ => return None,
    };
    u32::try_from(before.len()).ok()
}

fn count(body: &FunctionBody<'_>, fuel: u32, anatomy: &mut Anatomy) -> Result<()> {
    let mut reader = body.get_operators_reader()?;
    let mut before = None;
    let mut last = None;
    while !reader.eof() {
        let operator = reader.read()?;
        match (&last, &operator) {
            (
                Some(Operator::I64Sub | Operator::I64Add),
                Operator::LocalSet { local_index } | Operator::LocalTee { local_index },
            ) if *local_index == fuel => anatomy.charges += 1,
            (Some(Operator::I64LtS), Operator::BrIf { .. })
                if matches!(before, Some(Operator::I64Const { value: 0 })) =>
            {
                anatomy.checks += 1;
            }
            _ => {}
        }
        before = last.replace(operator);
    }
    Ok(())
}
