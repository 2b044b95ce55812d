//! DRI3's buffers: each request that carries some, both ways.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use serde_json::{Value, json};
use x11bridge_testkit::Packet;
use x11bridge_testkit::requests;

use crate::memory::{IMAGE_BYTES, SIDE, STRIDE, file, image_file, image_in, pixels, same_file};
use crate::talk::{Talk, counts};

pub(crate) const OPEN: u8 = 1;
const PIXMAP_FROM_BUFFER: u8 = 2;
pub(crate) const BUFFER_FROM_PIXMAP: u8 = 3;
const PIXMAP_FROM_BUFFERS: u8 = 7;
pub(crate) const BUFFERS_FROM_PIXMAP: u8 = 8;
const BITS_PER_PIXEL: u8 = 32;
const PLANES_MAX: usize = 4;

/// `PixmapFromBuffer`; `size` is what the request says of the buffer, which may be 0.
pub(crate) fn pixmap_from_buffer(talk: &Talk, dri3: u8, pixmap: u32, size: u32) -> Vec<u8> {
    let body = talk.body().u32(pixmap).u32(talk.root()).u32(size);
    let body = body.u16(SIDE).u16(SIDE).u16(STRIDE).u8(talk.depth()).u8(BITS_PER_PIXEL);
    talk.request(dri3, PIXMAP_FROM_BUFFER, &body)
}

/// `PixmapFromBuffers` that says it has so many planes, the first at `offset`, the others behind each other.
pub(crate) fn pixmap_from_buffers(talk: &Talk, dri3: u8, pixmap: u32, planes: u8, offset: u32) -> Vec<u8> {
    let mut body = talk.body().u32(pixmap).u32(talk.root()).u8(planes).pad(3).u16(SIDE).u16(SIDE);
    for plane in 0..4 {
        body = body.u32(u32::from(STRIDE)).u32(offset + plane * 16);
    }
    talk.request(dri3, PIXMAP_FROM_BUFFERS, &body.u8(talk.depth()).u8(BITS_PER_PIXEL).pad(2).u32(0).u32(0))
}

/// `buffers`: every request of DRI3 that carries buffers, and the device.
pub(crate) fn buffers(talk: &mut Talk) -> io::Result<Value> {
    let dri3 = talk.extension("DRI3")?;
    let planes: io::Result<Vec<_>> = (1..=PLANES_MAX).map(|count| planes(talk, dri3, count)).collect();
    Ok(json!({
        "open": open(talk, dri3)?,
        "single": single(talk, dri3)?,
        "planes": planes?,
        "servers own": servers_own(talk, dri3)?,
        "in flight": in_flight(talk, dri3)?,
    }))
}

fn open(talk: &mut Talk, dri3: u8) -> io::Result<Value> {
    let reply = talk.reply(&talk.request(dri3, OPEN, &talk.body().u32(talk.root()).u32(0)))?;
    let counts = counts(&reply);
    let Some(fd) = reply.fds.into_iter().next() else { return Ok(counts) };
    let mut content = vec![0; 64];
    let length = File::from(fd).read_at(&mut content, 0)?;
    content.truncate(length);
    Ok(json!({ "counts": counts, "content": String::from_utf8_lossy(&content) }))
}

/// One buffer there and back: what the client writes is what the server shows, and the other way round.
fn single(talk: &mut Talk, dri3: u8) -> io::Result<Value> {
    let (image, pixmap) = (image_file(1, 0)?, talk.id());
    let bytes = u32::try_from(IMAGE_BYTES).unwrap_or_default();
    let created = talk.outcome(&pixmap_from_buffer(talk, dri3, pixmap, bytes), &[image.as_fd()])?;
    let shown = talk.pixels_of(pixmap)? == pixels(1);
    image.write_all_at(&pixels(2), 0)?;
    let shown_later = talk.pixels_of(pixmap)? == pixels(2);
    let reply = talk.reply(&talk.request(dri3, BUFFER_FROM_PIXMAP, &talk.body().u32(pixmap)))?;
    let returned = reply.fds.first().map(|fd| same_file(fd, &image)).transpose()?;
    Ok(json!({
        "created": created,
        "shown": [shown, shown_later],
        "geometry": geometry(&reply),
        "counts": counts(&reply),
        "returned": returned,
        "freed": talk.outcome(&requests::free_pixmap(talk.order, pixmap), &[])?,
    }))
}

fn geometry(reply: &Packet) -> Value {
    let depths = reply.bytes.get(18..20);
    json!([reply.u32_at(8), reply.u16_at(12), reply.u16_at(14), reply.u16_at(16), depths])
}

/// A buffer in several planes: the same file in each but the last, which is another where there are more than two.
fn planes(talk: &mut Talk, dri3: u8, count: usize) -> io::Result<Value> {
    let (image, other, pixmap) = (image_file(3, 256)?, file(4096)?, talk.id());
    let fds: Vec<BorrowedFd<'_>> =
        (0..count).map(|at| if at > 1 && at + 1 == count { other.as_fd() } else { image.as_fd() }).collect();
    let planes = u8::try_from(count).unwrap_or_default();
    let created = talk.outcome(&pixmap_from_buffers(talk, dri3, pixmap, planes, 256), &fds)?;
    let shown = talk.pixels_of(pixmap)? == pixels(3);
    let reply = talk.reply(&talk.request(dri3, BUFFERS_FROM_PIXMAP, &talk.body().u32(pixmap)))?;
    let returned: io::Result<Vec<bool>> =
        reply.fds.iter().zip(&fds).map(|(fd, sent)| same_file(fd, sent)).collect();
    Ok(json!({
        "created": created,
        "shown": shown,
        "counts": counts(&reply),
        "returned": returned?,
        "described": (8..reply.bytes.len() / 4 * 4).step_by(4).map(|at| reply.u32_at(at)).collect::<Vec<_>>(),
        "freed": talk.outcome(&requests::free_pixmap(talk.order, pixmap), &[])?,
    }))
}

/// A pixmap that the server made in its own memory.
fn servers_own(talk: &mut Talk, dri3: u8) -> io::Result<Value> {
    let (pixmap, gc) = (talk.id(), talk.id());
    let (order, root, depth) = (talk.order, talk.root(), talk.depth());
    talk.client.request(&requests::create_pixmap(order, depth, pixmap, root, SIDE, SIDE))?;
    talk.client.request(&requests::create_gc(order, gc, pixmap))?;
    let area = requests::Area { drawable: pixmap, width: SIDE, height: SIDE };
    talk.client.request(&requests::put_image(order, area, gc, depth, &pixels(4)))?;
    let reply = talk.reply(&talk.request(dri3, BUFFERS_FROM_PIXMAP, &talk.body().u32(pixmap)))?;
    let seen = reply.fds.first().map(|fd| image_in(fd, 0)).transpose()?;
    talk.client.request(&requests::put_image(order, area, gc, depth, &pixels(5)))?;
    let errors = talk.settle()?;
    let seen_later = reply.fds.first().map(|fd| image_in(fd, 0)).transpose()?;
    Ok(json!({
        "counts": counts(&reply),
        "seen": [seen == Some(pixels(4)), seen_later == Some(pixels(5))],
        "errors": errors,
    }))
}

/// One buffer in several requests that nobody has answered yet, and back in several replies.
fn in_flight(talk: &mut Talk, dri3: u8) -> io::Result<Value> {
    const REQUESTS: usize = 8;
    let image = image_file(6, 0)?;
    let pixmaps: Vec<u32> = (0..REQUESTS).map(|_| talk.id()).collect();
    for &pixmap in &pixmaps {
        let request = pixmap_from_buffers(talk, dri3, pixmap, 2, 0);
        talk.client.request_with_fds(&request, &[image.as_fd(), image.as_fd()])?;
    }
    for &pixmap in &pixmaps {
        let request = talk.request(dri3, BUFFERS_FROM_PIXMAP, &talk.body().u32(pixmap));
        talk.client.request(&request)?;
    }
    let mut returned = vec![];
    for _ in &pixmaps {
        for fd in talk.next_reply()?.fds {
            returned.push(same_file(fd, &image)?);
        }
    }
    let mut shown = vec![];
    for &pixmap in &pixmaps {
        shown.push(talk.pixels_of(pixmap)? == pixels(6));
        talk.client.request(&requests::free_pixmap(talk.order, pixmap))?;
    }
    Ok(json!({ "returned": returned, "shown": shown, "errors": talk.settle()? }))
}

/// `cycles [--count N]`: a buffer made into a pixmap, got back and freed, N times; how often the right file came.
pub(crate) fn cycles(talk: &mut Talk, count: usize) -> io::Result<Value> {
    let dri3 = talk.extension("DRI3")?;
    let mut right = 0;
    for _ in 0..count {
        let (image, pixmap) = (image_file(7, 0)?, talk.id());
        let request = pixmap_from_buffer(talk, dri3, pixmap, 0);
        talk.client.request_with_fds(&request, &[image.as_fd()])?;
        let reply = talk.reply(&talk.request(dri3, BUFFER_FROM_PIXMAP, &talk.body().u32(pixmap)))?;
        talk.client.request(&requests::free_pixmap(talk.order, pixmap))?;
        right += usize::from(reply.fds.first().map(|fd| same_file(fd, &image)).transpose()? == Some(true));
    }
    Ok(json!({ "right": right, "errors": talk.settle()? }))
}
