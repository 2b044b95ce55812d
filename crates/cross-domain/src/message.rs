//! The guest's side of the channel ring: what a POLL's event brought.

use std::ops::Range;

use crate::dialect::Dialect;
use crate::dialect::x11bridge::fence::FenceCommand;
use crate::dialect::x11bridge::{self, Closed};
use crate::error::{Error, Sender};
use crate::event::decode_id;
use crate::header::{Header, cmd};
use crate::limits::{READ_WRITE_HEADER_BYTES, SEND_HEADER_BYTES};
use crate::pipe::{self, Read};
use crate::send::{self, Receive};

/// One message of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message<'a> {
    /// Bytes and identifiers from the host's socket.
    Receive(Receive<'a>),
    /// Bytes of a pipe or an eventfd.
    Read(Read),
    /// A futex was woken on the host.
    FutexSignal {
        /// Id of its `FUTEX_NEW`.
        id: u32,
    },
    /// A relayed fence was triggered on the host (x11bridge only).
    Fence(FenceCommand),
    /// The channel is over, and why (x11bridge only).
    Closed(Closed),
}

impl<'a> Message<'a> {
    /// The message in a ring of `ring_bytes` bytes whose first 352 were copied to `head`.
    ///
    /// Never hand over the ring itself: the host can write to it at any time. All lengths are checked against
    /// `ring_bytes`, so [`Message::data_range`] lies within the ring. `cmd_size` is 0 from every host and is ignored.
    /// `ring_bytes` is what is mapped: a RECEIVE of libkrun or rutabaga ends within [`crate::RING_BYTES`], but a READ
    /// may fill the ring's first run of contiguous guest memory.
    pub fn decode(
        head: &'a [u8; SEND_HEADER_BYTES],
        ring_bytes: usize,
        dialect: Dialect,
    ) -> Result<Self, Error> {
        let header = head.first_chunk().map(Header::decode).unwrap_or_default();
        match header.cmd {
            cmd::RECEIVE => send::decode_receive(head, ring_bytes).map(Self::Receive),
            cmd::READ => pipe::decode_read(head, ring_bytes).map(Self::Read),
            cmd::FUTEX_SIGNAL => decode_id(head, Sender::Host).map(|id| Self::FutexSignal { id }),
            x11bridge::CMD_CLOSED if dialect == Dialect::X11Bridge => {
                Closed::decode(head, ring_bytes).map(Self::Closed)
            }
            cmd => match FenceCommand::decode_in_ring(cmd, head, dialect) {
                Some(fence) => fence.map(Self::Fence),
                None => Err(Error::Unsupported { cmd }),
            },
        }
    }

    /// Where in the ring the bytes lie that belong to the message; empty if it has none.
    pub fn data_range(&self) -> Range<usize> {
        let (start, len) = match self {
            Self::Receive(receive) => (SEND_HEADER_BYTES, receive.data_len),
            Self::Read(read) => (READ_WRITE_HEADER_BYTES, read.data_len),
            Self::FutexSignal { .. } | Self::Fence(_) => (0, 0),
            Self::Closed(closed) => (x11bridge::CLOSED_HEADER_BYTES, closed.text_len),
        };
        start..start + len
    }
}
