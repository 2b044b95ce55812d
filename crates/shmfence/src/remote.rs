//! A fence whose sleepers and triggers are all in another kernel, in memory that both map.

use std::num::NonZeroU32;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use sys::FutexPage;

use crate::error::Error;
use crate::fence::Fence;
use crate::word::{RESET, SLEEPING, TRIGGERED, Word};

/// The server's page of a [`crate::Relay`] whose two ends are one process, as on a host that carries the wake-ups of futexes
/// and relays nothing.
///
/// Of this kernel nobody else touches the page, and in the other nobody resets it. So it never holds [`RESET`]: it begins as
/// [`SLEEPING`], or triggered; what resets it here goes to [`SLEEPING`] in one step, and every trigger there wakes. All
/// steps are the kernel's (`FUTEX_WAKE_OP`): no direct access, which could be the end of the process if the file system
/// were to lose the memory.
#[derive(Debug)]
pub struct RemoteFence {
    page: Arc<FutexPage>,
}

impl RemoteFence {
    /// The fence in a file that nobody else has yet, on the file system `device` (its `st_dev`).
    pub fn create_in(file: BorrowedFd<'_>, device: u64, triggered: bool) -> Result<Self, Error> {
        let page = Arc::clone(Fence::open_on(file, device)?.page());
        let fence = Self { page };
        fence.store(if triggered { 1 } else { -1 })?;
        Ok(fence)
    }

    fn store(&self, value: i16) -> Result<(), Error> {
        self.page.store_and_wake(value).map_err(Error::of_word("writing a fence"))
    }
}

impl Word for RemoteFence {
    fn is(&self, value: u32) -> Result<bool, Error> {
        self.page.is(value).map_err(Error::of_word("reading a fence"))
    }

    /// What is asked for is done where it means something for a word that is never [`RESET`]: 1 → 0 is 1 → -1.
    ///
    /// Between the look and the step another may trigger the fence. It was triggered already, so nothing is lost.
    fn compare_exchange(&self, current: u32, new: u32) -> Result<u32, Error> {
        let was = if self.is(TRIGGERED)? { TRIGGERED } else { SLEEPING };
        if (was, current, new) == (TRIGGERED, TRIGGERED, RESET) {
            self.store(-1)?;
        }
        Ok(was)
    }

    fn force(&self) -> Result<(), Error> {
        self.store(1)
    }

    fn trigger_watchers_last(&self) -> Result<(), Error> {
        self.force()
    }

    /// Nobody of this kernel sleeps on it.
    fn sleep(&self, _: u32, _: NonZeroU32, _: Option<Duration>) -> Result<(), Error> {
        Ok(())
    }

    fn wake(&self, _: NonZeroU32) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Relay;
    use crate::relay::Message;
    use std::os::fd::AsFd;

    #[test]
    fn its_relay_keeps_a_clients_page_and_the_servers_alike() {
        let (server, file) = Fence::create(false).unwrap();
        let device = rustix::fs::fstat(&file).unwrap().st_dev;
        let remote = RemoteFence::create_in(file.as_fd(), device, false).unwrap();
        assert_eq!(server.value(), Ok(SLEEPING));
        let mut end = Relay::new(remote, false);
        assert_eq!(end.start(), Ok(None));
        for epoch in 0..100 {
            server.trigger().unwrap();
            assert_eq!(end.look(), Ok(Some(Message::Trigger { epoch })));
            assert_eq!((end.look(), server.value()), (Ok(None), Ok(TRIGGERED)));
            assert_eq!(end.receive(Message::Reset { epoch: epoch + 1 }), Ok(None));
            assert_eq!(server.value(), Ok(SLEEPING), "the next trigger wakes");
        }
        end.receive(Message::Trigger { epoch: 100 }).unwrap();
        assert_eq!((server.value(), end.look()), (Ok(TRIGGERED), Ok(None)), "no echo");
    }

    #[test]
    fn one_that_begins_triggered_is_so_for_both() {
        let (server, file) = Fence::create(false).unwrap();
        let device = rustix::fs::fstat(&file).unwrap().st_dev;
        let mut end = Relay::new(RemoteFence::create_in(file.as_fd(), device, true).unwrap(), true);
        assert_eq!((end.start(), server.value()), (Ok(None), Ok(TRIGGERED)));
        end.receive(Message::Reset { epoch: 1 }).unwrap();
        assert_eq!(server.value(), Ok(SLEEPING));
        assert!(RemoteFence::create_in(file.as_fd(), device + 1, true).is_err());
    }
}
