//! Guests in processes of their own, on Linux.
//!
//! The miner's process is the supervisor: it has the keys, the network and the disk, and never
//! touches a guest. It starts children, which are the same program with another first word:
//! - a **compiler** meters and compiles one module, and ends;
//! - a **runner** runs guests of one tenant, one after the other.
//!
//! What a child may do, line by line, and what is missing stands in `README.md` under
//! *Confinement*. A program that wants to be the supervisor calls [`runner_main`] and
//! [`compiler_main`] at its very start when it gets the words of its [`Program`].

mod child;
mod compiler;
mod compiling;
mod confined;
mod frame;
mod lock;
mod message;
mod pool;
mod remote;
mod runner;
mod socket;
mod syscalls;
mod tally;
mod tenant;
mod unsafety;

pub use child::{Ended, Program};
pub use compiler::compiler_main;
pub use compiling::CompileLimits;
pub use confined::{Compiled, Confined, ConfinedConfig, ConfinedError, NoRun};
pub use lock::{LockError, lock_in};
pub use message::{Landlock, Locked};
pub use runner::runner_main;
pub use tally::Children;
pub use tenant::Tenant;
