//! The host half: cross-domain contexts as a virtio-gpu device offers them to its guest.
//!
//! A [`Context`] belongs to one client of the guest. It takes submissions of commands, as `EXECBUFFER` brings them,
//! and completes fences, as the driver's events report them; in between it carries bytes to and from a socket of the
//! host. It never blocks and queues nothing: what the socket does not take stays submitted.
//!
//! A [`Gpu`] is the whole device: the commands of virtio-gpu, blobs, contexts, and the requests that it holds. How
//! requests come and go is its [`Platform`]'s affair.
#![forbid(unsafe_code)]

mod channel;
mod context;
mod exports;
pub mod fs;
pub mod gpu;
mod mappable;
mod opening;
mod resources;
mod set_up;
mod shared_files;

pub use context::{Context, Fence, FenceNotifier, RING_BYTES_MAX, SubmitError, Traffic};
pub use exports::{EXPORTS_MAX, Exports, FS_ID};
pub use fs::{Fs, FsLimits, FsPlatform};
pub use gpu::{Gpu, Limits, Platform};
pub use opening::{OpenFailure, Opened, Opener, Opening};
pub use resources::{RESOURCES_MAX, Resources};
