//! The bytes of one file or stream: how they are shared, copied, grown and cut.
//!
//! What the guest changes lies in pages. A file that grows never moves, so a tree takes no more
//! than its cap and one page for each file, and growing by a byte costs a byte. Memory that the
//! host cannot give is an error here, never an abort: the guest chose the size.

use std::sync::Arc;

/// The host has no memory left. It says nothing about the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoMemory;

/// Large enough to make the list of pages short, small enough for a tree of a thousand tiny files.
const PAGE_BYTES: usize = 4096;
/// Entries that a list of pages may keep beyond twice what it needs.
const SPARE_PAGES_MAX: usize = 16;

/// A file's bytes, or a stream's.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// The job's input as it came, shared with the host.
    Input(Arc<[u8]>),
    /// The guest's own.
    Own(Pages),
}

/// Bytes in pages. What lies in the last page beyond the length is zero.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pages {
    /// Invariant: each holds `PAGE_BYTES`, and together they reach to `len`.
    pages: Vec<Vec<u8>>,
    len: usize,
}

impl Content {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Input(bytes) => bytes.len() as u64,
            Self::Own(pages) => pages.len as u64,
        }
    }

    /// The bytes from `at` up to `end`, or as many of them as there are, piece by piece.
    pub(crate) fn pieces(&self, at: u64, end: u64) -> impl Iterator<Item = &[u8]> {
        let end = end.min(self.len()) as usize;
        let mut at = usize::try_from(at).unwrap_or(usize::MAX);
        std::iter::from_fn(move || {
            let piece = self.piece(at, end)?;
            at += piece.len();
            Some(piece)
        })
    }

    /// One piece that begins at `at`; none if `end` is reached.
    fn piece(&self, at: usize, end: usize) -> Option<&[u8]> {
        if end <= at {
            return None;
        }
        match self {
            Self::Input(bytes) => bytes.get(at..end),
            Self::Own(pages) => {
                let (page, start) = (at / PAGE_BYTES, at % PAGE_BYTES);
                let stop = PAGE_BYTES.min(start + (end - at));
                pages.pages.get(page)?.get(start..stop)
            }
        }
    }

    /// Makes the bytes up to `len` the guest's own, zeros where there were none, and lends the
    /// pages.
    pub(super) fn resize(&mut self, len: usize) -> Result<&mut Pages, NoMemory> {
        if let Self::Input(bytes) = self {
            let kept = bytes.get(..len).unwrap_or(bytes);
            let mut pages = Pages::default();
            pages.resize(kept.len())?;
            for (page, piece) in pages.pages.iter_mut().zip(kept.chunks(PAGE_BYTES)) {
                page.get_mut(..piece.len())
                    .unwrap_or_default()
                    .copy_from_slice(piece);
            }
            *self = Self::Own(pages);
        }
        match self {
            Self::Own(pages) => pages.resize(len).map(|()| pages),
            Self::Input(_) => Err(NoMemory),
        }
    }
}

impl Pages {
    fn resize(&mut self, len: usize) -> Result<(), NoMemory> {
        let count = len.div_ceil(PAGE_BYTES);
        if len < self.len {
            self.pages.truncate(count);
            // A file that grows again shows zeros, not what was cut.
            if let Some(last) = self.pages.get_mut(len / PAGE_BYTES) {
                last.get_mut(len % PAGE_BYTES..).unwrap_or_default().fill(0);
            }
            // A thousand files, grown to the cap and cut one after the other, would otherwise
            // keep a thousand long lists.
            if self.pages.capacity() / 2 > count + SPARE_PAGES_MAX {
                self.pages.shrink_to(count);
            }
        } else {
            let missing = count.saturating_sub(self.pages.len());
            self.pages.try_reserve(missing).map_err(|_| NoMemory)?;
            for _ in 0..missing {
                self.pages.push(zeros(PAGE_BYTES)?);
            }
        }
        self.len = len;
        Ok(())
    }

    /// The bytes from `at` up to `end`, which is within the length, for filling.
    pub(crate) fn pieces_mut(&mut self, at: usize, end: usize) -> impl Iterator<Item = &mut [u8]> {
        let first = at / PAGE_BYTES;
        let count = end.div_ceil(PAGE_BYTES).saturating_sub(first);
        let pages = self.pages.iter_mut().skip(first).take(count);
        pages.enumerate().map(move |(index, page)| {
            let base = (first + index) * PAGE_BYTES;
            let range = at.saturating_sub(base)..PAGE_BYTES.min(end - base);
            page.get_mut(range).unwrap_or_default()
        })
    }
}

/// New zeros, if the host has room for them.
fn zeros(len: usize) -> Result<Vec<u8>, NoMemory> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| NoMemory)?;
    bytes.resize(len, 0);
    Ok(bytes)
}

/// Lengthens `bytes` by `more` zeros and lends them for filling. It grows in doubles, as a `Vec`
/// does, but never asks for more than `max`.
pub(crate) fn lengthen(bytes: &mut Vec<u8>, more: usize, max: u64) -> Result<&mut [u8], NoMemory> {
    let start = bytes.len();
    let end = start.checked_add(more).ok_or(NoMemory)?;
    if bytes.capacity() < end {
        let doubled = bytes.capacity().saturating_mul(2);
        let wanted = end.max(doubled.min(usize::try_from(max).unwrap_or(usize::MAX)));
        bytes
            .try_reserve_exact(wanted - start)
            .map_err(|_| NoMemory)?;
    }
    bytes.resize(end, 0);
    Ok(bytes.get_mut(start..).unwrap_or_default())
}
