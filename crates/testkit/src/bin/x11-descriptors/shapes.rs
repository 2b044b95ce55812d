//! The shapes of messages that real clients send: descriptors belong to requests in order, not to messages.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use serde_json::{Value, json};
use x11bridge_testkit::requests;

use crate::buffers::{pixmap_from_buffer, pixmap_from_buffers};
use crate::fences::fence_from_fd;
use crate::memory::{file, image_file, pixels};
use crate::talk::Talk;

const SYNC_QUERY_FENCE: u8 = 18;

/// `shapes`: Mesa's pair, lavapipe's three fences, a descriptor far ahead of its request, and single bytes.
pub(crate) fn shapes(talk: &mut Talk) -> io::Result<Value> {
    let dri3 = talk.extension("DRI3")?;
    let sync = talk.extension("SYNC")?;
    Ok(json!({
        "pair": pair(talk, dri3)?,
        "three fences": three_fences(talk, dri3, sync)?,
        "far ahead": far_ahead(talk, dri3)?,
        "single bytes": single_bytes(talk, dri3)?,
        "many": many(talk, dri3)?,
    }))
}

/// A buffer and a fence, both descriptors in one message.
fn pair(talk: &mut Talk, dri3: u8) -> io::Result<Value> {
    let (image, page, pixmap, fence) = (image_file(1, 0)?, file(4096)?, talk.id(), talk.id());
    let both = [pixmap_from_buffer(talk, dri3, pixmap, 0), fence_from_fd(talk, dri3, fence)].concat();
    talk.client.request_with_fds(&both, &[image.as_fd(), page.as_fd()])?;
    talk.client.sequence += 1;
    Ok(json!([talk.settle()?, talk.pixels_of(pixmap)? == pixels(1)]))
}

/// One message that begins with requests without descriptors, and carries those of three requests behind them.
fn three_fences(talk: &mut Talk, dri3: u8, sync: u8) -> io::Result<Value> {
    let pages = [file(4096)?, file(4096)?, file(4096)?];
    let fences = [(); 3].map(|()| talk.id());
    let nothing = requests::no_operation(talk.order);
    let all: Vec<u8> = fences
        .iter()
        .flat_map(|fence| [nothing.clone(), fence_from_fd(talk, dri3, *fence), nothing.clone()].concat())
        .collect();
    let fds: Vec<BorrowedFd<'_>> = pages.iter().map(AsFd::as_fd).collect();
    talk.client.request_with_fds(&all, &fds)?;
    talk.client.sequence += 8;
    let errors = talk.settle()?;
    let mut triggered = vec![];
    for (at, fence) in fences.iter().enumerate() {
        // Only the second one's page says that it is triggered.
        if at == 1 {
            std::os::unix::fs::FileExt::write_all_at(&pages[1], &1_i32.to_ne_bytes(), 0)?;
        }
        let query = talk.request(sync, SYNC_QUERY_FENCE, &talk.body().u32(*fence));
        triggered.push(talk.reply(&query)?.bytes.get(8).copied());
    }
    Ok(json!([errors, triggered]))
}

/// The descriptor comes 15 KiB before its request, in the same write.
fn far_ahead(talk: &mut Talk, dri3: u8) -> io::Result<Value> {
    const AHEAD: usize = 15 << 10;
    let (image, pixmap) = (image_file(2, 0)?, talk.id());
    let nothing = requests::no_operation(talk.order).repeat(AHEAD / 4);
    let all = [nothing, pixmap_from_buffer(talk, dri3, pixmap, 0)].concat();
    talk.client.request_with_fds(&all, &[image.as_fd()])?;
    talk.client.sequence += AHEAD as u64 / 4;
    Ok(json!([talk.settle()?, talk.pixels_of(pixmap)? == pixels(2)]))
}

/// The descriptors come with the first byte, and then every byte in a write of its own.
fn single_bytes(talk: &mut Talk, dri3: u8) -> io::Result<Value> {
    let (image, pixmap) = (image_file(3, 0)?, talk.id());
    let request = pixmap_from_buffers(talk, dri3, pixmap, 2, 0);
    let (first, rest) = request.split_at(1);
    talk.client.request_with_fds(first, &[image.as_fd(), image.as_fd()])?;
    talk.client.send_in_chunks(rest, 1)?;
    Ok(json!([talk.settle()?, talk.pixels_of(pixmap)? == pixels(3)]))
}

/// Forty requests with two descriptors each, in five messages: more than one message of any channel carries.
fn many(talk: &mut Talk, dri3: u8) -> io::Result<Value> {
    let image = image_file(4, 0)?;
    let mut last = 0;
    for _ in 0..5 {
        let mut all = vec![];
        for _ in 0..8 {
            last = talk.id();
            all.extend(pixmap_from_buffers(talk, dri3, last, 2, 0));
        }
        talk.client.request_with_fds(&all, &[image.as_fd(); 16])?;
        talk.client.sequence += 7;
    }
    Ok(json!([talk.settle()?, talk.pixels_of(last)? == pixels(4)]))
}
