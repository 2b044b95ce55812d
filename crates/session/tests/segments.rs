//! System V segments of MIT-SHM: no number reaches the server, and what it reads and writes is copied in time.

#![allow(clippy::needless_for_each, reason = "a loop in one line reads better among one-line steps")]

mod support;

use proptest::prelude::*;
use session::{Action, Attach, Carries, Next, Offers, SEGMENTS_MAX, Shm, Source};
use support::{EVERYTHING, MEMORY, Run, Wire, both_orders};
use x11_wire::ByteOrder;

const SHM: u8 = 130;
const BIG: u8 = 133;
const NAME: usize = 0x0020_0001;

const QUERY_VERSION: u8 = 0;
const ATTACH: u8 = 1;
const DETACH: u8 = 2;
const PUT_IMAGE: u8 = 3;
const GET_IMAGE: u8 = 4;
const CREATE_PIXMAP: u8 = 5;
const ATTACH_FD: u8 = 6;

/// A session that has used three sequence numbers.
fn run(order: ByteOrder, carries: Carries, shm: Shm) -> Run {
    let mut run = Run::offering(order, carries, Offers { shm, ..Offers::default() });
    run.learn("MIT-SHM", SHM);
    run.learn("BIG-REQUESTS", BIG);
    run.client(&run.wire.request(BIG, 0, &[]));
    run.host(&run.wire.reply(3, &[0; 24]));
    run.to_host.clear();
    run.to_client.clear();
    run
}

fn emulated(order: ByteOrder) -> Run {
    run(order, EVERYTHING, Shm::Emulated)
}

fn attach_body(wire: Wire, name: usize, number: usize, read_only: u8) -> Vec<u8> {
    [&wire.u32(name)[..], &wire.u32(number), &[read_only, 0, 0, 0]].concat()
}

fn attach_fd(wire: Wire, name: usize, read_only: u8) -> Vec<u8> {
    wire.request(SHM, ATTACH_FD, &[&wire.u32(name)[..], &[read_only, 0, 0, 0]].concat())
}

/// Attaches segment 77 as `name`; the file that stands for it is descriptor 5.
fn attach(run: &mut Run, name: usize) {
    run.client(&run.wire.request(SHM, ATTACH, &attach_body(run.wire, name, 77, 0)));
    assert!(
        matches!(run.next, Next::Attach(Attach { source: Source::Number(77), read_only: false, .. })),
        "{:?}",
        run.next
    );
    run.session.attached(Some(5));
    run.client(&[]);
    assert_eq!(run.next, Next::Client);
}

fn image_body(wire: Wire, minor: u8, name: usize, offset: usize) -> Vec<u8> {
    match minor {
        PUT_IMAGE => {
            let sizes: Vec<u8> = [100, 50, 0, 10, 20, 5, 0, 0].iter().flat_map(|n| wire.u16(*n)).collect();
            [&[7; 8], &sizes[..], &[24, 2, 1, 0], &wire.u32(name), &wire.u32(offset)].concat()
        }
        GET_IMAGE => [[7; 20].as_slice(), &wire.u32(name), &wire.u32(offset)].concat(),
        _ => [[7; 16].as_slice(), &wire.u32(name), &wire.u32(offset)].concat(),
    }
}

/// What comes out of a request in its two forms, sent byte by byte.
fn both_forms(order: ByteOrder, mut body: impl FnMut(&mut Run, &dyn Fn(u8, &[u8]) -> Vec<u8>)) {
    for big in [false, true] {
        let mut run = emulated(order);
        let wire = run.wire;
        let form = move |minor, body: &[u8]| {
            if big { wire.big_request(SHM, minor, body) } else { wire.request(SHM, minor, body) }
        };
        body(&mut run, &form);
    }
}

#[test]
fn an_attach_asks_for_the_segment_and_becomes_one_of_the_file_that_stands_for_it() {
    both_orders(|order| {
        both_forms(order, |run, form| {
            let wire = run.wire;
            let request = form(ATTACH, &attach_body(wire, NAME, 77, 1));
            request.iter().for_each(|byte| run.client(&[*byte]));
            assert_eq!(
                run.next,
                Next::Attach(Attach { key: 1, source: Source::Number(77), read_only: true })
            );
            assert!(run.to_host.is_empty(), "nothing passes before the answer");
            run.session.attached(Some(5));
            run.client(&wire.request(127, 0, &[]));
            assert_eq!(run.next, Next::Client);
            let expected = [attach_fd(wire, NAME, 1), wire.request(127, 0, &[])].concat();
            assert_eq!((&run.to_host, &run.host_marks), (&expected, &vec![(0, vec![5])]));
            assert_eq!(run.session.counters().requests, 5, "and the sequence stays");
        });
    });
}

#[test]
fn a_segment_that_the_client_has_no_right_to_is_attached_by_no_number() {
    both_orders(|order| {
        both_forms(order, |run, form| {
            let wire = run.wire;
            run.client(&form(ATTACH, &attach_body(wire, NAME, 77, 0)));
            run.session.attached(None);
            run.client(&[]);
            assert_eq!(run.to_host, form(ATTACH, &attach_body(wire, NAME, 0xffff_ffff, 0)));
            assert!(run.host_marks.is_empty());
        });
    });
}

#[test]
fn no_number_passes_where_segments_are_not_emulated_or_the_request_is_none() {
    both_orders(|order| {
        for (carries, shm, read_only) in
            [(MEMORY, Shm::Descriptors, 0), (EVERYTHING, Shm::Descriptors, 1), (EVERYTHING, Shm::Emulated, 2)]
        {
            let mut run = run(order, carries, shm);
            let wire = run.wire;
            run.client(&wire.request(SHM, ATTACH, &attach_body(wire, NAME, 77, read_only)));
            let expected = wire.request(SHM, ATTACH, &attach_body(wire, NAME, 0xffff_ffff, read_only));
            assert_eq!((run.next, &run.to_host), (Next::Client, &expected));
        }
        let mut hidden = Run::offering(order, EVERYTHING, Offers { shm: Shm::Hidden, ..Offers::default() });
        hidden.client(&hidden.wire.query_extension("MIT-SHM"));
        hidden.host(&hidden.wire.has_extension(1, SHM));
        assert_eq!(hidden.to_client[8..10], [0, 0]);
    });
}

#[test]
fn segments_are_limited_and_one_more_is_refused() {
    let mut run = emulated(ByteOrder::Little);
    (0..SEGMENTS_MAX).for_each(|name| attach(&mut run, name));
    run.to_host.clear();
    run.client(&run.wire.request(SHM, ATTACH, &attach_body(run.wire, NAME, 77, 0)));
    assert_eq!(run.to_host, run.wire.request(SHM, ATTACH, &attach_body(run.wire, NAME, 0xffff_ffff, 0)));
    run.client(&run.wire.request(SHM, DETACH, &run.wire.u32(3)));
    attach(&mut run, NAME);
}

#[test]
fn what_the_server_is_to_read_is_copied_first_and_the_request_passes_as_it_is() {
    both_orders(|order| {
        both_forms(order, |run, form| {
            attach(run, NAME);
            run.to_host.clear();
            let put = form(PUT_IMAGE, &image_body(run.wire, PUT_IMAGE, NAME, 4096));
            run.client(&put);
            let expected = Action::ToServer { key: 1, range: 4096 + 4000..4096 + 6000 };
            assert_eq!((&run.to_host, &run.actions), (&put, &vec![expected]));
        });
    });
}

#[test]
fn rows_are_measured_by_the_formats_of_the_set_up_however_it_comes() {
    both_orders(|order| {
        let wire = Wire(order);
        let formats = [[1, 1, 32, 0, 0, 0, 0, 0], [24, 32, 32, 0, 0, 0, 0, 0]].concat();
        let mut reply = [&[1, 0][..], &wire.u16(11), &wire.u16(0), &wire.u16(14), &[0; 56]].concat();
        reply[29] = 2;
        reply[40..56].copy_from_slice(&formats);
        for piece in [1, 7, 30, 64] {
            let mut run = Run::fresh(order, EVERYTHING);
            reply.chunks(piece).for_each(|piece| run.host(piece));
            assert_eq!(run.to_client, reply);
            run.learn("MIT-SHM", SHM);
            attach(&mut run, NAME);
            run.client(&wire.request(SHM, PUT_IMAGE, &image_body(wire, PUT_IMAGE, NAME, 64)));
            assert_eq!(run.actions, [Action::ToServer { key: 1, range: 64 + 4000..64 + 6000 }]);
        }
    });
}

#[test]
fn what_the_server_has_written_is_copied_before_the_reply_passes() {
    both_orders(|order| {
        both_forms(order, |run, form| {
            let wire = run.wire;
            attach(run, NAME);
            let get = form(GET_IMAGE, &image_body(wire, GET_IMAGE, NAME, 64));
            run.client(&[&get[..], &get].concat());
            assert!(run.actions.is_empty());
            run.host(&wire.reply(5, &[&[0; 4][..], &wire.u32(400)].concat()));
            run.host(&wire.error(6, 8, SHM));
            assert_eq!(run.actions, [Action::ToClient { key: 1, range: 64..464 }]);
        });
    });
}

#[test]
fn a_segment_is_forgotten_when_it_is_detached_and_all_is_written() {
    both_orders(|order| {
        let mut run = emulated(order);
        let wire = run.wire;
        attach(&mut run, NAME);
        run.client(&wire.request(SHM, GET_IMAGE, &image_body(wire, GET_IMAGE, NAME, 0)));
        run.client(&wire.request(SHM, DETACH, &wire.u32(NAME)));
        assert!(run.actions.is_empty(), "an image is on its way");
        run.host(&wire.reply(5, &[&[0; 4][..], &wire.u32(4)].concat()));
        assert_eq!(run.actions, [Action::ToClient { key: 1, range: 0..4 }, Action::Forget { key: 1 }]);
        run.actions.clear();
        run.client(&wire.request(SHM, DETACH, &wire.u32(NAME)));
        run.client(&wire.request(SHM, PUT_IMAGE, &image_body(wire, PUT_IMAGE, NAME, 0)));
        assert!(run.actions.is_empty(), "the server knows no such segment either");
    });
}

#[test]
fn segments_by_descriptor_are_none_of_the_bridges_business() {
    let mut run = emulated(ByteOrder::Little);
    let wire = run.wire;
    run.client_with(&attach_fd(wire, NAME, 0), &[9]);
    for minor in [PUT_IMAGE, GET_IMAGE, CREATE_PIXMAP] {
        run.client(&wire.request(SHM, minor, &image_body(wire, minor, NAME, 0)));
    }
    run.client(&wire.request(SHM, DETACH, &wire.u32(NAME)));
    assert!(run.actions.is_empty());
    assert_eq!(run.host_marks, [(0, vec![9])]);
}

#[test]
fn no_pixmap_lies_in_a_segment_and_clients_are_told_so() {
    both_orders(|order| {
        both_forms(order, |run, form| {
            let wire = run.wire;
            attach(run, NAME);
            run.to_host.clear();
            run.client(&form(QUERY_VERSION, &[]));
            run.host(&wire.message(1, 1, 5, &[9; 24]));
            assert_eq!(run.to_client, wire.message(1, 0, 5, &[9; 24]));
            run.to_client.clear();
            run.to_host.clear();
            run.client(&form(CREATE_PIXMAP, &image_body(wire, CREATE_PIXMAP, NAME, 0)));
            assert_eq!(run.to_host[..2], [126, 0]);
            run.host(&wire.error(6, 1, 126));
            let error = &run.to_client;
            assert_eq!((error[1], error[10], order.u16_at(error, 8)), (17, SHM, Some(5)));
        });
    });
}

#[test]
fn an_error_of_the_attach_that_was_sent_speaks_of_the_one_that_was_asked_for() {
    both_orders(|order| {
        let mut run = emulated(order);
        let wire = run.wire;
        attach(&mut run, NAME);
        run.client_with(&attach_fd(wire, NAME, 0), &[9]);
        let error = |sequence, minor| {
            let mut error = wire.error(sequence, 14, SHM);
            error[8..10].copy_from_slice(&wire.u16(minor));
            error
        };
        run.host(&[error(4, 6), error(5, 6)].concat());
        assert_eq!(run.to_client, [error(4, 1), error(5, 6)].concat(), "the client's own stays");
        assert_eq!(run.actions, [Action::Forget { key: 1 }]);
    });
}

#[test]
fn a_name_that_is_attached_twice_is_the_first_ones_when_the_server_refuses_the_second() {
    let mut run = emulated(ByteOrder::Little);
    let wire = run.wire;
    attach(&mut run, NAME);
    attach(&mut run, NAME);
    let mut error = wire.error(5, 14, SHM);
    error[8] = 6;
    run.host(&error);
    run.client(&wire.request(SHM, PUT_IMAGE, &image_body(wire, PUT_IMAGE, NAME, 0)));
    assert_eq!(run.actions, [Action::Forget { key: 2 }, Action::ToServer { key: 1, range: 4000..6000 }]);
}

proptest! {
    #[test]
    fn any_split_gives_the_same_bytes_and_actions(
        big: bool,
        steps in prop::collection::vec((0..6_u8, 0..3_usize), 1..30),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let order = if big { ByteOrder::Big } else { ByteOrder::Little };
        let wire = Wire(order);
        let step = |(minor, name): &(u8, usize)| match *minor {
            ATTACH => wire.request(SHM, ATTACH, &attach_body(wire, *name, 77, 0)),
            DETACH => wire.request(SHM, DETACH, &wire.u32(*name)),
            PUT_IMAGE | GET_IMAGE => wire.request(SHM, *minor, &image_body(wire, *minor, *name, 0)),
            _ => wire.request(127, 0, &[]),
        };
        let stream: Vec<u8> = steps.iter().flat_map(step).collect();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let runs = [vec![0, stream.len()], cuts].map(|cuts| {
            let mut run = emulated(order);
            for pair in cuts.windows(2) {
                run.client(&stream[pair[0]..pair[1]]);
                while matches!(run.next, Next::Attach(_)) {
                    run.session.attached(Some(5));
                    run.client(&[]);
                }
            }
            (run.to_host, run.host_marks, run.actions, run.session.counters())
        });
        prop_assert_eq!(&runs[0], &runs[1]);
        let attaches = steps.iter().filter(|(minor, _)| *minor == ATTACH).count();
        prop_assert_eq!(runs[0].0.len(), stream.len() - 4 * attaches);
    }
}
