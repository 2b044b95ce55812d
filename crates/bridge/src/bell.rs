//! How another thread wakes a client's: a descriptor to poll, and a flag that saves the system call where it did not ring.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

/// A bell.
#[derive(Debug)]
pub(crate) struct Bell {
    wake: OwnedFd,
    rung: AtomicBool,
}

impl Bell {
    pub(crate) fn new() -> Result<Self, Errno> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { wake, rung: AtomicBool::new(false) })
    }

    pub(crate) fn ring(&self) {
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        // Behind the write: whoever finds the flag up finds the descriptor readable, and quiets it. In between it wakes once
        // for nothing.
        self.rung.store(true, Ordering::Release);
    }

    /// Quiets it, before one looks at what it rang for.
    pub(crate) fn hear(&self) {
        if self.rung.load(Ordering::Relaxed) && self.rung.swap(false, Ordering::Acquire) {
            let _ = rustix::io::read(&self.wake, &mut [0; 8]);
        }
    }

    /// Readable when it has rung.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    #[test]
    fn it_rings_until_it_is_heard() {
        let bell = Bell::new().unwrap();
        let rings = || {
            let mut polled = [PollFd::from_borrowed_fd(bell.descriptor(), PollFlags::IN)];
            poll(&mut polled, Some(&Timespec::default())).unwrap() == 1
        };
        for _ in 0..3 {
            assert!(!rings());
            bell.ring();
            bell.ring();
            assert!(rings());
            bell.hear();
            bell.hear();
        }
        assert!(!rings());
    }
}
