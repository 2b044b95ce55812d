//! The ways to the host: one [`Channel`] for each client.

mod cross_domain;
mod loopback;
mod socket;

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use session::Carries;
use sys::socket::Outcome;

use crate::downlink::Downlink;
use crate::uplink::Uplink;

pub use self::cross_domain::{CrossDomain, Driver};
pub use self::loopback::Loopback;
pub use self::socket::Socket;

/// The host's side of one client. Nothing here blocks.
pub trait Channel {
    /// What it carries besides bytes.
    fn carries(&self) -> Carries;

    /// Sends what is ready in the uplink, as far as the host takes it, and returns how many bytes went. What is left is
    /// sent by the next call. Once the host has gone, what is ready is dropped.
    fn send(&mut self, uplink: &mut Uplink) -> Result<usize, ChannelError>;

    /// Says that the client's stream is over, once all is sent. It still reaches the host.
    fn finish(&mut self);

    /// Receives into the downlink's room; descriptors that came along are appended to `descriptors`.
    fn receive(
        &mut self,
        downlink: &mut Downlink,
        descriptors: &mut Vec<OwnedFd>,
    ) -> Result<Outcome, ChannelError>;

    /// Passes up to `bytes` received ones straight on to the client, without the downlink. `None` where it has none
    /// at hand, so that [`Channel::receive`] is the way.
    fn pass(&mut self, _client: BorrowedFd<'_>, _bytes: u64) -> Option<Result<Outcome, rustix::io::Errno>> {
        None
    }

    /// Gives memory back, as far as nothing is in it: the client is at rest.
    fn release(&mut self) {}

    /// What to poll for: until it takes more if it did not take all, and until there is something to receive if
    /// `receiving`.
    /// `None` when there is nothing to wait for.
    fn interest(&self, receiving: bool) -> Option<(BorrowedFd<'_>, PollFlags)>;
}

/// Why a channel ended before its stream did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelError {
    /// One sentence for the client's user.
    pub why: String,
}

impl From<rustix::io::Errno> for ChannelError {
    fn from(errno: rustix::io::Errno) -> Self {
        Self { why: format!("the connection to the X server broke: {}", std::io::Error::from(errno)) }
    }
}

/// The channel that a user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelChoice {
    /// The best that there is.
    Auto,
    /// A host half in this process.
    Loopback,
    /// The X server's own socket.
    Socket,
}

/// The channel that was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelKind {
    /// A host half in this process.
    Loopback,
    /// The X server's own socket.
    Socket,
}

impl ChannelKind {
    /// Its name, as users write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Socket => "socket",
        }
    }
}

impl ChannelChoice {
    /// Understands a name as users write it.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "loopback" => Some(Self::Loopback),
            "socket" => Some(Self::Socket),
            _ => None,
        }
    }

    /// The channel to use, and in one line why.
    pub const fn decide(self, descriptors: bool) -> (ChannelKind, &'static str) {
        match (self, descriptors) {
            (Self::Loopback, _) => (ChannelKind::Loopback, "as asked; MIT-SHM and DRI3 are hidden on it"),
            (Self::Socket, true) => (ChannelKind::Socket, "as asked"),
            (Self::Socket, false) => {
                (ChannelKind::Socket, "as asked; over TCP, so MIT-SHM and DRI3 are hidden")
            }
            (Self::Auto, true) => (
                ChannelKind::Socket,
                "the X server's Unix socket is reached directly and passes descriptors, which loopback does not",
            ),
            (Self::Auto, false) => (
                ChannelKind::Socket,
                "the X server is reached over TCP, so MIT-SHM and DRI3 are hidden; loopback would add nothing",
            ),
        }
    }
}
