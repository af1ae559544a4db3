//! Response frames: what a function says its answer is, read out of its memory by the sandbox.

use std::sync::Arc;

use anyhow::Result;
use haar_records::{BlobHash, Fuel, RunConfig, Status, TrapKind};
use haar_sandbox::{Artifact, CodeKey, Prepared, RunSpec, Sandbox, SandboxConfig};

use super::chance::Chance;

/// Answers with whatever its input begins with, taken as `address << 32 | length`.
const ECHO: &str = r#"(module
    (memory (export "memory") 2)
    (func (export "haar_abi_v1") (result i32) i32.const 0)
    (func (export "haar_alloc") (param i32) (result i32) i32.const 1024)
    (func (export "haar_run") (param i32 i32) (result i64) (i64.load (i32.const 1024))))"#;
const INPUT_AT: usize = 1024;
const MEMORY_BYTES: usize = 2 << 16;
/// Enough to start, and to answer.
const FUEL_MAX: Fuel = Fuel(10_000_000);

/// A sandbox with that function in it.
pub struct Frames {
    sandbox: Sandbox,
    prepared: Arc<Prepared>,
    config: RunConfig,
}

impl Frames {
    pub fn new() -> Result<Self> {
        let module = wat::parse_str(ECHO)?;
        let config = RunConfig::for_call(BlobHash::of(&module), BlobHash::of(b""));
        let sandbox = Sandbox::new(SandboxConfig::default())?;
        let prepared = sandbox.prepare(&module, &config)?;
        Ok(Self {
            sandbox,
            prepared,
            config,
        })
    }

    /// Runs it and compares with what the frame's rules say. True if there was an answer.
    pub fn check(&self, input: &[u8]) -> Result<bool, String> {
        let spec = RunSpec {
            input,
            config: &self.config,
            fuel_max: FUEL_MAX,
        };
        let run = self.sandbox.run(&self.prepared, &spec);
        let run = run.map_err(|abstain| format!("no outcome: {abstain}"))?;

        let expected = answer(input);
        let found = match run.outcome.status {
            Status::Returned => Some((run.outcome.exit_code, run.output)),
            _ if run.outcome.trap == Some(TrapKind::Abi) => None,
            _ => return Err(format!("ended otherwise: {:?}", run.outcome)),
        };
        if found != expected {
            return Err(format!("answered {found:?} instead of {expected:?}"));
        }
        Ok(found.is_some())
    }
}

/// The exit code and the payload of the frame that an input names; none if there is no frame.
fn answer(input: &[u8]) -> Option<(u32, Vec<u8>)> {
    let mut memory = vec![0; MEMORY_BYTES];
    memory
        .get_mut(INPUT_AT..)?
        .get_mut(..input.len())?
        .copy_from_slice(input);
    let word: [u8; 8] = memory.get(INPUT_AT..INPUT_AT + 8)?.try_into().ok()?;
    let packed = i64::from_le_bytes(word);

    let start = usize::try_from(packed >> 32).ok().filter(|at| *at > 0)?;
    let len = (packed & 0xFFFF_FFFF) as usize;
    let (kind, payload) = memory.get(start..start.checked_add(len)?)?.split_first()?;
    match kind {
        0 | 2 => Some((0, payload.to_vec())),
        1 => Some((1, payload.to_vec())),
        _ => None,
    }
}

/// An input that names something near itself, more or less.
pub fn make(chance: &mut Chance) -> Vec<u8> {
    let start = match chance.below(8) {
        0 => chance.next(),
        1 => chance.pick(&[0, 1, 0x7FFF_FFFF, 0x8000_0000, 0x1_FFFF, 0x2_0000]),
        _ => INPUT_AT as u64 + 8,
    };
    let len = match chance.below(8) {
        0 => chance.next(),
        1 => chance.pick(&[0, 0xFFFF_FFFF, 0x1_FBF8, 0x1_FBF7, 0x1_FBF9]),
        _ => chance.below(60) as u64,
    };
    let packed = start << 32 | len & 0xFFFF_FFFF;
    let mut bytes = packed.to_le_bytes().to_vec();
    bytes.push(chance.pick(&[0, 1, 2, 2, 3, 255]));
    let rest = chance.below(60);
    bytes.extend(chance.bytes(rest));
    bytes
}

/// Code, header and footer as an artifact has them, but for the seal.
pub fn make_artifact(chance: &mut Chance) -> Vec<u8> {
    let (code, header) = (chance.below(40), chance.below(40));
    let mut bytes = chance.bytes(code + header);
    bytes.extend_from_slice(b"haarcod1");
    bytes.extend_from_slice(&(header as u64).to_le_bytes());
    bytes.extend_from_slice(&(code as u64).to_le_bytes());
    bytes.extend(chance.bytes(32));
    bytes
}

/// Bytes that nobody sealed are never taken for code.
pub fn artifact(bytes: &[u8]) -> Result<bool, String> {
    let key = CodeKey::from_bytes([7; 32]);
    match Artifact::from_bytes(bytes.to_vec(), &key) {
        Ok(_) => Err("it took bytes for code that it never sealed".to_owned()),
        Err(_) => Ok(false),
    }
}
