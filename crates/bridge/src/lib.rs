//! The guest half: an X display whose clients are carried over a channel to the host's X server.
//!
//! | module | what happens there |
//! |---|---|
//! | [`bridge`] | start, accept, close |
//! | `listen` | a free display number, its lock file and sockets |
//! | `roster`, `vitals` | the connected clients and their numbers, for those who look |
//! | `tracing` | somebody who looks at every message |
//! | [`service`] | what a service manager is told |
//! | [`live`] | the options that may change while it runs |
//! | `client` | one client, one thread: set-up, then both streams until they end |
//! | [`channel`] | the ways to the host |
//! | `uplink`, `downlink` | the buffers between a socket and a channel, and what is ready in them |
//! | `segments` | System V segments, and the files that stand for them |
//! | `spin` | whether to look again before sleeping |
//! | [`events`] | what the owner is told |
#![forbid(unsafe_code)]

mod bell;
pub mod bridge;
pub mod channel;
mod client;
mod downlink;
pub mod error;
pub mod events;
mod listen;
pub mod live;
mod renewal;
mod roster;
mod segments;
pub mod service;
mod spin;
mod stats;
mod tracing;
mod uplink;
mod vitals;

pub use bridge::{Bridge, Options};
pub use channel::{ChannelChoice, FenceChoice, FenceTotals, PipeAddress, virtgpu_offer};
pub use error::{Error, Side};
pub use events::{Event, Level};
pub use live::{Dri3, LiveOptions};
pub use roster::{ClientStatus, Numbers};
pub use session::{Policy, Shm};
pub use shmfence::Backend as FenceBackend;
pub use spin::{SPIN_DEFAULT, SPIN_MAX};
pub use stats::{Stats, Totals};
pub use tracing::{ExtensionCodes, TRACE_QUEUE_MAX, TraceBatch, TraceStart};
pub use vitals::{CLASSES, OldestRequest, RoundTrips};

/// How the thread sleeps that watches this process's fences, while there is one.
pub fn fence_watcher_running() -> Option<FenceBackend> {
    shmfence::Watcher::running()
}
