//! The child's end of the socket: standard input, the only way in and out.

use std::io::{self, Read, Write};

/// Bytes that are read at once; what is larger goes past the buffer.
const BUFFER_BYTES: usize = 16 << 10;

/// Standard input as a socket. Reading and writing it are the only calls that reach anything.
pub(super) struct Socket {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Socket {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
        }
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end {
            if into.len() >= self.buffer.len() {
                return Ok(rustix::io::read(io::stdin(), into)?);
            }
            let bytes = rustix::io::read(io::stdin(), &mut self.buffer[..])?;
            (self.start, self.end) = (0, bytes);
        }
        let there = &self.buffer[self.start..self.end];
        let bytes = there.len().min(into.len());
        into[..bytes].copy_from_slice(&there[..bytes]);
        self.start += bytes;
        Ok(bytes)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(io::stdin(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
