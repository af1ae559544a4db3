//! HTTP as bytes → bytes: the canonical request frame and the response payload.
//!
//! The hub encodes a request once; its hash names the input of the job, so an HTTP call can be
//! repeated, compared and replayed like any other. Two requests that mean the same have the same
//! bytes: header names are lower case and sorted, only allow-listed ones are kept. Integers are
//! little-endian. The guest SDK holds the other half; `vectors/http-frame.json` binds both.

/// Version of the frame.
pub const VERSION: u8 = 1;
/// The most headers in a frame.
pub const HEADERS_MAX: usize = 64;
/// Headers that reach a function unless its manifest says otherwise.
pub const HEADERS_ALLOWED: [&str; 2] = ["accept", "content-type"];

/// A request as a function sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// Upper-case token.
    pub method: String,
    /// The path below the function's mount, in canonical form.
    pub path: String,
    /// The query without its question mark.
    pub query: String,
    /// Lower-case names with their values, sorted.
    pub headers: Vec<(String, String)>,
    /// Declared facts, sorted by name.
    pub facts: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A response as a function gives it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// Status code, 100 to 999.
    pub status: u16,
    /// Headers in the guest's order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why a request has no frame, or bytes are no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A part is longer than its length field.
    #[error("the {part} has {bytes} bytes, more than {max}")]
    TooLong {
        /// Which part.
        part: &'static str,
        /// Its size.
        bytes: usize,
        /// The most that fits.
        max: usize,
    },
    /// A path with NUL, a backslash, or a broken escape, or one that climbs above its root.
    #[error("the path is not canonical: {0}")]
    Path(&'static str),
    /// The bytes end too early, or go on after the end.
    #[error("malformed response payload at byte {at}: {what}")]
    Malformed {
        /// Where.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
}

impl Request {
    /// Builds the canonical form from what a client sent: path normalised, headers filtered to
    /// `allowed`, lower-cased, trimmed and sorted.
    pub fn canonical<'h>(
        method: &str,
        path: &str,
        query: &str,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
        allowed: &[&str],
        body: Vec<u8>,
    ) -> Result<Self, FrameError> {
        let mut headers: Vec<(String, String)> = headers
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .filter(|(name, _)| allowed.contains(&name.as_str()))
            .collect();
        headers.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(Self {
            method: method.to_ascii_uppercase(),
            path: canonical_path(path)?,
            query: query.to_owned(),
            headers,
            facts: Vec::new(),
            body,
        })
    }

    /// The frame's bytes.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let mut frame = vec![VERSION];
        let method = u8::try_from(self.method.len())
            .map_err(|_| too_long("method", &self.method, u8::MAX.into()))?;
        frame.push(method);
        frame.extend_from_slice(self.method.as_bytes());
        put_text(&mut frame, "path", &self.path)?;
        put_text(&mut frame, "query", &self.query)?;
        put_pairs(&mut frame, &self.headers)?;
        put_pairs(&mut frame, &self.facts)?;
        frame.extend_from_slice(&(self.body.len() as u64).to_le_bytes());
        frame.extend_from_slice(&self.body);
        Ok(frame)
    }
}

impl Response {
    /// Reads a function's response payload; nothing may follow it.
    pub fn decode(payload: &[u8]) -> Result<Self, FrameError> {
        let mut reader = Reader {
            bytes: payload,
            at: 0,
        };
        let status = reader.u16()?;
        if !(100..=999).contains(&status) {
            return Err(FrameError::Malformed {
                at: 0,
                what: "the status is not 100 to 999",
            });
        }
        let count = usize::from(reader.u16()?);
        if count > HEADERS_MAX {
            return Err(FrameError::Malformed {
                at: 2,
                what: "more than 64 headers",
            });
        }
        let mut headers = Vec::new();
        for _ in 0..count {
            headers.push((reader.text()?, reader.text()?));
        }
        let length = u64::from_le_bytes(reader.array()?);
        let body = reader.rest();
        if body.len() as u64 != length {
            let what = "the body's length is not what was announced";
            return Err(FrameError::Malformed {
                at: reader.at,
                what,
            });
        }
        Ok(Self {
            status,
            headers,
            body: body.to_vec(),
        })
    }
}

/// Dot segments removed, unreserved escapes decoded, other escapes in upper case.
fn canonical_path(path: &str) -> Result<String, FrameError> {
    let mut out = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            0 | b'\\' => return Err(FrameError::Path("NUL and backslash are not allowed")),
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
                let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
                    return Err(FrameError::Path("% needs two hexadecimal digits"));
                };
                push_escape(&mut out, high * 16 + low)?;
            }
            b'!'..=b'~' => out.push(char::from(byte)),
            _ => {
                return Err(FrameError::Path(
                    "only visible ASCII characters may stand unescaped",
                ));
            }
        }
    }
    remove_dot_segments(&out)
}

fn push_escape(out: &mut String, code: u32) -> Result<(), FrameError> {
    match char::from_u32(code) {
        Some('\0' | '\\') => Err(FrameError::Path("NUL and backslash are not allowed")),
        Some(plain) if plain.is_ascii_alphanumeric() || "-._~".contains(plain) => {
            out.push(plain);
            Ok(())
        }
        _ => {
            out.push_str(&format!("%{code:02X}"));
            Ok(())
        }
    }
}

fn remove_dot_segments(path: &str) -> Result<String, FrameError> {
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let last = segments.len() - 1;
    for (at, segment) in segments.into_iter().enumerate() {
        match segment {
            "." if at == last => kept.push(""),
            "." => {}
            ".." => {
                kept.pop()
                    .ok_or(FrameError::Path("it climbs above the function's root"))?;
                if at == last {
                    kept.push("");
                }
            }
            // Slashes at the start are one, also those that a dot segment leaves there.
            "" if kept.is_empty() && at != last => {}
            other => kept.push(other),
        }
    }
    Ok(format!("/{}", kept.join("/")))
}

fn put_text(frame: &mut Vec<u8>, part: &'static str, text: &str) -> Result<(), FrameError> {
    let length = u16::try_from(text.len()).map_err(|_| too_long(part, text, u16::MAX.into()))?;
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(text.as_bytes());
    Ok(())
}

fn put_pairs(frame: &mut Vec<u8>, pairs: &[(String, String)]) -> Result<(), FrameError> {
    if pairs.len() > HEADERS_MAX {
        let (part, bytes) = ("list of headers", pairs.len());
        return Err(FrameError::TooLong {
            part,
            bytes,
            max: HEADERS_MAX,
        });
    }
    frame.extend_from_slice(&(pairs.len() as u16).to_le_bytes());
    for (name, value) in pairs {
        put_text(frame, "header's name", name)?;
        put_text(frame, "header's value", value)?;
    }
    Ok(())
}

fn too_long(part: &'static str, text: &str, max: usize) -> FrameError {
    FrameError::TooLong {
        part,
        bytes: text.len(),
        max,
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], FrameError> {
        let end = self
            .at
            .checked_add(count)
            .filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            return Err(FrameError::Malformed {
                at: self.at,
                what: "it ends too early",
            });
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        Ok(self
            .take(N)?
            .try_into()
            .expect("take gives exactly N bytes"))
    }

    fn u16(&mut self) -> Result<u16, FrameError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn text(&mut self) -> Result<String, FrameError> {
        let length = usize::from(self.u16()?);
        let at = self.at;
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| FrameError::Malformed {
            at,
            what: "a header is not UTF-8",
        })?;
        Ok(text.to_owned())
    }

    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<&str>) {
        assert_eq!(canonical_path(path).ok().as_deref(), expected, "{path}");
    }

    #[test]
    fn paths_have_one_form() {
        check("", Some("/"));
        check("/", Some("/"));
        check("/a/./b/../c", Some("/a/c"));
        check("/a/..", Some("/"));
        check("/a/.", Some("/a/"));
        check(".//a", Some("/a"));
        check("/a/..//b//c", Some("/b//c"));
        check("/a/..//", Some("/"));
        check("/%61%2f%7E", Some("/a%2F~"));
        check("/..", None);
        check("/a%2", None);
        check("/a%00", None);
        check("/a\\b", None);
        check("/%5c", None);
        check("/a b", None);
    }

    #[test]
    fn order_case_and_blanks_of_headers_do_not_matter() {
        let of = |headers: &[(&str, &str)]| {
            let headers = headers.iter().copied();
            Request::canonical(
                "post",
                "/x",
                "a=1",
                headers,
                &HEADERS_ALLOWED,
                b"hi".to_vec(),
            )
            .and_then(|request| request.encode())
        };
        let one = of(&[
            ("Content-Type", "text/plain "),
            ("Accept", "*/*"),
            ("Cookie", "a=b"),
        ]);
        let two = of(&[
            ("accept", "*/*"),
            ("content-type", " text/plain"),
            ("Host", "x"),
        ]);
        assert!(one.is_ok());
        assert_eq!(one, two);
    }

    #[test]
    fn a_response_must_end_where_it_says() {
        let mut payload = vec![200, 0, 0, 0];
        payload.extend_from_slice(&2_u64.to_le_bytes());
        payload.extend_from_slice(b"ok");
        assert_eq!(Response::decode(&payload).expect("well formed").body, b"ok");

        payload.push(b'!');
        assert!(Response::decode(&payload).is_err());
        for end in 0..payload.len() - 1 {
            assert!(Response::decode(&payload[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_response_with_a_strange_status_is_refused() {
        let mut payload = vec![99, 0, 0, 0];
        payload.extend_from_slice(&0_u64.to_le_bytes());
        assert!(Response::decode(&payload).is_err());
    }
}
