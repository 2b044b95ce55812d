//! Waiting for fences: descriptors that are readable once the host has carried out what they were made with.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Whether a fence is signalled by now.
pub(in crate::channel) fn is_signalled(fence: &OwnedFd) -> Result<bool, Errno> {
    is_signalled_within(fence, Duration::ZERO)
}

/// Whether a fence is signalled, or will be within `limit`.
pub(in crate::channel) fn is_signalled_within(fence: &OwnedFd, limit: Duration) -> Result<bool, Errno> {
    let deadline = (!limit.is_zero()).then(|| Instant::now() + limit);
    loop {
        let left =
            deadline.map_or(Duration::ZERO, |deadline| deadline.saturating_duration_since(Instant::now()));
        let left = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
        match poll(&mut [PollFd::new(fence, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
