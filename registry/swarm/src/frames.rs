//! Messages on one stream: a length of four bytes, then the message.
//!
//! A length above the maximum is refused before anything is allocated, and memory grows only with
//! bytes that have come. After the first error a receiver gives nothing but errors: where the next
//! frame begins is unknown.

use haar_records::wire::{self, FRAME_BYTES_MAX, FrameError};
use iroh::endpoint::{ReadError, RecvStream, SendStream, VarInt, WriteError};

use crate::control::describe;

/// Bytes of a frame's length.
const PREFIX_BYTES: usize = 4;
/// The most bytes that cancelled sends may leave behind.
const PENDING_BYTES_MAX: usize = 4 * (PREFIX_BYTES + FRAME_BYTES_MAX);
/// A stream's end: what came was not a frame.
const CODE_BAD_FRAME: u32 = 1;

/// A conversation that cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FramesError {
    /// The peer sent something that is no frame of this conversation.
    #[error(transparent)]
    Bad(#[from] FrameError),
    /// The peer ended the stream within a frame.
    #[error("the stream ends within a frame")]
    Truncated,
    /// The peer gave the stream up.
    #[error("the peer ended the stream with code {code}")]
    Reset {
        /// Its reason, as a number.
        code: u64,
    },
    /// The connection is gone.
    #[error("the connection is lost: {reason}")]
    Lost {
        /// Why, for people.
        reason: String,
    },
    /// This side has ended the stream, or an earlier frame was bad.
    #[error("the stream has ended already")]
    Ended,
    /// Our own message is longer than a frame; nothing was sent.
    #[error("a message of {bytes} bytes does not fit a frame")]
    OursTooLong {
        /// Its size.
        bytes: usize,
    },
    /// The peer does not read, and too many cancelled messages wait for it.
    #[error("the peer does not read")]
    Stuck,
}

impl FramesError {
    /// Whether the peer broke the protocol, in contrast to a network that failed.
    #[must_use]
    pub fn is_peers_fault(&self) -> bool {
        matches!(self, Self::Bad(_) | Self::Truncated)
    }
}

/// One stream of a control connection, both directions.
#[derive(Debug)]
pub struct Frames {
    tx: FramesTx,
    rx: FramesRx,
}

impl Frames {
    pub(crate) fn new(send: SendStream, recv: RecvStream) -> Self {
        let tx = FramesTx {
            stream: send,
            pending: Vec::new(),
        };
        let rx = FramesRx {
            stream: recv,
            partial: Vec::new(),
            has_failed: false,
        };
        Self { tx, rx }
    }

    /// Sends one message; see [`FramesTx::send`].
    pub async fn send<T: minicbor::Encode<()>>(&mut self, message: &T) -> Result<(), FramesError> {
        self.tx.send(message).await
    }

    /// Receives one message; see [`FramesRx::recv`].
    pub async fn recv<T>(&mut self) -> Result<Option<T>, FramesError>
    where
        T: for<'b> minicbor::Decode<'b, ()>,
    {
        self.rx.recv().await
    }

    /// Says that nothing more will be sent; see [`FramesTx::finish`].
    pub fn finish(&mut self) {
        self.tx.finish();
    }

    /// The two directions, for two tasks.
    #[must_use]
    pub fn split(self) -> (FramesTx, FramesRx) {
        (self.tx, self.rx)
    }
}

/// The sending direction of a stream.
#[derive(Debug)]
pub struct FramesTx {
    stream: SendStream,
    /// Bytes of frames whose sending was cancelled. Invariant: they go first, so that the peer
    /// never sees half a frame.
    pending: Vec<u8>,
}

impl FramesTx {
    /// Sends one message and returns when the transport has taken it.
    ///
    /// May be cancelled: what was not sent yet goes before the next message.
    pub async fn send<T: minicbor::Encode<()>>(&mut self, message: &T) -> Result<(), FramesError> {
        let body = wire::encode(message);
        if body.len() > FRAME_BYTES_MAX {
            return Err(FramesError::OursTooLong { bytes: body.len() });
        }
        if self.pending.len() + PREFIX_BYTES + body.len() > PENDING_BYTES_MAX {
            return Err(FramesError::Stuck);
        }

        let length = u32::try_from(body.len()).expect("a frame's maximum fits four bytes");
        self.pending.extend_from_slice(&length.to_be_bytes());
        self.pending.extend_from_slice(&body);
        self.flush().await
    }

    /// Sends what cancelled sends left behind.
    pub async fn flush(&mut self) -> Result<(), FramesError> {
        while !self.pending.is_empty() {
            let written = self
                .stream
                .write(&self.pending)
                .await
                .map_err(not_written)?;
            self.pending.drain(..written);
        }
        Ok(())
    }

    /// Says that nothing more will be sent. What was sent still arrives while the connection lives.
    pub fn finish(&mut self) {
        // An error says that the stream has ended already, which is what was wanted.
        let _ = self.stream.finish();
    }
}

/// The receiving direction of a stream.
#[derive(Debug)]
pub struct FramesRx {
    stream: RecvStream,
    /// What has come of the next frame, its length included.
    partial: Vec<u8>,
    has_failed: bool,
}

impl FramesRx {
    /// Receives one message, or `None` when the peer has finished between two messages.
    ///
    /// May be cancelled: what has come stays for the next call.
    pub async fn recv<T>(&mut self) -> Result<Option<T>, FramesError>
    where
        T: for<'b> minicbor::Decode<'b, ()>,
    {
        if self.has_failed {
            return Err(FramesError::Ended);
        }
        let result = match self.frame().await {
            Ok(Some(body)) => wire::decode(&body).map(Some).map_err(FramesError::Bad),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        if result.is_err() {
            self.has_failed = true;
            let _ = self.stream.stop(VarInt::from_u32(CODE_BAD_FRAME));
        }
        result
    }

    /// The next frame's message, without its length.
    async fn frame(&mut self) -> Result<Option<Vec<u8>>, FramesError> {
        if !self.fill(PREFIX_BYTES).await? {
            return if self.partial.is_empty() {
                Ok(None)
            } else {
                Err(FramesError::Truncated)
            };
        }
        let prefix = *self
            .partial
            .first_chunk()
            .expect("a prefix is there once it is filled");
        let bytes = u32::from_be_bytes(prefix) as usize;
        if bytes > FRAME_BYTES_MAX {
            return Err(FrameError::TooLong { bytes }.into());
        }
        if !self.fill(PREFIX_BYTES + bytes).await? {
            return Err(FramesError::Truncated);
        }
        let mut frame = std::mem::take(&mut self.partial);
        frame.drain(..PREFIX_BYTES);
        Ok(Some(frame))
    }

    /// Reads until `partial` has that many bytes; false when the stream ends before.
    async fn fill(&mut self, bytes: usize) -> Result<bool, FramesError> {
        while self.partial.len() < bytes {
            let missing = bytes - self.partial.len();
            let Some(chunk) = self.stream.read_chunk(missing).await.map_err(not_read)? else {
                return Ok(false);
            };
            self.partial.extend_from_slice(&chunk);
        }
        Ok(true)
    }
}

fn not_written(error: WriteError) -> FramesError {
    match error {
        WriteError::Stopped(code) => FramesError::Reset {
            code: code.into_inner(),
        },
        WriteError::ConnectionLost(error) => FramesError::Lost {
            reason: describe(&error),
        },
        WriteError::ClosedStream | WriteError::ZeroRttRejected => FramesError::Ended,
    }
}

fn not_read(error: ReadError) -> FramesError {
    match error {
        ReadError::Reset(code) => FramesError::Reset {
            code: code.into_inner(),
        },
        ReadError::ConnectionLost(error) => FramesError::Lost {
            reason: describe(&error),
        },
        ReadError::ClosedStream | ReadError::ZeroRttRejected => FramesError::Ended,
    }
}
