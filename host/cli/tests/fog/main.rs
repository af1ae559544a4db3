//! The product from outside: real processes, real sockets, real files, and nothing mocked.
//!
//! A test starts a hub and miners as their owners would, talks to them as buyers and authors do,
//! and believes only what it can see. Nothing here waits for a fixed time: what is expected is asked
//! for again and again, within a limit that only a broken product reaches.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod answers;
mod buyer;
mod cheats;
mod confined;
mod crash;
mod desk;
mod fog;
mod framing;
mod guests;
mod hostile;
mod money;
mod orders;
mod pipes;
mod problems;
mod process;
mod publishing;
mod receipts;
