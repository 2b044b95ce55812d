//! What a server sends after the set-up: replies, errors, events (protocol section 1; Generic Event 1.0).

use crate::ByteOrder;

/// Bytes of the smallest message, and of the fixed part of the others.
pub const HEADER: usize = 32;
/// The code of a `Request` error.
pub const BAD_REQUEST: u8 = 1;
/// The code of an `Access` error.
pub const BAD_ACCESS: u8 = 10;
/// `Match` error.
pub const BAD_MATCH: u8 = 8;
/// `Alloc` error.
pub const BAD_ALLOC: u8 = 11;
/// Offset of an error's minor opcode, a `u16`.
pub const ERROR_MINOR: usize = 8;
/// Offset of its major opcode.
pub const ERROR_MAJOR: usize = 10;
/// The code of a `Length` error.
pub const BAD_LENGTH: u8 = 16;
const KEYMAP_NOTIFY: u8 = 11;
const GENERIC_EVENT: u8 = 35;
/// The bit that marks an event sent by `SendEvent`.
const SENT: u8 = 0x80;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An error; it answers a request.
    Error,
    /// A reply; it answers a request.
    Reply,
    /// Any event.
    Event,
}

/// The fixed part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageHead {
    /// What it is.
    pub kind: Kind,
    /// The low 16 bits of the number of the request that the server had reached; `None` for `KeymapNotify`.
    pub sequence: Option<u16>,
    /// Bytes of the whole message: 32 up to 17,179,869,212.
    pub len: u64,
}

impl MessageHead {
    /// Parses the first [`HEADER`] bytes; `None` while there are fewer.
    #[inline]
    pub fn parse(order: ByteOrder, bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<HEADER>()?;
        let (first, sequence) = (bytes[0], order.u16_at(bytes, 2));
        let extra = 4 * u64::from(order.u32_at(bytes, 4)?);
        let (kind, extra) = match first {
            0 => (Kind::Error, 0),
            1 => (Kind::Reply, extra),
            code if code & !SENT == GENERIC_EVENT => (Kind::Event, extra),
            _ => (Kind::Event, 0),
        };
        let sequence = sequence.filter(|_| kind != Kind::Event || first & !SENT != KEYMAP_NOTIFY);
        Some(Self { kind, sequence, len: HEADER as u64 + extra })
    }
}

/// An error message as a server sends it.
///
/// `sequence` is the low 16 bits of the number of the request that it answers.
pub fn encode_error(order: ByteOrder, code: u8, sequence: u16, major: u8, minor: u16) -> [u8; HEADER] {
    let mut out = [0; HEADER];
    let [s0, s1] = order.u16_bytes(sequence);
    let [m0, m1] = order.u16_bytes(minor);
    out[1] = code;
    (out[2], out[3]) = (s0, s1);
    (out[8], out[9]) = (m0, m1);
    out[10] = major;
    out
}

/// Makes an error, in place, one of this code about this value, in answer to this request. Its sequence number stays.
pub fn rewrite_error(order: ByteOrder, error: &mut [u8], code: u8, value: u32, major: u8, minor: u16) {
    let Some(error) = error.first_chunk_mut::<HEADER>() else { return };
    let [s0, s1] = [error[2], error[3]];
    *error = encode_error(order, code, 0, major, minor);
    (error[2], error[3]) = (s0, s1);
    order.put_u32(error, 4, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(first: u8, units: u32) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0] = first;
        bytes[2..4].copy_from_slice(&[0x34, 0x12]);
        bytes[4..8].copy_from_slice(&units.to_le_bytes());
        bytes
    }

    fn parse(first: u8, units: u32) -> MessageHead {
        MessageHead::parse(ByteOrder::Little, &message(first, units)).unwrap()
    }

    #[test]
    fn only_replies_and_generic_events_are_longer_than_32_bytes() {
        assert_eq!(parse(0, 9), MessageHead { kind: Kind::Error, sequence: Some(0x1234), len: 32 });
        assert_eq!(parse(1, 9), MessageHead { kind: Kind::Reply, sequence: Some(0x1234), len: 68 });
        assert_eq!(parse(12, 9), MessageHead { kind: Kind::Event, sequence: Some(0x1234), len: 32 });
        for code in [35, 35 + SENT] {
            assert_eq!(parse(code, 9), MessageHead { kind: Kind::Event, sequence: Some(0x1234), len: 68 });
        }
    }

    #[test]
    fn keymap_notify_has_no_sequence_number() {
        assert_eq!((parse(11, 0).sequence, parse(11 + SENT, 0).sequence), (None, None));
    }

    #[test]
    fn the_longest_reply_does_not_overflow() {
        assert_eq!(parse(1, u32::MAX).len, 17_179_869_212);
    }

    #[test]
    fn thirty_one_bytes_are_no_message() {
        assert_eq!(MessageHead::parse(ByteOrder::Big, &message(1, 0)[..31]), None);
    }

    #[test]
    fn an_error_made_here_parses_as_one() {
        let bytes = encode_error(ByteOrder::Big, BAD_LENGTH, 0x1234, 72, 5);
        assert_eq!(&bytes[..11], [0, 16, 0x12, 0x34, 0, 0, 0, 0, 0, 5, 72]);
    }
}
