//! What can go wrong with a fence, by who is to blame.

use rustix::io::Errno;

/// Why a fence could not be opened or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The client's descriptor can't be that of a fence.
    NotAFence {
        /// What it is instead, such as "a directory".
        what: &'static str,
    },
    /// The file was truncated after it had been mapped.
    Truncated,
    /// The word is none of 0, 1 and -1, or it changes without pause: somebody writes to it who is no fence.
    Scribbled,
    /// The operation needs a file that is sealed against shrinking, and this one can't be: it is no memfd, or one that
    /// forbids it.
    NotSealed,
    /// The kernel has none of the ways to watch a fence that was asked for.
    Unsupported {
        /// The way.
        what: &'static str,
    },
    /// The system refused something that it usually grants, such as memory or a thread.
    Os {
        /// What was asked of it.
        op: &'static str,
        /// Its answer.
        errno: Errno,
    },
}

impl Error {
    /// The error of an operation on the word of a mapped fence.
    pub(crate) fn of_word(op: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| match errno {
            Errno::FAULT => Self::Truncated,
            Errno::NOTSUP => Self::NotSealed,
            errno => Self::Os { op, errno },
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAFence { what } => {
                write!(
                    f,
                    "the client sent {what} as a fence; a fence is a file of at least 4 bytes in shared memory"
                )
            }
            Self::Truncated => {
                write!(f, "the client has truncated the file of a fence, which is lost by that")
            }
            Self::Scribbled => {
                write!(
                    f,
                    "a fence holds what no fence holds; something else than libxshmfence writes to its file"
                )
            }
            Self::NotSealed => {
                write!(f, "the file of a fence can be truncated; use a memfd that allows seals")
            }
            Self::Unsupported { what } => {
                write!(f, "the kernel or a sandbox refuses {what}; choose another way to watch fences")
            }
            Self::Os { op, errno } => {
                write!(
                    f,
                    "{op} failed ({errno}); see whether the limits of memory, files or threads are reached"
                )
            }
        }
    }
}

impl std::error::Error for Error {}
