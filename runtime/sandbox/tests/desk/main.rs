//! What an author and an owner do at their own desks: pre-initialise a module, run one trusted.
#![allow(clippy::unwrap_used)]

mod preinit;
mod trusted;
