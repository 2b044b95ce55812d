//! Connection set-up (protocol section 8): the client's request, the server's answer.

use crate::request::QUERY_EXTENSION;
use crate::{ByteOrder, padded};

/// Opcode of `InternAtom`.
const INTERN_ATOM: u8 = 16;
/// Bytes of the fixed part of a set-up request.
pub const REQUEST_HEADER: usize = 12;
/// Bytes of the fixed part of a set-up reply.
pub const REPLY_HEADER: usize = 8;
/// Longest authorization name or data that is accepted, in bytes. `MIT-MAGIC-COOKIE-1` needs 18 and 16; the
/// longest in the field (XDM, Kerberos) stay under 2 KiB.
pub const AUTHORIZATION_MAX: usize = 4096;
/// The authorization protocol that the bridge speaks on both sides.
pub const MAGIC_COOKIE: &[u8] = b"MIT-MAGIC-COOKIE-1";

/// A client's set-up request, borrowed from its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupRequest<'a> {
    /// Byte order of the whole connection.
    pub order: ByteOrder,
    /// Protocol version asked for: (11, 0) for every client there is.
    pub version: (u16, u16),
    /// Name of the authorization protocol; empty for none.
    pub auth_name: &'a [u8],
    /// Authorization data; empty for none.
    pub auth_data: &'a [u8],
}

/// Why a set-up request is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupError {
    /// The first byte is neither `l` nor `B`: not an X11 client.
    NotX11 {
        /// That byte.
        first_byte: u8,
    },
    /// Authorization name or data is longer than [`AUTHORIZATION_MAX`].
    AuthorizationTooLong {
        /// The length announced, in bytes.
        bytes: usize,
    },
}

/// What a prefix of a connection's bytes amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed<T> {
    /// Not complete: at least this many bytes are needed in all.
    Need(usize),
    /// Complete; the second field is how many bytes it took. What follows belongs to the next message.
    Done(T, usize),
}

impl<'a> SetupRequest<'a> {
    /// Parses the beginning of a connection. The bytes may come in pieces: call again with more after `Need`.
    pub fn parse(bytes: &'a [u8]) -> Result<Parsed<Self>, SetupError> {
        let Some(&first_byte) = bytes.first() else { return Ok(Parsed::Need(REQUEST_HEADER)) };
        let order = ByteOrder::from_first_byte(first_byte).ok_or(SetupError::NotX11 { first_byte })?;
        let field = |at| order.u16_at(bytes, at);
        let (Some(major), Some(minor), Some(name_len), Some(data_len), true) =
            (field(2), field(4), field(6), field(8), bytes.len() >= REQUEST_HEADER)
        else {
            return Ok(Parsed::Need(REQUEST_HEADER));
        };
        let (name_len, data_len) = (usize::from(name_len), usize::from(data_len));
        let longest = name_len.max(data_len);
        if longest > AUTHORIZATION_MAX {
            return Err(SetupError::AuthorizationTooLong { bytes: longest });
        }
        let data_at = REQUEST_HEADER + padded(name_len);
        let end = data_at + padded(data_len);
        let (Some(auth_name), Some(auth_data), true) = (
            bytes.get(REQUEST_HEADER..REQUEST_HEADER + name_len),
            bytes.get(data_at..data_at + data_len),
            bytes.len() >= end,
        ) else {
            return Ok(Parsed::Need(end));
        };
        Ok(Parsed::Done(Self { order, version: (major, minor), auth_name, auth_data }, end))
    }

    /// The bytes of this request. Name and data longer than [`AUTHORIZATION_MAX`] are left out, both: a server then
    /// refuses the client instead of reading a garbled length.
    pub fn encode(&self) -> Vec<u8> {
        let fits = self.auth_name.len().max(self.auth_data.len()) <= AUTHORIZATION_MAX;
        let (name, data): (&[u8], &[u8]) = if fits { (self.auth_name, self.auth_data) } else { (&[], &[]) };
        let mut out = vec![self.order.first_byte(), 0];
        for field in [self.version.0, self.version.1, length_field(name), length_field(data), 0] {
            out.extend(self.order.u16_bytes(field));
        }
        for text in [name, data] {
            out.extend(text);
            out.resize(padded(out.len()), 0);
        }
        out
    }
}

fn length_field(text: &[u8]) -> u16 {
    u16::try_from(text.len()).unwrap_or(0)
}

/// How a server answered the set-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetupStatus {
    /// 0: refused, with a reason.
    Failed,
    /// 1: requests may follow.
    Success,
    /// 2 and anything else: more authorization is wanted; nothing that clients or the bridge speak.
    Authenticate,
}

/// The fixed part of a server's set-up reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetupReply {
    /// How the server answered.
    pub status: SetupStatus,
    /// Length of the whole reply in bytes, this header included; at most 8 + 4 × 65,535.
    pub len: usize,
}

impl SetupReply {
    /// Parses the first [`REPLY_HEADER`] bytes; `None` while there are fewer.
    pub fn parse(order: ByteOrder, bytes: &[u8]) -> Option<Self> {
        let units = order.u16_at(bytes, 6)?;
        let status = match bytes.first()? {
            0 => SetupStatus::Failed,
            1 => SetupStatus::Success,
            _ => SetupStatus::Authenticate,
        };
        Some(Self { status, len: REPLY_HEADER + 4 * usize::from(units) })
    }

    /// The base and the mask of the client's resource ids in an accepting reply; `None` while they are not there.
    pub fn resource_ids(order: ByteOrder, bytes: &[u8]) -> Option<(u32, u32)> {
        Some((order.u32_at(bytes, 12)?, order.u32_at(bytes, 16)?))
    }
}

/// A set-up reply that refuses the client: status *Failed* with `reason`, cut at 254 bytes, and a line feed, as servers
/// end theirs: libraries print it as it is. (Its length is one byte.)
pub fn encode_failure(order: ByteOrder, reason: &str) -> Vec<u8> {
    let mut end = reason.len().min(usize::from(u8::MAX) - 1);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let text = reason.as_bytes().get(..end).unwrap_or_default();
    let mut out = vec![0, u8::try_from(end + 1).unwrap_or(0)];
    let units = u16::try_from(padded(end + 1) / 4).unwrap_or(0);
    for field in [11, 0, units] {
        out.extend(order.u16_bytes(field));
    }
    out.extend(text);
    out.push(b'\n');
    out.resize(padded(out.len()), 0);
    out
}

/// Requests of `InternAtom` for these names, made where there are none yet.
pub fn encode_intern_atoms<'a>(order: ByteOrder, names: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    encode_with_names(order, INTERN_ATOM, names)
}

/// Requests of `QueryExtension` for these names.
pub fn encode_query_extensions<'a>(order: ByteOrder, names: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    encode_with_names(order, QUERY_EXTENSION, names)
}

/// Both have the same form.
fn encode_with_names<'a>(order: ByteOrder, opcode: u8, names: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = vec![];
    for name in names {
        let units = u16::try_from((8 + padded(name.len())) / 4).unwrap_or(0);
        out.extend([opcode, 0]);
        for field in [units, length_field(name), 0] {
            out.extend(order.u16_bytes(field));
        }
        out.extend(name);
        out.resize(padded(out.len()), 0);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LITTLE: [u8; 48] = *b"l\0\x0b\0\0\0\x12\0\x10\0\0\0MIT-MAGIC-COOKIE-1\0\x000123456789abcdef";

    #[test]
    fn atoms_are_asked_for_one_after_the_other() {
        let bytes = encode_intern_atoms(ByteOrder::Little, [&b"CLIPBOARD"[..], b"A"].into_iter());
        assert_eq!(bytes, b"\x10\0\x05\0\x09\0\0\0CLIPBOARD\0\0\0\x10\0\x03\0\x01\0\0\0A\0\0\0");
    }

    #[test]
    fn a_set_up_is_complete_at_its_last_byte_and_not_before() {
        for end in 0..LITTLE.len() {
            assert!(
                matches!(SetupRequest::parse(&LITTLE[..end]), Ok(Parsed::Need(n)) if n > end),
                "at {end}"
            );
        }
        let Ok(Parsed::Done(setup, 48)) = SetupRequest::parse(&LITTLE) else { panic!("complete") };
        assert_eq!(
            setup,
            SetupRequest {
                order: ByteOrder::Little,
                version: (11, 0),
                auth_name: MAGIC_COOKIE,
                auth_data: b"0123456789abcdef",
            }
        );
    }

    #[test]
    fn requests_behind_the_set_up_are_left_for_the_next_parser() {
        let bytes = [&LITTLE[..], &[127, 0, 1, 0]].concat();
        assert!(matches!(SetupRequest::parse(&bytes), Ok(Parsed::Done(_, 48))));
    }

    #[test]
    fn a_client_without_authorization_has_twelve_bytes() {
        let bytes = *b"B\0\0\x0b\0\0\0\0\0\0\0\0";
        let Ok(Parsed::Done(setup, 12)) = SetupRequest::parse(&bytes) else { panic!("complete") };
        assert_eq!((setup.order, setup.version, setup.auth_name), (ByteOrder::Big, (11, 0), &[][..]));
    }

    #[test]
    fn the_authorization_limit_holds_at_below_and_above() {
        for (len, refused) in
            [(AUTHORIZATION_MAX - 1, false), (AUTHORIZATION_MAX, false), (AUTHORIZATION_MAX + 1, true)]
        {
            let [low, high] = u16::try_from(len).unwrap().to_le_bytes();
            let bytes = [b'l', 0, 11, 0, 0, 0, 0, 0, low, high, 0, 0];
            assert_eq!(SetupRequest::parse(&bytes).is_err(), refused, "{len}");
        }
    }

    #[test]
    fn a_web_browser_is_no_x11_client() {
        assert_eq!(SetupRequest::parse(b"GET / HTTP"), Err(SetupError::NotX11 { first_byte: b'G' }));
    }

    #[test]
    fn a_refusal_carries_its_reason_in_the_clients_byte_order() {
        assert_eq!(encode_failure(ByteOrder::Little, "No!"), b"\0\x04\x0b\0\0\0\x01\0No!\n");
        assert_eq!(encode_failure(ByteOrder::Big, "No!"), b"\0\x04\0\x0b\0\0\0\x01No!\n");
    }

    #[test]
    fn a_reason_is_cut_at_254_bytes_and_never_inside_a_character() {
        let reply = encode_failure(ByteOrder::Little, &"ü".repeat(200));
        assert_eq!((reply[1], reply.len()), (255, 8 + 256));
        assert_eq!(SetupReply::parse(ByteOrder::Little, &reply).unwrap().len, reply.len());
    }

    proptest! {
        #[test]
        fn what_is_encoded_parses_back(big: bool, name in prop::collection::vec(any::<u8>(), 0..40),
                                       data in prop::collection::vec(any::<u8>(), 0..40)) {
            let order = if big { ByteOrder::Big } else { ByteOrder::Little };
            let setup = SetupRequest { order, version: (11, 0), auth_name: &name, auth_data: &data };
            let bytes = setup.encode();
            prop_assert_eq!(SetupRequest::parse(&bytes), Ok(Parsed::Done(setup.clone(), bytes.len())));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = SetupRequest::parse(&bytes);
            let _ = SetupReply::parse(ByteOrder::Little, &bytes);
        }
    }
}
