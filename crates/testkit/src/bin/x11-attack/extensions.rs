//! Asking for extensions in every way that the protocol has.

use std::io;

use serde_json::{Map, Value, json};
use x11bridge_testkit::{ByteOrder, Packet, PacketKind, requests};

use crate::Stage;

/// Asked for whether they are listed or not: those that a bridge may hide, and one that nobody has.
const ALWAYS_ASKED: [&str; 6] =
    ["MIT-SHM", "DRI2", "DRI3", "XFree86-DGA", "XFree86-DRI", "NO-SUCH-EXTENSION"];

/// `list-extensions [--order big]`: a client that never sends `QueryExtension`.
pub(crate) fn list_only(stage: &Stage) -> io::Result<Value> {
    let mut client = stage.client()?;
    let reply = client.reply_to(&requests::list_extensions(stage.order))?;
    client.sync()?;
    Ok(json!({ "listed": names(&reply) }))
}

/// `extensions [--order big] [--form big]`: `ListExtensions`, then `QueryExtension` for each listed name and some more,
/// all of them outstanding at once; `--form big` in the BIG-REQUESTS form.
pub(crate) fn query_all(stage: &Stage) -> io::Result<Value> {
    let big_form = stage.options.value("form", String::new())? == "big";
    let query: fn(ByteOrder, &str) -> Vec<u8> =
        if big_form { requests::big_query_extension } else { requests::query_extension };
    let mut client = stage.client()?;
    if big_form {
        client.enable_big_requests()?;
    }
    let listed = names(&client.reply_to(&requests::list_extensions(stage.order))?);
    let asked: Vec<&str> = listed.iter().map(String::as_str).chain(ALWAYS_ASKED).collect();
    client.stream.send(&asked.iter().flat_map(|name| query(stage.order, name)).collect::<Vec<_>>())?;
    let mut answers = Map::new();
    for name in &asked {
        client.sequence += 1;
        answers.insert((*name).to_owned(), answer(&client.packet()?, client.sequence)?);
    }
    client.sync()?;
    Ok(json!({ "listed": listed, "answers": answers }))
}

/// Present, major opcode, first event, first error.
fn answer(packet: &Packet, sequence: u64) -> io::Result<Value> {
    if packet.kind() != PacketKind::Reply || u64::from(packet.sequence()) != sequence & 0xffff {
        return Err(io::Error::other(format!("{:?} {} for {sequence}", packet.kind(), packet.sequence())));
    }
    Ok(json!(packet.bytes.get(8..12)))
}

/// The counted strings of a `ListExtensions` reply.
fn names(reply: &Packet) -> Vec<String> {
    let mut rest = reply.bytes.get(32..).unwrap_or_default();
    let mut names = Vec::new();
    for _ in 0..reply.detail() {
        let Some((length, behind)) = rest.split_first() else { break };
        let Some((name, behind)) = behind.split_at_checked(usize::from(*length)) else { break };
        names.push(String::from_utf8_lossy(name).into_owned());
        rest = behind;
    }
    names
}
