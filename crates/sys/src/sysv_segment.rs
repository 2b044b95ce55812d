//! System V shared memory that a client of ours made: attached, and copied to and from files by the kernel.
//!
//! The client writes to it whenever it likes. So nothing here reads it but the kernel, by `pwrite` and `pread`; the module
//! `copying` has what goes to and from mappings.

use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::NonNull;

use rustix::io::Errno;

use crate::copying::each_piece;
use crate::last_errno;

/// An attached segment. It is detached when dropped.
#[derive(Debug)]
pub struct SysvSegment {
    start: NonNull<u8>,
    len: usize,
    writable: bool,
}

// SAFETY: the mapping belongs to the value, stays where it is until the drop, and only the kernel and atomics reach into it.
unsafe impl Send for SysvSegment {}

/// Who may do what with a segment, as the kernel has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions {
    /// Owner.
    pub uid: u32,
    /// Owner's group.
    pub gid: u32,
    /// Who made it.
    pub creator_uid: u32,
    /// The maker's group.
    pub creator_gid: u32,
    /// Read and write bits for owner, group and others, as a file has them.
    pub mode: u32,
}

impl SysvSegment {
    /// Attaches the segment of that number: to write to as well, or to read where this process may no more than that.
    ///
    /// What `shmat` says: `EINVAL` where there is none, `EACCES` where this process may not even read it.
    pub fn attach(number: i32) -> Result<(Self, Permissions), Errno> {
        let attach = |flags| {
            // SAFETY: the kernel chooses an address where nothing is, so the mapping aliases nothing.
            let start = unsafe { libc::shmat(number, std::ptr::null(), flags) };
            if start.addr() == usize::MAX { Err(last_errno()) } else { Ok(start) }
        };
        let (start, writable) = match attach(0) {
            Ok(start) => (start, true),
            Err(Errno::ACCESS) => (attach(libc::SHM_RDONLY)?, false),
            Err(errno) => return Err(errno),
        };
        let mut segment = Self { start: NonNull::new(start.cast()).ok_or(Errno::NOMEM)?, len: 0, writable };
        // Asked now that it is attached: the number can't come to mean another segment any more.
        let status = status(number)?;
        segment.len = status.shm_segsz;
        let owner = status.shm_perm;
        let permissions = Permissions {
            uid: owner.uid,
            gid: owner.gid,
            creator_uid: owner.cuid,
            creator_gid: owner.cgid,
            mode: u32::from(owner.mode),
        };
        Ok((segment, permissions))
    }

    /// Bytes that were asked for when it was made.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Its first byte.
    pub(crate) const fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Whether it could be attached for writing.
    pub(crate) const fn is_writable(&self) -> bool {
        self.writable
    }

    /// Always false: there are no empty segments.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies a range to the same place of a file. What lies behind the segment's end is left out.
    pub fn copy_to(&self, file: impl AsFd, range: Range<u64>) -> Result<(), Errno> {
        let file = file.as_fd().as_raw_fd();
        each_piece(self.start.as_ptr(), self.len, &range, |at, bytes, offset| {
            // SAFETY: it gives a place in the mapping, which lives as long as `self`; the kernel only reads it.
            unsafe { libc::pwrite(file, at.cast(), bytes, offset) }
        })
    }

    /// Copies a range from the same place of a file. What lies behind the segment's end is left out.
    ///
    /// `EACCES` where this process may only read the segment.
    pub fn copy_from(&self, file: impl AsFd, range: Range<u64>) -> Result<(), Errno> {
        if !self.writable {
            return Err(Errno::ACCESS);
        }
        let file = file.as_fd().as_raw_fd();
        each_piece(self.start.as_ptr(), self.len, &range, |at, bytes, offset| {
            // SAFETY: it gives a place in the mapping, which is writable and lives as long as `self`; nothing but
            // the kernel and the client's own process ever looks at it.
            unsafe { libc::pread(file, at.cast(), bytes, offset) }
        })
    }
}

impl Drop for SysvSegment {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and no reference into it exists.
        let _ = unsafe { libc::shmdt(self.start.as_ptr().cast()) };
    }
}

fn status(number: i32) -> Result<libc::shmid_ds, Errno> {
    // SAFETY: all zeros is a valid shmid_ds, and the kernel fills no more than one.
    let mut status: libc::shmid_ds = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a shmid_ds that lives through the call.
    let done = unsafe { libc::shmctl(number, libc::IPC_STAT, &raw mut status) };
    if done == 0 { Ok(status) } else { Err(last_errno()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    /// A segment that goes with the value, as far as nobody has it attached.
    struct Made(i32);

    impl Made {
        fn new(bytes: usize, mode: i32) -> Self {
            // SAFETY: nothing is mapped by this.
            let number = unsafe { libc::shmget(libc::IPC_PRIVATE, bytes, libc::IPC_CREAT | mode) };
            assert!(number >= 0, "{}", last_errno());
            Self(number)
        }
    }

    impl Drop for Made {
        fn drop(&mut self) {
            // SAFETY: the mappings that exist stay.
            unsafe { libc::shmctl(self.0, libc::IPC_RMID, std::ptr::null_mut()) };
        }
    }

    fn file(bytes: u64) -> File {
        let file = rustix::fs::memfd_create(c"test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&file, bytes).unwrap();
        file.into()
    }

    #[test]
    fn bytes_go_to_the_same_place_of_a_file_and_come_back() {
        let made = Made::new(10_000, 0o600);
        let (segment, permissions) = SysvSegment::attach(made.0).unwrap();
        assert_eq!((segment.len(), permissions.mode & 0o777), (10_000, 0o600));
        let (from, to) = (file(10_000), file(10_000));
        from.write_all_at(b"an image", 9_992).unwrap();
        segment.copy_from(&from, 9_990..u64::MAX).unwrap();
        segment.copy_to(&to, 9_993..20_000).unwrap();
        let mut bytes = [0; 10];
        to.read_exact_at(&mut bytes, 9_990).unwrap();
        assert_eq!(&bytes, b"\0\0\0n image");
        assert_eq!(to.metadata().unwrap().len(), 10_000, "nothing is written behind the segment");
        segment.copy_to(&to, u64::MAX - 1..u64::MAX).unwrap();
    }

    #[test]
    fn a_segment_outlives_its_number_as_long_as_it_is_attached() {
        let made = Made::new(4096, 0o600);
        let (first, _) = SysvSegment::attach(made.0).unwrap();
        let (second, _) = SysvSegment::attach(made.0).unwrap();
        let number = made.0;
        drop(made);
        let one = file(4096);
        one.write_all_at(b"seen", 0).unwrap();
        first.copy_from(&one, 0..4).unwrap();
        let other = file(4096);
        second.copy_to(&other, 0..4).unwrap();
        let mut bytes = [0; 4];
        other.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"seen");
        drop((first, second));
        assert!(SysvSegment::attach(number).is_err());
    }

    #[test]
    fn a_number_that_no_segment_has_is_an_error() {
        assert_eq!(SysvSegment::attach(-1).unwrap_err(), Errno::INVAL);
    }
}
