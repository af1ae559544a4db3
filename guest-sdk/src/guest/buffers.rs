//! The bytes that cross the border: the host writes the input and reads the output where they lie.

/// The input of the next call and the output of the last one.
#[derive(Debug, Default)]
pub struct Buffers {
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Buffers {
    pub const fn new() -> Self {
        Self {
            input: Vec::new(),
            output: Vec::new(),
        }
    }

    /// Makes room for an input and says where, or nothing if memory does not reach.
    pub fn reserve(&mut self, len: usize) -> Option<usize> {
        let mut input = Vec::new();
        input.try_reserve_exact(len).ok()?;
        input.resize(len, 0);
        self.input = input;
        Some(self.input.as_mut_ptr().addr())
    }

    /// Hands out the input. Nothing if the host means other bytes than the ones it was given.
    pub fn take(&mut self, address: usize, len: usize) -> Option<Vec<u8>> {
        let is_reserved = self.input.as_ptr().addr() == address && self.input.len() == len;
        // An empty input needs no room, so a host may skip `haar_alloc` for it.
        (is_reserved || len == 0).then(|| std::mem::take(&mut self.input))
    }

    /// Keeps the output alive until the next call and says where it is.
    pub fn keep(&mut self, output: Vec<u8>) -> (usize, usize) {
        self.output = output;
        (self.output.as_ptr().addr(), self.output.len())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_input_is_taken_from_where_it_was_reserved() {
        let mut buffers = Buffers::new();
        let address = buffers.reserve(3).unwrap();
        buffers.input.copy_from_slice(b"abc");
        assert_eq!(buffers.take(address, 3), Some(b"abc".to_vec()));
    }

    #[test]
    fn other_bytes_than_the_reserved_ones_are_no_input() {
        let mut buffers = Buffers::new();
        let address = buffers.reserve(3).unwrap();
        assert_eq!(buffers.take(address, 2), None);
        assert_eq!(buffers.take(address + 1, 3), None);
        buffers.take(address, 3).unwrap();
        assert_eq!(buffers.take(address, 3), None);
    }

    #[test]
    fn an_empty_input_needs_no_room() {
        assert_eq!(Buffers::new().take(0, 0), Some(Vec::new()));
    }

    #[test]
    fn room_beyond_memory_is_refused() {
        assert_eq!(Buffers::new().reserve(usize::MAX), None);
    }

    #[test]
    fn an_output_stays_where_it_is_until_the_next() {
        let mut buffers = Buffers::new();
        let (address, len) = buffers.keep(b"answer".to_vec());
        buffers.reserve(100).unwrap();
        assert_eq!((buffers.output.as_ptr().addr(), len), (address, 6));
        assert_eq!(buffers.output, b"answer");
    }
}
