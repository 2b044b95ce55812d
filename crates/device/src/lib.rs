//! The host half: cross-domain contexts as a virtio-gpu device offers them to its guest.
//!
//! A [`Context`] belongs to one client of the guest. It takes submissions of commands, as `EXECBUFFER` brings them,
//! and completes fences, as the driver's events report them; in between it carries bytes to and from a socket of the
//! host. It never blocks and queues nothing: what the socket does not take stays submitted.
#![forbid(unsafe_code)]

mod context;
mod resources;

pub use context::{Context, Fence, OpenFailure, Opener, RING_BYTES_MAX, SubmitError};
pub use resources::{RESOURCES_MAX, Resources};
