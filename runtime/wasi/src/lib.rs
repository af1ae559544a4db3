//! The deterministic WASI preview 1 that a guest sees, over any guest memory: `haar-wasi/1`.
//!
//! One pure state machine: natively it stands behind wasmtime's imports, in a browser behind
//! JavaScript that copies bytes. It decides what every call answers, what it costs, and what the
//! transcript of the run is. It never touches a clock, a file, a socket or an engine, and it
//! never panics on what a guest says. `SPEC.md` beside this crate is its table of calls.
//!
//! ```
//! use haar_wasi::{Environment, Errno, Function, Wasi};
//!
//! let mut wasi = Wasi::new(Environment::default())?;
//! let mut memory = vec![0; 65_536];
//! let mut fuel = 1_000;
//! let errno = wasi.call(Function::RandomGet, &[16, 8], &mut memory, &mut fuel)?;
//! assert_eq!((errno, fuel), (Errno::Success, 1_000 - 200 - 8 / 2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod abi;
mod call;
mod clock;
mod descriptors;
mod environment;
mod function;
mod memory;
mod open;
mod path;
mod paths;
mod poll;
mod process;
mod random;
mod readdir;
mod sockets;
mod stat;
mod stream;
mod strings;
mod tree;
mod wasi;

pub use abi::{Errno, Parameter};
pub use call::CALL_PRICE;
pub use environment::{
    ARGS_BYTES_MAX, DESCRIPTORS_MAX, ENV_BYTES_MAX, ENV_VARIABLES_MAX, Environment,
    EnvironmentFault, Limits, NAME_BYTES_MAX, NODES_MAX, PATH_BYTES_MAX, SUBSCRIPTIONS_MAX,
};
pub use function::{Function, MODULE_HAAR, MODULE_PREVIEW1};
pub use memory::{Bytes, Fault, GuestMemory};
pub use wasi::{Ended, Finished, Wasi};

/// The version of the table, of its prices and of its caps. Any change that a guest or a receipt
/// could notice is a new one.
pub const WASI_VERSION: u32 = 1;
