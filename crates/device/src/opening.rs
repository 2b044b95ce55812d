//! How a channel comes to its socket.

use std::os::fd::OwnedFd;

use session::Cookie;

/// Opens the host's socket for a channel type.
pub type Opener = Box<dyn FnMut(u32) -> Opening + Send>;

/// What an [`Opener`] came to.
#[derive(Debug)]
pub enum Opening {
    /// It is done, or failed.
    Now(Result<Opened, OpenFailure>),
    /// It is under way elsewhere; [`crate::Context::opened`] will be told.
    Later,
}

/// A socket of the host.
#[derive(Debug)]
pub struct Opened {
    /// A connected stream socket.
    pub socket: OwnedFd,
    /// The cookie for a set-up request that has no authorization; without one the stream is not looked at.
    pub cookie: Option<Cookie>,
}

/// Why a channel could not be opened; goes to the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenFailure {
    /// Linux errno, 0 if there is none.
    pub errno: u32,
    /// What could not be reached, for the guest's user.
    pub text: String,
}
