//! Why a host half could not start.

use std::fmt;
use std::path::PathBuf;

use rustix::io::Errno;

/// Why a host half could not start. Nothing is left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// An option's value makes no sense.
    InvalidOption {
        /// One sentence.
        why: String,
    },
    /// Another process serves the socket.
    SocketTaken {
        /// The socket.
        path: PathBuf,
    },
    /// The socket could not be made.
    Socket {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        errno: Errno,
    },
    /// Another system call failed.
    Os {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        errno: Errno,
    },
}

impl Error {
    /// A stable name for programs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::InvalidOption { .. } => "invalid-option",
            Self::SocketTaken { .. } | Self::Socket { errno: Errno::EXIST, .. } => "socket-taken",
            Self::Socket { errno: Errno::ACCESS | Errno::PERM | Errno::ROFS, .. } => "permission-denied",
            Self::Socket { .. } | Self::Os { .. } => "os",
        }
    }

    /// Whether it takes the bridge's makers to mend it, and not whoever gave the options.
    pub const fn is_internal(&self) -> bool {
        matches!(self, Self::Os { .. })
    }

    /// Whether the same call may work later.
    pub const fn retry(&self) -> bool {
        matches!(self, Self::SocketTaken { .. } | Self::Socket { errno: Errno::EXIST, .. } | Self::Os { .. })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidOption { why } => f.write_str(why),
            Self::SocketTaken { path } => {
                let path = path.display();
                write!(f, "{path} is in use by another process; end that, or name another socket")
            }
            Self::Socket { path, errno } => {
                write!(f, "can't make {}: {}; {}", path.display(), says(*errno), remedy(*errno))
            }
            Self::Os { doing, errno } => write!(f, "{doing} failed: {}", says(*errno)),
        }
    }
}

impl std::error::Error for Error {}

fn remedy(errno: Errno) -> &'static str {
    match errno {
        Errno::NOSPC | Errno::DQUOT => "free some space there",
        Errno::ACCESS | Errno::PERM => "get permission to write there",
        Errno::ROFS => "mount it writable",
        Errno::NOENT | Errno::NOTDIR => "make its directory",
        Errno::EXIST => "name a path where nothing is, or remove what is there",
        Errno::NAMETOOLONG => "name a path of at most 107 bytes",
        _ => "name another socket",
    }
}

fn says(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_sentence_with_cause_and_remedy() {
        let path = PathBuf::from("/nowhere/gpu.sock");
        let error = Error::Socket { path: path.clone(), errno: Errno::NOENT };
        assert_eq!(
            error.to_string(),
            "can't make /nowhere/gpu.sock: no such file or directory; make its directory"
        );
        assert_eq!((error.kind(), error.retry()), ("os", false));
        let taken = Error::SocketTaken { path };
        assert_eq!((taken.kind(), taken.retry(), taken.is_internal()), ("socket-taken", true, false));
    }
}
