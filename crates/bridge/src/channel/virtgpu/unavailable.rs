//! Why the channel `virtgpu` can't be had.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;

use crate::error::{Error, Side, says};

/// Why the channel `virtgpu` can't be had: one sentence each, with the cause and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unavailable {
    /// There is none in the folder.
    NoNode {
        /// The folder of the render nodes.
        folder: PathBuf,
    },
    /// A node can't be opened.
    Open {
        /// The node.
        path: PathBuf,
        /// What the system said.
        errno: Errno,
    },
    /// The nodes belong to other drivers.
    OtherDriver {
        /// The last of them.
        path: PathBuf,
        /// Its driver; `None` where it is no render node at all.
        driver: Option<String>,
    },
    /// The driver, or the device, does not let contexts have a capset.
    NoContextInit {
        /// The node.
        path: PathBuf,
    },
    /// The host offers no cross-domain contexts.
    NoCapset {
        /// The node.
        path: PathBuf,
    },
    /// The host offers no channel that could lead to an X server.
    NoChannel {
        /// The node.
        path: PathBuf,
    },
    /// The host does not answer.
    Silent {
        /// The node.
        path: PathBuf,
        /// How long it was given.
        limit: Duration,
    },
    /// The host answers what it can't.
    Misbehaved {
        /// The node.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Another call failed.
    Os {
        /// The node.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        errno: Errno,
    },
}

impl Unavailable {
    /// Who can mend it.
    pub const fn side(&self) -> Side {
        match self {
            Self::NoNode { .. } | Self::Open { .. } | Self::OtherDriver { .. } => Side::User,
            _ => Side::Host,
        }
    }

    /// Of which node to tell where there are several, and none will do: the one that comes closest. A node that can't be opened may
    /// be the right one.
    pub(super) const fn closeness(&self) -> u8 {
        match self {
            Self::NoNode { .. } => 0,
            Self::OtherDriver { .. } => 1,
            Self::Open { .. } => 3,
            _ => 2,
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNode { folder } => write!(
                f,
                "there is no render node in {}; give the virtual machine a virtio-gpu device, and load the module \
                 virtio_gpu",
                folder.display()
            ),
            Self::Open { path, errno: Errno::ACCESS | Errno::PERM } => write!(
                f,
                "permission to open {} is denied; become a member of its group, which is mostly named render",
                path.display()
            ),
            Self::Open { path, errno } => {
                write!(f, "can't open {}: {}; name another render node", path.display(), says(*errno))
            }
            Self::OtherDriver { path, driver } => {
                let driver = driver
                    .as_ref()
                    .map_or("no render node".into(), |driver| format!("of the driver {driver}"));
                write!(
                    f,
                    "{} is {driver}, not of virtio_gpu; give the virtual machine a virtio-gpu device, or name its \
                     render node",
                    path.display()
                )
            }
            Self::NoContextInit { path } => write!(
                f,
                "the virtio-gpu device of {} takes no capset for a context; it needs Linux 5.16 or newer and a host \
                 with context initialization",
                path.display()
            ),
            Self::NoCapset { path } => write!(
                f,
                "the host of {} offers no cross-domain contexts; start its virtio-gpu device with them (capset 5)",
                path.display()
            ),
            Self::NoChannel { path } => write!(
                f,
                "the host of {} offers neither an X11 nor a Wayland channel; tell it the path of its X server's socket",
                path.display()
            ),
            Self::Silent { path, limit } => write!(
                f,
                "the host of {} did not answer within {} s; see whether its half is running",
                path.display(),
                limit.as_secs_f32()
            ),
            Self::Misbehaved { path, why } => {
                write!(f, "the host of {} can't be used: {why}; update it", path.display())
            }
            Self::Os { path, doing, errno } => {
                write!(f, "{doing} on {} failed: {}; see what the kernel logs", path.display(), says(*errno))
            }
        }
    }
}

impl std::error::Error for Unavailable {}

impl From<Unavailable> for Error {
    fn from(error: Unavailable) -> Self {
        Self::Channel { side: error.side(), why: error.to_string() }
    }
}
