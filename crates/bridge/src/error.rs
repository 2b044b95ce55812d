//! Why a bridge could not start.

use std::fmt;
use std::path::PathBuf;

use rustix::io::Errno;

/// Who can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Whoever gave the options.
    User,
    /// Whoever runs the X server, or the virtual machine.
    Host,
    /// Nobody but the bridge's makers.
    Bridge,
}

/// Why a bridge could not start, or change. Nothing is left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// An option's value makes no sense.
    InvalidOption {
        /// One sentence.
        why: String,
    },
    /// The channel that was asked for can't be had.
    Channel {
        /// Who can mend it.
        side: Side,
        /// One sentence.
        why: String,
    },
    /// The display that was asked for is in use.
    DisplayTaken {
        /// Its number.
        number: u32,
    },
    /// Every display number is in use.
    NoFreeDisplay,
    /// A file of the display could not be made.
    Display {
        /// The file.
        path: PathBuf,
        /// What the system said.
        errno: Errno,
    },
    /// The socket that was asked for could not be made.
    Socket {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        errno: Errno,
    },
    /// A file in the runtime directory could not be made.
    RuntimeDir {
        /// The file.
        path: PathBuf,
        /// What the system said.
        errno: Errno,
    },
    /// A policy can't be told to clients that are connected.
    PolicyUntold {
        /// In words.
        why: String,
    },
    /// Somebody else looks at what goes through.
    Traced,
    /// A system call failed.
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
            Self::Channel { .. } | Self::PolicyUntold { .. } => "channel-unavailable",
            Self::DisplayTaken { .. } => "display-taken",
            Self::NoFreeDisplay => "no-free-display",
            Self::Socket { errno: Errno::ADDRINUSE | Errno::EXIST, .. } => "socket-taken",
            Self::Display { errno: Errno::ACCESS | Errno::PERM | Errno::ROFS, .. }
            | Self::Socket { errno: Errno::ACCESS | Errno::PERM | Errno::ROFS, .. } => "permission-denied",
            Self::InvalidOption { .. } | Self::Socket { .. } => "invalid-option",
            Self::RuntimeDir { .. } => "runtime-dir",
            Self::Traced => "busy",
            Self::Display { .. } | Self::Os { .. } => "os",
        }
    }

    /// Who can mend it.
    pub const fn side(&self) -> Side {
        match self {
            Self::Os { .. } => Side::Bridge,
            Self::Channel { side, .. } => *side,
            Self::PolicyUntold { .. } => Side::Host,
            _ => Side::User,
        }
    }

    /// Whether the same call may work later.
    pub const fn retry(&self) -> bool {
        matches!(
            self,
            Self::DisplayTaken { .. }
                | Self::NoFreeDisplay
                | Self::Socket { errno: Errno::ADDRINUSE | Errno::EXIST, .. }
                | Self::PolicyUntold { .. }
                | Self::Traced
                | Self::Os { .. }
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidOption { why } | Self::Channel { why, .. } => f.write_str(why),
            Self::DisplayTaken { number } => {
                write!(
                    f,
                    "display :{number} is in use; choose another number, or auto for the first free one"
                )
            }
            Self::NoFreeDisplay => {
                f.write_str("no display number is free; end an X server or bridge that is not needed")
            }
            Self::Display { path, errno } => {
                write!(f, "can't make {}: {}; {}", path.display(), says(*errno), remedy(*errno))
            }
            Self::Socket { path, errno } => {
                write!(f, "can't listen on {}: {}; {}", path.display(), says(*errno), remedy(*errno))
            }
            Self::RuntimeDir { path, errno } => {
                write!(
                    f,
                    "can't write {}: {}; {}, or name another runtime directory",
                    path.display(),
                    says(*errno),
                    remedy(*errno)
                )
            }
            Self::PolicyUntold { why } => {
                write!(
                    f,
                    "the policy can't be changed for clients that are connected: {why}; try again, or close them"
                )
            }
            Self::Traced => f.write_str("somebody traces this bridge already; end that trace first"),
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
        Errno::ADDRINUSE => "end the process that listens there, or name another path",
        Errno::EXIST => "remove that file, or name another path",
        _ => "mend that",
    }
}

/// The system's words for an error, without its number.
pub(crate) fn says(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_sentence_with_cause_and_remedy() {
        let path = PathBuf::from("/run/x/xauthority-3");
        let error = Error::RuntimeDir { path, errno: Errno::NOSPC };
        assert_eq!(
            error.to_string(),
            "can't write /run/x/xauthority-3: no space left on device; free some space there, or name another runtime \
             directory"
        );
        assert_eq!(error.kind(), "runtime-dir");
    }
}
