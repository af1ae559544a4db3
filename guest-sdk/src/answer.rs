//! The response frame: what one call answers, as the bytes whose hash miners are compared by.

/// What one call answered. A trap is no answer: it leaves no frame at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The function returned this output.
    Output(Vec<u8>),
    /// The function, or the reading of its input, said no. This is an answer too: every honest
    /// miner gives the same one, and it is paid for.
    ApplicationError(String),
    /// An HTTP function's response, as its payload (see [`Wire`](crate::Wire)).
    Http(Vec<u8>),
}

impl Answer {
    const OUTPUT: u8 = 0;
    const APPLICATION_ERROR: u8 = 1;
    const HTTP: u8 = 2;

    /// The frame: one byte that says which kind of answer, then its payload.
    pub fn to_frame(&self) -> Vec<u8> {
        let (kind, payload) = match self {
            Self::Output(output) => (Self::OUTPUT, output.as_slice()),
            Self::ApplicationError(message) => (Self::APPLICATION_ERROR, message.as_bytes()),
            Self::Http(payload) => (Self::HTTP, payload.as_slice()),
        };
        let mut frame = Vec::with_capacity(1 + payload.len());
        frame.push(kind);
        frame.extend_from_slice(payload);
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_the_kind_and_the_payload() {
        assert_eq!(Answer::Output(b"ab".to_vec()).to_frame(), b"\x00ab");
        assert_eq!(Answer::Output(Vec::new()).to_frame(), b"\x00");
        assert_eq!(Answer::ApplicationError("no".into()).to_frame(), b"\x01no");
        assert_eq!(Answer::Http(b"xy".to_vec()).to_frame(), b"\x02xy");
    }
}
