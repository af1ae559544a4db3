//! Looks at an entry whose type JavaScript cannot see.
//!
//! A reactor's `_initialize` is called only if it is `() -> ()`. Natively the engine knows; from
//! JavaScript an export shows how many parameters it has, and nothing of its results.

use wasmparser::{CompositeInnerType, ExternalKind, Parser, Payload, TypeRef};

/// Whether the module exports `_initialize: () -> ()`. The module has been validated before.
pub(crate) fn has_initialize(module: &[u8]) -> bool {
    find(module).unwrap_or(false)
}

fn find(module: &[u8]) -> Option<bool> {
    let mut plain = Vec::new();
    let mut functions: Vec<u32> = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload.ok()? {
            Payload::TypeSection(types) => {
                for group in types {
                    for ty in group.ok()?.into_types() {
                        plain.push(match ty.composite_type.inner {
                            CompositeInnerType::Func(ty) => {
                                ty.params().is_empty() && ty.results().is_empty()
                            }
                            _ => false,
                        });
                    }
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    if let TypeRef::Func(ty) = import.ok()?.ty {
                        functions.push(ty);
                    }
                }
            }
            Payload::FunctionSection(types) => {
                for ty in types {
                    functions.push(ty.ok()?);
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export.ok()?;
                    if export.name == "_initialize" && export.kind == ExternalKind::Func {
                        let ty = functions.get(export.index as usize)?;
                        return plain.get(*ty as usize).copied();
                    }
                }
                return Some(false);
            }
            _ => {}
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module whose only function has type `() -> ()` or `() -> i32`, exported under `name`.
    fn module(result: &[u8], name: &str) -> Vec<u8> {
        let ty = [&[0x60, 0, result.len() as u8], result].concat();
        let body: &[u8] = &[0, 0x00, 0x0b];
        let export = [&[name.len() as u8], name.as_bytes(), &[0, 0]].concat();
        let mut bytes = b"\0asm\x01\0\0\0".to_vec();
        for (id, items) in [
            (1, ty),
            (3, vec![0]),
            (7, export),
            (10, [&[body.len() as u8], body].concat()),
        ] {
            bytes.extend([id, items.len() as u8 + 1, 1]);
            bytes.extend(items);
        }
        bytes
    }

    #[test]
    fn only_an_initialize_without_results_is_called() {
        assert!(has_initialize(&module(&[], "_initialize")));
        assert!(!has_initialize(&module(&[0x7f], "_initialize")));
        assert!(!has_initialize(&module(&[], "other")));
        assert!(!has_initialize(b"not a module"));
    }
}
