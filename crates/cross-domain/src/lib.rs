//! The cross-domain wire: messages between a guest's bridge and a virtio-gpu host, encoded and decoded.
//!
//! A *channel* leads from a context of the guest's virtio-gpu device to a socket on the host. The guest submits
//! [`Commands`]; the host answers each POLL with one [`Message`] in the *channel ring*, a blob in guest memory, and
//! signals the POLL's fence. Descriptors travel as [`Identifier`]s. All integers are little endian and packed.
//!
//! | | guest encodes, host decodes | host encodes, guest decodes |
//! |---|---|---|
//! | before the channel | [`Init`], [`GetImageRequirements`] | [`Capset`], [`ImageRequirements`] |
//! | bytes | [`encode_send_header`] | [`encode_receive_header`] |
//! | pipes | [`encode_write_header`] | [`encode_read_header`] |
//! | events | [`encode_poll`], [`FutexNew`], [`encode_futex_signal`], … | [`encode_futex_signal_in_ring`] |
//! | the end | | [`dialect::x11bridge::encode_closed`] |
//!
//! The crate does no I/O. Whatever it decodes is hostile: nothing is indexed, every length is checked against what is
//! there, and [`Error`] says who is to blame. The wire has no specification; the numbers are those of libkrun (protocol
//! version 1) and `rutabaga_gfx` 0.1.85. [`dialect::x11bridge`] specifies what this project adds.

#![forbid(unsafe_code)]

mod capset;
mod commands;
pub mod dialect;
mod error;
mod event;
mod header;
mod identifier;
mod image;
mod init;
pub mod limits;
mod message;
mod pipe;
mod send;
mod wire;

pub use capset::{CAPSET_BYTES, CAPSET_EXTENDED_BYTES, Capset, Extension};
pub use commands::{Command, Commands};
pub use dialect::{Dialect, IdentifierType};
pub use error::Error;
pub use event::{
    ExportedFile, FILE_COMMAND_BYTES, FutexNew, ID_COMMAND_BYTES, POLL_BYTES, encode_futex_destroy,
    encode_futex_signal, encode_futex_signal_in_ring, encode_poll, encode_read_eventfd_new,
};
pub use header::{Header, cmd};
pub use identifier::{Identifier, Identifiers};
pub use image::{GetImageRequirements, ImageRequirements};
pub use init::{Init, InitForm, PROTOCOL_VERSION};
pub use limits::*;
pub use message::Message;
pub use pipe::{Read, Write, encode_read_header, encode_write_header};
pub use send::{Receive, Send, encode_receive_header, encode_send_header};

/// The examples in the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
