//! Everything else that strangers send: manifests, response frames, names, and what hub and miner
//! say to each other.

use anyhow::Result;
use haar_meter::{Profile, Rejected, SECTION_MANIFEST, meter};
use haar_records::http_frame::{HEADERS_ALLOWED, Request, Response};
use haar_records::wire::{self, Hello, ToHub, ToMiner, Welcome};
use haar_records::{BlobHash, FunctionName, MinerId, SignedFunction, Snm};
use wasm_encoder::{CustomSection, RawCustomSection, Section};

use super::Target;
use super::chance::Chance;
use super::frames::{self, Frames};
use super::mutate::scratch;
use super::records;

/// Checking a signature takes a thousand times as long as refusing one.
const SIGNATURES_ONE_IN: u8 = 32;

/// The first byte of an input says who reads it; the rest is what is read.
pub struct Manifest {
    messages: Vec<Vec<u8>>,
    module: Vec<u8>,
    frames: Frames,
}

impl Manifest {
    pub fn new() -> Result<Self> {
        let text = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
        Ok(Self {
            messages: records::messages(),
            module: wat::parse_str(text)?,
            frames: Frames::new()?,
        })
    }
}

impl Target for Manifest {
    fn make(&self, chance: &mut Chance) -> Vec<u8> {
        let reader = chance.below(16) as u8;
        let mut bytes = match reader {
            0 => {
                let len = chance.below(300);
                chance.bytes(len)
            }
            1..4 => response(chance),
            4..6 => text(chance).into_bytes(),
            6 => frames::make(chance),
            7 => frames::make_artifact(chance),
            _ if chance.one_in(8) => cbor(chance),
            _ => self.messages[chance.below(self.messages.len())].clone(),
        };
        for _ in 0..chance.below(4) {
            scratch(&mut bytes, chance);
        }
        bytes.insert(0, reader);
        bytes
    }

    fn check(&self, input: &[u8]) -> Result<bool, String> {
        let Some((reader, bytes)) = input.split_first() else {
            return Ok(false);
        };
        match reader {
            0 => self.section(bytes),
            1..4 => frame(bytes),
            4..6 => names(&String::from_utf8_lossy(bytes)),
            6 => self.frames.check(bytes),
            7 => frames::artifact(bytes),
            _ => messages(bytes),
        }
    }
}

impl Manifest {
    /// Whatever a manifest holds, the pass hands it on as it is.
    fn section(&self, bytes: &[u8]) -> Result<bool, String> {
        let custom = CustomSection {
            name: SECTION_MANIFEST.into(),
            data: bytes.into(),
        };
        let mut module = self.module.clone();
        custom.append_to(&mut module);
        match meter(&module, &Profile::DESKTOP) {
            Ok(metered) if metered.manifest.as_deref() == Some(bytes) => {}
            Ok(metered) => return Err(format!("another manifest: {:?}", metered.manifest)),
            Err(error) => return Err(format!("refused: {error}")),
        }

        // The section's own framing may be broken too.
        let mut module = self.module.clone();
        RawCustomSection(bytes).append_to(&mut module);
        match meter(&module, &Profile::DESKTOP) {
            Err(Rejected::Internal { message }) => Err(format!("a bug of the pass: {message}")),
            _ => Ok(true),
        }
    }
}

fn frame(bytes: &[u8]) -> Result<bool, String> {
    let Ok(response) = Response::decode(bytes) else {
        return Ok(false);
    };
    // There is one way to write a response, so reading loses nothing.
    let mut again = response.status.to_le_bytes().to_vec();
    again.extend((response.headers.len() as u16).to_le_bytes());
    for (name, value) in &response.headers {
        for text in [name, value] {
            again.extend((text.len() as u16).to_le_bytes());
            again.extend(text.as_bytes());
        }
    }
    again.extend((response.body.len() as u64).to_le_bytes());
    again.extend(&response.body);
    expect(again == bytes, || {
        format!("{response:?} is written otherwise")
    })?;
    Ok(true)
}

fn names(text: &str) -> Result<bool, String> {
    let round = |shown: Option<String>, parse: &dyn Fn(&str) -> Option<String>| match shown {
        Some(shown) => expect(parse(&shown).as_ref() == Some(&shown), || {
            format!("{shown:?} is not read as it is shown")
        }),
        None => Ok(()),
    };
    for parse in [
        |text: &str| {
            text.parse::<FunctionName>()
                .ok()
                .map(|name| name.to_string())
        },
        |text: &str| text.parse::<BlobHash>().ok().map(|id| id.to_string()),
        |text: &str| text.parse::<MinerId>().ok().map(|id| id.to_string()),
        |text: &str| text.parse::<Snm>().ok().map(|amount| amount.to_string()),
    ] {
        round(parse(text), &parse)?;
    }

    // A canonical request is canonical already.
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let (method, path, query, value) = (next(), next(), next(), next());
    let canonical = |path: &str, query: &str| {
        let headers = [("Accept", value), ("X-Other", query)];
        Request::canonical(method, path, query, headers, &HEADERS_ALLOWED, Vec::new())
    };
    if let Ok(request) = canonical(path, query) {
        let again = canonical(&request.path, query);
        expect(again.as_ref() == Ok(&request), || {
            format!("{path:?} became {request:?} and then {again:?}")
        })?;
        let _ = request.encode();
        return Ok(true);
    }
    Ok(false)
}

fn messages(bytes: &[u8]) -> Result<bool, String> {
    let mut through = false;
    // What can be read is written and read again without a change.
    macro_rules! check {
        ($($message:ty)*) => {$(
            if let Ok(message) = wire::decode::<$message>(bytes) {
                through = true;
                let again = wire::decode::<$message>(&wire::encode(&message));
                expect(again.as_ref().ok() == Some(&message), || {
                    format!("{message:?} came back as {again:?}")
                })?;
            }
        )*};
    }
    check!(Hello Welcome ToMiner ToHub SignedFunction);
    let sum = bytes
        .iter()
        .fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
    if sum.is_multiple_of(SIGNATURES_ONE_IN)
        && let Ok(function) = wire::decode::<SignedFunction>(bytes)
    {
        let _ = function.check();
    }
    Ok(through)
}

fn expect(holds: bool, broken: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(broken()) }
}

fn response(chance: &mut Chance) -> Vec<u8> {
    let status = chance.pick(&[200u16, 404, 999, 100, 99, 1000]);
    let mut bytes = status.to_le_bytes().to_vec();
    let count = chance.below(4);
    bytes.extend((count as u16).to_le_bytes());
    for _ in 0..2 * count {
        let text = text(chance);
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
    }
    let body = chance.below(40);
    bytes.extend((body as u64).to_le_bytes());
    bytes.extend(chance.bytes(body));
    bytes
}

fn text(chance: &mut Chance) -> String {
    const PARTS: [&str; 26] = [
        "get", "/", "..", ".", "%2F", "%2e", "%", "%41", "\\", "\n", "a", "B", "0", "1.2.3", "@",
        "-", "name", "ab", "9", "SNM", " ", "\u{7f}", "\u{202e}", "0x", "00", "1.5",
    ];
    (0..chance.below(24)).map(|_| chance.pick(&PARTS)).collect()
}

/// Items of CBOR, nested now and then, with lengths that may lie.
fn cbor(chance: &mut Chance) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..chance.below(40) {
        let major = chance.below(8) as u8;
        let len = chance.below(28) as u8;
        bytes.push(major << 5 | len);
        let follows = match len {
            24..28 => 1 << (len - 24),
            _ => 0,
        };
        let text = if major == 2 || major == 3 { len } else { 0 };
        let more = follows + usize::from(text.min(23));
        bytes.extend(chance.bytes(more));
    }
    bytes
}
