//! Copying between a client's segment and memory that the X server maps, one of which may be a device's.
//!
//! Devices' memory takes neither `pread` nor `pwrite`, so one side of a copy is always a mapping: of a buffer, which keeps
//! its pages, or of a System V segment, which can't shrink. A file that its owner may truncate is never touched but by the
//! kernel.

use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use rustix::io::Errno;

use crate::{SharedMap, SysvSegment, last_errno};

const WORD: usize = size_of::<u64>();

impl SharedMap {
    /// Reads a part of a file into the same part of the mapping, as far as both go.
    pub fn copy_from_file(&self, file: impl AsFd, range: Range<u64>) -> Result<(), Errno> {
        let file = file.as_fd().as_raw_fd();
        each_piece(self.as_ptr(), self.len(), &range, |at, bytes, offset| {
            // SAFETY: it gives a place in the mapping, which lives as long as `self` and to which there is no reference.
            unsafe { libc::pread(file, at.cast(), bytes, offset) }
        })
    }

    /// Writes a part of the mapping to the same part of a file, up to the mapping's end.
    pub fn copy_to_file(&self, file: impl AsFd, range: Range<u64>) -> Result<(), Errno> {
        let file = file.as_fd().as_raw_fd();
        each_piece(self.as_ptr(), self.len(), &range, |at, bytes, offset| {
            // SAFETY: it gives a place in the mapping, which lives as long as `self`; the kernel only reads it.
            unsafe { libc::pwrite(file, at.cast(), bytes, offset) }
        })
    }
}

impl SysvSegment {
    /// Copies a part of the segment to the same part of a mapping, as far as both go.
    pub fn copy_to_map(&self, map: &SharedMap, range: Range<u64>) {
        let range = within(&range, self.len().min(map.len()));
        // SAFETY: the range lies in both.
        unsafe { copy(self.as_ptr().add(range.start), map.as_ptr().add(range.start), range.len()) }
    }

    /// Copies a part of a mapping to the same part of the segment, as far as both go. `EACCES` where the segment could only
    /// be attached for reading.
    pub fn copy_from_map(&self, map: &SharedMap, range: Range<u64>) -> Result<(), Errno> {
        if !self.is_writable() {
            return Err(Errno::ACCESS);
        }
        let range = within(&range, self.len().min(map.len()));
        // SAFETY: the range lies in both, and the segment is writable.
        unsafe { copy(map.as_ptr().add(range.start), self.as_ptr().add(range.start), range.len()) }
        Ok(())
    }
}

/// Calls `copy` with pointer, length and file offset for what of `range` lies in the `len` bytes from `start` on, until all is done or
/// nothing more comes.
pub(crate) fn each_piece(
    start: *mut u8,
    len: usize,
    range: &Range<u64>,
    copy: impl Fn(*mut u8, usize, libc::off_t) -> isize,
) -> Result<(), Errno> {
    let Range { start: mut at, end } = within(range, len);
    while at < end {
        let offset = libc::off_t::try_from(at).map_err(|_| Errno::OVERFLOW)?;
        match copy(start.wrapping_add(at), end - at, offset) {
            0 => return Ok(()),
            copied => match usize::try_from(copied) {
                Ok(copied) => at += copied,
                Err(_) if last_errno() == Errno::INTR => {}
                Err(_) => return Err(last_errno()),
            },
        }
    }
    Ok(())
}

/// The part of `range` that lies below `len`.
fn within(range: &Range<u64>, len: usize) -> Range<usize> {
    let below = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(len);
    below(range.start).min(below(range.end))..below(range.end)
}

/// Copies bytes that others may read and write meanwhile: word by word where the addresses are words', which they are but
/// at the ends, since both memories begin at a page.
///
/// # Safety
/// There are `len` bytes at `from` to read and at `to` to write, in different mappings, and no references to them.
unsafe fn copy(from: *mut u8, to: *mut u8, len: usize) {
    let aligned = from.addr() % WORD == to.addr() % WORD;
    let head = if aligned { from.addr().wrapping_neg() % WORD } else { len }.min(len);
    let words = (len - head) / WORD * WORD;
    for at in (0..head).chain(head + words..len) {
        // SAFETY: `at` is below `len`.
        unsafe {
            AtomicU8::from_ptr(to.add(at)).store(AtomicU8::from_ptr(from.add(at)).load(Relaxed), Relaxed);
        };
    }
    for at in (head..head + words).step_by(WORD) {
        // SAFETY: the word lies below `len`, and both addresses are multiples of a word's size.
        unsafe {
            let word = AtomicU64::from_ptr(from.add(at).cast()).load(Relaxed);
            AtomicU64::from_ptr(to.add(at).cast()).store(word, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    fn file(bytes: u64) -> File {
        let file = rustix::fs::memfd_create(c"test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&file, bytes).unwrap();
        file.into()
    }

    #[test]
    fn bytes_go_to_the_same_place_as_far_as_both_go() {
        let (map, _) = SharedMap::create(8192).unwrap();
        let file = file(6000);
        file.write_all_at(b"an image", 5990).unwrap();
        map.copy_from_file(&file, 5992..u64::MAX).unwrap();
        let mut seen = [0; 10];
        assert!(map.read(5990, &mut seen));
        assert_eq!(&seen, b"\0\0 image\0\0");
        assert!(map.write(100, b"back"));
        map.copy_to_file(&file, 101..103).unwrap();
        let mut back = [0; 4];
        file.read_exact_at(&mut back, 100).unwrap();
        assert_eq!(&back, b"\0ac\0");
        map.copy_to_file(&file, u64::MAX - 1..u64::MAX).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 6000);
    }

    #[test]
    fn a_truncated_file_is_read_as_far_as_it_goes() {
        let (map, _) = SharedMap::create(8192).unwrap();
        let file = file(8192);
        file.set_len(10).unwrap();
        map.copy_from_file(&file, 0..8192).unwrap();
        map.copy_from_file(&file, 4096..8192).unwrap();
    }

    #[test]
    fn segments_and_mappings_are_copied_at_any_alignment() {
        // SAFETY: nothing is mapped by this.
        let number = unsafe { libc::shmget(libc::IPC_PRIVATE, 4000, libc::IPC_CREAT | 0o600) };
        let (segment, _) = SysvSegment::attach(number).unwrap();
        // SAFETY: the mapping stays.
        unsafe { libc::shmctl(number, libc::IPC_RMID, std::ptr::null_mut()) };
        let (there, _) = SharedMap::create(4096).unwrap();
        let (back, _) = SharedMap::create(4096).unwrap();
        let pattern: Vec<u8> = (0..=255).cycle().take(4096).collect();
        assert!(there.write(0, &pattern));
        for (start, end) in [(0, 4096), (3, 29), (8, 16), (7, 9), (3990, 9000), (4000, 4001), (9, 3)] {
            assert!(back.write(0, &[0; 4096]));
            segment.copy_from_map(&back, 0..u64::MAX).unwrap();
            segment.copy_from_map(&there, start..end).unwrap();
            segment.copy_to_map(&back, 0..u64::MAX);
            let mut seen = vec![0; 4096];
            assert!(back.read(0, &mut seen));
            for (at, byte) in seen.iter().enumerate() {
                let copied = (start..end.min(4000)).contains(&(at as u64));
                assert_eq!(*byte, if copied { pattern[at] } else { 0 }, "{at} of {start}..{end}");
            }
        }
    }
}
