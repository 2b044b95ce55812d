//! What other threads tell the device's thread.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use device::gpu::ContextKey;
use device::{OpenFailure, Opened};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

/// A letter.
#[derive(Debug)]
pub(crate) enum Mail {
    /// What became of a connection to the X server.
    Opened(ContextKey, Result<Opened, OpenFailure>),
    /// A context has something to say about a fence.
    Fences(ContextKey),
    /// Whether the oldest request about the window that has no answer yet worked.
    Mapped(bool),
}

/// Where letters are put in; each guest that connects has its own.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    sender: Sender<Mail>,
    wake: Arc<OwnedFd>,
}

impl Mailbox {
    pub(crate) fn new() -> Result<(Self, Receiver<Mail>), Errno> {
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (sender, receiver) = channel();
        Ok((Self { sender, wake }, receiver))
    }

    /// Puts a letter in. It is lost when the guest has gone.
    pub(crate) fn put(&self, mail: Mail) {
        if self.sender.send(mail).is_ok() {
            self.ring();
        }
    }

    /// Has the letters looked at that may be there.
    pub(crate) fn ring(&self) {
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// What becomes readable when there are letters.
    pub(crate) fn wake(&self) -> &OwnedFd {
        &self.wake
    }

    /// Takes note of the wake-up.
    pub(crate) fn hear(&self) {
        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
    }
}
