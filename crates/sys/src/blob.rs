//! The memory of one blob: one piece, or pages of a guest that lie scattered in its memory.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;

use crate::shared_map::{SharedMap, receive_into};
use crate::socket::Outcome;

/// Pieces that one [`Blob::receive`] can fill: the pages of a ring of 256 KiB, and one more.
pub const PIECES_MAX: usize = 65;

/// A range of a mapping.
#[derive(Debug, Clone)]
pub struct Piece {
    map: Arc<SharedMap>,
    at: usize,
    len: usize,
}

impl Piece {
    /// `len` bytes at `at`; `None` where they do not lie in the mapping or are none.
    pub fn new(map: Arc<SharedMap>, at: usize, len: usize) -> Option<Self> {
        let fits = len > 0 && at.checked_add(len)? <= map.len();
        fits.then_some(Self { map, at, len })
    }
}

/// Memory that is read and written as if it were in one piece.
#[derive(Debug, Clone)]
pub struct Blob {
    pieces: Vec<Piece>,
    len: usize,
}

impl Blob {
    /// The first `len` bytes of the pieces, in their order; `None` where they are fewer, or none.
    pub fn new(pieces: Vec<Piece>, len: usize) -> Option<Self> {
        let sum = pieces.iter().try_fold(0_usize, |sum, piece| sum.checked_add(piece.len))?;
        (len > 0 && len <= sum).then_some(Self { pieces, len })
    }

    /// Bytes of the blob.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Always false: a blob has at least one byte.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Whether one system call can fill the first `len` bytes: they exist, and lie in [`PIECES_MAX`] pieces at most.
    pub fn is_ring(&self, len: usize) -> bool {
        len <= self.len && self.ranges(0, len).count() <= PIECES_MAX
    }

    /// Copies bytes out. `false`, and nothing copied, where the range does not lie in the blob.
    #[must_use]
    pub fn read(&self, at: usize, out: &mut [u8]) -> bool {
        let mut rest = out;
        self.holds(at, rest.len())
            && self.ranges(at, rest.len()).all(|(map, at, len)| {
                let (now, later) = std::mem::take(&mut rest).split_at_mut(len);
                rest = later;
                map.read(at, now)
            })
    }

    /// Copies bytes in. `false`, and nothing copied, where the range does not lie in the blob.
    #[must_use]
    pub fn write(&self, at: usize, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        self.holds(at, rest.len())
            && self.ranges(at, rest.len()).all(|(map, at, len)| {
                let (now, later) = rest.split_at(len);
                rest = later;
                map.write(at, now)
            })
    }

    /// Receives from a socket straight into up to `len` bytes at `at`, as far as [`PIECES_MAX`] pieces go, and appends
    /// the descriptors that came along. `EFAULT` where the range does not lie in the blob or is empty.
    pub fn receive(
        &self,
        socket: BorrowedFd<'_>,
        at: usize,
        len: usize,
        descriptors: &mut Vec<OwnedFd>,
    ) -> Result<Outcome, Errno> {
        if !self.holds(at, len) {
            return Err(Errno::FAULT);
        }
        let mut ranges = self.ranges(at, len);
        match (ranges.next(), ranges.next()) {
            (Some((map, at, len)), None) => map.receive(socket, at, len, descriptors),
            (None, _) => Err(Errno::FAULT),
            _ => {
                let mut iov = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; PIECES_MAX];
                let mut count = 0;
                for (slot, (map, at, len)) in iov.iter_mut().zip(self.ranges(at, len)) {
                    *slot = map.iovec(at, len)?;
                    count += 1;
                }
                let iov = iov.get_mut(..count).ok_or(Errno::FAULT)?;
                // SAFETY: each iovec lies in a mapping that lives as long as `self`.
                unsafe { receive_into(socket, iov, descriptors) }
            }
        }
    }

    fn holds(&self, at: usize, len: usize) -> bool {
        at.checked_add(len).is_some_and(|end| end <= self.len)
    }

    /// Where `len` bytes at `at` lie, piece by piece.
    fn ranges(&self, at: usize, len: usize) -> impl Iterator<Item = (&SharedMap, usize, usize)> {
        let (mut skip, mut left) = (at, len);
        self.pieces.iter().filter_map(move |piece| {
            let skipped = skip.min(piece.len);
            skip -= skipped;
            let taken = left.min(piece.len - skipped);
            left -= taken;
            (taken > 0).then_some((&*piece.map, piece.at + skipped, taken))
        })
    }
}

impl From<Arc<SharedMap>> for Blob {
    fn from(map: Arc<SharedMap>) -> Self {
        let len = map.len();
        Self { pieces: vec![Piece { map, at: 0, len }], len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::io::IoSlice;
    use std::os::fd::AsFd;

    /// Pages of one mapping, the last one first.
    fn scattered(pages: usize, page: usize) -> (Arc<SharedMap>, Blob) {
        let map = Arc::new(SharedMap::create(pages * page).unwrap().0);
        let piece = |at| Piece::new(Arc::clone(&map), at * page, page).unwrap();
        let pieces = (0..pages).rev().map(piece).collect();
        (Arc::clone(&map), Blob::new(pieces, pages * page).unwrap())
    }

    #[test]
    fn scattered_pages_are_one_memory_at_any_offset() {
        let (map, blob) = scattered(4, 8);
        let pattern: Vec<u8> = (1..=32).collect();
        for at in 0..32 {
            for len in 0..=32 - at {
                assert!(blob.write(0, &[0; 32]) && blob.write(at, &pattern[..len]));
                let mut out = vec![0xee; len];
                assert!(blob.read(at, &mut out));
                assert_eq!(out, pattern[..len], "{len} bytes at {at}");
            }
        }
        assert!(blob.write(0, &pattern));
        let mut last = [0; 8];
        assert!(map.read(24, &mut last));
        assert_eq!(last, pattern[..8]);
        for (at, len) in [(32, 1), (0, 33), (usize::MAX, 2)] {
            assert!(!blob.write(at, &vec![0; len]) && !blob.read(at, &mut vec![0; len]), "{len} at {at}");
        }
    }

    #[test]
    fn a_message_is_received_across_pages() {
        let (here, there) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        let (_, blob) = scattered(3, 4096);
        let message: Vec<u8> = (0..9000_u32).map(|n| (n % 251) as u8).collect();
        socket::send(&here, &[IoSlice::new(&message)], &[here.as_fd()]).unwrap();
        let mut descriptors = vec![];
        let received = blob.receive(there.as_fd(), 352, 12_288 - 352, &mut descriptors).unwrap();
        assert_eq!((received, descriptors.len()), (Outcome::Bytes(9000), 1));
        let mut out = vec![0; 9000];
        assert!(blob.read(352, &mut out));
        assert_eq!(out, message);
        assert_eq!(blob.receive(there.as_fd(), 12_288, 1, &mut descriptors), Err(Errno::FAULT));
        assert_eq!(blob.receive(there.as_fd(), 0, 0, &mut descriptors), Err(Errno::FAULT));
    }

    #[test]
    fn a_ring_lies_in_no_more_pieces_than_one_call_can_fill() {
        for (pages, works) in [(PIECES_MAX - 1, true), (PIECES_MAX, true), (PIECES_MAX + 1, false)] {
            let (_, blob) = scattered(pages, 8);
            assert_eq!(blob.is_ring(blob.len()), works, "{pages}");
            assert!(!blob.is_ring(blob.len() + 1));
        }
    }

    #[test]
    fn pieces_and_blobs_hold_what_they_say() {
        let map = Arc::new(SharedMap::create(4096).unwrap().0);
        for (at, len, works) in [(0, 4096, true), (1, 4096, false), (4095, 1, true), (0, 0, false)] {
            assert_eq!(Piece::new(Arc::clone(&map), at, len).is_some(), works, "{len} at {at}");
        }
        assert!(Piece::new(Arc::clone(&map), usize::MAX, 2).is_none());
        let pieces = vec![Piece::new(map, 0, 10).unwrap(); 2];
        for (len, works) in [(0, false), (1, true), (20, true), (21, false)] {
            assert_eq!(Blob::new(pieces.clone(), len).is_some(), works, "{len}");
        }
    }
}
