//! Private memory straight from the kernel: pages cost nothing until they are touched, and go back when it is dropped.
//!
//! An allocator keeps what a burst of clients once needed; a bridge that has served a thousand clients must not.

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

/// A zeroed, private buffer of whole pages.
#[derive(Debug)]
pub struct Buffer {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory belongs to the value alone.
unsafe impl Send for Buffer {}
// SAFETY: shared references only read it.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// A buffer of `len` bytes, above zero.
    pub fn new(len: usize) -> Result<Self, Errno> {
        // SAFETY: a fresh anonymous mapping at an address that the kernel chooses aliases nothing.
        let start = unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }?;
        Ok(Self { start: NonNull::new(start.cast()).ok_or(Errno::NOMEM)?, len })
    }

    /// Gives the pages back to the kernel; the buffer reads as zeros then.
    pub fn release(&mut self) {
        // SAFETY: the mapping is this value's own, and `&mut self` rules out references into it. Zeroed bytes are valid
        // bytes. An error leaves the pages where they are.
        let _ = unsafe {
            rustix::mm::madvise(self.start.as_ptr().cast(), self.len, rustix::mm::Advice::LinuxDontNeed)
        };
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes are mapped, zeroed at first, and live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; `&mut self` makes the reference the only one.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and no reference into it outlives the value.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_zeroed_and_writable_to_its_last_byte() {
        let mut buffer = Buffer::new(10_000).unwrap();
        assert!(buffer.iter().all(|byte| *byte == 0));
        buffer[9_999] = 7;
        assert_eq!((buffer.len(), buffer[9_999]), (10_000, 7));
        buffer.release();
        assert_eq!(buffer[9_999], 0);
    }
}
