//! X11 framing without I/O, after *X Window System Protocol, X Version 11, Release 7*.
//!
//! The crate tells where one message ends and the next begins, in both directions and both byte orders, and which
//! messages own file descriptors. It never copies, never blocks and never panics on foreign bytes: each parser takes
//! a slice and answers with a value, with "more bytes are needed", or with what is wrong.
//!
//! | module | protocol section |
//! |---|---|
//! | [`setup`] | 8, connection set-up |
//! | [`request`] | 1, request format; BIG-REQUESTS 2.0 |
//! | [`message`] | 1, reply, error and event format; Generic Event 1.0 |
//! | [`extension`] | extensions that a proxy has to know, and their messages with descriptors |
//! | [`fence`] | the requests that create, name and destroy fences |
//! | [`pixmap_formats`] | 8, how images lie in memory |
//! | [`shm`] | MIT-SHM: segments and the images in them |
//! | [`sequence`] | 16-bit sequence numbers widened to 64 bits |
#![forbid(unsafe_code)]

pub mod extension;
pub mod fence;
pub mod message;
pub mod order;
pub mod pixmap_formats;
pub mod request;
pub mod sequence;
pub mod setup;
pub mod shm;

pub use order::ByteOrder;

/// Length in bytes once padded to the protocol's unit of four.
pub const fn padded(len: usize) -> usize {
    len.saturating_add(3) & !3
}

/// The examples in the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
