//! Times a subject under wasmtime in three forms: as it is, with the engine's own fuel, metered by us.
//!
//! The forms take turns in every round, so that a slow moment of the machine meets all of them, and
//! the least of all rounds is kept.

use std::time::Duration;

use anyhow::{Result, bail};

use super::host::{Host, Program, Run};

/// The same module in three forms, compiled.
pub struct Trio {
    forms: [Program; 3],
}

/// Compile and run times of the three forms: plain, the engine's fuel, ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// The least that compiling took.
    pub compile: [Duration; 3],
    /// The least that running took.
    pub run: [Duration; 3],
}

/// The engines of the three forms.
pub struct Hosts {
    plain: Host,
    counting: Host,
}

impl Hosts {
    /// Starts both engines.
    pub fn new() -> Result<Self> {
        Ok(Self {
            plain: Host::new(false)?,
            counting: Host::new(true)?,
        })
    }

    fn host(&self, form: usize) -> &Host {
        if form == 1 {
            &self.counting
        } else {
            &self.plain
        }
    }

    /// Compiles the three forms, once.
    pub fn prepare(&self, name: &str, plain: &[u8], metered: &[u8]) -> Result<Trio> {
        let modules = [plain, plain, metered];
        let mut forms = Vec::with_capacity(3);
        for (form, module) in modules.into_iter().enumerate() {
            forms.push(self.host(form).prepare(name, module)?);
        }
        match forms.try_into() {
            Ok(forms) => Ok(Trio { forms }),
            Err(_) => bail!("three forms were compiled"),
        }
    }

    /// Runs the forms in turn, `runs` times, and returns the least of each.
    pub fn time(&self, trio: &Trio, runs: u32) -> Result<Times> {
        let mut times = Times {
            compile: [0, 1, 2].map(|form: usize| trio.forms[form].compiled_in),
            run: [Duration::MAX; 3],
        };
        let mut output: Option<Vec<u8>> = None;
        for round in 0..runs as usize {
            for turn in 0..3 {
                let form = (round + turn) % 3;
                let Run {
                    took, output: seen, ..
                } = self.host(form).run(&trio.forms[form])?;
                times.run[form] = times.run[form].min(took);
                if *output.get_or_insert_with(|| seen.clone()) != seen {
                    bail!("the forms of one program print different things");
                }
            }
        }
        Ok(times)
    }
}
