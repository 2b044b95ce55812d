//! Builders of the few core requests that the scripts use, in either byte order.

use crate::ByteOrder;

/// Any request: opcode, the byte beside it, and the body, padded to four bytes.
///
/// Bodies of 256 KiB and more take the BIG-REQUESTS form, which must have been enabled.
pub fn request(order: ByteOrder, opcode: u8, detail: u8, body: &[u8]) -> Vec<u8> {
    let units = 1 + body.len().div_ceil(4);
    match u16::try_from(units) {
        Ok(units) => framed(&[opcode, detail], &order.u16(units), body),
        Err(_) => big_request(order, opcode, detail, body),
    }
}

/// Any request in the BIG-REQUESTS form: length 0, then the length in 32 bits.
pub fn big_request(order: ByteOrder, opcode: u8, detail: u8, body: &[u8]) -> Vec<u8> {
    let units = u32::try_from(2 + body.len().div_ceil(4)).unwrap_or(u32::MAX);
    framed(&[opcode, detail, 0, 0], &order.u32(units), body)
}

fn framed(head: &[u8], length: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = [head, length, body].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// `CreatePixmap` (53).
pub fn create_pixmap(
    order: ByteOrder,
    depth: u8,
    id: u32,
    drawable: u32,
    width: u16,
    height: u16,
) -> Vec<u8> {
    let ids = [order.u32(id), order.u32(drawable)].concat();
    let size = [order.u16(width), order.u16(height)].concat();
    request(order, 53, depth, &[ids, size].concat())
}

/// `FreePixmap` (54).
pub fn free_pixmap(order: ByteOrder, id: u32) -> Vec<u8> {
    request(order, 54, 0, &order.u32(id))
}

/// `CreateGC` (55) with no values set.
pub fn create_gc(order: ByteOrder, id: u32, drawable: u32) -> Vec<u8> {
    request(order, 55, 0, &[order.u32(id), order.u32(drawable), order.u32(0)].concat())
}

/// `ChangeGC` (56): sets the foreground. 16 bytes.
pub fn change_foreground(order: ByteOrder, gc: u32, pixel: u32) -> Vec<u8> {
    const FOREGROUND: u32 = 1 << 2;
    request(order, 56, 0, &[order.u32(gc), order.u32(FOREGROUND), order.u32(pixel)].concat())
}

/// `PolyPoint` (64) of one point. 16 bytes.
pub fn poly_point(order: ByteOrder, drawable: u32, gc: u32, x: u16, y: u16) -> Vec<u8> {
    let point = [order.u16(x), order.u16(y)].concat();
    request(order, 64, 0, &[order.u32(drawable).as_slice(), &order.u32(gc), &point].concat())
}

/// Where an image is put or got: the drawable and the size of the rectangle in it.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    /// Window or pixmap.
    pub drawable: u32,
    /// In pixels.
    pub width: u16,
    /// In pixels.
    pub height: u16,
}

/// `PutImage` (72), `ZPixmap`, at 0,0.
pub fn put_image(order: ByteOrder, area: Area, gc: u32, depth: u8, pixels: &[u8]) -> Vec<u8> {
    const Z_PIXMAP: u8 = 2;
    let ids = [order.u32(area.drawable), order.u32(gc)].concat();
    let size = [order.u16(area.width), order.u16(area.height)].concat();
    let place = [0, 0, 0, 0, 0, depth, 0, 0];
    request(order, 72, Z_PIXMAP, &[&ids, &size, place.as_slice(), pixels].concat())
}

/// `GetImage` (73), `ZPixmap`, all planes, from 0,0.
pub fn get_image(order: ByteOrder, area: Area) -> Vec<u8> {
    const Z_PIXMAP: u8 = 2;
    let place = [order.u32(area.drawable), order.u32(0)].concat();
    let size = [order.u16(area.width), order.u16(area.height)].concat();
    request(order, 73, Z_PIXMAP, &[place.as_slice(), &size, &order.u32(u32::MAX)].concat())
}

/// `GetInputFocus` (43): the cheapest request that has a reply. 4 bytes.
pub fn get_input_focus(order: ByteOrder) -> Vec<u8> {
    request(order, 43, 0, &[])
}

/// `InternAtom` (16), made if missing.
pub fn intern_atom(order: ByteOrder, name: &str) -> Vec<u8> {
    request(order, 16, 0, &named(order, name))
}

/// `QueryExtension` (98).
pub fn query_extension(order: ByteOrder, name: &str) -> Vec<u8> {
    request(order, 98, 0, &named(order, name))
}

/// `QueryExtension` in the BIG-REQUESTS form.
pub fn big_query_extension(order: ByteOrder, name: &str) -> Vec<u8> {
    big_request(order, 98, 0, &named(order, name))
}

/// `ListExtensions` (99).
pub fn list_extensions(order: ByteOrder) -> Vec<u8> {
    request(order, 99, 0, &[])
}

/// `ListFonts` (49) of all fonts, a long reply to a short request.
pub fn list_fonts(order: ByteOrder) -> Vec<u8> {
    request(order, 49, 0, &[&order.u16(u16::MAX), &order.u16(1), b"*".as_slice()].concat())
}

/// `NoOperation` (127). 4 bytes.
pub fn no_operation(order: ByteOrder) -> Vec<u8> {
    request(order, 127, 0, &[])
}

/// `BigReqEnable`; `opcode` is that of BIG-REQUESTS.
pub fn enable_big_requests(order: ByteOrder, opcode: u8) -> Vec<u8> {
    request(order, opcode, 0, &[])
}

/// The body of `InternAtom` and `QueryExtension`: length, two unused bytes, name.
fn named(order: ByteOrder, name: &str) -> Vec<u8> {
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
    [&order.u16(length), [0, 0].as_slice(), name.as_bytes()].concat()
}
