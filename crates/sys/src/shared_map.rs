//! Memory that somebody else maps too: a ring, a blob.
//!
//! Nothing here hands out a reference into the mapping. Bytes are copied in and out as relaxed atomics, or the kernel
//! moves them by `recvmsg` and `sendmsg`; so whatever the other side writes, and whenever, is just other bytes.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use rustix::fs::{MemfdFlags, SealFlags, SeekFrom};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

use crate::last_errno;
use crate::socket::{DESCRIPTORS_MAX, Outcome};

const WORD: usize = size_of::<u64>();

/// A shared, writable mapping. It is unmapped when dropped.
#[derive(Debug)]
pub struct SharedMap {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to the value, stays where it is until the drop, and is only reached through atomics and
// the kernel, from whatever thread.
unsafe impl Send for SharedMap {}
// SAFETY: as above; no method hands out a reference into the mapping.
unsafe impl Sync for SharedMap {}

impl SharedMap {
    /// New memory of `len` bytes, zeroed, and its descriptor for others to map. The file is sealed against shrinking:
    /// no one who gets the descriptor can take the memory away.
    pub fn create(len: usize) -> Result<(Self, OwnedFd), Errno> {
        let memfd = rustix::fs::memfd_create(c"x11bridge", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        rustix::fs::ftruncate(&memfd, len as u64)?;
        rustix::fs::fcntl_add_seals(&memfd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok((Self::map(memfd.as_fd(), len)?, memfd))
    }

    /// Maps the first `len` bytes of a file; `len` must be above zero. Fails with `EINVAL` where the file is shorter.
    pub fn map(file: BorrowedFd<'_>, len: usize) -> Result<Self, Errno> {
        Self::map_at(file, 0, len)
    }

    /// Maps `len` bytes of a file from `offset` on, a multiple of the page size; as [`SharedMap::map`].
    pub fn map_at(file: BorrowedFd<'_>, offset: u64, len: usize) -> Result<Self, Errno> {
        let size = u64::try_from(rustix::fs::fstat(file)?.st_size).map_err(|_| Errno::INVAL)?;
        let end = offset.checked_add(len as u64).ok_or(Errno::INVAL)?;
        if len == 0 || size < end {
            return Err(Errno::INVAL);
        }
        Self::map_present(file, offset, len)
    }

    /// Maps the first `len` bytes of a device's buffer, or of another file whose position nobody uses: buffers tell their
    /// size by that alone. As [`SharedMap::map`].
    pub fn map_buffer(file: BorrowedFd<'_>, len: usize) -> Result<Self, Errno> {
        let size = rustix::fs::seek(file, SeekFrom::End(0))?;
        if len == 0 || size < len as u64 {
            return Err(Errno::INVAL);
        }
        Self::map_present(file, 0, len)
    }

    /// Maps `len` bytes, above zero, from `offset` on. The caller knows that the file or the device has them.
    pub(crate) fn map_present(file: BorrowedFd<'_>, offset: u64, len: usize) -> Result<Self, Errno> {
        // SAFETY: a fresh mapping at an address that the kernel chooses aliases nothing.
        let start = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                file,
                offset,
            )
        }?;
        let start = NonNull::new(start.cast()).ok_or(Errno::NOMEM)?;
        Ok(Self { start, len })
    }

    /// Bytes of the mapping.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Where the mapping begins, for a peer that writes to it on its own; it stays there until the drop.
    pub const fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Always false: a mapping has at least one byte.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Copies bytes out. `false`, and nothing copied, where the range does not lie in the mapping.
    #[must_use]
    pub fn read(&self, at: usize, out: &mut [u8]) -> bool {
        let Some(from) = self.range(at, out.len()) else { return false };
        let (head, words, tail) = split(from, out.len());
        let (out_head, rest) = out.split_at_mut(head);
        let (out_words, out_tail) = rest.split_at_mut(words);
        for (at, byte) in out_head.iter_mut().enumerate() {
            *byte = self.byte(from + at).load(Relaxed);
        }
        for (at, word) in out_words.chunks_exact_mut(WORD).enumerate() {
            word.copy_from_slice(&self.word(from + head + at * WORD).load(Relaxed).to_ne_bytes());
        }
        for (at, byte) in out_tail.iter_mut().enumerate().take(tail) {
            *byte = self.byte(from + head + words + at).load(Relaxed);
        }
        true
    }

    /// Copies bytes in. `false`, and nothing copied, where the range does not lie in the mapping.
    #[must_use]
    pub fn write(&self, at: usize, bytes: &[u8]) -> bool {
        let Some(to) = self.range(at, bytes.len()) else { return false };
        for (at, byte) in bytes.iter().enumerate() {
            self.byte(to + at).store(*byte, Relaxed);
        }
        true
    }

    /// Receives from a socket straight into up to `len` bytes at `at`, and appends the descriptors that came along.
    /// `EFAULT` where the range does not lie in the mapping or is empty, `EMFILE` where the process has no room for all
    /// descriptors.
    pub fn receive(
        &self,
        socket: BorrowedFd<'_>,
        at: usize,
        len: usize,
        descriptors: &mut Vec<OwnedFd>,
    ) -> Result<Outcome, Errno> {
        let mut iov = self.iovec(at, len)?;
        // SAFETY: the iovec lies in the mapping, which lives as long as `self`.
        unsafe { receive_into(socket, std::slice::from_mut(&mut iov), descriptors) }
    }

    /// Sends up to `len` bytes at `at` straight to a socket. `EFAULT` where the range does not lie in the mapping or
    /// is empty.
    pub fn send(&self, socket: BorrowedFd<'_>, at: usize, len: usize) -> Result<Outcome, Errno> {
        let mut iov = self.iovec(at, len)?;
        let message = message(std::slice::from_mut(&mut iov));
        // SAFETY: the iovec lies in the mapping, which lives as long as `self`; the kernel only reads it.
        let sent = unsafe {
            libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
        };
        Outcome::of(usize::try_from(sent).map_err(|_| last_errno()))
    }

    /// Gives the pages back to the kernel, for everybody who maps them; the memory reads as zeros then.
    pub fn release(&self) {
        // SAFETY: the mapping is this value's own; no reference into it exists, and zeroed bytes are just other bytes.
        // An error leaves the pages where they are.
        let _ = unsafe {
            rustix::mm::madvise(self.start.as_ptr().cast(), self.len, rustix::mm::Advice::LinuxRemove)
        };
    }

    fn range(&self, at: usize, len: usize) -> Option<usize> {
        (at.checked_add(len)? <= self.len).then_some(at)
    }

    /// `EFAULT` where the range does not lie in the mapping or is empty.
    pub(crate) fn iovec(&self, at: usize, len: usize) -> Result<libc::iovec, Errno> {
        let at = self.range(at, len).filter(|_| len > 0).ok_or(Errno::FAULT)?;
        // SAFETY: `at` lies in the mapping.
        let base = unsafe { self.start.add(at) };
        Ok(libc::iovec { iov_base: base.as_ptr().cast(), iov_len: len })
    }

    fn byte(&self, at: usize) -> &AtomicU8 {
        debug_assert!(at < self.len);
        // SAFETY: callers have checked by `range` that `at` lies in the mapping.
        unsafe { AtomicU8::from_ptr(self.start.as_ptr().add(at)) }
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        debug_assert!(at + WORD <= self.len && at.is_multiple_of(WORD));
        // SAFETY: callers have checked by `range` that the word lies in the mapping; a mapping starts at a page, and
        // `split` puts words at multiples of eight.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().add(at).cast()) }
    }
}

impl Drop for SharedMap {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and no reference into it exists. An error could only mean that the
        // range is none, which the constructor ruled out.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// Splits a range into bytes up to a multiple of eight, whole words, and the bytes behind them.
fn split(at: usize, len: usize) -> (usize, usize, usize) {
    let head = (at.next_multiple_of(WORD) - at).min(len);
    let words = (len - head) / WORD * WORD;
    (head, words, len - head - words)
}

const fn control_words() -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "about 1 KiB")]
    // SAFETY: CMSG_SPACE only computes.
    let bytes = unsafe { libc::CMSG_SPACE((DESCRIPTORS_MAX * size_of::<libc::c_int>()) as u32) };
    (bytes as usize).div_ceil(WORD)
}

fn message(iov: &mut [libc::iovec]) -> libc::msghdr {
    // SAFETY: all zeros is a valid msghdr: no name, no buffers, no control.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = iov.as_mut_ptr();
    message.msg_iovlen = length(iov.len());
    message
}

/// A length as this C library has it in its structures: musl has narrower types there than the kernel. The lengths here are
/// small; one that does not fit becomes 0, which the kernel takes for nothing.
fn length<T: TryFrom<usize> + Default>(value: usize) -> T {
    T::try_from(value).unwrap_or_default()
}

/// Receives into `iov`, and appends the descriptors that came along; `EMFILE` where the process has no room for all.
///
/// # Safety
/// Every iovec is memory that the kernel may write to during the call, and that no reference points into.
pub(crate) unsafe fn receive_into(
    socket: BorrowedFd<'_>,
    iov: &mut [libc::iovec],
    descriptors: &mut Vec<OwnedFd>,
) -> Result<Outcome, Errno> {
    let mut control = [0_u64; control_words()];
    let mut message = message(iov);
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = length(size_of_val(&control));
    // SAFETY: the caller vouches for the iovecs; the control buffer is as long as said and aligned for `cmsghdr`.
    let received = unsafe {
        libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC)
    };
    let received = usize::try_from(received).map_err(|_| last_errno());
    if received.is_ok() {
        take_rights(&message, descriptors);
        if message.msg_flags & libc::MSG_CTRUNC != 0 {
            return Err(Errno::MFILE);
        }
    }
    Outcome::of(received)
}

fn take_rights(message: &libc::msghdr, descriptors: &mut Vec<OwnedFd>) {
    // SAFETY: the kernel filled the control buffer; the macros walk it within `msg_controllen`. Each descriptor in an
    // SCM_RIGHTS message is new and nobody else's.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let bytes = ((*header).cmsg_len as usize).saturating_sub(libc::CMSG_LEN(0) as usize);
                let numbers = libc::CMSG_DATA(header).cast::<[u8; size_of::<libc::c_int>()]>();
                for at in 0..bytes / size_of::<libc::c_int>() {
                    let number = libc::c_int::from_ne_bytes(numbers.add(at).read());
                    descriptors.push(OwnedFd::from_raw_fd(number));
                }
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::io::IoSlice;

    #[test]
    fn bytes_come_out_as_they_went_in_at_any_alignment() {
        let (map, _) = SharedMap::create(4096).unwrap();
        let pattern: Vec<u8> = (0..100).collect();
        for at in 0..20 {
            for len in 0..40 {
                assert!(map.write(at, &pattern[..len]));
                let mut out = vec![0xee; len];
                assert!(map.read(at, &mut out));
                assert_eq!(out, pattern[..len], "{len} bytes at {at}");
            }
        }
    }

    #[test]
    fn ranges_end_at_the_mappings_end() {
        let (map, _) = SharedMap::create(4096).unwrap();
        for (at, inside) in [(4091, true), (4092, true), (4093, false), (usize::MAX, false)] {
            assert_eq!((map.read(at, &mut [0; 4]), map.write(at, &[0; 4])), (inside, inside), "{at}");
        }
    }

    #[test]
    fn two_mappings_of_one_file_are_one_memory() {
        let (map, memfd) = SharedMap::create(4096).unwrap();
        let other = SharedMap::map(memfd.as_fd(), 4096).unwrap();
        assert!(map.write(7, b"seen"));
        let mut out = [0; 4];
        assert!(other.read(7, &mut out));
        assert_eq!(&out, b"seen");
        map.release();
        assert!(other.read(7, &mut out));
        assert_eq!(out, [0; 4]);
    }

    #[test]
    fn a_file_that_is_too_short_is_not_mapped_and_a_ring_cannot_be_truncated() {
        let (_map, memfd) = SharedMap::create(4096).unwrap();
        assert_eq!(SharedMap::map(memfd.as_fd(), 4097).unwrap_err(), Errno::INVAL);
        assert_eq!(SharedMap::map(memfd.as_fd(), 0).unwrap_err(), Errno::INVAL);
        assert_eq!(SharedMap::map_buffer(memfd.as_fd(), 4097).unwrap_err(), Errno::INVAL);
        assert_eq!(SharedMap::map_buffer(memfd.as_fd(), 4096).unwrap().len(), 4096);
        assert_eq!(SharedMap::map_at(memfd.as_fd(), 4096, 1).unwrap_err(), Errno::INVAL);
        assert_eq!(SharedMap::map_at(memfd.as_fd(), u64::MAX, 2).unwrap_err(), Errno::INVAL);
        assert_eq!(rustix::fs::ftruncate(&memfd, 0), Err(Errno::PERM));
    }

    #[test]
    fn the_kernel_moves_bytes_and_descriptors_in_and_out() {
        let (here, there) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        let (map, _) = SharedMap::create(4096).unwrap();
        let rights = [here.as_fd(), there.as_fd(), here.as_fd()];
        crate::socket::send(&here, &[IoSlice::new(b"through the ring")], &rights).unwrap();
        let mut descriptors = vec![];
        let received = map.receive(there.as_fd(), 352, 1000, &mut descriptors).unwrap();
        assert_eq!((received, descriptors.len()), (Outcome::Bytes(16), 3));
        assert_eq!(map.send(there.as_fd(), 352, 16), Ok(Outcome::Bytes(16)));
        let mut out = [0; 16];
        assert_eq!(rustix::io::read(&here, &mut out), Ok(16));
        assert_eq!(&out, b"through the ring");
        assert_eq!(map.receive(there.as_fd(), 0, 9, &mut descriptors), Ok(Outcome::WouldBlock));
        assert_eq!(map.receive(there.as_fd(), 4090, 7, &mut descriptors), Err(Errno::FAULT));
        assert_eq!(map.send(there.as_fd(), 0, 0), Err(Errno::FAULT));
    }
}
