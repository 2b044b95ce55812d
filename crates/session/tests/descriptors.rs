//! Descriptors reach the message that owns them, in both directions, however they arrive.

#![allow(clippy::needless_for_each, reason = "a loop in one line reads better among one-line steps")]

mod support;

use session::{DESCRIPTOR_DISTANCE_MAX, DESCRIPTORS_QUEUED_MAX};
use support::{BYTES_ONLY, EVERYTHING, Run, both_orders};
use x11_wire::ByteOrder;

const SHM: u8 = 130;
const DRI3: u8 = 149;
const BIG: u8 = 133;

fn run(order: ByteOrder) -> Run {
    let mut run = Run::new(order, EVERYTHING);
    run.learn("DRI3", DRI3);
    run.learn("MIT-SHM", SHM);
    run
}

#[test]
fn each_request_of_the_table_owns_its_number_of_descriptors() {
    both_orders(|order| {
        let mut buffers = [0; 60];
        buffers[8] = 4;
        for (major, minor, body, count) in [
            (DRI3, 2, &[0; 20][..], 1),
            (DRI3, 4, &[0; 12], 1),
            (DRI3, 7, &buffers, 4),
            (DRI3, 10, &[0; 8], 1),
            (SHM, 6, &[0; 12], 1),
            (DRI3, 0, &[0; 8], 0),
        ] {
            let mut run = run(order);
            let request = run.wire.request(major, minor, body);
            run.client_with(&request, &[1, 2, 3, 4, 5]);
            let marks: Vec<_> = (count > 0).then(|| (0, (1..=count).collect())).into_iter().collect();
            assert_eq!((&run.to_host.len(), run.host_marks), (&request.len(), marks), "{major}, {minor}");
        }
    });
}

#[test]
fn the_big_form_owns_the_same() {
    let mut run = run(ByteOrder::Little);
    run.learn("BIG-REQUESTS", BIG);
    run.client(&run.wire.request(BIG, 0, &[]));
    let mut buffers = [0; 60];
    buffers[8] = 2;
    run.client_with(&run.wire.big_request(DRI3, 7, &buffers), &[1, 2, 3]);
    assert_eq!(run.host_marks, [(4, vec![1, 2])]);
}

#[test]
fn one_message_may_begin_with_a_request_that_owns_none() {
    let mut run = run(ByteOrder::Little);
    let (map, fence) = (run.wire.request(8, 0, &[0; 4]), run.wire.request(DRI3, 4, &[0; 12]));
    run.client_with(&[&map[..], &fence, &map, &fence, &fence].concat(), &[1, 2, 3]);
    assert_eq!(run.host_marks, [(8, vec![1]), (32, vec![2]), (48, vec![3])]);
}

#[test]
fn descriptors_of_a_long_write_wait_for_their_request_far_behind() {
    both_orders(|order| {
        let mut run = run(order);
        let image = run.wire.request(72, 2, &[0; 10 * 1024]);
        let stream = [&image[..], &run.wire.request(DRI3, 2, &[0; 20])].concat();
        run.client_with(&stream[..1], &[7]);
        stream[1..].chunks(1000).for_each(|piece| run.client(piece));
        assert_eq!(run.host_marks, [(image.len(), vec![7])]);
    });
}

#[test]
fn descriptors_may_come_with_the_last_byte_of_their_request() {
    let mut run = run(ByteOrder::Little);
    let request = run.wire.request(DRI3, 4, &[0; 12]);
    run.client(&request[..request.len() - 1]);
    assert!(run.to_host.is_empty(), "it waits for its descriptor");
    run.client_with(&request[request.len() - 1..], &[7]);
    assert_eq!((run.to_host.len(), run.host_marks), (16, vec![(0, vec![7])]));
}

#[test]
fn a_request_without_its_descriptors_passes_and_the_next_keeps_its_own() {
    let mut run = run(ByteOrder::Little);
    let request = run.wire.request(DRI3, 4, &[0; 12]);
    run.client(&request);
    run.client_with(&request, &[7]);
    assert_eq!(run.host_marks, [(16, vec![7])]);
}

#[test]
fn descriptors_that_nobody_claims_are_closed_and_counted() {
    let mut run = run(ByteOrder::Little);
    run.client_with(&run.wire.request(127, 0, &[]), &[7]);
    let image = run.wire.request(72, 2, &vec![0; 262_000]);
    for _ in 0..=DESCRIPTOR_DISTANCE_MAX / 262_000 {
        run.client(&image);
    }
    run.client_with(&run.wire.request(DRI3, 4, &[0; 12]), &[8]);
    assert_eq!(run.host_marks.iter().flat_map(|mark| &mark.1).collect::<Vec<_>>(), [&8]);
    assert_eq!(run.session.counters().descriptors_dropped, 1);
}

#[test]
fn more_descriptors_than_the_queue_holds_cost_only_themselves() {
    let mut run = run(ByteOrder::Little);
    let many: Vec<_> = (0..u32::try_from(DESCRIPTORS_QUEUED_MAX).unwrap() + 3).collect();
    run.client_with(&run.wire.request(DRI3, 4, &[0; 12]), &many);
    assert_eq!(run.host_marks, [(0, vec![0])]);
    assert_eq!(run.session.counters().descriptors_dropped, 3);
}

#[test]
fn a_path_without_descriptors_closes_them_at_once() {
    let mut run = Run::new(ByteOrder::Little, BYTES_ONLY);
    run.learn("DRI3", DRI3);
    run.client_with(&run.wire.request(DRI3, 4, &[0; 12]), &[7, 8]);
    assert!(run.host_marks.is_empty());
    assert_eq!(run.session.counters().descriptors_dropped, 2);
}

#[test]
fn replies_get_as_many_as_they_say_and_others_none() {
    both_orders(|order| {
        let mut run = run(order);
        let wire = run.wire;
        run.client(
            &[wire.request(43, 0, &[]), wire.request(DRI3, 8, &[0; 4]), wire.request(SHM, 7, &[0; 12])]
                .concat(),
        );
        let messages =
            [wire.reply(3, &[]), wire.message(1, 3, 4, &[0; 24]), wire.message(1, 1, 5, &[0; 24])].concat();
        run.host_with(&messages[..40], &[1, 2, 3, 4]);
        run.host(&messages[40..]);
        assert_eq!(run.client_marks, [(32, vec![1, 2, 3]), (64, vec![4])]);
        assert_eq!(run.to_client, messages);
    });
}

#[test]
fn an_error_in_place_of_a_reply_takes_no_descriptor() {
    let mut run = run(ByteOrder::Little);
    let wire = run.wire;
    run.client(&[wire.request(DRI3, 3, &[0; 4]), wire.request(DRI3, 3, &[0; 4])].concat());
    run.host_with(&[wire.error(3, 4, DRI3), wire.message(1, 1, 4, &[0; 24])].concat(), &[7]);
    assert_eq!(run.client_marks, [(32, vec![7])]);
}
