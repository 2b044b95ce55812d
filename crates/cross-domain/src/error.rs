//! One error type, told apart by who is to blame.

use std::fmt;

/// Why a message could not be encoded or decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The guest sent a command with a field that cannot be.
    GuestMisbehaved {
        /// Name of the field, as in the command's layout.
        field: &'static str,
        /// The value that it had.
        value: u64,
    },
    /// The host put a message or a capset before the guest with a field that cannot be.
    HostMisbehaved {
        /// Name of the field, as in the message's layout.
        field: &'static str,
        /// The value that it had.
        value: u64,
    },
    /// A command number that this dialect, or this direction, does not have.
    Unsupported {
        /// The number in the header.
        cmd: u8,
    },
    /// The caller asked for more than a message can hold.
    LimitReached {
        /// Name of the limit.
        limit: &'static str,
        /// What was asked for.
        value: u64,
        /// The most that there is room for.
        max: u64,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GuestMisbehaved { field, value } => {
                write!(f, "the guest sent {field} = {value}, which cannot be")
            }
            Self::HostMisbehaved { field, value } => {
                write!(f, "the host sent {field} = {value}, which cannot be")
            }
            Self::Unsupported { cmd } => write!(f, "cross-domain command {cmd} is not part of this dialect"),
            Self::LimitReached { limit, value, max } => {
                write!(f, "{limit} is {value}, and at most {max} can be")
            }
        }
    }
}

impl std::error::Error for Error {}

/// Who wrote the bytes that are being decoded.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sender {
    Guest,
    Host,
}

impl Sender {
    /// The error that blames this sender for `field`.
    pub(crate) fn blame(self, field: &'static str, value: u64) -> Error {
        match self {
            Self::Guest => Error::GuestMisbehaved { field, value },
            Self::Host => Error::HostMisbehaved { field, value },
        }
    }

    /// The error that blames this sender for a command of `bytes` bytes, which is no length for it.
    pub(crate) fn wrong_size(self, bytes: &[u8]) -> Error {
        self.blame("cmd_size", widen(bytes.len()))
    }
}

/// `value` if it is at most `max`.
pub(crate) fn within(limit: &'static str, value: usize, max: usize) -> Result<usize, Error> {
    if value <= max {
        return Ok(value);
    }
    Err(Error::LimitReached { limit, value: widen(value), max: widen(max) })
}

/// A `usize` as `u64`; no target has wider pointers.
pub(crate) fn widen(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}
