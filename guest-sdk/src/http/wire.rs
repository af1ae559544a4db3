//! Requests and responses as bytes, version 1.
//!
//! ```text
//! request  = version:u8=1  method:u8+bytes  path:u16+bytes  query:u16+bytes
//!            headers:u16*(u16+name u16+value)  facts:u16*(u16+name u16+value)  body:u64+bytes
//! response = status:u16  headers:u16*(u16+name u16+value)  body:u64+bytes
//! ```
//!
//! Integers are little-endian. Whoever reads takes the bytes as they are: making a request canonical
//! (sorting, trimming, dropping headers) is the hub's part, before it hashes the frame.

use super::{Request, Response};

const VERSION: u8 = 1;

/// A frame that cannot be read, or a message that cannot be written as one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The frame is of a version that this module does not know.
    #[error("the request frame has version {0}; this module reads version 1")]
    Version(u8),
    /// The frame ends inside a field.
    #[error("the frame ends inside its {field}")]
    Truncated {
        /// The field that is cut.
        field: &'static str,
    },
    /// The frame goes on after its body.
    #[error("the frame has {extra} bytes after its body")]
    Trailing {
        /// How many bytes are left over.
        extra: usize,
    },
    /// A field that is text holds other bytes.
    #[error("the {field} is not UTF-8")]
    NotUtf8 {
        /// The field that is no text.
        field: &'static str,
    },
    /// A field is longer, or a list has more entries, than the frame can say.
    #[error("the {field} has {len}; a frame holds at most {max}")]
    TooLong {
        /// The field that is too long.
        field: &'static str,
        /// Its bytes or entries.
        len: usize,
        /// The most that a frame holds.
        max: usize,
    },
    /// A final status has three digits, from 200 on.
    #[error("{0} is no status of a response")]
    Status(u16),
    /// The name of a header is no HTTP token in lower case, or its value has control characters:
    /// it could smuggle another header or a second response into the connection.
    #[error("the header {name:?} cannot be sent")]
    Header {
        /// The name of that header.
        name: String,
    },
}

/// What crosses the border between hub and module.
pub trait Wire: Sized {
    /// Reads the whole of `bytes`.
    fn from_wire(bytes: &[u8]) -> Result<Self, FrameError>;

    /// Writes the message. What is written is read back as the same message.
    fn to_wire(&self) -> Result<Vec<u8>, FrameError>;
}

impl Wire for Request {
    fn from_wire(bytes: &[u8]) -> Result<Self, FrameError> {
        let mut reader = Reader { rest: bytes };
        let version = reader.u8("version")?;
        if version != VERSION {
            return Err(FrameError::Version(version));
        }

        let method_len = reader.u8("method")?;
        let request = Self {
            method: reader.text(method_len.into(), "method")?,
            path: reader.short_text("path")?,
            query: reader.short_text("query")?,
            headers: reader.pairs("headers")?,
            facts: reader.pairs("facts")?,
            body: reader.body()?,
        };
        reader.end()?;
        Ok(request)
    }

    fn to_wire(&self) -> Result<Vec<u8>, FrameError> {
        let mut frame = vec![VERSION, length(self.method.len(), u8::MAX, "method")?];
        frame.extend_from_slice(self.method.as_bytes());
        write_text(&mut frame, &self.path, "path")?;
        write_text(&mut frame, &self.query, "query")?;
        write_pairs(&mut frame, &self.headers, "headers")?;
        write_pairs(&mut frame, &self.facts, "facts")?;
        write_body(&mut frame, &self.body);
        Ok(frame)
    }
}

impl Wire for Response {
    fn from_wire(bytes: &[u8]) -> Result<Self, FrameError> {
        let mut reader = Reader { rest: bytes };
        let response = Self {
            status: reader.u16("status")?,
            headers: reader.pairs("headers")?,
            body: reader.body()?,
        };
        reader.end()?;
        refuse_unsendable(&response)?;
        Ok(response)
    }

    fn to_wire(&self) -> Result<Vec<u8>, FrameError> {
        refuse_unsendable(self)?;
        let mut payload = self.status.to_le_bytes().to_vec();
        write_pairs(&mut payload, &self.headers, "headers")?;
        write_body(&mut payload, &self.body);
        Ok(payload)
    }
}

fn refuse_unsendable(response: &Response) -> Result<(), FrameError> {
    if !(200..=999).contains(&response.status) {
        return Err(FrameError::Status(response.status));
    }
    let unsendable = response.headers.iter().find(|(name, value)| {
        name.is_empty()
            || !name.bytes().all(is_token)
            || value.chars().any(|c| c != '\t' && c.is_control())
    });
    match unsendable {
        Some((name, _)) => Err(FrameError::Header { name: name.clone() }),
        None => Ok(()),
    }
}

/// A character of a lower-case header name (RFC 9110, `tchar`).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Takes fields from the front of the bytes. A length is believed only as far as there are bytes, so
/// a hostile frame allocates no more than its own size.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize, field: &'static str) -> Result<&'a [u8], FrameError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(FrameError::Truncated { field })?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], FrameError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(FrameError::Truncated { field })?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u8(&mut self, field: &'static str) -> Result<u8, FrameError> {
        self.array(field).map(u8::from_le_bytes)
    }

    fn u16(&mut self, field: &'static str) -> Result<u16, FrameError> {
        self.array(field).map(u16::from_le_bytes)
    }

    fn text(&mut self, len: usize, field: &'static str) -> Result<String, FrameError> {
        let bytes = self.take(len, field)?;
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| FrameError::NotUtf8 { field })
    }

    fn short_text(&mut self, field: &'static str) -> Result<String, FrameError> {
        let len = self.u16(field)?;
        self.text(len.into(), field)
    }

    fn pairs(&mut self, field: &'static str) -> Result<Vec<(String, String)>, FrameError> {
        let count = self.u16(field)?;
        (0..count)
            .map(|_| Ok((self.short_text(field)?, self.short_text(field)?)))
            .collect()
    }

    fn body(&mut self) -> Result<Vec<u8>, FrameError> {
        let len = u64::from_le_bytes(self.array("body")?);
        let len = usize::try_from(len).map_err(|_| FrameError::Truncated { field: "body" })?;
        Ok(self.take(len, "body")?.to_vec())
    }

    fn end(self) -> Result<(), FrameError> {
        match self.rest.len() {
            0 => Ok(()),
            extra => Err(FrameError::Trailing { extra }),
        }
    }
}

fn length<N: TryFrom<usize> + Into<u64>>(
    len: usize,
    max: N,
    field: &'static str,
) -> Result<N, FrameError> {
    N::try_from(len).map_err(|_| FrameError::TooLong {
        field,
        len,
        max: max.into() as usize,
    })
}

fn write_text(frame: &mut Vec<u8>, text: &str, field: &'static str) -> Result<(), FrameError> {
    frame.extend_from_slice(&length(text.len(), u16::MAX, field)?.to_le_bytes());
    frame.extend_from_slice(text.as_bytes());
    Ok(())
}

fn write_pairs(
    frame: &mut Vec<u8>,
    pairs: &[(String, String)],
    field: &'static str,
) -> Result<(), FrameError> {
    frame.extend_from_slice(&length(pairs.len(), u16::MAX, field)?.to_le_bytes());
    for (name, value) in pairs {
        write_text(frame, name, field)?;
        write_text(frame, value, field)?;
    }
    Ok(())
}

fn write_body(frame: &mut Vec<u8>, body: &[u8]) {
    frame.extend_from_slice(&(body.len() as u64).to_le_bytes());
    frame.extend_from_slice(body);
}

#[cfg(test)]
mod tests;
