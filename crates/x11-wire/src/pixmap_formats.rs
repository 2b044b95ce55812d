//! How the server's images lie in memory, by depth (protocol section 8, the list of pixmap formats).

use crate::{ByteOrder, padded};

/// Bytes of a successful set-up reply in front of the vendor's name.
const FIXED: usize = 40;
/// Bytes of one format.
const FORMAT: usize = 8;
const DEPTH_MAX: usize = 32;

/// Bits of a pixel, and of what rows are padded to, by depth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PixmapFormats([Option<(u8, u8)>; DEPTH_MAX + 1]);

impl Default for PixmapFormats {
    /// None is known.
    fn default() -> Self {
        Self([None; DEPTH_MAX + 1])
    }
}

impl PixmapFormats {
    /// How many bytes of a successful set-up reply reach to the end of the list; `None` while that can't be told.
    pub fn end(order: ByteOrder, reply: &[u8]) -> Option<usize> {
        let (start, count) = Self::place(order, reply)?;
        Some(start + count * FORMAT)
    }

    /// Reads the list of a successful set-up reply, as far as it is there.
    pub fn parse(order: ByteOrder, reply: &[u8]) -> Self {
        let list = Self::place(order, reply).and_then(|(start, count)| {
            let end = reply.len().min(start + count * FORMAT);
            reply.get(start..end)
        });
        let formats = list.unwrap_or_default().chunks_exact(FORMAT);
        let triples = formats.filter_map(|format| format.first_chunk().copied());
        Self::from_triples(triples.map(|[depth, bits, pad]| (depth, bits, pad)))
    }

    /// A list of depth, bits per pixel, and scanline pad.
    pub fn of(formats: &[(u8, u8, u8)]) -> Self {
        Self::from_triples(formats.iter().copied())
    }

    /// Bytes of a row of `width` pixels; `None` for a depth that the server did not name.
    pub fn row_bytes(&self, depth: u8, width: u64) -> Option<u64> {
        let (bits, pad) = (*self.0.get(usize::from(depth))?)?;
        Some((width * u64::from(bits)).next_multiple_of(u64::from(pad)) / 8)
    }

    /// Where the list starts, and how many formats are in it.
    fn place(order: ByteOrder, reply: &[u8]) -> Option<(usize, usize)> {
        let vendor = usize::from(order.u16_at(reply, 24)?);
        Some((FIXED + padded(vendor), usize::from(*reply.get(29)?)))
    }

    fn from_triples(formats: impl Iterator<Item = (u8, u8, u8)>) -> Self {
        let mut out = Self::default();
        for (depth, bits, pad) in formats {
            // Anything else would be a format that no protocol has; rows of it can't be measured.
            if let (Some(format), 1..=32, 8 | 16 | 32) = (out.0.get_mut(usize::from(depth)), bits, pad) {
                *format = Some((bits, pad));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(order: ByteOrder, formats: &[(u8, u8, u8)]) -> Vec<u8> {
        let mut reply = vec![0; FIXED];
        reply[24..26].copy_from_slice(&order.u16_bytes(5));
        reply[29] = u8::try_from(formats.len()).unwrap();
        reply.extend(b"Xorg!\0\0\0");
        for (depth, bits, pad) in formats {
            reply.extend([*depth, *bits, *pad, 0, 0, 0, 0, 0]);
        }
        reply.extend([9; 100]);
        reply
    }

    #[test]
    fn the_list_is_found_behind_the_vendor_in_either_order() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let formats = [(1, 1, 32), (24, 32, 32), (33, 32, 32), (8, 8, 7)];
            let reply = reply(order, &formats);
            assert_eq!(PixmapFormats::end(order, &reply), Some(48 + 32));
            let parsed = PixmapFormats::parse(order, &reply);
            assert_eq!(parsed, PixmapFormats::of(&formats[..2]), "what is no format is left out");
        }
    }

    #[test]
    fn a_list_that_is_not_there_yet_has_no_end() {
        let reply = reply(ByteOrder::Little, &[(24, 32, 32)]);
        assert_eq!(PixmapFormats::end(ByteOrder::Little, &reply[..29]), None);
        assert_eq!(PixmapFormats::parse(ByteOrder::Little, &reply[..40]), PixmapFormats::default());
    }

    #[test]
    fn rows_are_padded() {
        let formats = PixmapFormats::of(&[(1, 1, 32), (4, 8, 32), (24, 32, 32), (16, 16, 8)]);
        let rows = [(1, 1), (1, 33), (4, 5), (24, 5), (16, 3), (7, 1), (200, 1)];
        let bytes = rows.map(|(depth, width)| formats.row_bytes(depth, width));
        assert_eq!(bytes, [Some(4), Some(8), Some(8), Some(20), Some(6), None, None]);
    }
}
