//! DRI3 1.4 where timelines are carried, and 1.2 where they are not: clients are told, and can't get round it.

mod support;

use support::{EVERYTHING, MEMORY, Run, both_orders};
use x11_wire::ByteOrder;

const DRI3: u8 = 149;
const PRESENT: u8 = 148;
const BIG: u8 = 133;
const NO_OPERATION: u8 = 127;
const UNASSIGNED: u8 = 126;

fn run(order: ByteOrder, carries: session::Carries) -> Run {
    let mut run = Run::new(order, carries);
    run.learn("DRI3", DRI3);
    run.learn("Present", PRESENT);
    run.learn("BIG-REQUESTS", BIG);
    run.client(&run.wire.request(BIG, 0, &[]));
    run.to_host.clear();
    run
}

/// What comes out of the same request in its two forms.
fn both_forms(
    order: ByteOrder,
    carries: session::Carries,
    major: u8,
    minor: u8,
    body: &[u8],
) -> [Vec<u8>; 2] {
    [false, true].map(|big| {
        let mut run = run(order, carries);
        let wire = run.wire;
        let request =
            if big { wire.big_request(major, minor, body) } else { wire.request(major, minor, body) };
        run.client(&request);
        assert_eq!(run.to_host.len(), request.len(), "its length stays");
        run.to_host
    })
}

#[test]
fn the_version_of_dri3_is_at_most_1_2_without_timelines() {
    both_orders(|order| {
        for (carries, server, told) in [
            (MEMORY, (1, 4), (1, 2)),
            (MEMORY, (1, 3), (1, 2)),
            (MEMORY, (2, 0), (1, 2)),
            (MEMORY, (1, 2), (1, 2)),
            (MEMORY, (1, 0), (1, 0)),
            (EVERYTHING, (1, 4), (1, 4)),
        ] {
            let mut run = run(order, carries);
            let wire = run.wire;
            run.client(&wire.request(DRI3, 0, &[0; 8]));
            let version = |(major, minor)| [wire.u32(major), wire.u32(minor)].concat();
            run.host(&wire.reply(5, &version(server)));
            assert_eq!(run.to_client, wire.reply(5, &version(told)), "{server:?}");
        }
    });
}

#[test]
fn a_device_of_the_clients_machine_is_not_named_to_the_server() {
    both_orders(|order| {
        for request in both_forms(order, MEMORY, DRI3, 9, &[7; 12]) {
            assert_eq!(request[..2], [NO_OPERATION, 0]);
        }
        for request in both_forms(order, EVERYTHING, DRI3, 9, &[7; 12]) {
            assert_eq!(request[..2], [DRI3, 9]);
        }
    });
}

#[test]
fn requests_of_timelines_are_refused_where_none_is_carried() {
    both_orders(|order| {
        for (major, minor, len) in [(DRI3, 10, 8), (DRI3, 11, 4), (PRESENT, 5, 88)] {
            for request in both_forms(order, MEMORY, major, minor, &vec![7; len]) {
                assert_eq!(request[..2], [UNASSIGNED, 0], "{major}, {minor}");
            }
            for request in both_forms(order, EVERYTHING, major, minor, &vec![7; len]) {
                assert_eq!(request[..2], [major, minor]);
            }
        }
    });
}

#[test]
fn the_descriptor_of_a_refused_timeline_is_not_taken_by_the_next_request() {
    let mut run = run(ByteOrder::Little, MEMORY);
    let (timeline, fence) = (run.wire.request(DRI3, 10, &[0; 8]), run.wire.request(DRI3, 4, &[0; 12]));
    run.client_with(&[&timeline[..], &fence].concat(), &[1, 2]);
    assert_eq!(run.host_marks, [(12, vec![2])]);
    assert_eq!(run.session.counters().descriptors_dropped, 1);
}

#[test]
fn presents_capability_of_timelines_shows_only_where_they_are_carried() {
    both_orders(|order| {
        for (carries, told) in [(MEMORY, 0b0111), (EVERYTHING, 0b1_0111)] {
            let mut run = run(order, carries);
            let wire = run.wire;
            run.client(&wire.request(PRESENT, 4, &[0; 4]));
            run.host(&wire.reply(5, &wire.u32(0b1_0111)));
            assert_eq!(run.to_client, wire.reply(5, &wire.u32(told)));
        }
    });
}
