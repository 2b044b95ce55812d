//! Fences: as descriptors of DRI3, as objects of SYNC, and as what Present waits for and signals.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use serde_json::{Value, json};
use x11bridge_testkit::{ByteOrder, requests};

use crate::buffers::pixmap_from_buffer;
use crate::memory::{SIDE, fence_file, image_file, pixels, same_file, word};
use crate::talk::{Talk, counts};

const FENCE_FROM_FD: u8 = 4;
const FD_FROM_FENCE: u8 = 5;
const SYNC_CREATE_FENCE: u8 = 14;
const SYNC_TRIGGER_FENCE: u8 = 15;
const SYNC_RESET_FENCE: u8 = 16;
const SYNC_DESTROY_FENCE: u8 = 17;
const SYNC_QUERY_FENCE: u8 = 18;
const PRESENT_PIXMAP: u8 = 1;
pub(crate) const PRESENT_SELECT_INPUT: u8 = 3;
/// Configure, complete and idle events.
const PRESENT_EVENTS: u32 = 7;
/// A fence's word when it is triggered.
const TRIGGERED: i32 = 1;

pub(crate) fn fence_from_fd(talk: &Talk, dri3: u8, fence: u32) -> Vec<u8> {
    talk.request(dri3, FENCE_FROM_FD, &talk.body().u32(talk.root()).u32(fence).u8(0).pad(3))
}

/// X servers up to 21.1 forget to swap ids in CreateFence of SYNC, and in SelectInput and Pixmap of Present.
fn is_swapped(talk: &Talk) -> bool {
    talk.order == ByteOrder::Big
}

/// `exports`: a fence of the client's and one of the server's, whose pages the client asks for, and one that has none.
pub(crate) fn exports(talk: &mut Talk) -> io::Result<Value> {
    let (dri3, sync) = (talk.extension("DRI3")?, talk.extension("SYNC")?);
    let swapped = is_swapped(talk);
    Ok(json!({
        "clients": clients(talk, dri3, sync)?,
        "servers": if swapped { Value::Null } else { servers(talk, dri3, sync)? },
        "plain": if swapped { Value::Null } else { plain(talk, sync)? },
    }))
}

/// `fences`: the same, and a frame that waits for one and signals another.
pub(crate) fn fences(talk: &mut Talk) -> io::Result<Value> {
    let exports = exports(talk)?;
    let (dri3, sync, present) =
        (talk.extension("DRI3")?, talk.extension("SYNC")?, talk.extension("Present")?);
    let frame = if is_swapped(talk) { Value::Null } else { frame(talk, dri3, sync, present)? };
    Ok(json!({ "exports": exports, "frame": frame }))
}

fn one(talk: &Talk, major: u8, minor: u8, fence: u32) -> Vec<u8> {
    talk.request(major, minor, &talk.body().u32(fence))
}

fn is_triggered(talk: &mut Talk, sync: u8, fence: u32) -> io::Result<bool> {
    Ok(talk.reply(&one(talk, sync, SYNC_QUERY_FENCE, fence))?.bytes.get(8) == Some(&1))
}

/// What the client writes is what the server sees, and the other way round.
fn clients(talk: &mut Talk, dri3: u8, sync: u8) -> io::Result<Value> {
    let (page, fence) = (fence_file()?, talk.id());
    let created = talk.outcome(&fence_from_fd(talk, dri3, fence), &[page.as_fd()])?;
    let mut seen = vec![is_triggered(talk, sync, fence)?];
    page.write_all_at(&TRIGGERED.to_ne_bytes(), 0)?;
    seen.push(is_triggered(talk, sync, fence)?);
    let reset = talk.outcome(&one(talk, sync, SYNC_RESET_FENCE, fence), &[])?;
    let mut words = vec![word(&page)?];
    let triggered = talk.outcome(&one(talk, sync, SYNC_TRIGGER_FENCE, fence), &[])?;
    words.push(word(&page)?);
    let request = talk.request(dri3, FD_FROM_FENCE, &talk.body().u32(talk.root()).u32(fence));
    let (first, second) = (talk.reply(&request)?, talk.reply(&request)?);
    let exported = [&first, &second].map(|reply| {
        let same = reply.fds.first().map(|file| same_file(&page, file)).transpose();
        same.map(|same| json!([counts(reply), same]))
    });
    let nowhere = talk.request(dri3, FD_FROM_FENCE, &talk.body().u32(fence).u32(fence));
    let nowhere = talk.outcome(&nowhere, &[])?;
    let destroyed = talk.outcome(&one(talk, sync, SYNC_DESTROY_FENCE, fence), &[])?;
    let destroyed_again = talk.outcome(&one(talk, sync, SYNC_DESTROY_FENCE, fence), &[])?;
    Ok(
        json!({ "seen": seen, "words": words, "exported": exported.into_iter().collect::<io::Result<Vec<_>>>()?, "outcomes": [created, reset, triggered, nowhere, destroyed, destroyed_again] }),
    )
}

fn servers(talk: &mut Talk, dri3: u8, sync: u8) -> io::Result<Value> {
    let (fence, root) = (talk.id(), talk.root());
    let body = talk.body().u32(root).u32(fence).u8(0).pad(3);
    let created = talk.outcome(&talk.request(sync, SYNC_CREATE_FENCE, &body), &[])?;
    let request = talk.request(dri3, FD_FROM_FENCE, &talk.body().u32(root).u32(fence));
    let (first, second) = (talk.reply(&request)?, talk.reply(&request)?);
    let (Some(page), Some(again)) = (first.fds.first(), second.fds.first()) else {
        return Ok(json!([counts(&first), counts(&second)]));
    };
    let mut words = vec![word(page)?];
    talk.client.request(&one(talk, sync, SYNC_TRIGGER_FENCE, fence))?;
    talk.settle()?;
    words.push(word(page)?);
    File::from(page.try_clone()?).write_all_at(&0_i32.to_ne_bytes(), 0)?;
    let seen = is_triggered(talk, sync, fence)?;
    Ok(json!({
        "created": created,
        "counts": [counts(&first), counts(&second)],
        "same": same_file(page, again)?,
        "words": words,
        "seen": seen,
    }))
}

/// A fence that never was a descriptor.
fn plain(talk: &mut Talk, sync: u8) -> io::Result<Value> {
    let fence = talk.id();
    let body = talk.body().u32(talk.root()).u32(fence).u8(1).pad(3);
    let created = talk.outcome(&talk.request(sync, SYNC_CREATE_FENCE, &body), &[])?;
    let triggered = is_triggered(talk, sync, fence)?;
    let destroyed = talk.outcome(&one(talk, sync, SYNC_DESTROY_FENCE, fence), &[])?;
    Ok(json!({ "created": created, "triggered": triggered, "destroyed": destroyed }))
}

/// A frame as Mesa presents it: the server waits for one fence, shows the pixmap, and signals the other.
fn frame(talk: &mut Talk, dri3: u8, sync: u8, present: u8) -> io::Result<Value> {
    let (image, ready_page, idle_page) = (image_file(9, 0)?, fence_file()?, fence_file()?);
    let [pixmap, ready, idle, target, events] = [(); 5].map(|()| talk.id());
    let buffer = pixmap_from_buffer(talk, dri3, pixmap, 0);
    // Buffer and fence in one message, as Mesa sends them.
    let both = [buffer, fence_from_fd(talk, dri3, ready)].concat();
    talk.client.request_with_fds(&both, &[image.as_fd(), ready_page.as_fd()])?;
    talk.client.sequence += 1;
    let idle_request = fence_from_fd(talk, dri3, idle);
    talk.client.request_with_fds(&idle_request, &[idle_page.as_fd()])?;
    show_window(talk, target)?;
    let select = talk.body().u32(events).u32(target).u32(PRESENT_EVENTS);
    talk.client.request(&talk.request(present, PRESENT_SELECT_INPUT, &select))?;
    let shown = talk.body().u32(target).u32(pixmap).u32(7).u32(0).u32(0).u16(0).u16(0);
    let shown = shown.u32(0).u32(ready).u32(idle).u32(0).pad(4).pad(24);
    talk.client.request(&talk.request(present, PRESENT_PIXMAP, &shown))?;
    let errors = talk.settle()?;
    let before = word(&idle_page)?;
    talk.client.request(&one(talk, sync, SYNC_TRIGGER_FENCE, ready))?;
    let kinds = presented(talk)?;
    let area = requests::Area { drawable: target, width: SIDE, height: SIDE };
    let image = talk.reply(&requests::get_image(talk.order, area))?;
    let right = image.bytes.get(32..) == Some(&pixels(9)[..]);
    Ok(json!({
        "errors": errors,
        "idle": [before, word(&idle_page)?],
        "ready": word(&ready_page)?,
        "events": kinds,
        "right": right,
    }))
}

/// Maps a window that no window manager touches.
pub(crate) fn show_window(talk: &mut Talk, window: u32) -> io::Result<()> {
    const CREATE_WINDOW: u8 = 1;
    const MAP_WINDOW: u8 = 8;
    const OVERRIDE_REDIRECT: u32 = 1 << 9;
    let (order, root) = (talk.order, talk.root());
    let ids = [order.u32(window), order.u32(root)].concat();
    let place = [0, 0, SIDE, SIDE, 0, 1].map(|number| order.u16(number)).concat();
    let values = [0, OVERRIDE_REDIRECT, 1].map(|number| order.u32(number)).concat();
    talk.client.request(&requests::request(order, CREATE_WINDOW, 0, &[ids, place, values].concat()))?;
    talk.client.request(&requests::request(order, MAP_WINDOW, 0, &order.u32(window))).map(drop)
}

/// The kinds of Present's events until a frame is complete and its pixmap idle.
fn presented(talk: &mut Talk) -> io::Result<Vec<u16>> {
    const COMPLETE: u16 = 1;
    const IDLE: u16 = 2;
    let mut kinds = vec![];
    while !(kinds.contains(&COMPLETE) && kinds.contains(&IDLE)) {
        let packet = talk.client.packet()?;
        kinds.push(packet.u16_at(8));
    }
    kinds.sort_unstable();
    Ok(kinds)
}
