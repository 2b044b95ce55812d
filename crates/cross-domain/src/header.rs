//! The header of every command, and the command numbers.

use crate::error::{Error, within};
use crate::limits::{CMD_BYTES_MAX, HEADER_BYTES};
use crate::wire::{Reader, Writer};

/// Command numbers that all dialects share. Where dialects part, see [`crate::dialect`].
pub mod cmd {
    /// Opens the channel; once for each context, and alone in its submission.
    pub const INIT: u8 = 1;
    /// Asks how an image would lie in memory; the answer comes in the query ring.
    pub const GET_IMAGE_REQUIREMENTS: u8 = 2;
    /// Asks for the next message in the channel ring.
    pub const POLL: u8 = 3;
    /// Bytes and identifiers, guest → host.
    pub const SEND: u8 = 4;
    /// Bytes and identifiers, host → guest.
    pub const RECEIVE: u8 = 5;
    /// Bytes of a pipe or an eventfd, host → guest.
    pub const READ: u8 = 6;
    /// Bytes of a pipe, guest → host.
    pub const WRITE: u8 = 7;
    /// Begins to watch a futex (rutabaga: `CREATE_ATOMIC_MEMORY_SENTINEL`).
    pub const FUTEX_NEW: u8 = 8;
    /// A futex was woken, in either direction (rutabaga: `SIGNAL_ATOMIC_MEMORY_SENTINEL`).
    pub const FUTEX_SIGNAL: u8 = 9;
    /// Ends the watch of a futex (rutabaga: `DESTROY_ATOMIC_MEMORY_SENTINEL`).
    pub const FUTEX_DESTROY: u8 = 10;
    /// Begins to read an eventfd that came in a RECEIVE (rutabaga: `READ_CREATE_EVENT`).
    pub const READ_EVENTFD_NEW: u8 = 11;
}

/// `{u8 cmd, u8 ring_idx, u16 cmd_size, u32 pad}`, 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// Command number, see [`cmd`].
    pub cmd: u8,
    /// Ring that the command speaks of. Hosts go by the ring of the submission instead, and ignore it.
    pub ring_idx: u8,
    /// Bytes from this header to the next one: header, body, data and gap. Hosts leave it 0 in what they put in a ring.
    pub cmd_size: u16,
}

impl Header {
    /// A header for a command of `bytes` bytes in all; `LimitReached` above 65,535.
    pub fn new(cmd: u8, bytes: usize) -> Result<Self, Error> {
        within("cmd_size", bytes, CMD_BYTES_MAX)?;
        Ok(Self::fixed(cmd, u16::try_from(bytes).unwrap_or(u16::MAX)))
    }

    /// A header for a command whose length is a constant.
    pub(crate) const fn fixed(cmd: u8, cmd_size: u16) -> Self {
        Self { cmd, ring_idx: 0, cmd_size }
    }

    /// A header as hosts write it into a ring: nothing but the command number.
    pub(crate) const fn in_ring(cmd: u8) -> Self {
        Self::fixed(cmd, 0)
    }

    /// The 8 bytes on the wire.
    pub fn encode(self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        self.write(&mut Writer::new(&mut out));
        out
    }

    /// The header of 8 bytes; nothing is checked, the padding is ignored.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Self {
        let [cmd, ring_idx, low, high, ..] = *bytes;
        Self { cmd, ring_idx, cmd_size: u16::from_le_bytes([low, high]) }
    }

    pub(crate) fn write(self, writer: &mut Writer<'_>) {
        writer.bytes(&[self.cmd, self.ring_idx]);
        writer.bytes(&self.cmd_size.to_le_bytes());
        writer.u32(0);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.array().map(Self::decode)
    }
}
