//! The session as a stream processor: what passes, what is rewritten, what waits.

#![allow(clippy::needless_for_each, reason = "a loop in one line reads better among one-line steps")]

mod support;

use proptest::prelude::*;
use session::{Next, Offers, PENDING_MAX, Session, Violation};
use support::{BYTES_ONLY, EVERYTHING, Run, both_orders};
use x11_wire::ByteOrder;

const SHM: u8 = 130;
const DRI3: u8 = 149;
const PRESENT: u8 = 148;
const RANDR: u8 = 140;
const BIG: u8 = 133;

#[test]
fn requests_and_messages_pass_unchanged_at_every_split_point() {
    both_orders(|order| {
        let wire = support::Wire(order);
        let requests = [
            wire.query_extension("RENDER"),
            wire.request(43, 0, &[]),
            wire.request(72, 2, &[5; 400]),
            wire.request(127, 0, &[]),
            wire.request(99, 0, &[]),
        ]
        .concat();
        let messages = [
            wire.has_extension(1, 139),
            wire.reply(2, &[1; 100]),
            wire.message(11, 9, 0x9999, &[3; 24]),
            wire.message(35, 131, 3, &[4; 64]),
            wire.error(3, 8, 72),
            wire.message(12 + 0x80, 0, 4, &[]),
            wire.reply(5, &[0; 24]),
        ]
        .concat();
        for split in 0..=requests.len() {
            let mut run = Run::new(order, BYTES_ONLY);
            run.client(&requests[..split]);
            run.client(&requests[split..]);
            assert_eq!(run.to_host, requests, "split at {split}");
            for split in 0..=messages.len() {
                let mut run = Run::new(order, BYTES_ONLY);
                run.client(&requests);
                run.host(&messages[..split]);
                run.host(&messages[split..]);
                assert_eq!(run.to_client, messages, "split at {split}");
                let counters = run.session.counters();
                assert_eq!((counters.requests, counters.replies), (5, 3));
                assert_eq!((counters.events, counters.errors), (3, 1));
            }
        }
    });
}

#[test]
fn streams_of_single_bytes_pass() {
    both_orders(|order| {
        let mut run = Run::new(order, EVERYTHING);
        let request = run.wire.query_extension("MIT-SHM");
        request.iter().for_each(|byte| run.client(&[*byte]));
        let reply = run.wire.has_extension(1, SHM);
        reply.iter().for_each(|byte| run.host(&[*byte]));
        assert_eq!((run.to_host, run.to_client), (request, reply));
    });
}

#[test]
fn a_set_up_reply_passes_whatever_it_says_and_in_any_pieces() {
    for first in [0, 1, 2] {
        let mut session = Session::<u32>::new(ByteOrder::Little, EVERYTHING, Offers::default());
        let reply = [first, 3, 11, 0, 0, 0, 2, 0, b'n', b'o', b'!', 0, 1, 2, 3, 4];
        let mut held = vec![];
        let mut out = vec![];
        for byte in reply {
            held.push(byte);
            let forward = session.host_data(&mut held, &mut vec![]).unwrap();
            out.extend(held.drain(..forward));
        }
        assert_eq!(out, reply);
    }
}

#[test]
fn hidden_extensions_are_absent_in_both_forms_of_the_request() {
    both_orders(|order| {
        for name in ["MIT-SHM", "DRI3", "DRI2", "XFree86-DRI", "XFree86-DGA"] {
            for big in [false, true] {
                let mut run = Run::new(order, BYTES_ONLY);
                run.learn("BIG-REQUESTS", BIG);
                run.client(&run.wire.request(BIG, 0, &[]));
                let plain = run.wire.query_extension(name);
                run.client(&if big { run.wire.big_request(98, 0, &plain[4..]) } else { plain });
                run.host(&run.wire.reply(2, &[]));
                run.host(&run.wire.has_extension(3, SHM));
                assert_eq!(run.to_client[32..], run.wire.reply(3, &[0; 4]), "{name}, big: {big}");
            }
        }
    });
}

#[test]
fn a_path_with_descriptors_hides_only_what_is_bound_to_the_servers_device() {
    for (name, hidden) in [("MIT-SHM", false), ("DRI3", false), ("DRI2", true), ("XFree86-DGA", true)] {
        let mut run = Run::new(ByteOrder::Little, EVERYTHING);
        run.client(&run.wire.query_extension(name));
        run.host(&run.wire.has_extension(1, SHM));
        assert_eq!(run.to_client[8] == 0, hidden, "{name}");
    }
}

#[test]
fn several_queries_may_be_outstanding_and_an_error_answers_one_too() {
    both_orders(|order| {
        let mut run = Run::new(order, BYTES_ONLY);
        let wire = run.wire;
        for name in ["SYNC", "MIT-SHM", "RENDER", "DRI3"] {
            run.client(&wire.query_extension(name));
        }
        run.host(&wire.has_extension(1, 134));
        run.host(&wire.error(2, 16, 98)); // the server refused this one
        run.host(&wire.has_extension(3, 139));
        run.host(&wire.has_extension(4, DRI3));
        let present: Vec<_> = run.to_client.chunks(32).map(|message| message[8]).collect();
        assert_eq!(present, [1, 0, 1, 0]);
    });
}

#[test]
fn the_list_of_extensions_shows_nothing_hidden_even_in_pieces() {
    both_orders(|order| {
        let mut run = Run::new(order, BYTES_ONLY);
        run.client(&run.wire.request(99, 0, &[]));
        let names = b"\x04SYNC\x07MIT-SHM\x06RENDER\x04DRI3";
        let reply = run.wire.message(1, 4, 1, &[&[0; 24][..], names].concat());
        reply.iter().for_each(|byte| run.host(&[*byte]));
        let expected = run.wire.message(1, 2, 1, &[&[0; 24][..], b"\x04SYNC\x06RENDER", &[0; 13]].concat());
        assert_eq!(run.to_client, expected);
    });
}

#[test]
fn a_list_longer_than_any_real_one_ends_the_session() {
    let mut run = Run::new(ByteOrder::Little, BYTES_ONLY);
    run.client(&run.wire.request(99, 0, &[]));
    for (bytes, refused) in [(session::HOST_HELD_MAX - 32, false), (session::HOST_HELD_MAX - 28, true)] {
        let mut head = run.wire.message(1, 200, 1, &vec![0; bytes + 24])[..100].to_vec();
        assert_eq!(run.session.host_data(&mut head, &mut vec![]).is_err(), refused, "{bytes}");
    }
}

#[test]
fn an_opcode_that_was_never_learnt_is_refused_by_the_server_under_its_own_name() {
    both_orders(|order| {
        let mut run = Run::new(order, BYTES_ONLY);
        run.client(&run.wire.request(SHM, 1, &[9; 12]));
        assert_eq!(run.to_host, run.wire.request(126, 0, &[9; 12]));
        run.host(&run.wire.error(1, 1, 126));
        assert_eq!(run.to_client, run.wire.error(1, 1, SHM));
        assert_eq!(run.session.counters().denied, 1);
    });
}

#[test]
fn a_hidden_extension_is_refused_although_the_server_named_its_opcode() {
    let mut run = Run::new(ByteOrder::Little, BYTES_ONLY);
    run.learn("MIT-SHM", SHM);
    run.client(&run.wire.request(SHM, 1, &[9; 12]));
    assert_eq!(run.to_host[0], 126);
}

#[test]
fn requests_behind_a_query_wait_for_its_answer() {
    both_orders(|order| {
        let mut run = Run::new(order, EVERYTHING);
        let (query, use_it) = (run.wire.query_extension("RENDER"), run.wire.request(139, 0, &[1; 8]));
        run.client(&[&query[..], &use_it].concat());
        assert_eq!((&run.to_host, run.next), (&query, Next::Host));
        run.host(&run.wire.has_extension(1, 139));
        run.client(&[]);
        assert_eq!((run.to_host, run.next), ([query, use_it].concat(), Next::Client));
    });
}

#[test]
fn big_requests_count_only_from_their_enabling_on() {
    let mut run = Run::new(ByteOrder::Little, BYTES_ONLY);
    let big = run.wire.big_request(72, 2, &[1; 40]);
    run.client(&[&run.wire.request(127, 0, &[])[..], &big].concat());
    assert_eq!(run.next, Next::Nothing(Violation::ClientLength { major: 72, minor: 2 }));
    assert_eq!(run.to_host, run.wire.request(127, 0, &[]), "what stood before it goes out");

    let mut run = Run::new(ByteOrder::Little, BYTES_ONLY);
    run.learn("BIG-REQUESTS", BIG);
    run.client(&[run.wire.request(BIG, 0, &[]), big.clone()].concat());
    assert_eq!((run.next, &run.to_host[4..]), (Next::Client, &big[..]));
}

#[test]
fn a_malformed_enable_does_not_enable() {
    let mut run = Run::new(ByteOrder::Little, BYTES_ONLY);
    run.learn("BIG-REQUESTS", BIG);
    run.client(&[run.wire.request(BIG, 0, &[0; 4]), run.wire.big_request(72, 2, &[1; 40])].concat());
    assert!(matches!(run.next, Next::Nothing(_)), "a server would not have enabled it either");
}

#[test]
fn the_client_learns_why_it_is_cut_off_by_a_length_error_in_sequence() {
    let mut run = Run::new(ByteOrder::Big, BYTES_ONLY);
    run.client(&[run.wire.request(127, 0, &[]), vec![72, 2, 0, 0]].concat());
    let Next::Nothing(violation) = run.next else { panic!("over") };
    let error = run.session.last_error(violation).unwrap();
    assert_eq!(error[..11], [0, 16, 0, 2, 0, 0, 0, 0, 0, 2, 72]);
}

#[test]
fn a_query_past_65_536_requests_without_an_answer_is_still_found() {
    let mut run = Run::new(ByteOrder::Little, BYTES_ONLY);
    let wire = run.wire;
    (0..70_000).for_each(|_| run.client(&wire.request(127, 0, &[])));
    run.client(&wire.query_extension("MIT-SHM"));
    run.host(&wire.has_extension(70_001, SHM));
    assert_eq!(run.to_client[8], 0);
}

#[test]
fn an_earlier_reply_with_the_same_16_bits_is_not_taken_for_the_querys() {
    let mut run = Run::new(ByteOrder::Little, BYTES_ONLY);
    let wire = run.wire;
    run.client(&wire.request(43, 0, &[]));
    (0..65_535).for_each(|_| run.client(&wire.request(127, 0, &[])));
    run.client(&wire.query_extension("MIT-SHM")); // number 65,537: the same 16 bits as number 1
    run.host(&wire.reply(1, &[1, 1, 1, 1]));
    run.host(&wire.has_extension(65_537, SHM));
    assert_eq!((run.to_client[8], run.to_client[32 + 8]), (1, 0));
}

#[test]
fn any_number_of_round_trips_may_be_sent_before_one_is_read() {
    let mut run = Run::new(ByteOrder::Little, BYTES_ONLY);
    let wire = run.wire;
    (0..PENDING_MAX + 9).for_each(|_| run.client(&wire.request(43, 0, &[])));
    assert_eq!(run.next, Next::Client);
    run.client(&wire.query_extension("MIT-SHM"));
    assert_eq!(run.next, Next::Host, "what has to be remembered waits");
    run.host(&wire.reply(1, &[]));
    run.client(&[]);
    assert_eq!(run.next, Next::Client);
    (2..PENDING_MAX + 10).for_each(|sequence| run.host(&wire.reply(sequence, &[])));
    run.to_client.clear();
    run.host(&wire.has_extension(PENDING_MAX + 10, SHM));
    assert_eq!(run.to_client[8], 0);
}

#[test]
fn an_extensions_reply_with_the_same_16_bits_opens_no_opcode() {
    // A client keeps the server busy, then puts a request whose reply it controls 65,536 before a query.
    for (noise, opens) in [(65_534, true), (65_535, false), (70_000, false)] {
        let mut run = Run::new(ByteOrder::Little, BYTES_ONLY);
        let wire = run.wire;
        run.learn("RENDER", 139);
        run.client(&wire.request(139, 0, &[0; 8])); // number 2
        (0..noise).for_each(|_| run.client(&wire.request(127, 0, &[])));
        run.client(&wire.query_extension("SYNC"));
        let query = 3 + noise;
        run.host(&wire.has_extension(2, SHM));
        run.host(&wire.has_extension(query, 134));
        run.to_host.clear();
        run.client(&wire.request(SHM, 1, &[9; 12]));
        assert_eq!(run.to_host[0], 126, "{noise}");
        run.client(&wire.request(134, 0, &[9; 12]));
        assert_eq!(run.to_host[16] == 134, opens, "{noise}");
    }
}

#[test]
fn a_reply_that_was_not_remembered_opens_no_opcode_either() {
    let mut run = Run::new(ByteOrder::Little, BYTES_ONLY);
    let wire = run.wire;
    // One more than is remembered; its reply has the 16 bits of the query behind it.
    (0..=PENDING_MAX).for_each(|_| run.client(&wire.request(43, 0, &[])));
    run.host(&wire.reply(1, &[]));
    (0..65_535).for_each(|_| run.client(&wire.request(127, 0, &[])));
    run.client(&wire.query_extension("SYNC"));
    (2..=PENDING_MAX).for_each(|sequence| run.host(&wire.reply(sequence, &[])));
    run.host(&wire.has_extension(PENDING_MAX + 1, SHM));
    run.to_host.clear();
    run.client(&wire.request(SHM, 1, &[9; 12]));
    assert_eq!(run.to_host[0], 126);
}

#[test]
fn a_server_that_skips_answers_does_not_stall_the_rest() {
    let mut run = Run::new(ByteOrder::Little, BYTES_ONLY);
    let wire = run.wire;
    run.client(
        &[wire.query_extension("SYNC"), wire.query_extension("MIT-SHM"), wire.request(43, 0, &[])].concat(),
    );
    run.host(&wire.message(12, 0, 2, &[])); // an event of request 2: request 1 will never be answered
    run.host(&wire.has_extension(2, SHM));
    assert_eq!(run.to_client[32 + 8], 0);
}

#[test]
fn a_system_v_segment_number_never_reaches_the_server() {
    both_orders(|order| {
        let mut run = Run::new(order, EVERYTHING);
        run.learn("MIT-SHM", SHM);
        let attach = [[1; 4], [2; 4], [3, 0, 0, 0]].concat();
        run.client(&run.wire.request(SHM, 1, &attach));
        let attach = [[1; 4], [0xff; 4], [3, 0, 0, 0]].concat();
        assert_eq!(run.to_host, run.wire.request(SHM, 1, &attach));
    });
}

#[test]
fn a_lease_is_refused_where_its_descriptor_could_not_travel() {
    for (carries, window) in [(BYTES_ONLY, [0; 4]), (EVERYTHING, [1; 4])] {
        let mut run = Run::new(ByteOrder::Little, carries);
        run.learn("RANDR", RANDR);
        run.client(&run.wire.request(RANDR, 45, &[[1; 4], [2; 4], [0; 4]].concat()));
        assert_eq!(run.to_host[4..8], window);
    }
}

#[test]
fn present_hides_explicit_sync_where_its_timelines_could_not_travel() {
    both_orders(|order| {
        for (carries, capabilities) in [(BYTES_ONLY, 0b0_1111), (EVERYTHING, 0b1_1111)] {
            let mut run = Run::new(order, carries);
            run.learn("Present", PRESENT);
            run.client(&run.wire.request(PRESENT, 4, &[1; 4]));
            run.host(&run.wire.reply(2, &run.wire.u32(0b1_1111)));
            assert_eq!(run.to_client, run.wire.reply(2, &run.wire.u32(capabilities)));
        }
    });
}

#[test]
fn bodies_may_pass_unseen() {
    let mut run = Run::new(ByteOrder::Little, BYTES_ONLY);
    run.client(&run.wire.request(73, 2, &[0; 16]));
    let reply = run.wire.reply(1, &[7; 4096]);
    run.host(&reply[..100]);
    let left = u64::try_from(reply.len() - 100).unwrap();
    assert_eq!(run.session.host_passable(), left);
    run.session.host_passed(left);
    run.to_client.clear();
    let event = run.wire.message(12, 0, 1, &[]);
    run.host(&event);
    assert_eq!(run.to_client, event);
}

proptest! {
    #[test]
    fn hostile_bytes_of_either_side_never_panic_and_little_is_held(
        big: bool,
        descriptors: bool,
        pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)), 0..40),
    ) {
        let order = if big { ByteOrder::Big } else { ByteOrder::Little };
        let mut run = Run::new(order, if descriptors { EVERYTHING } else { BYTES_ONLY });
        run.learn("DRI3", DRI3);
        for (client, bytes) in pieces {
            if client {
                run.client_with(&bytes, &[1, 2]);
            } else if run.session.host_data(&mut bytes.clone(), &mut vec![]).is_err() {
                break;
            }
        }
    }

    #[test]
    fn any_split_of_a_valid_stream_gives_the_same_bytes(
        bodies in prop::collection::vec((1..120_u8, 0..200_usize), 1..30),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let wire = support::Wire(ByteOrder::Big);
        let stream: Vec<u8> = bodies.iter().flat_map(|(major, len)| wire.request(*major, 0, &vec![*major; *len])).collect();
        let mut run = Run::new(ByteOrder::Big, BYTES_ONLY);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        cuts.windows(2).for_each(|pair| run.client(&stream[pair[0]..pair[1]]));
        prop_assert_eq!(&run.to_host, &stream);
        prop_assert_eq!(run.session.counters().requests, bodies.len() as u64);
    }
}
