//! What a server sends after the set-up: replies, errors and events.

use std::io;
use std::os::fd::OwnedFd;

use crate::{ByteOrder, FdStream};

const HEADER_BYTES: usize = 32;
const GENERIC_EVENT: u8 = 35;

/// Which of the three a packet is, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// First byte 0.
    Error,
    /// First byte 1.
    Reply,
    /// All others, `GenericEvents` too.
    Event,
}

/// One whole packet from the server.
#[derive(Debug)]
pub struct Packet {
    /// All its bytes, 32 or more.
    pub bytes: Vec<u8>,
    /// Descriptors that came with its first byte, where libxcb looks for them.
    pub fds: Vec<OwnedFd>,
    /// Descriptors that came with a later byte: libxcb would lose them.
    pub late_fds: Vec<OwnedFd>,
    order: ByteOrder,
}

impl Packet {
    /// Reads the next packet.
    pub fn receive(stream: &mut FdStream, order: ByteOrder) -> io::Result<Self> {
        let (mut fds, mut late_fds) = (Vec::new(), Vec::new());
        let mut bytes = vec![0; HEADER_BYTES];
        let (first, header) = bytes.split_at_mut(1);
        stream.receive_exact(first, &mut fds)?;
        stream.receive_exact(header, &mut late_fds)?;
        let mut packet = Self { bytes, fds, late_fds, order };
        packet.bytes.resize(HEADER_BYTES + packet.extra_bytes(), 0);
        stream
            .receive_exact(packet.bytes.get_mut(HEADER_BYTES..).unwrap_or_default(), &mut packet.late_fds)?;
        Ok(packet)
    }

    /// Reply, error or event.
    pub fn kind(&self) -> PacketKind {
        match self.first_byte() {
            0 => PacketKind::Error,
            1 => PacketKind::Reply,
            _ => PacketKind::Event,
        }
    }

    /// The 16 bits of the sequence number that are on the wire.
    pub fn sequence(&self) -> u16 {
        self.u16_at(2)
    }

    /// An error's code, a reply's or event's second byte.
    pub fn detail(&self) -> u8 {
        self.bytes.get(1).copied().unwrap_or_default()
    }

    /// The `u16` at `at` in the connection's byte order.
    pub fn u16_at(&self, at: usize) -> u16 {
        self.order.u16_at(&self.bytes, at)
    }

    /// The `u32` at `at` in the connection's byte order.
    pub fn u32_at(&self, at: usize) -> u32 {
        self.order.u32_at(&self.bytes, at)
    }

    fn first_byte(&self) -> u8 {
        self.bytes.first().copied().unwrap_or_default()
    }

    /// Replies and `GenericEvents` say at byte 4 how many units follow the first 32 bytes.
    fn extra_bytes(&self) -> usize {
        let long = self.kind() == PacketKind::Reply || self.first_byte() & 0x7f == GENERIC_EVENT;
        if long { self.u32_at(4) as usize * 4 } else { 0 }
    }
}
