//! Well-behaved streams of requests, cut where nobody expects it.

use std::io;
use std::thread;

use serde_json::{Value, json};
use x11bridge_testkit::requests::{self, Area};
use x11bridge_testkit::setup::{SetupReply, SetupRequest};
use x11bridge_testkit::{ByteOrder, PacketKind, RawClient};

use crate::{Stage, digest};

/// `session [--order big] [--chunk BYTES] [--side PIXELS]`: one of many kinds of request, with long bodies, long
/// replies and errors, in writes of CHUNK bytes; prints kind, sequence number and digest of every answer.
pub(crate) fn session(stage: &Stage) -> io::Result<Value> {
    let chunk = stage.options.value("chunk", usize::MAX)?;
    let side = stage.options.value("side", 300)?;
    let mut client = stage.client()?;
    client.enable_big_requests()?;
    let (bytes, last) = script(&client, side);
    let mut writer = client.stream.try_clone()?;
    thread::scope(|scope| {
        // Written beside the reading: a client that only writes would be one that stalls.
        let written = scope.spawn(move || bytes.chunks(chunk).try_for_each(|piece| writer.send(piece)));
        let answers = answers_until(&mut client, last)?;
        written.join().map_err(|_| io::Error::other("the writer failed"))??;
        Ok(json!({ "answers": answers }))
    })
}

/// The requests, and the sequence number of the last one, which has a reply.
fn script(client: &RawClient, side: u16) -> (Vec<u8>, u64) {
    const NO_SUCH_REQUEST: u8 = 126;
    let (order, setup) = (client.order, &client.setup);
    let (pixmap, gc) = (setup.resource_base, setup.resource_base + 1);
    let area = Area { drawable: pixmap, width: side, height: side };
    let pixels: Vec<u8> =
        (0..u32::from(side) * u32::from(side)).flat_map(|pixel| order.u32(pixel * 7)).collect();
    let list = [
        requests::create_pixmap(order, setup.root_depth, pixmap, setup.root, side, side),
        requests::query_extension(order, "SHAPE"),
        requests::create_gc(order, gc, pixmap),
        requests::list_fonts(order),
        requests::put_image(order, area, gc, setup.root_depth, &pixels),
        requests::request(order, NO_SUCH_REQUEST, 0, &[1, 2, 3, 4]),
        requests::get_image(order, area),
        requests::big_query_extension(order, "RENDER"),
        requests::no_operation(order),
        requests::big_request(order, 127, 0, &[0; 40]),
        requests::put_image(order, area, gc, setup.root_depth, &pixels),
        requests::intern_atom(order, "WM_CLASS"),
        requests::get_image(order, area),
        requests::free_pixmap(order, pixmap),
        requests::get_input_focus(order),
    ];
    (list.concat(), client.sequence + list.len() as u64)
}

fn answers_until(client: &mut RawClient, last: u64) -> io::Result<Vec<Value>> {
    let mut answers = Vec::new();
    loop {
        let packet = client.packet()?;
        let mut bytes = packet.bytes.clone();
        if packet.kind() == PacketKind::Error {
            // The value of a wrong request holds resource ids, which differ from connection to connection.
            bytes.truncate(4);
        }
        let kind = format!("{:?}", packet.kind());
        answers.push(json!([kind, packet.sequence(), bytes.len(), digest(&bytes)]));
        if u64::from(packet.sequence()) == last & 0xffff {
            return Ok(answers);
        }
    }
}

/// `sequence [--count N]`: N round trips (default 70,000), all sent without awaiting any; every number must be right.
pub(crate) fn sequence(stage: &Stage) -> io::Result<Value> {
    let count = stage.options.value("count", 70_000_u64)?;
    let mut client = stage.client()?;
    let mut writer = client.stream.try_clone()?;
    let (first, one) = (client.sequence + 1, requests::get_input_focus(stage.order));
    thread::scope(|scope| {
        let bytes = one.repeat(usize::try_from(count).unwrap_or_default());
        scope.spawn(move || writer.send(&bytes));
        for expected in first..first + count {
            let packet = client.packet()?;
            if packet.kind() != PacketKind::Reply || u64::from(packet.sequence()) != expected & 0xffff {
                return Err(io::Error::other(format!(
                    "{:?} {} for {expected}",
                    packet.kind(),
                    packet.sequence()
                )));
            }
        }
        Ok(json!({ "replies": count }))
    })
}

/// `setup-pieces`: the set-up in two pieces, split at every place, with a request behind it in the same write.
pub(crate) fn setup_pieces(stage: &Stage) -> io::Result<Value> {
    let mut splits = 0;
    for order in ByteOrder::BOTH {
        let setup = SetupRequest::new(order, stage.display.cookie.as_deref()).encode();
        let bytes = [setup, requests::get_input_focus(order)].concat();
        for at in 1..bytes.len() {
            let mut client = RawClient::open(&stage.display.socket, order)?;
            let (first, second) = bytes.split_at(at);
            client.stream.send(first)?;
            // Lets the peer run, so that it sees the pieces apart at least now and then.
            thread::yield_now();
            client.stream.send(second)?;
            let SetupReply::Accepted(_) = client.setup_reply()? else {
                return Err(io::Error::other(format!("refused when split at {at}")));
            };
            if client.packet()?.sequence() != 1 {
                return Err(io::Error::other(format!("wrong sequence number when split at {at}")));
            }
            splits += 1;
        }
    }
    Ok(json!({ "splits": splits }))
}
