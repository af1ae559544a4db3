//! Changes a module so that it stays nearly one: sections, counts and operators move, and the
//! lengths around them are put right, so that a change deep inside is not refused at the door.

use wasmparser::{BinaryReader, FunctionBody};

use super::chance::Chance;
use super::sections::{CODE, Section, join, leb, read_leb, split};

/// Changes `module` a few times, with parts of `donor` where a change needs some.
pub fn mutate(module: &[u8], donor: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = module.to_vec();
    for _ in 0..=chance.below(3) {
        bytes = match split(&bytes) {
            Some(sections) if !sections.is_empty() && !chance.one_in(8) => {
                join(&rearrange(sections, donor, chance))
            }
            _ => {
                scratch(&mut bytes, chance);
                bytes
            }
        };
    }
    bytes
}

/// Changes plain bytes.
pub fn scratch(bytes: &mut Vec<u8>, chance: &mut Chance) {
    let at = chance.below(bytes.len() + 1);
    match chance.below(7) {
        0 | 1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << chance.below(8);
            }
        }
        2 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = chance.next() as u8;
            }
        }
        3 => {
            let value = leb(chance.edge());
            let stop = bytes.len().min(at + 1 + chance.below(2));
            bytes.splice(at.min(stop)..stop, value);
        }
        4 => {
            let stop = bytes.len().min(at + chance.below(8));
            bytes.drain(at..stop);
        }
        5 => {
            let from = chance.below(bytes.len() + 1);
            let stop = bytes.len().min(from + chance.below(32));
            let copy = bytes[from..stop].to_vec();
            bytes.splice(at..at, copy);
        }
        _ => {
            let count = chance.below(6);
            let new = chance.bytes(count);
            bytes.splice(at..at, new);
        }
    }
}

fn rearrange(mut sections: Vec<Section>, donor: &[u8], chance: &mut Chance) -> Vec<Section> {
    let index = chance.below(sections.len());
    match chance.below(24) {
        0 => {
            let copy = sections[index].clone();
            sections.insert(chance.below(sections.len() + 1), copy);
        }
        1 => drop(sections.remove(index)),
        2 => {
            let other = chance.below(sections.len());
            sections.swap(index, other);
        }
        3 => {
            let donated = split(donor).unwrap_or_default();
            if let Some(section) = donated.get(chance.below(donated.len())) {
                match sections.iter_mut().find(|own| own.id == section.id) {
                    Some(own) => *own = section.clone(),
                    None => sections.push(section.clone()),
                }
            }
        }
        4 => sections.insert(index, custom(chance)),
        5 => {
            // The number of things in a section, without the things.
            let bytes = &mut sections[index].bytes;
            if let Some((count, len)) = read_leb(bytes) {
                let more = [1, 2, u64::MAX, 1 << 20][chance.below(4)];
                bytes.splice(..len, leb(count.wrapping_add(more) & 0xFFFF_FFFF));
            }
        }
        6 | 7 => scratch(&mut sections[index].bytes, chance),
        _ => {
            if let Some(code) = sections.iter_mut().find(|section| section.id == CODE) {
                change_code(&mut code.bytes, chance);
            }
        }
    }
    sections
}

fn custom(chance: &mut Chance) -> Section {
    let name = chance.pick(&[
        "haar.manifest",
        "haar.meter",
        "name",
        "producers",
        "\u{fffd}",
        "",
    ]);
    let mut bytes = leb(name.len() as u64);
    bytes.extend_from_slice(name.as_bytes());
    let len = chance.below(24);
    bytes.extend(chance.bytes(len));
    Section { id: 0, bytes }
}

/// Changes one function's body and puts its length right.
fn change_code(code: &mut Vec<u8>, chance: &mut Chance) {
    let Some((count, mut at)) = read_leb(code) else {
        return;
    };
    let chosen = chance.below(count.min(1 << 16) as usize);
    for index in 0.. {
        let Some((len, prefix)) = code.get(at..).and_then(read_leb) else {
            return;
        };
        let start = at + prefix;
        let Some(stop) = start
            .checked_add(len as usize)
            .filter(|stop| *stop <= code.len())
        else {
            return;
        };
        if index == chosen {
            let body = change_body(&code[start..stop], chance);
            let mut new = leb(body.len() as u64);
            new.extend(body);
            code.splice(at..stop, new);
            return;
        }
        at = stop;
    }
}

fn change_body(body: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = body.to_vec();
    let starts = operator_starts(body);
    if starts.is_empty() || chance.one_in(4) {
        scratch(&mut bytes, chance);
        return bytes;
    }
    let at = chance.pick(&starts);
    match chance.below(8) {
        // Between two operators, something that leaves the stack as it was.
        0..=5 => {
            let times = if chance.one_in(50) {
                chance.below(600)
            } else {
                1
            };
            let piece = chance.pick(&PIECES).repeat(times);
            bytes.splice(at..at, piece);
        }
        6 => {
            let other = chance.pick(&starts);
            let copy = bytes[at.min(other)..at.max(other)].to_vec();
            bytes.splice(at..at, copy);
        }
        _ => bytes[at] = chance.next() as u8,
    }
    bytes
}

fn operator_starts(body: &[u8]) -> Vec<usize> {
    let body = FunctionBody::new(BinaryReader::new(body, 0));
    let Ok(operators) = body.get_operators_reader() else {
        return Vec::new();
    };
    let mut starts = Vec::new();
    for operator in operators.into_iter_with_offsets() {
        match operator {
            Ok((_, at)) if starts.len() < 4096 => starts.push(at as usize),
            _ => break,
        }
    }
    starts
}

/// Operators, in binary, that fit between any two others.
const PIECES: [&[u8]; 28] = [
    // nop; unreachable; return in a dead branch
    &[0x01],
    &[0x41, 0, 0x04, 0x40, 0x00, 0x0B],
    &[0x41, 0, 0x04, 0x40, 0x00, 0x05, 0x00, 0x0B],
    // block end; loop end; a loop that may go round
    &[0x02, 0x40, 0x0B],
    &[0x03, 0x40, 0x0B],
    &[0x03, 0x40, 0x41, 0, 0x0D, 0, 0x0B],
    &[0x02, 0x40, 0x0C, 0, 0x0B],
    &[
        0x02, 0x40, 0x03, 0x40, 0x41, 1, 0x0D, 1, 0x0C, 0, 0x0B, 0x0B,
    ],
    &[
        0x02, 0x40, 0x02, 0x40, 0x41, 1, 0x0E, 2, 0, 1, 0, 0x0B, 0x0B,
    ],
    // a block with a result, left by a branch that takes it along
    &[0x02, 0x7F, 0x41, 1, 0x41, 2, 0x0D, 0, 0x0B, 0x1A],
    &[0x41, 1, 0x04, 0x7F, 0x41, 2, 0x05, 0x41, 3, 0x0B, 0x1A],
    // constants
    &[0x41, 0x7F, 0x1A],
    &[0x42, 0x80, 0x80, 0x80, 0x80, 0x10, 0x1A],
    // integers: add, div by a constant, select
    &[0x41, 1, 0x41, 2, 0x6A, 0x1A],
    &[0x41, 1, 0x41, 2, 0x6D, 0x1A],
    &[0x42, 1, 0x42, 2, 0x41, 0, 0x1B, 0x1A],
    // floats: 0/0 stored, added, reinterpreted, made small, negated
    &[
        0x41, 0, 0x43, 0, 0, 0, 0, 0x43, 0, 0, 0, 0, 0x95, 0x38, 2, 0,
    ],
    &[
        0x41, 0, 0x2A, 2, 0, 0x43, 0, 0, 0xC0, 0x7F, 0x92, 0xBC, 0x1A,
    ],
    &[0x44, 0, 0, 0, 0, 0, 0, 0xF4, 0x7F, 0xB6, 0x8C, 0xBC, 0x1A],
    &[0x41, 8, 0x2B, 3, 0, 0x9F, 0xBD, 0x1A],
    // memory: load, store, size, grow, fill, copy
    &[0x41, 16, 0x28, 2, 0, 0x1A],
    &[0x41, 16, 0x42, 1, 0x37, 3, 0xFF, 0x7F],
    &[0x3F, 0, 0x1A],
    &[0x41, 1, 0x40, 0, 0x1A],
    &[0x41, 0, 0x41, 0, 0x41, 9, 0xFC, 11, 0],
    &[0x41, 0, 0x41, 8, 0x41, 9, 0xFC, 10, 0, 0],
    // vectors: a lane of NaNs stored; a shuffle
    &[
        0x41, 0, 0x41, 0, 0xFD, 0, 4, 0, 0xFD, 0xE1, 1, 0xFD, 11, 4, 0,
    ],
    // the first function, if it takes nothing and returns nothing
    &[0x10, 0],
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_piece_fits_between_two_operators() {
        let module =
            wat::parse_str("(module (memory (export \"memory\") 1) (func (nop)))").unwrap();
        for piece in PIECES {
            let mut sections = split(&module).unwrap();
            let code = sections
                .iter_mut()
                .find(|section| section.id == CODE)
                .unwrap();
            // One body: no locals, the piece, end.
            let mut body = vec![0];
            body.extend_from_slice(piece);
            body.push(0x0B);
            code.bytes = vec![1];
            code.bytes.extend(leb(body.len() as u64));
            code.bytes.extend(body);
            let changed = join(&sections);
            let valid = wasmparser::validate(&changed);
            assert!(valid.is_ok(), "{piece:x?}: {:?}", valid.err());
        }
    }
}
