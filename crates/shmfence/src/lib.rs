//! X11's shared memory fences.
//!
//! A client that shares buffers with the X server by DRI3 shares *fences* too: pages whose first word says whether a
//! buffer may be used, and on which processes sleep (`futex`). libxshmfence is the one implementation in use;
//! [`Fence`] is the same word with the same operations, and the two work together in both directions.
//!
//! ```
//! use shmfence::{Fence, Word};
//! use std::os::fd::AsFd;
//!
//! let (ours, file) = Fence::create(false)?;
//! let theirs = Fence::open(file.as_fd())?; // another process would get the descriptor over a socket
//! theirs.trigger()?;
//! assert!(ours.wait(None)?);
//! ours.reset()?;
//! assert_eq!(theirs.value()?, shmfence::word::RESET);
//! # Ok::<(), shmfence::Error>(())
//! ```
//!
//! * [`word`]: what the word means, who may change it, and why no wake is lost;
//! * [`Fence`]: the word in a file, checked before it is mapped;
//! * [`RemoteFence`]: the word of a fence whose sleepers and triggers are all in another kernel;
//! * [`Watcher`]: one thread that sleeps on all fences of a process;
//! * [`Links`]: fences that two kernels have in common, by shared memory or by a relay between two pages. It sends nothing
//!   itself; the channel between the kernels is the caller's. An [`Outbox`] is where they can leave what to send.
//!
//! # Files of others
//!
//! The file of a fence belongs to a client, which can truncate it at any time. A load of memory that is gone ends a
//! process by `SIGBUS`, and a bridge that serves others must not die of one client. So:
//!
//! * a file that can be sealed against shrinking is sealed (`F_SEAL_SHRINK`) before its size is looked at and it is
//!   mapped. libxshmfence's memfds can; its users neither notice nor mind. From then on direct access is sound;
//! * the words of other files are reached through the kernel alone. `FUTEX_CMP_REQUEUE` that wakes and moves nobody
//!   compares; `FUTEX_WAKE_OP` stores 1 and wakes if the word was -1, which is a trigger in one atomic step;
//!   `FUTEX_WAIT` compares and sleeps. They answer `EFAULT` where memory is gone. No call does what `wait` needs
//!   (0 → -1, and else nothing), nor a reset; these are [`Error::NotSealed`] there;
//! * a file must be in memory (tmpfs), since any other file system may keep whoever touches it waiting for ever, or be
//!   on a device that the caller vouches for.

#![forbid(unsafe_code)]

mod error;
mod fence;
pub mod links;
mod outbox;
pub mod relay;
mod remote;
pub mod watcher;
pub mod word;

pub use error::Error;
pub use fence::Fence;
pub use links::Links;
pub use outbox::{Outbox, Outlet};
pub use relay::Relay;
pub use remote::RemoteFence;
pub use watcher::{Backend, Purpose, Report, Watch, Watcher};
pub use word::Word;

/// The examples in the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
