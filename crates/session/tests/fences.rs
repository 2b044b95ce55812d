//! Fences over two kernels: the caller links each, and is told in time what requests do with it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]
#![allow(clippy::needless_for_each, reason = "a loop in one line reads better among one-line steps")]

mod support;

use std::sync::Arc;

use session::{FENCES_DYING_MAX, FENCES_MAX, FenceAction, Next, Policy, Side, Wanted};
use support::{BLOBS, LINKED, MEMORY, Run, Wire, both_orders};
use x11_wire::ByteOrder;

const DRI3: u8 = 140;
const SYNC: u8 = 141;
const PRESENT: u8 = 142;
const BIG: u8 = 143;
const FIRST: u32 = 0x4000_0000;
const NAME: usize = 0x0020_0007;
const BAD_MATCH: u8 = 8;
const BAD_ALLOC: u8 = 11;

/// A session that has used six sequence numbers.
fn run(order: ByteOrder) -> Run {
    learnt(Run::new(order, LINKED))
}

fn learnt(mut run: Run) -> Run {
    [("DRI3", DRI3), ("SYNC", SYNC), ("Present", PRESENT), ("BIG-REQUESTS", BIG)]
        .iter()
        .for_each(|(name, major)| run.learn(name, *major));
    run.client(&run.wire.request(BIG, 0, &[]));
    run.host(&run.wire.reply(5, &[0; 24]));
    round_trip(&mut run);
    run.to_host.clear();
    run.to_client.clear();
    run
}

/// The server answers the last request.
fn round_trip(run: &mut Run) {
    run.client(&run.wire.request(43, 0, &[]));
    let sequence = usize::try_from(run.session.counters().requests).unwrap();
    run.host(&run.wire.reply(sequence, &[0; 24]));
}

fn from_fd(wire: Wire, name: usize) -> Vec<u8> {
    wire.request(DRI3, 4, &[&wire.u32(1)[..], &wire.u32(name), &[0; 4]].concat())
}

/// Makes a fence of descriptor 5.
fn make(run: &mut Run, name: usize) {
    run.client_with(&from_fd(run.wire, name), &[5]);
    assert!(matches!(run.next, Next::Link(_)), "{:?}", run.next);
    run.session.linked(Ok(()));
    run.client(&[]);
    assert_eq!(run.next, Next::Client);
}

fn sync(wire: Wire, minor: u8, names: &[usize]) -> Vec<u8> {
    wire.request(SYNC, minor, &names.iter().flat_map(|name| wire.u32(*name)).collect::<Vec<_>>())
}

fn present(wire: Wire, wait: usize, idle: usize, big: bool) -> Vec<u8> {
    let mut body = vec![7; 68];
    body[28..32].copy_from_slice(&wire.u32(wait));
    body[32..36].copy_from_slice(&wire.u32(idle));
    if big { wire.big_request(PRESENT, 1, &body) } else { wire.request(PRESENT, 1, &body) }
}

#[test]
fn a_fence_is_linked_before_its_request_passes_and_marked_by_its_id() {
    both_orders(|order| {
        let mut run = run(order);
        let (request, wire) = (from_fd(run.wire, NAME), run.wire);
        run.session.client_descriptors([5]);
        request.iter().for_each(|byte| run.client(&[*byte]));
        assert_eq!((run.next, run.session.fence_file()), (Next::Link(FIRST), Some(&5)));
        assert!(run.to_host.is_empty(), "nothing passes before the answer");
        run.session.linked(Ok(()));
        run.client(&wire.request(127, 0, &[]));
        assert_eq!((&run.host_marks, &run.fences), (&vec![(0, vec![5])], &vec![(0, FIRST)]));
        assert_eq!(run.to_host, [request, wire.request(127, 0, &[])].concat());
        make(&mut run, NAME + 1);
        assert_eq!(run.fences.last().unwrap().1, FIRST + 1, "ids are never used again");
    });
}

#[test]
fn what_cannot_be_linked_is_refused_with_the_servers_error_and_its_descriptor_closed() {
    both_orders(|order| {
        let mut run = run(order);
        let wire = run.wire;
        run.client_with(&from_fd(wire, NAME), &[5]);
        run.session.linked(Err(BAD_MATCH));
        run.client(&[]);
        assert_eq!((run.to_host[0], run.host_marks.len()), (126, 0));
        assert_eq!(run.session.counters().descriptors_dropped, 1);
        run.host(&wire.error(7, 1, 126));
        let error = &run.to_client[run.to_client.len() - 32..];
        assert_eq!((error[1], error[10], &error[8..10]), (BAD_MATCH, DRI3, &wire.u16(4)[..]));
        assert_eq!(error[4..8], wire.u32(NAME));
        // It is not known by that name either.
        run.client(&sync(wire, 15, &[NAME]));
        assert_eq!(run.fence_actions, []);
    });
}

#[test]
fn a_request_without_its_descriptor_is_the_servers_to_refuse() {
    let mut run = run(ByteOrder::Little);
    run.client(&from_fd(run.wire, NAME));
    assert_eq!((run.next, &run.to_host), (Next::Client, &from_fd(run.wire, NAME)));
}

#[test]
fn each_request_that_names_a_linked_fence_is_told_of_and_no_other() {
    both_orders(|order| {
        let mut run = run(order);
        let wire = run.wire;
        make(&mut run, NAME);
        make(&mut run, NAME + 1);
        let (one, other) = (FenceAction::Named { id: FIRST }, FenceAction::Named { id: FIRST + 1 });
        let mut told = |request: &[u8], expected: &[FenceAction]| {
            request.iter().for_each(|byte| run.client(&[*byte]));
            assert_eq!(std::mem::take(&mut run.fence_actions), expected, "{request:?}");
            assert!(run.to_host.ends_with(request), "and it passes as it is");
        };
        for big in [false, true] {
            told(&present(wire, NAME, NAME + 1, big), &[one, other]);
            told(&present(wire, 0, NAME, big), &[one]);
            told(&present(wire, 0x30, 0, big), &[]);
        }
        told(&sync(wire, 14, &[1, NAME + 2, 0]), &[]);
        told(&sync(wire, 15, &[NAME]), &[one]);
        told(&sync(wire, 15, &[NAME + 2]), &[]);
        told(&sync(wire, 18, &[NAME + 1]), &[other]);
        told(&sync(wire, 19, &[NAME + 2, NAME + 1, NAME]), &[other, one]);
        told(&sync(wire, 19, &[NAME + 2; 100]), &[FenceAction::AnyNamed]);
    });
}

#[test]
fn a_reset_that_was_done_on_both_sides_is_nothing_to_the_server_and_any_other_its_own_affair() {
    both_orders(|order| {
        let mut run = run(order);
        let wire = run.wire;
        make(&mut run, NAME);
        for (is_done, passes) in [(true, wire.request(127, 0, &[0; 4])), (false, sync(wire, 16, &[NAME]))] {
            run.to_host.clear();
            sync(wire, 16, &[NAME]).iter().for_each(|byte| run.client(&[*byte]));
            assert_eq!((run.next, run.to_host.len()), (Next::ResetFence(FIRST), 0));
            run.session.fence_reset(is_done);
            run.client(&[]);
            assert_eq!((run.next, &run.to_host[..4]), (Next::Client, &passes[..4]));
        }
        run.to_host.clear();
        run.client(&sync(wire, 16, &[NAME + 1]));
        assert_eq!((run.next, &run.to_host), (Next::Client, &sync(wire, 16, &[NAME + 1])));
    });
}

#[test]
fn a_link_ends_once_the_server_is_past_the_request_that_destroys_the_fence() {
    both_orders(|order| {
        let mut run = run(order);
        let wire = run.wire;
        make(&mut run, NAME);
        run.client(&wire.request(43, 0, &[]));
        let before = usize::try_from(run.session.counters().requests).unwrap();
        run.client(&sync(wire, 17, &[NAME]));
        run.client(&sync(wire, 17, &[NAME]));
        run.client(&sync(wire, 15, &[NAME]));
        run.host(&wire.reply(before, &[0; 24]));
        assert_eq!(run.fence_actions, [], "what was sent before may still trigger it");
        round_trip(&mut run);
        assert_eq!(run.fence_actions, [FenceAction::Destroyed { id: FIRST }], "and once");
    });
}

#[test]
fn a_name_that_is_used_again_is_another_fence() {
    both_orders(|order| {
        let mut run = run(order);
        let wire = run.wire;
        make(&mut run, NAME);
        run.client(&sync(wire, 17, &[NAME]));
        make(&mut run, NAME);
        run.client(&sync(wire, 15, &[NAME]));
        assert_eq!(run.fence_actions, [FenceAction::Named { id: FIRST + 1 }]);
        round_trip(&mut run);
        assert_eq!(run.fence_actions[1..], [FenceAction::Destroyed { id: FIRST }]);
        // Without a word about the first: the server must have refused one of the two.
        make(&mut run, NAME);
        round_trip(&mut run);
        assert_eq!(run.fence_actions[2..], [FenceAction::Destroyed { id: FIRST + 1 }]);
    });
}

#[test]
fn a_fence_that_the_server_refused_to_make_is_forgotten() {
    both_orders(|order| {
        let mut run = run(order);
        let wire = run.wire;
        make(&mut run, NAME);
        let sequence = usize::try_from(run.session.counters().requests).unwrap();
        let error = |sequence| {
            let mut error = wire.error(sequence, 9, DRI3);
            error[8..10].copy_from_slice(&wire.u16(4));
            error
        };
        run.host(&error(sequence));
        assert_eq!(run.fence_actions, [FenceAction::Destroyed { id: FIRST }]);
        // An error of a later request that has the same 16 bits is none of a fence's.
        make(&mut run, NAME);
        let made = usize::try_from(run.session.counters().requests).unwrap();
        for _ in 0..0x1_0000 {
            round_trip(&mut run);
        }
        assert_eq!(made % 0x1_0000, usize::try_from(run.session.counters().requests).unwrap() % 0x1_0000);
        run.host(&error(made));
        assert_eq!(run.fence_actions.len(), 1);
    });
}

fn export(wire: Wire, name: usize) -> Vec<u8> {
    wire.request(DRI3, 5, &[wire.u32(1), wire.u32(name)].concat())
}

#[test]
fn a_client_that_asks_for_the_page_of_its_own_fence_gets_its_own_file() {
    both_orders(|order| {
        let mut run = run(order);
        let wire = run.wire;
        make(&mut run, NAME);
        run.to_host.clear();
        run.client(&export(wire, NAME));
        assert_eq!((run.next, run.to_host.len()), (Next::Provide(Wanted::FenceFile(FIRST)), 0));
        run.session.provide(Some(9));
        run.client(&[]);
        assert_eq!(run.to_host, wire.request(97, 0, &[wire.u32(1), wire.u32(0)].concat()));
        run.host(&wire.reply(8, &[9; 24]));
        assert_eq!(run.to_client, wire.message(1, 1, 8, &[0; 24]));
        assert_eq!((&run.client_marks, run.adopted.len()), (&vec![(0, vec![9])], 0));
        // A drawable that is none, and a file that was not kept.
        run.client(&export(wire, NAME));
        run.session.provide(Some(9));
        run.client(&[]);
        run.host(&wire.error(9, 9, 97));
        run.client(&export(wire, NAME));
        run.session.provide(None);
        run.client(&[]);
        run.host(&wire.error(10, 1, 126));
        for (error, code) in run.to_client[32..].chunks(32).zip([9, BAD_MATCH]) {
            assert_eq!((error[1], error[10], &error[8..10]), (code, DRI3, &wire.u16(5)[..]));
        }
    });
}

#[test]
fn a_fence_that_the_server_exports_is_linked_from_its_reply_on() {
    both_orders(|order| {
        let mut run = run(order);
        let wire = run.wire;
        let trigger = sync(wire, 15, &[NAME]);
        run.client(&[export(wire, NAME), trigger.clone()].concat());
        assert_eq!(
            (run.next, &run.to_host),
            (Next::Host, &export(wire, NAME)),
            "until it is known which fence it is"
        );
        run.session.host_descriptors([Some(5)]);
        run.host(&wire.message(1, 1, 7, &[0; 24]));
        assert_eq!(run.to_client, wire.message(1, 1, 7, &[0; 24]));
        assert_eq!((&run.client_marks, &run.adopted), (&vec![(0, vec![5])], &vec![(0, FIRST)]));
        run.client(&[]);
        assert_eq!(run.fence_actions, [FenceAction::Named { id: FIRST }]);
        run.client(&export(wire, NAME));
        assert_eq!(run.next, Next::Provide(Wanted::FenceFile(FIRST)), "the same page as before");
        run.session.provide(Some(6));
        run.client(&sync(wire, 17, &[NAME]));
        round_trip(&mut run);
        assert_eq!(run.fence_actions.last(), Some(&FenceAction::Destroyed { id: FIRST }));
    });
}

#[test]
fn a_request_that_waits_for_an_answer_is_ruled_once() {
    // Observes TriggerFence.
    let words = [0, 0, 1, 15, 5, 0, 0, 0];
    let policy = Policy::from_table(&words, vec!["SYNC".into()], vec!["rule".into()], vec![], String::new());
    let policy = Arc::new(policy.unwrap());
    both_orders(|order| {
        let mut run = Run::fresh(order, LINKED);
        run.session.stand_on(&Arc::new(Side::default()));
        run.session.obey(&policy, vec![]);
        let mut reply = run.wire.set_up_reply();
        reply[12..16].copy_from_slice(&order.u32_bytes(0x20_0000));
        reply[16..20].copy_from_slice(&order.u32_bytes(0x1f_ffff));
        run.host(&reply);
        let mut run = learnt(run);
        let wire = run.wire;
        let trigger = sync(wire, 15, &[NAME]);
        run.client(&[export(wire, NAME), trigger.clone()].concat());
        (0..3).for_each(|_| run.client(&[]));
        assert_eq!(run.next, Next::Host);
        run.session.host_descriptors([Some(5)]);
        run.host(&wire.message(1, 1, 7, &[0; 24]));
        run.client(&trigger);
        assert_eq!(run.fence_actions, [FenceAction::Named { id: FIRST }; 2]);
        let mut hits = vec![];
        run.session.take_hits(|label, count| hits.push((label, count)));
        assert_eq!(hits, [(0, 2)]);
    });
}

#[test]
fn a_page_of_the_servers_that_does_not_arrive_is_an_error_and_links_nothing() {
    let mut run = run(ByteOrder::Little);
    let wire = run.wire;
    run.client(&export(wire, NAME));
    run.session.host_descriptors([None]);
    run.host(&wire.message(1, 1, 7, &[0; 24]));
    let error = &run.to_client;
    assert_eq!((error.len(), error[0], error[1], error[10], error[8]), (32, 0, BAD_ALLOC, DRI3, 5));
    run.client(&export(wire, NAME));
    let sequence = usize::try_from(run.session.counters().requests).unwrap();
    run.host(&wire.error(sequence, 134, DRI3));
    run.client(&sync(wire, 15, &[NAME]));
    assert_eq!((run.next, &run.fence_actions, &run.adopted), (Next::Client, &vec![], &vec![]));
}

#[test]
fn a_page_of_the_servers_is_refused_where_the_other_side_cannot_adopt_it() {
    let mut run = Run::new(ByteOrder::Little, BLOBS);
    run.learn("DRI3", DRI3);
    let wire = run.wire;
    run.client(&export(wire, NAME));
    run.host(&wire.error(2, 1, 126));
    let error = &run.to_client[run.to_client.len() - 32..];
    assert_eq!((error[1], error[10], error[8]), (BAD_MATCH, DRI3, 5));
}

#[test]
fn fences_are_limited_and_the_oldest_destroyed_ones_given_up() {
    let mut run = run(ByteOrder::Little);
    let wire = run.wire;
    (0..FENCES_MAX).for_each(|n| make(&mut run, NAME + n));
    run.client_with(&from_fd(wire, NAME + FENCES_MAX), &[5]);
    assert_eq!(run.next, Next::Client);
    let sequence = usize::try_from(run.session.counters().requests).unwrap();
    run.host(&wire.error(sequence, 1, 126));
    assert_eq!(run.to_client[run.to_client.len() - 31], BAD_ALLOC);

    (0..FENCES_DYING_MAX).for_each(|n| run.client(&sync(wire, 17, &[NAME + n])));
    assert_eq!(run.fence_actions, []);
    run.client(&sync(wire, 17, &[NAME + FENCES_DYING_MAX]));
    assert_eq!(run.fence_actions, [FenceAction::GiveUp { id: FIRST }]);
    make(&mut run, NAME);
    round_trip(&mut run);
    assert_eq!(run.fence_actions.len(), 1 + FENCES_DYING_MAX);
}

#[test]
fn nothing_is_asked_where_descriptors_reach_the_same_kernel() {
    let mut run = Run::new(ByteOrder::Little, MEMORY);
    let wire = run.wire;
    [("DRI3", DRI3), ("SYNC", SYNC)].iter().for_each(|(name, major)| run.learn(name, *major));
    run.client_with(&from_fd(wire, NAME), &[5]);
    run.client(&sync(wire, 17, &[NAME]));
    assert_eq!((run.next, &run.host_marks, run.fences.len()), (Next::Client, &vec![(0, vec![5])], 0));
    assert_eq!(run.fence_actions, []);
}
