//! Buffers that the server's machine has made: what a client has whose own files the way to the server can't carry. They
//! need not be files that can be read and written, so they are mapped.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde_json::{Value, json};
use sys::SharedMap;
use x11bridge_testkit::requests::{self, Area};

use crate::buffers::{BUFFER_FROM_PIXMAP, BUFFERS_FROM_PIXMAP, pixmap_from_buffer, pixmap_from_buffers};
use crate::memory::{IMAGE_BYTES, SIDE, pixels};
use crate::talk::{Talk, counts};

const DETACH: u8 = 2;
const CREATE_SEGMENT: u8 = 7;
const PLANES_MAX: u8 = 4;
/// Where in a segment the image is.
const OFFSET: u32 = 256;
const PAGE: usize = 4096;

/// A segment of the server's, mapped.
struct Segment {
    id: u32,
    fd: OwnedFd,
    map: SharedMap,
}

impl Segment {
    fn new(talk: &mut Talk, shm: u8) -> io::Result<Self> {
        Self::with_more(talk, shm, 0)
    }

    /// One with so many bytes behind the image.
    fn with_more(talk: &mut Talk, shm: u8, more: usize) -> io::Result<Self> {
        let (id, bytes) = (talk.id(), OFFSET as usize + IMAGE_BYTES + more);
        let size = u32::try_from(bytes).unwrap_or_default();
        let body = talk.body().u32(id).u32(size).u8(0).pad(3);
        let reply = talk.reply(&talk.request(shm, CREATE_SEGMENT, &body))?;
        let fd = reply.fds.into_iter().next().ok_or_else(|| io::Error::other("no segment came"))?;
        let map = SharedMap::map_buffer(fd.as_fd(), bytes)?;
        Ok(Self { id, fd, map })
    }

    fn draw(&self, seed: u8) -> io::Result<()> {
        let drawn = self.map.write(OFFSET as usize, &pixels(seed));
        drawn.then_some(()).ok_or_else(|| io::Error::other("the segment is too short"))
    }

    fn detach(&self, talk: &mut Talk, shm: u8) -> io::Result<()> {
        let request = talk.request(shm, DETACH, &talk.body().u32(self.id));
        talk.client.request(&request).map(drop)
    }
}

/// The image at `offset` of a buffer that came from the server.
fn image_at(fd: &OwnedFd, offset: u32) -> io::Result<Vec<u8>> {
    let at = offset as usize;
    let map = SharedMap::map_buffer(fd.as_fd(), at + IMAGE_BYTES)?;
    let mut bytes = vec![0; IMAGE_BYTES];
    let read = map.read(at, &mut bytes);
    read.then_some(bytes).ok_or_else(|| io::Error::other("the buffer is too short"))
}

/// `servers`: the server's own memory as segment, as buffer of one to four planes, and back.
pub(crate) fn servers(talk: &mut Talk) -> io::Result<Value> {
    let (dri3, shm) = (talk.extension("DRI3")?, talk.extension("MIT-SHM")?);
    let planes: io::Result<Vec<_>> = (1..=PLANES_MAX).map(|count| planes(talk, dri3, shm, count)).collect();
    Ok(json!({
        "planes": planes?,
        "pixmap": pixmap(talk, dri3)?,
        "in flight": in_flight(talk, dri3, shm)?,
    }))
}

/// What the client draws into the buffer is what the server shows, then and later; and what comes back is the same memory.
fn planes(talk: &mut Talk, dri3: u8, shm: u8, count: u8) -> io::Result<Value> {
    let (segment, pixmap) = (Segment::new(talk, shm)?, talk.id());
    segment.draw(count)?;
    let fds: Vec<BorrowedFd<'_>> = vec![segment.fd.as_fd(); count.into()];
    let created = talk.outcome(&pixmap_from_buffers(talk, dri3, pixmap, count, OFFSET), &fds)?;
    let shown = talk.pixels_of(pixmap)? == pixels(count);
    segment.draw(count + 100)?;
    let shown_later = talk.pixels_of(pixmap)? == pixels(count + 100);
    let reply = talk.reply(&talk.request(dri3, BUFFERS_FROM_PIXMAP, &talk.body().u32(pixmap)))?;
    segment.draw(count + 50)?;
    let returned: io::Result<Vec<bool>> =
        reply.fds.iter().map(|fd| Ok(image_at(fd, OFFSET)? == pixels(count + 50))).collect();
    segment.detach(talk, shm)?;
    Ok(json!({
        "created": created,
        "shown": [shown, shown_later],
        "counts": counts(&reply),
        "returned": returned?,
        "freed": talk.outcome(&requests::free_pixmap(talk.order, pixmap), &[])?,
    }))
}

/// A pixmap that the server made, seen and then sent back as another one.
fn pixmap(talk: &mut Talk, dri3: u8) -> io::Result<Value> {
    let (first, second, gc) = (talk.id(), talk.id(), talk.id());
    let (order, root, depth) = (talk.order, talk.root(), talk.depth());
    talk.client.request(&requests::create_pixmap(order, depth, first, root, SIDE, SIDE))?;
    talk.client.request(&requests::create_gc(order, gc, first))?;
    let area = Area { drawable: first, width: SIDE, height: SIDE };
    talk.client.request(&requests::put_image(order, area, gc, depth, &pixels(4)))?;
    let reply = talk.reply(&talk.request(dri3, BUFFER_FROM_PIXMAP, &talk.body().u32(first)))?;
    let fd = reply.fds.first().ok_or_else(|| io::Error::other("no buffer came"))?;
    let seen = image_at(fd, 0)? == pixels(4);
    let created = talk.outcome(&pixmap_from_buffer(talk, dri3, second, 0), &[fd.as_fd()])?;
    talk.client.request(&requests::put_image(order, area, gc, depth, &pixels(5)))?;
    let (shown, seen_later) = (talk.pixels_of(second)? == pixels(5), image_at(fd, 0)? == pixels(5));
    Ok(json!({ "seen": [seen, seen_later], "created": created, "shown": shown, "errors": talk.settle()? }))
}

/// One buffer in several requests that nobody has answered yet, given up by the client behind them.
fn in_flight(talk: &mut Talk, dri3: u8, shm: u8) -> io::Result<Value> {
    const REQUESTS: usize = 8;
    let segment = Segment::new(talk, shm)?;
    segment.draw(6)?;
    let pixmaps: Vec<u32> = (0..REQUESTS).map(|_| talk.id()).collect();
    for &pixmap in &pixmaps {
        let request = pixmap_from_buffers(talk, dri3, pixmap, 2, OFFSET);
        talk.client.request_with_fds(&request, &[segment.fd.as_fd(), segment.fd.as_fd()])?;
    }
    segment.detach(talk, shm)?;
    drop(segment);
    let mut shown = vec![];
    for &pixmap in &pixmaps {
        shown.push(talk.pixels_of(pixmap)? == pixels(6));
        talk.client.request(&requests::free_pixmap(talk.order, pixmap))?;
    }
    Ok(json!({ "shown": shown, "errors": talk.settle()? }))
}

/// `frames [--count N] [--sizes M]`: a segment made, drawn to, made into a pixmap and all given up, N times, in M sizes by turns;
/// how often the server showed what was drawn, and what it showed instead.
pub(crate) fn frames(talk: &mut Talk, count: usize, sizes: usize) -> io::Result<Value> {
    let (dri3, shm) = (talk.extension("DRI3")?, talk.extension("MIT-SHM")?);
    let (mut right, mut wrong) = (0, vec![]);
    for frame in 0..count {
        let seed = u8::try_from(frame % 200).unwrap_or_default();
        let more = frame % sizes.max(1) * PAGE;
        let (segment, pixmap) = (Segment::with_more(talk, shm, more)?, talk.id());
        segment.draw(seed)?;
        let request = pixmap_from_buffers(talk, dri3, pixmap, 1, OFFSET);
        talk.client.request_with_fds(&request, &[segment.fd.as_fd()])?;
        segment.detach(talk, shm)?;
        let shown = talk.pixels_of(pixmap)?;
        right += usize::from(shown == pixels(seed));
        if shown != pixels(seed) {
            wrong.push(fault(talk, &segment, (pixmap, seed), &shown)?);
        }
        talk.client.request(&requests::free_pixmap(talk.order, pixmap))?;
    }
    Ok(json!({ "right": right, "wrong": wrong, "errors": talk.settle()? }))
}

/// What is to be known of a frame that the server showed wrongly.
fn fault(talk: &mut Talk, segment: &Segment, (pixmap, seed): (u32, u8), shown: &[u8]) -> io::Result<Value> {
    let drawn = pixels(seed);
    let mut held = vec![0; IMAGE_BYTES];
    let read = segment.map.read(OFFSET as usize, &mut held);
    Ok(json!({
        "seed": seed,
        "right bytes": shown.iter().zip(&drawn).filter(|(shown, drawn)| shown == drawn).count(),
        "first wrong": shown.iter().zip(&drawn).position(|(shown, drawn)| shown != drawn),
        "wrong runs": wrong_runs(shown, &drawn),
        "is in the segment": read && held == drawn,
        "is right later": talk.pixels_of(pixmap)? == drawn,
    }))
}

/// Where the first runs of wrong bytes begin, how long they are, and the pixel that is shown there.
fn wrong_runs(shown: &[u8], drawn: &[u8]) -> Vec<Value> {
    const RUNS_MAX: usize = 8;
    let differs: Vec<bool> = shown.iter().zip(drawn).map(|(shown, drawn)| shown != drawn).collect();
    let mut start = 0;
    let mut runs = vec![];
    for run in differs.chunk_by(PartialEq::eq) {
        if run.first() == Some(&true) && runs.len() < RUNS_MAX {
            let pixel = start / 4 * 4;
            runs.push(json!([start, run.len(), shown.get(pixel..pixel + 4)]));
        }
        start += run.len();
    }
    runs
}

/// `opens`: what kind of file a device is, and what answers a drawable that there is not.
pub(crate) fn opens(talk: &mut Talk) -> io::Result<Value> {
    let dri3 = talk.extension("DRI3")?;
    let open = |talk: &Talk, drawable| talk.request(dri3, 1, &talk.body().u32(drawable).u32(0));
    let reply = talk.reply(&open(talk, talk.root()))?;
    let counts = counts(&reply);
    let device = reply.fds.first().map(rustix::fs::fstat).transpose()?.map(|status| {
        let number = status.st_rdev;
        [u64::from(rustix::fs::major(number)), u64::from(rustix::fs::minor(number))]
    });
    let nowhere = talk.outcome(&open(talk, 5), &[])?;
    Ok(json!({ "counts": counts, "device": device, "nowhere": nowhere }))
}
