//! MIT-SHM: the requests that name a segment, and where in it an image lies (*MIT-SHM—The MIT Shared Memory Extension*).
//!
//! `request` is a request from its first byte on, of which the first [`crate::extension::DESCRIPTOR_REQUEST_MAX`] bytes
//! are there, or all; `header` is the length of its header.

use std::ops::Range;

use crate::ByteOrder;
use crate::pixmap_formats::PixmapFormats;
use crate::request::{BIG_HEADER, HEADER};

/// QueryVersion; its reply's second byte says whether pixmaps may lie in segments.
pub const QUERY_VERSION: u8 = 0;
/// Attach: names a System V segment by its number.
pub const ATTACH: u8 = 1;
/// Detach.
pub const DETACH: u8 = 2;
/// PutImage.
pub const PUT_IMAGE: u8 = 3;
/// GetImage.
pub const GET_IMAGE: u8 = 4;
/// CreatePixmap: a pixmap whose memory is the segment.
pub const CREATE_PIXMAP: u8 = 5;
/// AttachFd, of version 1.2.
pub const ATTACH_FD: u8 = 6;

/// Bytes of an Attach behind its header.
const ATTACH_BODY: usize = 12;
/// Bytes of an AttachFd, header included.
const ATTACH_FD_BYTES: usize = 12;
const Z_PIXMAP: u8 = 2;
const XY_BITMAP: u8 = 0;
const XY_PIXMAP: u8 = 1;

/// An Attach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attach {
    /// The client's name for the segment.
    pub segment: u32,
    /// The number of the System V segment.
    pub number: u32,
    /// Whether the server may only read it.
    pub read_only: bool,
}

impl Attach {
    /// Reads a well-formed Attach, `len` bytes long; `None` for what a server refuses without a look at the number.
    pub fn parse(order: ByteOrder, request: &[u8], header: usize, len: u64) -> Option<Self> {
        let read_only = match request.get(header + 8)? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let fits = len == (header + ATTACH_BODY) as u64 && request.len() as u64 >= len;
        let (segment, number) = (order.u32_at(request, header)?, order.u32_at(request, header + 4)?);
        fits.then_some(Self { segment, number, read_only })
    }

    /// Makes an AttachFd of it, at the end of its bytes; returns how many at its start are left over.
    ///
    /// `None`, and nothing changed, where `request` is not an Attach's length.
    pub fn into_attach_fd(self, order: ByteOrder, request: &mut [u8], header: usize) -> Option<usize> {
        let left_over = header + ATTACH_BODY - ATTACH_FD_BYTES;
        let major = *request.first()?;
        let out = request.get_mut(left_over..header + ATTACH_BODY)?;
        out.fill(0);
        if let Some(opcodes) = out.first_chunk_mut() {
            *opcodes = [major, ATTACH_FD];
        }
        order.put_u16(out, 2, u16::try_from(ATTACH_FD_BYTES / 4).unwrap_or(0));
        order.put_u32(out, 4, self.segment);
        if let Some(read_only) = out.get_mut(8) {
            *read_only = u8::from(self.read_only);
        }
        Some(left_over)
    }
}

/// An AttachFd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttachFd {
    /// The client's name for the segment.
    pub segment: u32,
    /// Whether the server may only read it.
    pub read_only: bool,
}

impl AttachFd {
    /// Reads a well-formed AttachFd, `len` bytes long; `None` for what a server refuses without a look at the file.
    pub fn parse(order: ByteOrder, request: &[u8], header: usize, len: u64) -> Option<Self> {
        let read_only = match request.get(header + 4)? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let fits = len == (header + ATTACH_FD_BYTES - HEADER) as u64 && request.len() as u64 >= len;
        fits.then_some(Self { segment: order.u32_at(request, header)?, read_only })
    }
}

/// The segment of a request that names one: its offset behind the header depends on the request.
pub fn segment_of(order: ByteOrder, minor: u8, request: &[u8], header: usize) -> Option<u32> {
    let at = match minor {
        DETACH => 0,
        PUT_IMAGE => 28,
        GET_IMAGE => 20,
        CREATE_PIXMAP => 16,
        _ => return None,
    };
    order.u32_at(request, header + at)
}

/// Where the image of a GetImage goes in its segment, in bytes.
pub fn get_image_offset(order: ByteOrder, request: &[u8], header: usize) -> u32 {
    order.u32_at(request, header + 24).unwrap_or(0)
}

/// How many bytes a GetImage's reply says that the server wrote.
pub fn get_image_size(order: ByteOrder, reply: &[u8]) -> u32 {
    order.u32_at(reply, 12).unwrap_or(0)
}

/// The bytes of a segment that a PutImage reads, and maybe some more; the range may end behind the segment. Empty for
/// what a server refuses without a look at the drawable: an unknown format or depth, rows that the image doesn't have.
pub fn put_image_range(
    order: ByteOrder,
    formats: &PixmapFormats,
    request: &[u8],
    header: usize,
) -> Range<u64> {
    let short = |at| u64::from(order.u16_at(request, header + at).unwrap_or(0));
    let byte = |at| request.get(header + at).copied().unwrap_or(0);
    let offset = u64::from(order.u32_at(request, header + 32).unwrap_or(0));
    let (width, height, src_y, src_height) = (short(8), short(10), short(14), short(18));
    let (depth, format) = (byte(24), byte(25));
    let rows = match format {
        _ if src_y + src_height > height => None,
        XY_BITMAP if depth == 1 => formats.row_bytes(1, width).map(|row| 0..height * row),
        XY_PIXMAP if formats.row_bytes(depth, 0).is_some() => {
            formats.row_bytes(1, width).map(|row| 0..height * row * u64::from(depth))
        }
        Z_PIXMAP => formats.row_bytes(depth, width).map(|row| src_y * row..(src_y + src_height) * row),
        _ => None,
    };
    rows.map_or(offset..offset, |rows| offset + rows.start..offset + rows.end)
}

const _: () = assert!(HEADER + ATTACH_BODY - ATTACH_FD_BYTES == 4);
const _: () = assert!(BIG_HEADER + ATTACH_BODY - ATTACH_FD_BYTES == 8);

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

    fn attach(order: ByteOrder, header: usize) -> Vec<u8> {
        let mut request = vec![0; header + ATTACH_BODY];
        request[0] = 130;
        request[1] = ATTACH;
        order.put_u32(&mut request, header, 0x0020_0001);
        order.put_u32(&mut request, header + 4, 77);
        request[header + 8] = 1;
        request
    }

    #[test]
    fn an_attach_of_either_form_becomes_an_attach_fd_at_its_end() {
        for order in ORDERS {
            for header in [HEADER, BIG_HEADER] {
                let mut request = attach(order, header);
                let len = request.len() as u64;
                let parsed = Attach::parse(order, &request, header, len).unwrap();
                assert_eq!(parsed, Attach { segment: 0x0020_0001, number: 77, read_only: true });
                let left_over = parsed.into_attach_fd(order, &mut request, header).unwrap();
                assert_eq!(left_over, header);
                let out = &request[left_over..];
                assert_eq!((out.len(), out[0], out[1], order.u16_at(out, 2)), (12, 130, ATTACH_FD, Some(3)));
                assert_eq!((order.u32_at(out, 4), &out[8..]), (Some(0x0020_0001), &[1, 0, 0, 0][..]));
            }
        }
    }

    #[test]
    fn what_a_server_refuses_anyway_is_no_attach() {
        let request = attach(ByteOrder::Little, HEADER);
        assert_eq!(Attach::parse(ByteOrder::Little, &request, HEADER, 20), None);
        assert_eq!(Attach::parse(ByteOrder::Little, &request[..12], HEADER, 12), None);
        let mut neither = request;
        neither[12] = 2;
        assert_eq!(Attach::parse(ByteOrder::Little, &neither, HEADER, 16), None);
    }

    fn put_image(order: ByteOrder, depth: u8, format: u8) -> Vec<u8> {
        let mut request = vec![0; HEADER + 36];
        for (at, value) in [(8, 100_u16), (10, 50), (12, 3), (14, 10), (16, 20), (18, 5)] {
            request[HEADER + at..HEADER + at + 2].copy_from_slice(&order.u16_bytes(value));
        }
        request[HEADER + 24] = depth;
        request[HEADER + 25] = format;
        order.put_u32(&mut request, HEADER + 32, 4096);
        request
    }

    #[test]
    fn a_put_image_reads_its_rows_and_no_others() {
        let formats = PixmapFormats::of(&[(1, 1, 32), (8, 8, 32), (24, 32, 32)]);
        for order in ORDERS {
            let range =
                |depth, format| put_image_range(order, &formats, &put_image(order, depth, format), HEADER);
            assert_eq!(range(24, Z_PIXMAP), 4096 + 10 * 400..4096 + 15 * 400);
            assert_eq!(range(8, Z_PIXMAP), 4096 + 10 * 100..4096 + 15 * 100);
            assert_eq!(range(1, XY_BITMAP), 4096..4096 + 50 * 16);
            assert_eq!(range(24, XY_PIXMAP), 4096..4096 + 24 * 50 * 16);
        }
    }

    #[test]
    fn a_put_image_that_a_server_refuses_reads_nothing() {
        let formats = PixmapFormats::of(&[(1, 1, 32), (24, 32, 32)]);
        for order in ORDERS {
            let range = |request: &[u8]| put_image_range(order, &formats, request, HEADER);
            for (depth, format) in [(30, Z_PIXMAP), (30, XY_PIXMAP), (24, XY_BITMAP), (24, 3), (255, 255)] {
                assert_eq!(range(&put_image(order, depth, format)), 4096..4096, "{depth} {format}");
            }
            let mut request = put_image(order, 24, Z_PIXMAP);
            request[HEADER + 18..HEADER + 20].copy_from_slice(&order.u16_bytes(40));
            assert_eq!(range(&request), 4096 + 10 * 400..4096 + 50 * 400);
            request[HEADER + 18..HEADER + 20].copy_from_slice(&order.u16_bytes(41));
            assert_eq!(range(&request), 4096..4096, "more rows than there are");
        }
    }
}
