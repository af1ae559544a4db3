//! `wc` and the ten most frequent words of a text, as a plain WASI command.
//!
//! Nothing here knows of Haar: the input of the job is standard input, its output is standard
//! output. Any program that runs under WASI preview 1 can be published like this one.

use std::io::{self, Read, Write};
use wordcount::Count;

fn main() -> io::Result<()> {
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;

    write!(io::stdout(), "{}", Count::of(&text))
}
