//! Why a submission is refused.

/// A submission that is refused, as the driver's ioctl would fail.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubmitError {
    /// A command that can't be decoded.
    Command(cross_domain::Error),
    /// A command out of place: a second INIT, anything before it, a second POLL.
    OutOfPlace {
        /// What is wrong.
        what: &'static str,
    },
    /// An id that names no blob, or one that is too small.
    NoSuchRing {
        /// The id.
        id: u32,
    },
    /// An id that names no futex, pipe or eventfd, or one that is in use.
    NoSuchItem {
        /// The id.
        id: u32,
    },
    /// A fence that can't be relayed.
    Fence(shmfence::Error),
    /// A command that this host does not carry out.
    Unsupported {
        /// What it is.
        what: &'static str,
    },
}

impl std::fmt::Display for SubmitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Command(error) => error.fmt(f),
            Self::OutOfPlace { what } => write!(f, "the guest sent {what}"),
            Self::NoSuchRing { id } => {
                write!(f, "the guest named resource {id} as a ring, which it can't be")
            }
            Self::NoSuchItem { id } => write!(f, "the guest named item {id}, which it can't"),
            Self::Fence(error) => error.fmt(f),
            Self::Unsupported { what } => write!(f, "this host does not carry {what}"),
        }
    }
}
