//! The bytes in which things cross to JavaScript and back: little-endian, lengths before contents.
//!
//! `host.js` has the other half. Both are of one release and travel together, so the forms carry no
//! version; nothing here is hashed or signed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::entry;
use haar_meter::{GuestKind, Metered, Rejected};
use haar_wasi::{Environment, Finished, Function, Limits, Parameter};

/// Bytes of an environment without arguments, variables, files and input.
pub const EMPTY_ENVIRONMENT_BYTES: u32 = 4 * 4 + 32 + 8 + 4 * 8;

/// A description of an environment that cannot be read: a bug of whoever wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadForm {
    /// It ends too early, or goes on after its end.
    Length,
    /// A name, an argument or a path is not UTF-8.
    Text,
    /// A variable or a path is there twice.
    Twice,
}

impl std::fmt::Display for BadForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Length => "the environment's bytes end too early or go on after their end",
            Self::Text => "an argument, a variable or a path of the environment is not UTF-8",
            Self::Twice => "a variable or a path of the environment is there twice",
        })
    }
}

impl std::error::Error for BadForm {}

/// What the pass wrote: 0, init_cost 8, pages_min 4, pages_max 4, kind 1, whether there is an
/// `_initialize` to call 1, manifest, metered bytes.
#[must_use]
pub fn metered(metered: &Metered) -> Vec<u8> {
    let mut to = Vec::with_capacity(metered.bytes.len() + 64);
    to.push(0);
    to.extend(metered.init_cost.to_le_bytes());
    to.extend(metered.pages_min.to_le_bytes());
    to.extend(metered.pages_max.to_le_bytes());
    to.push(match metered.kind {
        GuestKind::Command => 0,
        GuestKind::Reactor => 1,
    });
    to.push(entry::has_initialize(&metered.bytes).into());
    put(&mut to, metered.manifest.as_deref().unwrap_or_default());
    put(&mut to, &metered.bytes);
    to
}

/// Why it wrote nothing: 1, offset 8 or all ones, code, message.
#[must_use]
pub fn rejected(rejected: &Rejected) -> Vec<u8> {
    let mut to = vec![1];
    let offset = rejected.offset().map_or(u64::MAX, |offset| offset as u64);
    to.extend(offset.to_le_bytes());
    put(&mut to, rejected.code().as_bytes());
    put(&mut to, rejected.to_string().as_bytes());
    to
}

/// Each function: module, name, whether it returns an errno 1, one byte a parameter (0: i32, 1: i64).
#[must_use]
pub fn functions() -> Vec<u8> {
    let mut to = Vec::new();
    for function in Function::ALL {
        put(&mut to, function.module().as_bytes());
        put(&mut to, function.name().as_bytes());
        to.push(function.returns_errno().into());
        let parameters: Vec<u8> = function
            .params()
            .iter()
            .map(|parameter| match parameter {
                Parameter::I32 => 0,
                Parameter::I64 => 1,
            })
            .collect();
        put(&mut to, &parameters);
    }
    to
}

/// What a run left: whether it exited 1, its code 4, transcript 32, output, log.
#[must_use]
pub fn finished(finished: &Finished) -> Vec<u8> {
    let mut to = Vec::with_capacity(finished.stdout.len() + finished.log.len() + 64);
    to.push(finished.exit.is_some().into());
    to.extend(finished.exit.unwrap_or_default().to_le_bytes());
    to.extend(finished.transcript);
    put(&mut to, &finished.stdout);
    put(&mut to, &finished.log);
    to
}

/// Reads an environment: arguments, variables, files, input, seed 32, time 8, four caps of 8.
///
/// A list is its count and its entries; a variable is a name and a value, a file a path and bytes.
/// Caps that are all 0 mean the default ones.
pub fn environment(bytes: &[u8]) -> Result<Environment, BadForm> {
    let mut rest = Reader(bytes);
    let mut args = Vec::new();
    for _ in 0..rest.count()? {
        args.push(rest.text()?);
    }
    let mut env = BTreeMap::new();
    for _ in 0..rest.count()? {
        let name = rest.text()?;
        if env.insert(name, rest.text()?).is_some() {
            return Err(BadForm::Twice);
        }
    }
    let mut files: BTreeMap<String, Arc<[u8]>> = BTreeMap::new();
    for _ in 0..rest.count()? {
        let path = rest.text()?;
        if files.insert(path, Arc::from(rest.bytes()?)).is_some() {
            return Err(BadForm::Twice);
        }
    }
    let stdin = Arc::from(rest.bytes()?);
    let seed = rest.take()?;
    let time_ns = u64::from_le_bytes(rest.take()?);
    let limits = Limits {
        input_bytes_max: u64::from_le_bytes(rest.take()?),
        output_bytes_max: u64::from_le_bytes(rest.take()?),
        log_bytes_max: u64::from_le_bytes(rest.take()?),
        tree_bytes_max: u64::from_le_bytes(rest.take()?),
    };
    if !rest.0.is_empty() {
        return Err(BadForm::Length);
    }
    let is_default = limits
        == Limits {
            input_bytes_max: 0,
            output_bytes_max: 0,
            log_bytes_max: 0,
            tree_bytes_max: 0,
        };
    Ok(Environment {
        args,
        env,
        stdin,
        files,
        seed,
        time_ns,
        limits: if is_default {
            Limits::default()
        } else {
            limits
        },
    })
}

fn put(to: &mut Vec<u8>, bytes: &[u8]) {
    // Everything that crosses lives in 32-bit memory.
    to.extend((bytes.len() as u32).to_le_bytes());
    to.extend(bytes);
}

/// What is still to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], BadForm> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(BadForm::Length)?;
        self.0 = tail;
        Ok(*head)
    }

    /// A count of entries. Each has at least 4 bytes, so a lie costs nothing.
    fn count(&mut self) -> Result<u32, BadForm> {
        let count = u32::from_le_bytes(self.take()?);
        if self.0.len() / 4 < count as usize {
            return Err(BadForm::Length);
        }
        Ok(count)
    }

    fn bytes(&mut self) -> Result<&'a [u8], BadForm> {
        let len = u32::from_le_bytes(self.take()?) as usize;
        let (head, tail) = self.0.split_at_checked(len).ok_or(BadForm::Length)?;
        self.0 = tail;
        Ok(head)
    }

    fn text(&mut self) -> Result<String, BadForm> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| BadForm::Text)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(1u32.to_le_bytes());
        put(&mut bytes, b"program");
        bytes.extend(1u32.to_le_bytes());
        put(&mut bytes, b"NAME");
        put(&mut bytes, b"value");
        bytes.extend(1u32.to_le_bytes());
        put(&mut bytes, b"dir/file");
        put(&mut bytes, b"content");
        put(&mut bytes, b"input");
        bytes.extend([7; 32]);
        bytes.extend(9u64.to_le_bytes());
        for cap in [1u64, 2, 3, 4] {
            bytes.extend(cap.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn an_environment_is_read_as_it_was_written() {
        let read = environment(&sample()).unwrap();
        assert_eq!(read.args, ["program"]);
        assert_eq!(read.env.get("NAME").map(String::as_str), Some("value"));
        assert_eq!(read.files.get("dir/file").unwrap().as_ref(), b"content");
        assert_eq!(read.stdin.as_ref(), b"input");
        assert_eq!((read.seed, read.time_ns), ([7; 32], 9));
        assert_eq!(read.limits.tree_bytes_max, 4);
    }

    #[test]
    fn caps_of_zero_are_the_default_ones() {
        let read = environment(&[0; EMPTY_ENVIRONMENT_BYTES as usize]).unwrap();
        assert_eq!(read.limits, Limits::default());
    }

    #[test]
    fn every_cut_and_every_extra_byte_is_refused() {
        let whole = sample();
        for len in 0..whole.len() {
            assert_eq!(environment(&whole[..len]).unwrap_err(), BadForm::Length);
        }
        let longer = [whole.as_slice(), &[0]].concat();
        assert_eq!(environment(&longer).unwrap_err(), BadForm::Length);
    }

    #[test]
    fn a_count_without_entries_costs_nothing() {
        assert_eq!(environment(&[255; 64]).unwrap_err(), BadForm::Length);
    }
}
