//! What one run showed, in one line: equal runs have equal lines, on every engine.
//!
//! `driver.mjs` prints the same line. It holds what a receipt holds, and behind it the fingerprint:
//! the whole memory, its pages, the exported globals, status, fuel and the transcript of host calls.

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Returned,
    OutOfFuel,
    Trapped,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::OutOfFuel => "out-of-fuel",
            Self::Trapped => "trapped",
        }
    }
}

/// What the instance looked like after its run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) status: i32,
    pub(crate) fuel_left: i64,
    pub(crate) pages: u64,
    pub(crate) memory: blake3::Hash,
    pub(crate) globals: Vec<i64>,
}

/// Everything that two engines must agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observation {
    pub(crate) kind: Kind,
    pub(crate) exit_code: u32,
    pub(crate) fuel_used: u64,
    pub(crate) output: blake3::Hash,
    pub(crate) log: blake3::Hash,
    pub(crate) transcript: [u8; 32],
    /// None if the fuel did not pay for the start.
    pub(crate) fingerprint: Option<Fingerprint>,
}

impl std::fmt::Display for Observation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let transcript = blake3::Hash::from_bytes(self.transcript);
        write!(
            f,
            "{} exit={} used={} output={} log={} transcript={transcript}",
            self.kind.name(),
            self.exit_code,
            self.fuel_used,
            self.output,
            self.log,
        )?;
        let Some(print) = &self.fingerprint else {
            return Ok(());
        };
        let globals: Vec<String> = print.globals.iter().map(i64::to_string).collect();
        write!(
            f,
            " status={} left={} pages={} memory={} globals={}",
            print.status,
            print.fuel_left,
            print.pages,
            print.memory,
            globals.join(","),
        )
    }
}
