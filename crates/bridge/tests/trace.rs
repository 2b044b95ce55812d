//! Every message of a bridge's clients, for somebody who looks.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed test"
)]

mod lab;

use std::time::{Duration, Instant};

use bridge::{Error, TRACE_QUEUE_MAX};
use lab::{CHANNELS, Lab};
use session::RECORD_HEADER;
use x11bridge_testkit::{ByteOrder, HANG_GUARD, requests};

const REQUEST: u8 = 0;
const MESSAGE: u8 = 1;
const SET_UP: u8 = 2;
const BEGINS: u8 = 3;
const ENDS: u8 = 4;

/// Client and kind of each record.
fn told(records: &[u8]) -> Vec<(u64, u8)> {
    let mut rest = records;
    let mut told = vec![];
    while !rest.is_empty() {
        told.push((u64::from_le_bytes(rest[..8].try_into().unwrap()), rest[30]));
        rest = &rest[RECORD_HEADER + usize::from(u16::from_le_bytes([rest[28], rest[29]]))..];
    }
    told
}

fn until(lab: &Lab, told_so_far: &mut Vec<(u64, u8)>, done: impl Fn(&[(u64, u8)]) -> bool) {
    let deadline = Instant::now() + HANG_GUARD;
    while !done(told_so_far) {
        assert!(Instant::now() < deadline, "only {told_so_far:?}");
        told_so_far.extend(told(&lab.bridge.take_trace().records));
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn what_clients_and_server_say_is_told_from_the_next_message_on() {
    for channel in CHANNELS {
        let lab = Lab::new(&channel);
        let (mut early, mut early_server) = lab.pair(ByteOrder::Big);
        let start = lab.bridge.trace(None, &[]).unwrap();
        assert_eq!((start.extensions, start.unknown), (vec![], None));
        assert_eq!(lab.bridge.trace(None, &[]), Err(Error::Traced));
        early.request(&requests::get_input_focus(ByteOrder::Big)).unwrap();
        early_server.request().unwrap();
        early_server.reply(1, &[], &[]).unwrap();
        early.packet().unwrap();
        let (late, late_server) = lab.pair(ByteOrder::Little);
        drop((late, late_server));
        let mut all = vec![];
        until(&lab, &mut all, |all| all.iter().any(|(_, kind)| *kind == ENDS));
        let of = |client| all.iter().filter(|told| told.0 == client).map(|told| told.1).collect::<Vec<_>>();
        let (first, second) = (all[0].0, all.iter().map(|told| told.0).max().unwrap());
        assert_eq!(of(first), [BEGINS, REQUEST, MESSAGE]);
        assert_eq!(of(second), [BEGINS, SET_UP, ENDS]);
        lab.bridge.end_trace();
        early.request(&requests::get_input_focus(ByteOrder::Big)).unwrap();
        early_server.request().unwrap();
        assert_eq!(lab.bridge.take_trace().records, []);
        assert!(lab.bridge.trace(Some(second), &[]).is_ok());
    }
}

#[test]
fn one_client_alone_can_be_looked_at() {
    let lab = Lab::new(&CHANNELS[0]);
    let (mut one, _one_server) = lab.pair(ByteOrder::Little);
    let (mut other, mut other_server) = lab.pair(ByteOrder::Little);
    let clients = lab.bridge.clients();
    lab.bridge.trace(Some(clients[1].client), &[]).unwrap();
    one.request(&requests::get_input_focus(ByteOrder::Little)).unwrap();
    other.request(&requests::get_input_focus(ByteOrder::Little)).unwrap();
    other_server.request().unwrap();
    let mut all = vec![];
    until(&lab, &mut all, |all| all.len() >= 2);
    assert_eq!(all, [(clients[1].client, BEGINS), (clients[1].client, REQUEST)]);
}

#[test]
fn who_does_not_take_what_is_told_loses_it_and_holds_nobody_up() {
    let lab = Lab::new(&CHANNELS[0]);
    let (mut client, mut server) = lab.pair(ByteOrder::Little);
    lab.bridge.trace(None, &[]).unwrap();
    let block = requests::no_operation(ByteOrder::Little).repeat(1 << 12);
    let rounds = 4 * TRACE_QUEUE_MAX / (RECORD_HEADER << 12);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..rounds << 12).for_each(|_| drop(server.request().unwrap())));
        (0..rounds).for_each(|_| client.stream.send(&block).unwrap());
    });
    let batch = lab.bridge.take_trace();
    assert!(batch.records.len() <= TRACE_QUEUE_MAX);
    let kept = told(&batch.records).len() as u64 - 1;
    assert_eq!(kept + batch.lost, (rounds << 12) as u64);
    assert!(batch.lost > 0);
}
