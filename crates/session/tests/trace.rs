//! What is told of a session to somebody who looks on.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic here is a failed test"
)]

mod support;

use session::{CAPTURED_MAX, RECORD_HEADER, Trace, Traced};
use support::{BYTES_ONLY, EVERYTHING, Run, Wire, both_orders};
use x11_wire::ByteOrder;

/// A record as a reader understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    kind: u8,
    flags: u8,
    len: u64,
    sequence: u32,
    bytes: Vec<u8>,
}

fn records(run: &mut Run) -> Vec<Record> {
    let (bytes, count) = run.session.trace().unwrap().take();
    let mut rest = &bytes[..];
    let mut records = vec![];
    while !rest.is_empty() {
        let field = |at: usize| u64::from_le_bytes(rest[at..at + 8].try_into().unwrap());
        let captured = usize::from(u16::from_le_bytes([rest[28], rest[29]]));
        assert_eq!((field(0), field(8)), (7, 5_000));
        records.push(Record {
            kind: rest[30],
            flags: rest[31],
            len: field(16),
            sequence: u32::from_le_bytes(rest[24..28].try_into().unwrap()),
            bytes: rest[RECORD_HEADER..RECORD_HEADER + captured].to_vec(),
        });
        rest = &rest[RECORD_HEADER + captured..];
    }
    assert_eq!(records.len() as u64, count);
    records
}

fn traced(order: ByteOrder) -> Run {
    let mut run = Run::new(order, BYTES_ONLY);
    run.session.follow(Some(Trace::new(7, order, 5_000)), b"xterm");
    run
}

fn conversation(wire: Wire) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let requests = vec![
        wire.query_extension("RENDER"),
        wire.request(43, 0, &[]),
        wire.request(72, 2, &[5; 4000]),
        wire.request(127, 0, &[]),
    ];
    let messages = vec![
        wire.has_extension(1, 139),
        wire.message(12, 0, 1, &[3; 24]),
        wire.reply(2, &[1; 3000]),
        wire.error(3, 8, 72),
    ];
    (requests, messages)
}

fn expected(kind: Traced, flags: u8, parts: &[Vec<u8>], sequence: impl Fn(usize) -> usize) -> Vec<Record> {
    let record = |(at, part): (usize, &Vec<u8>)| Record {
        kind: kind as u8,
        flags,
        len: part.len() as u64,
        sequence: u32::try_from(sequence(at)).unwrap(),
        bytes: part[..part.len().min(CAPTURED_MAX)].to_vec(),
    };
    parts.iter().enumerate().map(record).collect()
}

#[test]
fn every_message_is_told_once_with_its_first_bytes_however_the_streams_are_cut() {
    both_orders(|order| {
        let big = u8::from(order == ByteOrder::Big);
        let (requests, messages) = conversation(Wire(order));
        for portion in [1, 2, 3, 7, 32, 511, 512, 513, 100_000] {
            let mut run = traced(order);
            requests.concat().chunks(portion).for_each(|part| run.client(part));
            messages.concat().chunks(portion).for_each(|part| run.host(part));
            let told = records(&mut run);
            let begins = Record {
                kind: Traced::Begins as u8,
                flags: big,
                len: 5,
                sequence: 0,
                bytes: b"xterm".to_vec(),
            };
            let all = [
                vec![begins],
                expected(Traced::Request, big, &requests, |at| at + 1),
                expected(Traced::Message, big, &messages, |_| requests.len()),
            ];
            assert_eq!(told, all.concat(), "portions of {portion}");
            assert_eq!((run.to_host, run.to_client), (requests.concat(), messages.concat()));
        }
    });
}

#[test]
fn a_trace_that_begins_amid_a_message_begins_with_the_next() {
    both_orders(|order| {
        let wire = Wire(order);
        let mut run = Run::new(order, BYTES_ONLY);
        let long = wire.request(72, 2, &[5; 400]);
        run.client(&long[..200]);
        run.session.follow(Some(Trace::new(7, order, 5_000)), b"");
        run.client(&long[200..]);
        run.client(&wire.request(43, 0, &[]));
        let told: Vec<_> = records(&mut run).iter().map(|record| (record.kind, record.sequence)).collect();
        assert_eq!(told, [(Traced::Begins as u8, 1), (Traced::Request as u8, 2)]);
        run.session.follow(None, b"");
        run.client(&wire.request(43, 0, &[]));
        assert!(run.session.trace().is_none());
    });
}

#[test]
fn a_request_that_becomes_another_one_is_told_with_its_own_opcodes() {
    both_orders(|order| {
        let mut run = traced(order);
        run.client(&run.wire.request(200, 3, &[9; 8]));
        let told = records(&mut run);
        assert_eq!((told[1].flags & 2, &told[1].bytes[..2]), (2, &[200, 3][..]));
        assert_ne!(run.to_host[0], 200);
    });
}

#[test]
fn a_reply_whose_rest_passes_unseen_is_told_as_far_as_it_was_seen() {
    let mut run = traced(ByteOrder::Little);
    let wire = run.wire;
    run.client(&wire.request(43, 0, &[]));
    let reply = wire.reply(1, &[1; 1000]);
    run.host(&reply[..100]);
    run.session.host_passed(run.session.host_passable());
    let told = records(&mut run);
    assert_eq!((told[2].len, told[2].bytes.len()), (reply.len() as u64, 100));
}

#[test]
fn the_set_up_is_told_of_who_connects_meanwhile() {
    let mut run = Run::fresh(ByteOrder::Little, EVERYTHING);
    run.session.follow(Some(Trace::new(7, ByteOrder::Little, 5_000)), b"");
    let reply = run.wire.set_up_reply();
    run.host(&reply);
    let told = records(&mut run);
    assert_eq!((told[1].kind, &told[1].bytes), (Traced::SetUp as u8, &reply));
}
