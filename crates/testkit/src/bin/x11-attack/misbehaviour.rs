//! What a client must not do, and what must then hurt nobody but itself.

use std::io;

use serde_json::{Value, json};
use x11bridge_testkit::requests::{self, Area};
use x11bridge_testkit::setup::{COOKIE_PROTOCOL, SetupRequest};
use x11bridge_testkit::{PacketKind, RawClient};

use crate::{Stage, digest, hold};

/// How much of the replies a dying client still reads: ends inside a header, at its end, inside a body.
const REPLY_BYTES_READ: [usize; 8] = [0, 1, 7, 31, 32, 33, 4096, 100_000];

/// A reproducible stream of bytes that mean nothing.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

/// `garbage [--seed N] [--first BYTE]`: 64 KiB of noise instead of a set-up; whether the connection is then closed.
pub(crate) fn garbage(stage: &Stage) -> io::Result<Value> {
    let mut bytes = noise(stage.options.value("seed", 1)?, 1 << 16);
    if let Some(first) = bytes.first_mut() {
        *first = stage.options.value("first", b'?')?;
    }
    let mut client = RawClient::open(&stage.display.socket, stage.order)?;
    // The peer may close before it has read all: that is what is asked for, not an error.
    let _cut_short = client.stream.send(&bytes);
    let _reset = client.stream.socket().shutdown(std::net::Shutdown::Write);
    client.stream.receive_to_end()?;
    Ok(json!({ "closed": true }))
}

/// `unknown-requests`: well-framed requests with opcodes that nobody has and noise in them; an error answers each.
pub(crate) fn unknown_requests(stage: &Stage) -> io::Result<Value> {
    let mut client = stage.client()?;
    let mut errors = Vec::new();
    for seed in 0..500 {
        let opcode = 120 + u8::try_from(seed % 7).unwrap_or_default();
        let body = noise(seed, usize::try_from(seed).unwrap_or_default());
        client.request(&requests::request(stage.order, opcode, 0, &body))?;
        errors.extend(client.packet()?.bytes);
    }
    client.sync()?;
    Ok(json!({ "errors": errors.len() / 32, "digest": digest(&errors) }))
}

/// `zero-length [--form big]`: a request of length 0, without BIG-REQUESTS enabled, or 0 in 32 bits with it.
pub(crate) fn zero_length(stage: &Stage) -> io::Result<Value> {
    let mut client = stage.client()?;
    let mut request = vec![127, 0, 0, 0];
    if stage.options.value("form", String::new())? == "big" {
        client.enable_big_requests()?;
        request.extend([0; 4]);
    }
    client.request(&request)?;
    let focus = requests::get_input_focus(stage.order);
    let _may_be_closed = client.request(&focus);
    Ok(json!({ "answer": match client.packet() {
        Ok(packet) if packet.kind() == PacketKind::Error => "error",
        Ok(_) => "reply",
        Err(_) => "closed",
    } }))
}

/// `die`: goes away after every possible number of bytes of a set-up and some requests, then with replies half read.
pub(crate) fn die(stage: &Stage) -> io::Result<Value> {
    let setup = SetupRequest::new(stage.order, stage.display.cookie.as_deref()).encode();
    let requests = some_requests(&stage.client()?);
    let bytes = [setup, requests].concat();
    for length in 0..=bytes.len() {
        let mut client = RawClient::open(&stage.display.socket, stage.order)?;
        client.stream.send(bytes.get(..length).unwrap_or_default())?;
    }
    for read in REPLY_BYTES_READ {
        let mut client = stage.client()?;
        let bytes = some_requests(&client);
        client.stream.send(&bytes.repeat(4))?;
        client.stream.receive_exact(&mut vec![0; read], &mut Vec::new())?;
    }
    Ok(json!({ "deaths": bytes.len() + 1 + REPLY_BYTES_READ.len() }))
}

fn some_requests(client: &RawClient) -> Vec<u8> {
    let (order, setup) = (client.order, &client.setup);
    let root = Area { drawable: setup.root, width: 200, height: 200 };
    [
        requests::query_extension(order, "MIT-SHM"),
        requests::create_gc(order, setup.resource_base, setup.root),
        requests::get_image(order, root),
        requests::list_extensions(order),
        requests::get_input_focus(order),
    ]
    .concat()
}

/// `stall [--images N]`: asks for N images of 1 MB (default 48), reads nothing, holds; then reads them all.
pub(crate) fn stall(stage: &Stage) -> io::Result<Value> {
    let images = stage.options.value("images", 48)?;
    let mut client = stage.client()?;
    let area = Area { drawable: client.setup.root, width: 500, height: 500 };
    client.stream.send(&requests::get_image(stage.order, area).repeat(images))?;
    hold(&json!({ "stalled": images }))?;
    let mut replies = 0;
    for _ in 0..images {
        replies += u64::from(client.packet()?.kind() == PacketKind::Reply);
    }
    Ok(json!({ "replies": replies }))
}

/// `half-setup`: says that a long cookie follows, sends half of it, and holds.
pub(crate) fn half_setup(stage: &Stage) -> io::Result<Value> {
    let mut client = RawClient::open(&stage.display.socket, stage.order)?;
    let setup = SetupRequest {
        order: stage.order,
        auth_name: COOKIE_PROTOCOL.into(),
        auth_data: vec![0; usize::from(u16::MAX)],
    };
    let bytes = setup.encode();
    client.stream.send(bytes.get(..bytes.len() / 2).unwrap_or_default())?;
    hold(&json!({ "holding": 1 }))?;
    Ok(json!({ "held": 1 }))
}
