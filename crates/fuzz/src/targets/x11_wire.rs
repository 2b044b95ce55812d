//! X11 framing: every parser over the same bytes.

use ::x11_wire::extension::{Descriptors, Extension, QueryExtensionReply, descriptors, hide_in_list};
use ::x11_wire::message::{HEADER, Kind, MessageHead, encode_error};
use ::x11_wire::request::{Head, RequestHead};
use ::x11_wire::sequence::{low16, widen};
use ::x11_wire::setup::{Parsed, SetupReply, SetupRequest, encode_failure};
use ::x11_wire::{ByteOrder, padded};

use crate::Rng;
use crate::features::{magnitude, note};
use crate::script::extension_names;
use crate::wire::Wire;

/// The first byte chooses the byte order and whether BIG-REQUESTS is on; the rest is what is parsed.
pub fn x11_wire(data: &[u8]) {
    let (&flags, bytes) = data.split_first().unwrap_or((&0, &[]));
    let order = if flags & 1 == 0 { ByteOrder::Little } else { ByteOrder::Big };
    set_up(bytes);
    set_up_reply(order, bytes);
    requests(order, flags & 2 != 0, bytes);
    messages(order, bytes);
    list(order, bytes, u32::from(flags) >> 2);
    query(bytes);
    tables(bytes);
    sequences(bytes);
}

fn set_up(bytes: &[u8]) {
    match SetupRequest::parse(bytes) {
        Ok(Parsed::Need(needed)) => {
            assert!(needed > bytes.len(), "what is needed is not there");
            note(("set-up needs", magnitude(needed as u64)));
        }
        Ok(Parsed::Done(setup, consumed)) => {
            assert!(consumed <= bytes.len());
            for cut in 0..consumed {
                let part = SetupRequest::parse(&bytes[..cut]);
                assert!(
                    matches!(part, Ok(Parsed::Need(needed)) if needed > cut && needed <= consumed),
                    "at {cut}"
                );
            }
            let again = setup.encode();
            assert_eq!(SetupRequest::parse(&again), Ok(Parsed::Done(setup.clone(), again.len())));
            note(("set-up", setup.auth_name.len() % 5, setup.auth_data.len() % 5));
        }
        Err(error) => note(std::mem::discriminant(&error)),
    }
}

fn set_up_reply(order: ByteOrder, bytes: &[u8]) {
    if let Some(reply) = SetupReply::parse(order, bytes) {
        assert!(reply.len >= 8 && reply.len.is_multiple_of(4));
        note(("set-up reply", format!("{:?}", reply.status)));
    }
    let reason = String::from_utf8_lossy(bytes);
    let refusal = encode_failure(order, &reason);
    let parsed = SetupReply::parse(order, &refusal).map(|reply| reply.len);
    assert_eq!(parsed, Some(refusal.len()), "a refusal says its own length");
}

fn requests(order: ByteOrder, big: bool, bytes: &[u8]) {
    let mut at = 0_usize;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let head = match RequestHead::parse(order, big, rest) {
            Head::Complete(head) => head,
            Head::NeedMore => return assert!(rest.len() < 8),
            Head::BadLength => return note("bad length"),
        };
        assert!(head.len >= head.header as u64 && head.len.is_multiple_of(4), "{head:?}");
        assert_eq!(RequestHead::parse(order, big, &rest[..head.header]), Head::Complete(head));
        assert!(!matches!(RequestHead::parse(order, big, &rest[..head.header - 1]), Head::Complete(_)));
        note(("request", head.header, magnitude(head.len)));
        let Some(next) = usize::try_from(head.len).ok().and_then(|len| at.checked_add(len)) else { return };
        at = next;
    }
}

fn messages(order: ByteOrder, bytes: &[u8]) {
    let mut at = 0_usize;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(head) = MessageHead::parse(order, rest) else { return assert!(rest.len() < HEADER) };
        assert!(head.len >= HEADER as u64 && head.len.is_multiple_of(4));
        assert_eq!(MessageHead::parse(order, &rest[..HEADER]), Some(head));
        assert!(head.kind != Kind::Error || head.len == HEADER as u64);
        note(("message", format!("{:?}", head.kind), head.sequence.is_some(), magnitude(head.len)));
        let Some(next) = usize::try_from(head.len).ok().and_then(|len| at.checked_add(len)) else { return };
        at = next;
    }
}

/// `hide` has a bit for each extension.
fn list(order: ByteOrder, bytes: &[u8], hide: u32) {
    let mut left = bytes.to_vec();
    let hidden = |name: &[u8]| {
        extension_names().enumerate().any(|(n, known)| hide >> n & 1 != 0 && known.as_bytes() == name)
    };
    hide_in_list(order, &mut left, hidden);
    assert_eq!(left.len(), bytes.len());
    let kept = |bytes: &[u8]| {
        bytes.iter().take(8).enumerate().filter(|(n, _)| *n != 1).map(|(_, b)| *b).collect::<Vec<_>>()
    };
    assert_eq!(kept(&left), kept(bytes), "type, sequence and length stay");
    let end = padded(HEADER).saturating_add(4 * order.u32_at(bytes, 4).unwrap_or(0) as usize);
    assert_eq!(left.get(end..), bytes.get(end..), "what lies behind the reply stays");
    let once = left.clone();
    hide_in_list(order, &mut left, hidden);
    assert_eq!(left, once, "hiding twice hides no more");
    note(("list", once != bytes));
}

fn query(bytes: &[u8]) {
    let mut reply = bytes.to_vec();
    QueryExtensionReply::hide(&mut reply);
    assert_eq!(reply.len(), bytes.len());
    let parsed = QueryExtensionReply::parse(&reply);
    assert!(parsed.is_none_or(|reply| !reply.present || bytes.len() < 12));
}

fn tables(bytes: &[u8]) {
    let minor = bytes.first().copied().unwrap_or(0);
    for extension in Extension::ALL {
        assert_eq!(Extension::from_name(extension.name().as_bytes()), Some(extension));
        if let Some(Descriptors::Request(fds)) = descriptors(extension, minor) {
            assert!(fds.count(bytes, 4) <= 255 && fds.count(bytes, 8) <= 255);
        }
    }
}

fn sequences(bytes: &[u8]) {
    let Some(&[major, minor, low, high, rest @ ..]) = bytes.first_chunk::<8>() else { return };
    let (last, wire) = (u64::from(u32::from_le_bytes(rest)), u16::from_le_bytes([low, high]));
    let full = widen(last, wire);
    assert!(full >= last && full - last < 1 << 16 && low16(full) == wire);
    let error = encode_error(ByteOrder::Big, 16, wire, major, minor.into());
    let head = MessageHead::parse(ByteOrder::Big, &error);
    assert_eq!(head, Some(MessageHead { kind: Kind::Error, sequence: Some(wire), len: 32 }));
}

/// Every fourth byte is as good a cut as any.
pub(super) fn cuts(data: &[u8]) -> Vec<usize> {
    (1..data.len()).step_by(4).collect()
}

/// Flags, then a set-up, a stream of requests, a stream of messages or a list of extensions.
pub(super) fn generate(rng: &mut Rng) -> Vec<u8> {
    let flags = rng.byte();
    let wire = Wire(if flags & 1 == 0 { ByteOrder::Little } else { ByteOrder::Big });
    let len = rng.small(120);
    let body = rng.bytes(len);
    let names: Vec<_> = extension_names().take(1 + rng.below(8)).collect();
    let one = |rng: &mut Rng| match rng.below(5) {
        0 => wire.request(rng.byte(), 0, &body),
        1 => wire.big_request(rng.byte(), 0, &body),
        2 => wire.message(rng.pick(&[0, 1, 1, 11, 12, 35, 163]), 0, 7, &body),
        3 => wire.list(7, &names),
        _ => {
            let (name, data) = body.split_at(body.len() / 2);
            SetupRequest { order: wire.0, version: (11, 0), auth_name: name, auth_data: data }.encode()
        }
    };
    let mut out = vec![flags];
    for _ in 0..=rng.small(5) {
        out.extend(one(rng));
    }
    out
}
