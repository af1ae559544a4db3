//! A module as a list of sections, so that it can be changed without being understood.

use wasmparser::{Parser, Payload, TypeRef};

pub const CODE: u8 = 10;
const TYPE: u8 = 1;
const FUNCTION: u8 = 3;
const MEMORY: u8 = 5;
const EXPORT: u8 = 7;

/// Numbers of sections in the order in which a module has them.
const ORDER: [u8; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11];

/// One section: its number and its contents.
#[derive(Clone)]
pub struct Section {
    pub id: u8,
    pub bytes: Vec<u8>,
}

/// Takes a module apart; none if its sections do not fit into each other.
pub fn split(module: &[u8]) -> Option<Vec<Section>> {
    let mut rest = module.strip_prefix(b"\0asm\x01\0\0\0")?;
    let mut sections = Vec::new();
    while let Some((&id, tail)) = rest.split_first() {
        let (len, prefix) = read_leb(tail)?;
        let stop = prefix.checked_add(usize::try_from(len).ok()?)?;
        let bytes = tail.get(prefix..stop)?.to_vec();
        sections.push(Section { id, bytes });
        rest = &tail[stop..];
    }
    Some(sections)
}

/// Puts sections together.
pub fn join(sections: &[Section]) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    for Section { id, bytes } in sections {
        module.push(*id);
        module.extend(leb(bytes.len() as u64));
        module.extend_from_slice(bytes);
    }
    module
}

/// A number as modules write it.
pub fn leb(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7F) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// A number and how many bytes it took.
pub fn read_leb(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

/// Makes a command of a module: with a memory if it has none, an empty entry, and no other exports.
///
/// The specification's tests export what they test, and what they export is often refused; their
/// bodies are worth more than that.
pub fn dress(module: &[u8]) -> Option<Vec<u8>> {
    let mut sections = split(module)?;
    let (mut types, mut functions, mut has_memory) = (0, 0, false);
    for payload in Parser::new(0).parse_all(module) {
        match payload.ok()? {
            Payload::TypeSection(reader) => types = reader.count(),
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    match import.ok()?.ty {
                        TypeRef::Func(_) => functions += 1,
                        TypeRef::Memory(_) => has_memory = true,
                        _ => {}
                    }
                }
            }
            Payload::FunctionSection(reader) => functions += reader.count(),
            Payload::MemorySection(reader) => has_memory |= reader.count() > 0,
            _ => {}
        }
    }

    append(&mut sections, TYPE, &[0x60, 0, 0])?;
    append(&mut sections, FUNCTION, &leb(types.into()))?;
    append(&mut sections, CODE, &[2, 0, 0x0B])?;
    if !has_memory {
        append(&mut sections, MEMORY, &[0, 1])?;
    }
    sections.retain(|section| section.id != EXPORT);
    append(&mut sections, EXPORT, b"\x06memory\x02\0")?;
    let entry = [b"\x06_start\0", leb(functions.into()).as_slice()].concat();
    append(&mut sections, EXPORT, &entry)?;
    Some(join(&sections))
}

/// Adds one thing at the end of a section, which is made if it is not there.
fn append(sections: &mut Vec<Section>, id: u8, entry: &[u8]) -> Option<()> {
    let place = |id: u8| ORDER.iter().position(|known| *known == id);
    if !sections.iter().any(|section| section.id == id) {
        let at = sections
            .iter()
            .position(|section| section.id != 0 && place(id) < place(section.id))
            .unwrap_or(sections.len());
        let bytes = vec![0];
        sections.insert(at, Section { id, bytes });
    }
    let section = sections.iter_mut().find(|section| section.id == id)?;
    let (count, len) = read_leb(&section.bytes)?;
    section.bytes.splice(..len, leb(count + 1));
    section.bytes.extend_from_slice(entry);
    Some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_module_that_is_taken_apart_is_put_together_again() {
        let module =
            wat::parse_str("(module (memory 1) (func nop) (@custom \"a\" \"b\"))").unwrap();
        assert_eq!(join(&split(&module).unwrap()), module);
    }

    #[test]
    fn a_dressed_module_is_a_command() {
        for text in [
            "(module)",
            "(module (func (export \"f\") (result f32) f32.const 1) (global i32 (i32.const 1)))",
            "(module (memory 2) (data (i32.const 0) \"a\") (type (func (param i32))) (func))",
        ] {
            let dressed = dress(&wat::parse_str(text).unwrap()).unwrap();
            let admitted = haar_meter::meter(&dressed, &haar_meter::Profile::DESKTOP);
            assert!(admitted.is_ok(), "{text}: {:?}", admitted.err());
        }
    }
}
