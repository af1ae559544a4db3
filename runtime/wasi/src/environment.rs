//! What a job gives its guest, and the caps that belong to this version of the table.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of all arguments, each with its NUL.
pub const ARGS_BYTES_MAX: usize = 4 << 10;
/// Bytes of all variables, each with its NUL.
pub const ENV_BYTES_MAX: usize = 16 << 10;
/// How many variables there may be.
pub const ENV_VARIABLES_MAX: usize = 64;
/// Files and directories, the root included, and those that are deleted but still open.
pub const NODES_MAX: usize = 1_000;
/// Open descriptors, the three standard ones and the preopened directory included.
pub const DESCRIPTORS_MAX: usize = 256;
/// Bytes of one path.
pub const PATH_BYTES_MAX: usize = 4_096;
/// Bytes of one part of a path.
pub const NAME_BYTES_MAX: usize = 255;
/// Subscriptions in one `poll_oneoff`.
pub const SUBSCRIPTIONS_MAX: u32 = 4_096;

/// The caps on bytes. The defaults are those of the default profile; a profile names its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Standard input. A job with more is refused.
    pub input_bytes_max: u64,
    /// Standard output. A guest that writes more faults.
    pub output_bytes_max: u64,
    /// Standard error and `haar.log` together. What lies beyond is dropped.
    pub log_bytes_max: u64,
    /// All files together, inputs included. A guest that writes more hears `nospc`.
    pub tree_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            input_bytes_max: 10 << 20,
            output_bytes_max: 10 << 20,
            log_bytes_max: 64 << 10,
            tree_bytes_max: 64 << 20,
        }
    }
}

/// Everything that can change what a guest sees. Equal environments give equal answers.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The arguments, `argv[0]` first. None by default.
    pub args: Vec<String>,
    /// The variables by name.
    pub env: BTreeMap<String, String>,
    /// Standard input.
    pub stdin: Arc<[u8]>,
    /// Input files by their path from the root, without a leading slash. The directories on the
    /// way come into being with them.
    pub files: BTreeMap<String, Arc<[u8]>>,
    /// Where the guest's randomness comes from.
    pub seed: [u8; 32],
    /// The time of day, in nanoseconds since 1970, at which the run begins.
    pub time_ns: u64,
    /// The caps on bytes.
    pub limits: Limits,
}

/// An environment that no guest can be given. It is the job's fault, found before the run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentFault {
    /// Preview 1 ends strings with NUL, so none may hold one.
    #[error("an argument or a variable holds a NUL byte")]
    Nul,
    /// `NAME=value` could not be taken apart again.
    #[error("the variable name {name:?} is empty or holds an equals sign")]
    VariableName {
        /// The name as given.
        name: String,
    },
    /// The arguments are too long.
    #[error("the arguments have {bytes} bytes, more than {ARGS_BYTES_MAX}")]
    Args {
        /// All of them, each with its NUL.
        bytes: usize,
    },
    /// The variables are too long or too many.
    #[error(
        "{count} variables of {bytes} bytes are more than {ENV_VARIABLES_MAX} of {ENV_BYTES_MAX}"
    )]
    Env {
        /// How many there are.
        count: usize,
        /// All of them, each with its NUL.
        bytes: usize,
    },
    /// The input is too long.
    #[error("the input has {bytes} bytes, more than {max}")]
    Input {
        /// Its length.
        bytes: u64,
        /// The profile's cap.
        max: u64,
    },
    /// A path that a guest could not open.
    #[error("{path:?} is no path of an input file")]
    FilePath {
        /// The path as given.
        path: String,
    },
    /// The input files do not fit the tree.
    #[error("the input files exceed {NODES_MAX} nodes or {bytes_max} bytes")]
    Files {
        /// The profile's cap.
        bytes_max: u64,
    },
}

impl Environment {
    /// The arguments and the sorted variables as preview 1 hands them out.
    pub(crate) fn strings(&self) -> Result<(Strings, Strings), EnvironmentFault> {
        let args = Strings::new(self.args.clone())?;
        if ARGS_BYTES_MAX < args.bytes.len() {
            return Err(EnvironmentFault::Args {
                bytes: args.bytes.len(),
            });
        }

        if let Some(name) = self
            .env
            .keys()
            .find(|name| name.is_empty() || name.contains('='))
        {
            return Err(EnvironmentFault::VariableName { name: name.clone() });
        }
        let mut lines: Vec<String> = self
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        // Not the order of the names: "A-B=" comes before "A=".
        lines.sort();
        let env = Strings::new(lines)?;
        let (count, bytes) = (self.env.len(), env.bytes.len());
        if ENV_VARIABLES_MAX < count || ENV_BYTES_MAX < bytes {
            return Err(EnvironmentFault::Env { count, bytes });
        }
        Ok((args, env))
    }
}

/// NUL-terminated strings, one behind the other, and where each begins.
#[derive(Clone, Debug)]
pub(crate) struct Strings {
    pub(crate) bytes: Vec<u8>,
    pub(crate) starts: Vec<u32>,
}

impl Strings {
    fn new(strings: Vec<String>) -> Result<Self, EnvironmentFault> {
        let mut all = Self {
            bytes: Vec::new(),
            starts: Vec::new(),
        };
        for string in strings {
            if string.contains('\0') {
                return Err(EnvironmentFault::Nul);
            }
            all.starts.push(all.bytes.len() as u32);
            all.bytes.extend_from_slice(string.as_bytes());
            all.bytes.push(0);
        }
        Ok(all)
    }
}
