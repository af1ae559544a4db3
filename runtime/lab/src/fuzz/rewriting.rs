//! Rewriting of modules: valid ones, of every shape that the generator can think of.

use anyhow::Result;
use haar_meter::{Profile, Rejected, meter};

use super::Target;
use super::admission::admit;
use super::chance::Chance;
use super::corpus::{self, Corpus};
use super::mutate::mutate;

/// Rewrites, always alike.
pub struct Rewriting {
    corpus: Corpus,
}

impl Rewriting {
    pub fn new() -> Result<Self> {
        Ok(Self {
            corpus: Corpus::gather()?,
        })
    }
}

impl Target for Rewriting {
    fn make(&self, chance: &mut Chance) -> Vec<u8> {
        let module = corpus::plain(chance);
        if chance.one_in(4) {
            return mutate(&module, self.corpus.pick(chance), chance);
        }
        module
    }

    fn check(&self, input: &[u8]) -> Result<bool, String> {
        let outcome = admit(input)?;
        if let Err(Rejected::Invalid { offset, message }) = &outcome
            && wasmparser::validate(input).is_ok()
            && uses_only_what_is_admitted(input)
        {
            return Err(format!("valid, but refused at {offset}: {message}"));
        }
        if let Ok(metered) = &outcome {
            let profile = Profile::DESKTOP;
            let again = || meter(input, &profile).map(|metered| metered.bytes);
            if again() != again() {
                return Err("metered differently the second time".to_owned());
            }
            if metered.bytes.len() < 8 {
                return Err("metered to nothing".to_owned());
            }
        }
        Ok(outcome.is_ok())
    }
}

/// Whether WebAssembly 2.0 has everything that the module uses.
fn uses_only_what_is_admitted(module: &[u8]) -> bool {
    let features = wasmparser::WasmFeatures::WASM2;
    wasmparser::Validator::new_with_features(features)
        .validate_all(module)
        .is_ok()
}
