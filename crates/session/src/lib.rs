//! One X11 client's state machine, without I/O.
//!
//! [`Handshake`] reads the client's set-up and checks its cookie; [`Session`] follows both streams from there on. The
//! caller reads bytes and descriptors from a socket or a channel, lets the session look at them *in place*, and passes
//! on what it is told to: most bytes are never touched, nothing is inserted and nothing overtakes.
//!
//! ```text
//! client ──► client_data(chunk) ──► forward the first n bytes, descriptors at their marks ──► channel
//! client ◄── forward the first n bytes, descriptors at their marks ◄── host_data(chunk) ◄── channel
//! ```
//!
//! For System V segments of MIT-SHM the caller has to act: [`Next::Attach`] asks for one, and [`Session::take_actions`]
//! says what to copy before what was let through goes on. Where fences cross kernels, [`Next::Link`] and
//! [`Session::take_fence_actions`] do the same for them.
//!
//! What a channel can't carry is hidden: the session rewrites the answer to `QueryExtension` and `ListExtensions`, and
//! turns requests to opcodes that the client never learnt into ones that the server itself refuses, in their right
//! place in the sequence.
#![forbid(unsafe_code)]

mod client;
mod descriptors;
mod extensions;
mod fences;
mod handshake;
mod host;
mod limits;
mod pending;
mod policy;
mod provided;
mod segments;
mod session;
mod shm;
mod trace;

pub use descriptors::{Mark, Marks};
pub use extensions::{Carries, Fences, Offers, Shm};
pub use fences::FenceAction;
pub use handshake::{Cookie, Handshake, HandshakeError, Step};
pub use limits::{
    CLIENT_HELD_MAX, DESCRIPTOR_DISTANCE_MAX, DESCRIPTORS_QUEUED_MAX, EXTENSION_NAME_MAX, FENCES_DYING_MAX,
    FENCES_MAX, HOST_HELD_MAX, PENDING_MAX, REQUESTED_MAX, SEGMENTS_MAX,
};
pub use pending::Awaiting;
pub use policy::{ExtensionNumbers, Policy, Side, TableError};
pub use provided::Wanted;
pub use segments::{Action, Attach, Source};
pub use session::{Counters, Next, Progress, Session, Violation};
pub use trace::{CAPTURED_MAX, RECORD_HEADER, Trace, Traced};
