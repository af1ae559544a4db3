//! Frames on the socket between the supervisor and a child: a prefix, a header, a payload.
//!
//! Each side takes the other for hostile: a length is checked before anything is allocated for it,
//! and memory grows only with the bytes that have arrived.

use std::io::{self, ErrorKind, Read, Write};

/// Another layout is another version; both sides are the same program, so there is only one.
const VERSION: u8 = 1;
/// Version, three zeros, the header's length, the payload's length.
const PREFIX_BYTES: usize = 16;
/// The most bytes of a header: a configuration with all its arguments and variables fits.
const HEADER_BYTES_MAX: usize = 64 << 10;
/// Payloads up to this size travel with their header in one write.
const JOINED_BYTES_MAX: usize = 16 << 10;
/// What is allocated for a payload before its bytes are there.
const AHEAD_BYTES_MAX: u64 = 1 << 20;

/// A frame that cannot be read. Who sent it is not to be trusted any further.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FrameFault {
    /// The other side is gone: nothing, or a part of a frame, and then the end.
    #[error("the socket ended")]
    Ended,
    /// Nothing came in time.
    #[error("the socket kept silent")]
    Silent,
    /// Not our protocol.
    #[error("a frame of version {version}")]
    Version {
        /// What it says.
        version: u8,
    },
    /// Longer than it may be.
    #[error("a frame with {bytes} bytes of {part}, more than {max}")]
    TooLong {
        /// Header or payload.
        part: &'static str,
        /// What it claims.
        bytes: u64,
        /// What is taken.
        max: u64,
    },
    /// The header is no message.
    #[error("a malformed header: {0}")]
    Malformed(String),
    /// The system refuses to read or write.
    #[error("the socket failed: {0}")]
    Io(io::ErrorKind),
}

impl From<io::Error> for FrameFault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof
            | ErrorKind::BrokenPipe
            | ErrorKind::ConnectionReset
            | ErrorKind::WriteZero => Self::Ended,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Silent,
            kind => Self::Io(kind),
        }
    }
}

/// Writes a message and the parts of its payload, one behind the other.
pub(crate) fn write<M: minicbor::Encode<()>>(
    to: &mut impl Write,
    message: &M,
    payload: &[&[u8]],
) -> Result<(), FrameFault> {
    let payload_bytes = payload.iter().map(|part| part.len()).sum();
    let mut head = head(message, payload_bytes)?;
    if payload_bytes <= JOINED_BYTES_MAX {
        payload.iter().for_each(|part| head.extend_from_slice(part));
        to.write_all(&head)?;
        return Ok(());
    }
    to.write_all(&head)?;
    for part in payload {
        to.write_all(part)?;
    }
    Ok(())
}

/// Prefix and header of a frame; as many bytes of payload must follow.
pub(crate) fn head<M: minicbor::Encode<()>>(
    message: &M,
    payload_bytes: usize,
) -> Result<Vec<u8>, FrameFault> {
    let mut head = vec![0; PREFIX_BYTES];
    minicbor::encode(message, &mut head).map_err(|error| malformed(&error))?;
    let header_bytes = head.len() - PREFIX_BYTES;
    if header_bytes > HEADER_BYTES_MAX {
        return Err(too_long(
            "header",
            header_bytes as u64,
            HEADER_BYTES_MAX as u64,
        ));
    }
    head[0] = VERSION;
    // The bound above fits four bytes.
    head[4..8].copy_from_slice(&(header_bytes as u32).to_le_bytes());
    head[8..16].copy_from_slice(&(payload_bytes as u64).to_le_bytes());
    Ok(head)
}

/// Reads a message, and how many bytes of payload follow it.
pub(crate) fn read<M: for<'b> minicbor::Decode<'b, ()>>(
    from: &mut impl Read,
    payload_bytes_max: u64,
) -> Result<(M, u64), FrameFault> {
    let mut prefix = [0; PREFIX_BYTES];
    from.read_exact(&mut prefix)?;
    let [version, zeros @ .., _, _, _, _, _, _, _, _, _, _, _, _] = prefix;
    if version != VERSION || zeros != [0; 3] {
        return Err(FrameFault::Version { version });
    }
    let (four, eight) = prefix[4..].split_at(4);
    let header_bytes = u32::from_le_bytes(four.try_into().expect("four bytes")) as usize;
    let payload_bytes = u64::from_le_bytes(eight.try_into().expect("eight bytes"));
    if header_bytes > HEADER_BYTES_MAX {
        return Err(too_long(
            "header",
            header_bytes as u64,
            HEADER_BYTES_MAX as u64,
        ));
    }
    if payload_bytes > payload_bytes_max {
        return Err(too_long("payload", payload_bytes, payload_bytes_max));
    }

    let mut header = vec![0; header_bytes];
    from.read_exact(&mut header)?;
    let mut decoder = minicbor::Decoder::new(&header);
    let message = decoder.decode().map_err(|error| malformed(&error))?;
    if decoder.position() != header.len() {
        return Err(FrameFault::Malformed("bytes behind the message".to_owned()));
    }
    Ok((message, payload_bytes))
}

/// Reads a payload, or a part of one. Its length was checked against a bound.
pub(crate) fn read_payload(from: &mut impl Read, bytes: u64) -> Result<Vec<u8>, FrameFault> {
    let ahead = bytes.min(AHEAD_BYTES_MAX);
    let mut payload = Vec::with_capacity(usize::try_from(ahead).unwrap_or(0));
    from.take(bytes).read_to_end(&mut payload)?;
    if payload.len() as u64 != bytes {
        return Err(FrameFault::Ended);
    }
    Ok(payload)
}

fn too_long(part: &'static str, bytes: u64, max: u64) -> FrameFault {
    FrameFault::TooLong { part, bytes, max }
}

fn malformed(error: &impl std::fmt::Display) -> FrameFault {
    FrameFault::Malformed(error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn written(payload: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, &"hello", payload).unwrap();
        bytes
    }

    fn read_one(mut bytes: &[u8], max: u64) -> Result<(String, Vec<u8>), FrameFault> {
        let (message, payload) = read::<String>(&mut bytes, max)?;
        Ok((message, read_payload(&mut bytes, payload)?))
    }

    #[test]
    fn a_frame_survives_the_socket_at_any_size() {
        for bytes in [0, 1, JOINED_BYTES_MAX, JOINED_BYTES_MAX + 1, 3 << 20] {
            let payload = vec![7; bytes];
            let (first, second) = payload.split_at(bytes / 3);
            let frame = written(&[first, second]);
            let (message, got) = read_one(&frame, 4 << 20).unwrap();
            assert_eq!((message.as_str(), got), ("hello", payload));
        }
    }

    #[test]
    fn every_half_frame_is_an_end() {
        let frame = written(&[b"payload"]);
        for cut in 0..frame.len() {
            let fault = read_one(&frame[..cut], 64).unwrap_err();
            assert!(matches!(fault, FrameFault::Ended), "{cut}: {fault}");
        }
    }

    #[test]
    fn a_length_beyond_its_bound_is_refused_unread() {
        let frame = written(&[b"payload"]);
        assert!(matches!(
            read_one(&frame, 6).unwrap_err(),
            FrameFault::TooLong {
                part: "payload",
                bytes: 7,
                max: 6
            }
        ));

        let mut huge = frame.clone();
        huge[4..8].fill(0xff);
        assert!(matches!(
            read_one(&huge, 64).unwrap_err(),
            FrameFault::TooLong { part: "header", .. }
        ));

        let mut claimed = frame;
        claimed[8..16].fill(0xff);
        assert!(read_one(&claimed, u64::MAX - 1).is_err());
    }

    #[test]
    fn what_is_not_a_frame_is_refused() {
        let mut other = written(&[]);
        other[0] = 2;
        let fault = read_one(&other, 64).unwrap_err();
        assert!(matches!(fault, FrameFault::Version { version: 2 }));

        let mut garbled = written(&[]);
        garbled[PREFIX_BYTES] = 0xff;
        let fault = read_one(&garbled, 64).unwrap_err();
        assert!(matches!(fault, FrameFault::Malformed(_)));
    }
}
