//! Admission of modules: bytes that were one once, or never.

use std::sync::OnceLock;

use anyhow::Result;
use haar_meter::{Metered, Profile, Rejected, meter};
use wasmtime::{Config, Engine, Module, OptLevel};

use super::Target;
use super::chance::{Chance, mix};
use super::corpus::{self, Corpus};
use super::mutate::{mutate, scratch};

/// One of so many admitted modules is compiled: compiling takes a hundred times as long.
const COMPILED_ONE_IN: u64 = 64;

/// Admits or refuses, and never more than that.
pub struct Admission {
    corpus: Corpus,
}

impl Admission {
    pub fn new() -> Result<Self> {
        Ok(Self {
            corpus: Corpus::gather()?,
        })
    }
}

impl Target for Admission {
    fn make(&self, chance: &mut Chance) -> Vec<u8> {
        match chance.below(32) {
            0 => {
                let mut bytes = b"\0asm\x01\0\0\0".to_vec();
                let len = chance.below(200);
                bytes.extend(chance.bytes(len));
                bytes
            }
            1 => {
                let mut bytes = self.corpus.pick(chance).to_vec();
                for _ in 0..=chance.below(8) {
                    scratch(&mut bytes, chance);
                }
                bytes
            }
            2 => mutate(&corpus::any(chance), self.corpus.pick(chance), chance),
            _ => mutate(self.corpus.pick(chance), self.corpus.pick(chance), chance),
        }
    }

    fn check(&self, input: &[u8]) -> Result<bool, String> {
        Ok(admit(input)?.is_ok())
    }
}

/// Meters a module and checks what was promised: a refusal is the module's fault, and what is
/// admitted is valid, always the same, and not admitted a second time.
pub fn admit(module: &[u8]) -> Result<Result<Metered, Rejected>, String> {
    let hash = module
        .iter()
        .fold(0, |hash, byte| mix(hash, u64::from(*byte)));
    let profile = profile(hash);
    let metered = match meter(module, &profile) {
        Ok(metered) => metered,
        Err(Rejected::Internal { message }) => return Err(format!("a bug of the pass: {message}")),
        Err(refused) => return Ok(Err(refused)),
    };

    if let Err(error) = wasmparser::validate(&metered.bytes) {
        return Err(format!("the metered module is not valid: {error}"));
    }
    if metered.pages_max < metered.pages_min || profile.pages_max < metered.pages_max {
        return Err(format!(
            "{} to {} pages under a profile of {}",
            metered.pages_min, metered.pages_max, profile.pages_max
        ));
    }
    match meter(&metered.bytes, &profile) {
        Err(Rejected::Reserved { .. }) => {}
        other => {
            let other = other.map(|_| "admitted");
            return Err(format!("metered twice: {other:?}"));
        }
    }
    if hash.is_multiple_of(COMPILED_ONE_IN)
        && let Err(error) = Module::new(engine(), &metered.bytes)
    {
        return Err(format!("the metered module does not compile: {error:#}"));
    }
    Ok(Ok(metered))
}

/// The profile is a matter of the input, so that an input alone repeats everything.
fn profile(hash: u64) -> Profile {
    match hash >> 61 {
        0 => Profile::PHONE,
        1 => Profile {
            simd: false,
            ..Profile::DESKTOP
        },
        _ => Profile::DESKTOP,
    }
}

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut config = Config::new();
        config.cranelift_opt_level(OptLevel::None);
        Engine::new(&config).expect("a plain configuration is one")
    })
}
