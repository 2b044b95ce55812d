//! Request headers (protocol section 1) and the BIG-REQUESTS form (BIG-REQUESTS 2.0).

use crate::ByteOrder;

/// `QueryExtension`.
pub const QUERY_EXTENSION: u8 = 98;
/// `QueryBestSize`.
pub const QUERY_BEST_SIZE: u8 = 97;
/// `ListExtensions`.
pub const LIST_EXTENSIONS: u8 = 99;
/// `ListFontsWithInfo`: the one core request with several replies.
pub const LIST_FONTS_WITH_INFO: u8 = 50;
/// `NoOperation`.
pub const NO_OPERATION: u8 = 127;
/// A core opcode that no server implements (120 to 126 are unassigned): it is answered with a `Request` error.
pub const UNASSIGNED: u8 = 126;
/// The first major opcode of extensions.
pub const EXTENSION_FIRST: u8 = 128;
/// Bytes of a request header.
pub const HEADER: usize = 4;
/// Bytes of a request header in BIG-REQUESTS form; all later fields stand four bytes further on.
pub const BIG_HEADER: usize = 8;

/// Core requests that have a reply, by opcode.
const REPLY_BEARING: [u8; 40] = [
    3, 14, 15, 16, 17, 20, 21, 23, 26, 31, 38, 39, 40, 43, 44, 47, 48, 49, 50, 52, 73, 83, 84, 85, 86, 87,
    91, 92, 97, 98, 99, 101, 103, 106, 108, 110, 116, 117, 118, 119,
];

/// Whether a core request has a reply. Extension opcodes answer `false`: theirs are not in a table.
pub fn has_reply(major: u8) -> bool {
    REPLY_BEARING.contains(&major)
}

/// A request's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHead {
    /// Major opcode: core below 128, extensions from there on.
    pub major: u8,
    /// The second byte: an extension's minor opcode, or data of a core request.
    pub minor: u8,
    /// Bytes of the header: [`HEADER`] or [`BIG_HEADER`].
    pub header: usize,
    /// Bytes of the whole request, header included: 4 up to 17,179,869,180.
    pub len: u64,
}

/// What the first bytes of a request amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// The header is not complete.
    NeedMore,
    /// A length that no request can have: 0 without BIG-REQUESTS, or less than its own header in the big form.
    /// What follows can't be found any more, so the connection is over.
    BadLength,
    /// The header.
    Complete(RequestHead),
}

impl RequestHead {
    /// Parses the header at the start of `bytes`. `big_requests` tells whether the client has enabled BIG-REQUESTS:
    /// until then a server does not read the long form, and a proxy that did would lose step with it.
    #[inline]
    pub fn parse(order: ByteOrder, big_requests: bool, bytes: &[u8]) -> Head {
        let (Some(&[major, minor, ..]), Some(units)) = (bytes.first_chunk::<4>(), order.u16_at(bytes, 2))
        else {
            return Head::NeedMore;
        };
        if units != 0 {
            return Head::Complete(Self { major, minor, header: HEADER, len: 4 * u64::from(units) });
        }
        if !big_requests {
            return Head::BadLength;
        }
        match order.u32_at(bytes, 4) {
            None => Head::NeedMore,
            Some(0 | 1) => Head::BadLength,
            Some(units) => {
                Head::Complete(Self { major, minor, header: BIG_HEADER, len: 4 * u64::from(units) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ByteOrder::{Big, Little};

    #[test]
    fn the_length_counts_units_of_four_bytes_in_either_order() {
        let head = RequestHead { major: 98, minor: 7, header: 4, len: 4 * 0x0102 };
        assert_eq!(RequestHead::parse(Big, false, &[98, 7, 1, 2]), Head::Complete(head));
        assert_eq!(RequestHead::parse(Little, false, &[98, 7, 2, 1, 99]), Head::Complete(head));
    }

    #[test]
    fn the_big_form_reaches_sixteen_gigabytes() {
        let bytes = [72, 2, 0, 0, 0xff, 0xff, 0xff, 0xff];
        let head = RequestHead { major: 72, minor: 2, header: 8, len: 17_179_869_180 };
        assert_eq!(RequestHead::parse(Little, true, &bytes), Head::Complete(head));
        assert_eq!(RequestHead::parse(Little, true, &bytes[..7]), Head::NeedMore);
    }

    #[test]
    fn a_length_of_zero_without_big_requests_is_an_error_whatever_follows() {
        assert_eq!(RequestHead::parse(Little, false, &[72, 2, 0, 0, 9, 0, 0, 0]), Head::BadLength);
    }

    #[test]
    fn a_big_length_shorter_than_its_own_header_is_an_error() {
        for (units, bad) in [(0, true), (1, true), (2, false)] {
            let parsed = RequestHead::parse(Little, true, &[72, 2, 0, 0, units, 0, 0, 0]);
            assert_eq!(parsed == Head::BadLength, bad, "{units}");
        }
    }

    #[test]
    fn fewer_than_four_bytes_are_no_header() {
        for end in 0..4 {
            assert_eq!(RequestHead::parse(Little, true, &[98, 0, 1, 0][..end]), Head::NeedMore);
        }
    }

    #[test]
    fn reply_bearing_requests_are_those_of_the_protocol() {
        for (major, replies) in
            [(0, false), (1, false), (3, true), (43, true), (72, false), (73, true), (98, true)]
        {
            assert_eq!(has_reply(major), replies, "{major}");
        }
        assert_eq!((0..=u8::MAX).filter(|&major| has_reply(major)).count(), 40);
    }
}
