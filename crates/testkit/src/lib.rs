//! Scripted X11 peers for the tests: [`RawClient`] says exactly the bytes (and descriptors) that a test
//! wants said, [`FakeServer`] answers exactly what a test wants answered.
//!
//! Neither knows anything of the bridge: they speak X11 over a Unix socket, so the same script runs
//! directly against a server and through the bridge, and the two transcripts can be compared.
//! Every blocking call ends after [`HANG_GUARD`].

#![forbid(unsafe_code)]

mod byte_order;
pub mod display;
mod fake_server;
mod fd_stream;
mod fence_checker;
mod folder;
pub mod options;
mod packet;
mod raw_client;
pub mod requests;
pub mod setup;
mod xshmfence;

use std::time::Duration;

pub use byte_order::ByteOrder;
pub use fake_server::{FakeConnection, FakeServer, Request};
pub use fd_stream::FdStream;
pub use fence_checker::FenceChecker;
pub use folder::Folder;
pub use packet::{Packet, PacketKind};
pub use raw_client::RawClient;
pub use xshmfence::XshmfencePeer;

/// No read or write of this crate blocks longer than this. It guards against hangs and measures nothing.
pub const HANG_GUARD: Duration = Duration::from_secs(60);
