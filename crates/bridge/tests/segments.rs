//! System V segments: no number crosses, whatever becomes of the client that names one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed test"
)]

mod lab;

use lab::{BY_DISPLAY, Lab};
use x11bridge_testkit::{ByteOrder, FakeConnection, RawClient, requests};

const SHM: u8 = 130;
const ATTACH: u8 = 1;
const NO_SEGMENT: u32 = u32::MAX;
/// The kernel gives no segment a negative number, so nobody has this one.
const NUMBER: u32 = 0x8000_0007;

fn attach(order: ByteOrder, number: u32) -> Vec<u8> {
    let body = [order.u32(0x0020_0001), order.u32(number), [0; 4]].concat();
    requests::request(order, SHM, ATTACH, &body)
}

fn pair_with_shm(lab: &Lab, order: ByteOrder) -> (RawClient, FakeConnection) {
    let (mut client, mut server) = lab.pair(order);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            server.request().unwrap();
            server.reply_extension(Some(SHM)).unwrap();
        });
        assert_eq!(client.extension("MIT-SHM").unwrap(), Some(SHM));
    });
    (client, server)
}

#[test]
fn a_segment_that_is_none_of_the_clients_is_attached_by_no_number() {
    for channel in &BY_DISPLAY {
        for order in ByteOrder::BOTH {
            let lab = Lab::new(channel);
            let (mut client, mut server) = pair_with_shm(&lab, order);
            client.request(&attach(order, NUMBER)).unwrap();
            let request = server.request().unwrap();
            assert_eq!((request.bytes, request.fds.len()), (attach(order, NO_SEGMENT), 0));
        }
    }
}

#[test]
fn a_client_that_hangs_up_before_its_opcode_is_known_gets_no_number_across() {
    for channel in &BY_DISPLAY {
        let lab = Lab::new(channel);
        let order = ByteOrder::Little;
        let (mut client, mut server) = lab.pair(order);
        client.request(&requests::query_extension(order, "MIT-SHM")).unwrap();
        client.request(&attach(order, NUMBER)).unwrap();
        drop(client);
        server.request().unwrap();
        server.reply_extension(Some(SHM)).unwrap();
        // What it asked for last is still said, and means nothing.
        assert_eq!(server.request().unwrap().bytes, attach(order, NO_SEGMENT));
        assert!(server.request().is_err(), "the stream is over");
    }
}

#[test]
fn a_server_that_never_answers_hears_nothing_of_what_waited_for_it() {
    for channel in &BY_DISPLAY {
        let lab = Lab::new(channel);
        let order = ByteOrder::Little;
        let (mut client, mut server) = lab.pair(order);
        client.request(&requests::query_extension(order, "MIT-SHM")).unwrap();
        client.request(&attach(order, NUMBER)).unwrap();
        server.request().unwrap();
        drop(client);
        lab.bridge.close();
        assert!(server.request().is_err(), "the stream is over");
    }
}
