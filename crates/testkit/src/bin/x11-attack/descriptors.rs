//! Messages with descriptors, on MIT-SHM: the one extension of a plain Xvfb that has them both ways.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, memfd_create};
use serde_json::{Value, json};
use sys::SharedMap;
use x11bridge_testkit::requests::{self, Area};
use x11bridge_testkit::{PacketKind, RawClient};

use crate::Stage;

const SIDE: u16 = 64;
const IMAGE_BYTES: usize = SIDE as usize * SIDE as usize * 4;
const SHM_PUT_IMAGE: u8 = 3;
const SHM_ATTACH: u8 = 1;
const SHM_ATTACH_FD: u8 = 6;
const SHM_CREATE_SEGMENT: u8 = 7;

/// `fds [--count N] [--messages M]`: N descriptors (default 1) that nobody asked for with each of M round trips.
pub(crate) fn unclaimed(stage: &Stage) -> io::Result<Value> {
    let (count, messages) = (stage.options.value("count", 1)?, stage.options.value("messages", 1)?);
    let mut client = stage.client()?;
    let null = File::open("/dev/null")?;
    let fds: Vec<BorrowedFd<'_>> = std::iter::repeat_n(null.as_fd(), count).collect();
    let mut replies = 0;
    for _ in 0..messages {
        let focus = requests::get_input_focus(stage.order);
        // A peer that closes this client has refused it, which is as good as ignoring the descriptors.
        let Ok(_) = client.request_with_fds(&focus, &fds) else { break };
        let Ok(_) = client.packet() else { break };
        replies += 1;
    }
    Ok(json!({ "replies": replies, "closed": replies < messages }))
}

/// `attach-fd [--stray N] [--early BYTES]`: shares an image by `AttachFd`, has the server draw it, and reads it back.
///
/// `--stray`: that many descriptors of another file go before it with requests that carry none. `--early`: the descriptor
/// comes that many bytes before its request, in the same write.
pub(crate) fn attach_fd(stage: &Stage) -> io::Result<Value> {
    let (stray, early) = (stage.options.value("stray", 0)?, stage.options.value("early", 0)?);
    let mut client = stage.client()?;
    let Some(opcode) = client.extension("MIT-SHM")? else { return Ok(json!({ "shm": "absent" })) };
    let (image, other) = (memory(0x5a)?, memory(0x11)?);
    for _ in 0..stray {
        client.request_with_fds(&requests::no_operation(stage.order), &[other.as_fd()])?;
    }
    let segment = client.setup.resource_base + 2;
    let body = [&stage.order.u32(segment), [0; 4].as_slice()].concat();
    let attach = requests::request(stage.order, opcode, SHM_ATTACH_FD, &body);
    let nothing = requests::no_operation(stage.order).repeat(early / 4);
    client.request_with_fds(&[nothing, attach].concat(), &[image.as_fd()])?;
    client.sequence += early as u64 / 4;
    Ok(json!({ "shm": "present", "drawn": drawn(&mut client, opcode, segment)? == pixels(0x5a) }))
}

/// `attach-number --number N`: names a System V segment, whoever's it is, and prints the code of the error that comes, or 0.
pub(crate) fn attach_number(stage: &Stage) -> io::Result<Value> {
    let number = stage.options.value("number", 0_u32)?;
    let mut client = stage.client()?;
    let Some(opcode) = client.extension("MIT-SHM")? else { return Ok(json!({ "shm": "absent" })) };
    let body = [stage.order.u32(client.setup.resource_base), stage.order.u32(number), [0; 4]].concat();
    client.request(&requests::request(stage.order, opcode, SHM_ATTACH, &body))?;
    client.request(&requests::get_input_focus(stage.order))?;
    let answer = client.packet()?;
    let code = if answer.kind() == PacketKind::Error { answer.detail() } else { 0 };
    Ok(json!({ "shm": "present", "code": code }))
}

/// `create-segment`: has the server make the shared memory, writes an image into it, has it drawn, and reads it back.
pub(crate) fn create_segment(stage: &Stage) -> io::Result<Value> {
    let mut client = stage.client()?;
    let Some(opcode) = client.extension("MIT-SHM")? else { return Ok(json!({ "shm": "absent" })) };
    let segment = client.setup.resource_base + 2;
    let size = u32::try_from(IMAGE_BYTES).unwrap_or_default();
    let body = [stage.order.u32(segment), stage.order.u32(size), [0; 4]].concat();
    let reply = client.reply_to(&requests::request(stage.order, opcode, SHM_CREATE_SEGMENT, &body))?;
    let counts = json!([reply.fds.len(), reply.late_fds.len()]);
    let Some(fd) = reply.fds.into_iter().next() else {
        return Ok(json!({ "shm": "present", "fds": counts }));
    };
    // In a guest it is a buffer of a device, which can't be written by a call.
    let written = SharedMap::map_buffer(fd.as_fd(), IMAGE_BYTES)?.write(0, &pixels(0x77));
    assert!(written, "the mapping is as long as the image");
    let right = drawn(&mut client, opcode, segment)? == pixels(0x77);
    Ok(json!({ "shm": "present", "fds": counts, "drawn": right }))
}

/// What a pixmap holds after the server has drawn the segment's image into it; empty after an error.
fn drawn(client: &mut RawClient, opcode: u8, segment: u32) -> io::Result<Vec<u8>> {
    let (order, setup) = (client.order, client.setup.clone());
    let (pixmap, gc) = (setup.resource_base, setup.resource_base + 1);
    client.request(&requests::create_pixmap(order, setup.root_depth, pixmap, setup.root, SIDE, SIDE))?;
    client.request(&requests::create_gc(order, gc, pixmap))?;
    let ids = [order.u32(pixmap), order.u32(gc)].concat();
    let sizes = [SIDE, SIDE, 0, 0, SIDE, SIDE, 0, 0].map(|number| order.u16(number)).concat();
    let rest = [[setup.root_depth, 2, 0, 0], order.u32(segment), order.u32(0)].concat();
    client.request(&requests::request(order, opcode, SHM_PUT_IMAGE, &[ids, sizes, rest].concat()))?;
    let area = Area { drawable: pixmap, width: SIDE, height: SIDE };
    client.request(&requests::get_image(order, area))?;
    loop {
        let packet = client.packet()?;
        match packet.kind() {
            PacketKind::Reply => return Ok(packet.bytes.get(32..).unwrap_or_default().to_vec()),
            PacketKind::Error => return Ok(Vec::new()),
            PacketKind::Event => {}
        }
    }
}

/// Pixels of one shade; the byte that has no meaning at depth 24 is 0.
fn pixels(shade: u8) -> Vec<u8> {
    [shade, shade, shade, 0].repeat(IMAGE_BYTES / 4)
}

fn memory(shade: u8) -> io::Result<OwnedFd> {
    let file = File::from(memfd_create("image", MemfdFlags::CLOEXEC)?);
    file.write_all_at(&pixels(shade), 0)?;
    Ok(file.into())
}
