//! The bytes of a file: memory of the host that its guest can map.
//!
//! The memory is a memfd, sealed so that it never gets shorter: whoever maps it, here, in the VMM or in the X server, can
//! touch all of it at any time. A file that the guest makes shorter loses its memory by a hole in it. What is behind the
//! file's end is up to the size of a window's slot, so that a slot is mapped once, however the file grows in it.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;

/// What memory is counted in.
pub(crate) const PAGE: u64 = 4096;

/// What is left of the memory that all files together may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) bytes: u64,
    pub(crate) files: usize,
}

/// The bytes of one file. [`Content::resize`] to 0 before it is dropped gives its part of the budget back.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// From the first byte on that the file has had.
    file: Option<OwnedFd>,
    /// Bytes of the memfd, a multiple of pages.
    physical: u64,
    /// Bytes that the guest knows of.
    size: u64,
}

impl Content {
    /// Bytes of the file.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that it takes of the budget.
    pub(crate) const fn charged(&self) -> u64 {
        self.size.next_multiple_of(PAGE)
    }

    /// Makes it longer or shorter. `ENOSPC` beyond the budget, which also has a number of files.
    pub(crate) fn resize(&mut self, size: u64, budget: &mut Budget) -> Result<(), Errno> {
        let wanted = size.checked_next_multiple_of(PAGE).ok_or(Errno::FBIG)?;
        let more = wanted.saturating_sub(self.charged());
        if more > budget.bytes {
            return Err(Errno::NOSPC);
        }
        if size > 0 {
            self.provide(wanted, budget)?;
        }
        if size < self.size {
            self.punch(size, self.physical - size)?;
        }
        budget.bytes = budget.bytes - more + self.charged().saturating_sub(wanted);
        self.size = size;
        Ok(())
    }

    /// Takes back all that the file has, before it is dropped.
    pub(crate) fn clear(&mut self, budget: &mut Budget) {
        budget.bytes += self.charged();
        budget.files += usize::from(self.file.is_some());
        *self = Self::default();
    }

    /// Sees to it that there is memory up to an end, a multiple of pages, without making the file longer.
    pub(crate) fn provide(&mut self, end: u64, budget: &mut Budget) -> Result<(), Errno> {
        let file = match self.file.take() {
            Some(file) => file,
            None if budget.files == 0 => return Err(Errno::NOSPC),
            None => {
                let file = memfd()?;
                budget.files -= 1;
                file
            }
        };
        let file = self.file.insert(file);
        if end > self.physical {
            rustix::fs::ftruncate(&*file, end)?;
            self.physical = end;
        }
        Ok(())
    }

    /// Gives back the memory behind the file's end, which a guest may have written to through a slot.
    pub(crate) fn trim(&self) {
        let end = self.charged();
        if end < self.physical {
            let _ = self.punch(end, self.physical - end);
        }
    }

    /// Copies bytes out, in place of what is in `out`: as many as there are.
    pub(crate) fn read(&self, offset: u64, len: usize, out: &mut Vec<u8>) -> Result<(), Errno> {
        out.clear();
        let there = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX).min(len);
        let Some(file) = self.file.as_ref().filter(|_| there > 0) else { return Ok(()) };
        out.resize(there, 0);
        let read = rustix::io::pread(file, &mut out[..], offset)?;
        out.truncate(read);
        Ok(())
    }

    /// Writes bytes, making the file longer if need be; returns how many.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8], budget: &mut Budget) -> Result<usize, Errno> {
        let end = offset.checked_add(bytes.len() as u64).ok_or(Errno::FBIG)?;
        if end > self.size {
            self.resize(end, budget)?;
        }
        let Some(file) = self.file.as_ref().filter(|_| !bytes.is_empty()) else { return Ok(0) };
        rustix::io::pwrite(file, bytes, offset)
    }

    /// Takes memory for a part of the file from the system, making the file longer if need be.
    pub(crate) fn allocate(&mut self, offset: u64, len: u64, budget: &mut Budget) -> Result<(), Errno> {
        let end = offset.checked_add(len).ok_or(Errno::FBIG)?;
        if len == 0 {
            return Err(Errno::INVAL);
        }
        if end > self.size {
            self.resize(end, budget)?;
        }
        let file = self.file.as_ref().ok_or(Errno::INVAL)?;
        rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, offset, len)
    }

    /// Makes a part of the file a hole.
    pub(crate) fn empty(&self, offset: u64, len: u64) -> Result<(), Errno> {
        let end = offset.checked_add(len).ok_or(Errno::FBIG)?.min(self.size);
        match end.checked_sub(offset) {
            None | Some(0) => Ok(()),
            Some(len) => self.punch(offset, len),
        }
    }

    /// A descriptor for others: of the same rights as the guest's own.
    pub(crate) fn descriptor(&self, writable: bool) -> Result<OwnedFd, Errno> {
        let file = self.file.as_ref().ok_or(Errno::INVAL)?;
        if writable {
            return rustix::io::fcntl_dupfd_cloexec(file, 0);
        }
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file.as_fd()));
        rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    }

    fn punch(&self, offset: u64, len: u64) -> Result<(), Errno> {
        let Some(file) = self.file.as_ref().filter(|_| len > 0) else { return Ok(()) };
        rustix::fs::fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset, len)
    }
}

/// Memory that nobody can make shorter, and nobody can run where the system knows how to say so.
fn memfd() -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let made = rustix::fs::memfd_create(c"x11bridge-shm", flags | MemfdFlags::NOEXEC_SEAL);
    let file = match made {
        // Before Linux 6.3.
        Err(Errno::INVAL) => rustix::fs::memfd_create(c"x11bridge-shm", flags)?,
        made => made?,
    };
    rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget { bytes: 16 * PAGE, files: 2 };

    fn bytes(content: &Content) -> Vec<u8> {
        let mut out = vec![];
        content.read(0, 1 << 20, &mut out).unwrap();
        out
    }

    #[test]
    fn what_was_cut_off_is_zero_when_the_file_grows_again() {
        let (mut content, mut budget) = (Content::default(), BUDGET);
        assert_eq!(content.write(0, b"some words", &mut budget), Ok(10));
        content.resize(4, &mut budget).unwrap();
        content.resize(8, &mut budget).unwrap();
        assert_eq!(bytes(&content), b"some\0\0\0\0");
        content.resize(0, &mut budget).unwrap();
        assert_eq!(bytes(&content), b"");
        content.resize(3 * PAGE, &mut budget).unwrap();
        assert!(bytes(&content).iter().all(|byte| *byte == 0));
        assert_eq!(budget.bytes, 13 * PAGE);
    }

    #[test]
    fn the_budget_holds_and_comes_back() {
        let (mut one, mut two, mut three, mut budget) =
            (Content::default(), Content::default(), Content::default(), BUDGET);
        one.resize(15 * PAGE, &mut budget).unwrap();
        assert_eq!(two.resize(PAGE + 1, &mut budget), Err(Errno::NOSPC));
        assert_eq!(two.write(PAGE, b"x", &mut budget), Err(Errno::NOSPC));
        two.resize(1, &mut budget).unwrap();
        assert_eq!(budget, Budget { bytes: 0, files: 0 });
        one.resize(PAGE, &mut budget).unwrap();
        assert_eq!(three.resize(1, &mut budget), Err(Errno::NOSPC), "two files are all");
        assert_eq!(one.resize(u64::MAX, &mut budget), Err(Errno::FBIG));
        assert_eq!(one.write(u64::MAX, b"xx", &mut budget), Err(Errno::FBIG));
        two.clear(&mut budget);
        three.resize(1, &mut budget).unwrap();
        one.clear(&mut budget);
        three.clear(&mut budget);
        assert_eq!(budget, BUDGET);
    }

    #[test]
    fn the_memory_can_be_touched_for_ever() {
        let (mut content, mut budget) = (Content::default(), BUDGET);
        content.resize(2 * PAGE, &mut budget).unwrap();
        let descriptor = content.descriptor(true).unwrap();
        let map = sys::SharedMap::map(descriptor.as_fd(), 2 * 4096).unwrap();
        content.resize(0, &mut budget).unwrap();
        assert!(map.write(4096, b"no signal came"));
        assert_eq!(rustix::fs::ftruncate(&descriptor, 0), Err(Errno::PERM));
        content.clear(&mut budget);
        assert!(map.write(0, b"nor now"));
    }

    #[test]
    fn who_may_only_read_hands_on_no_more_than_that() {
        let (mut content, mut budget) = (Content::default(), BUDGET);
        assert_eq!(content.descriptor(false).unwrap_err(), Errno::INVAL, "nothing is there yet");
        content.write(0, b"words", &mut budget).unwrap();
        let (read, write) = (content.descriptor(false).unwrap(), content.descriptor(true).unwrap());
        assert_eq!(rustix::io::pwrite(&read, b"x", 0), Err(Errno::BADF));
        rustix::io::pwrite(&write, b"W", 0).unwrap();
        assert_eq!(bytes(&content), b"Words");
    }

    #[test]
    fn parts_are_allocated_and_emptied() {
        let (mut content, mut budget) = (Content::default(), BUDGET);
        content.allocate(PAGE, PAGE, &mut budget).unwrap();
        assert_eq!((content.size(), budget.bytes), (2 * PAGE, 14 * PAGE));
        content.write(PAGE, &[7; 4096], &mut budget).unwrap();
        content.empty(PAGE + 1, u64::MAX - 2 * PAGE).unwrap();
        assert_eq!(content.size(), 2 * PAGE);
        let there = bytes(&content);
        assert!(there[4096] == 7 && there[..4096] == [0; 4096] && there[4097..] == [0; 4095]);
        assert_eq!(content.allocate(0, 0, &mut budget), Err(Errno::INVAL));
        assert_eq!(content.allocate(0, 17 * PAGE, &mut budget), Err(Errno::NOSPC));
        assert_eq!(content.empty(u64::MAX, 2), Err(Errno::FBIG));
        content.empty(5 * PAGE, PAGE).unwrap();
    }
}
