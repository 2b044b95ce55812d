//! A policy that changes while a client is connected.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic here is a failed test"
)]

mod support;

use std::sync::Arc;

use session::{ExtensionNumbers, Next, Policy, Side};
use support::{EVERYTHING, Run, both_orders};
use x11_wire::ByteOrder;
use x11_wire::request::UNASSIGNED;

const BASE: u32 = 0x20_0000;
const SIBLING: u32 = 0x60_0000;
const OTHER: u32 = 0x40_0001;
const MASK: u32 = 0x1f_ffff;
const FREE_PIXMAP: u8 = 54;
/// What the server calls the two extensions of [`policy`], and one that it does not speak of.
const XTEST: u8 = 140;
const RENDER: u8 = 141;
const UNLISTED: u8 = 142;
const NUMBERS: [ExtensionNumbers; 2] = [
    ExtensionNumbers { place: 0, major: XTEST, first_event: 90 },
    ExtensionNumbers { place: 1, major: RENDER, first_event: 95 },
];

/// Hides XTEST and what isn't listed, denies RENDER's request 5, and `FreePixmap` of what is others'.
fn policy() -> Arc<Policy> {
    let words = [
        &[1, 1, 0][..],
        // Group, opcode, action, error, label, number of tests.
        &[0, FREE_PIXMAP.into(), 1, 10, 0, 1, 0, 4 << 16, 0, 0, 8, 0],
        &[2, 5, 1, 10, 0, 0],
    ]
    .concat();
    let names = vec!["XTEST".into(), "RENDER".into()];
    Arc::new(Policy::from_table(&words, names, vec!["rule".into()], vec![], String::new()).unwrap())
}

/// A client without a policy whose set-up is answered.
fn connected(order: ByteOrder, side: &Arc<Side>, base: u32) -> Run {
    let mut run = Run::fresh(order, EVERYTHING);
    run.session.stand_on(side);
    answer_set_up(&mut run, base);
    run
}

fn answer_set_up(run: &mut Run, base: u32) {
    let order = run.wire.0;
    let mut reply = run.wire.set_up_reply();
    reply[12..16].copy_from_slice(&order.u32_bytes(base));
    reply[16..20].copy_from_slice(&order.u32_bytes(MASK));
    run.host(&reply);
    run.to_client.clear();
}

fn tighten(run: &mut Run) {
    run.session.obey_anew(Some((&policy(), vec![])), &NUMBERS);
}

/// Whether a request passes as it is; what is refused becomes one that no server has.
fn passes(run: &mut Run, request: &[u8]) -> bool {
    run.to_host.clear();
    run.client(request);
    assert_eq!(run.next, Next::Client);
    assert_eq!(run.to_host.len(), request.len());
    let passed = run.to_host == request;
    assert!(passed || run.to_host[..2] == [UNASSIGNED, 0]);
    passed
}

/// The code of the error that the client gets for the request that was refused last.
fn error_code(run: &mut Run) -> u8 {
    let sequence = usize::try_from(run.session.counters().requests).unwrap();
    run.to_client.clear();
    run.host(&run.wire.error(sequence, 1, UNASSIGNED));
    run.to_client[1]
}

fn free_pixmap(run: &Run, id: u32) -> Vec<u8> {
    run.wire.request(FREE_PIXMAP, 0, &run.wire.0.u32_bytes(id))
}

#[test]
fn a_policy_holds_for_a_connected_client_from_its_next_request_on() {
    both_orders(|order| {
        let side = Arc::default();
        let (mut run, sibling) = (connected(order, &side, BASE), connected(order, &side, SIBLING));
        let others = free_pixmap(&run, OTHER);
        assert!(passes(&mut run, &others));
        tighten(&mut run);
        assert!(!passes(&mut run, &others));
        assert_eq!(error_code(&mut run), 10);
        // Its own ids and those of its side are known from before.
        let (own, near) = (free_pixmap(&run, BASE + 5), free_pixmap(&run, SIBLING + 5));
        assert!(passes(&mut run, &own) && passes(&mut run, &near));
        drop(sibling);
        assert!(!passes(&mut run, &near));
        run.session.obey_anew(None, &[]);
        assert!(passes(&mut run, &others));
    });
}

#[test]
fn a_request_that_has_begun_passes_and_one_that_is_held_back_does_not() {
    both_orders(|order| {
        let mut run = connected(order, &Arc::default(), BASE);
        let request = free_pixmap(&run, OTHER);
        run.client(&request[..4]);
        tighten(&mut run);
        run.client(&request[4..]);
        assert_eq!(run.to_host, request);
        run.to_host.clear();
        run.client(&request[..3]);
        run.session.obey_anew(None, &[]);
        tighten(&mut run);
        run.client(&request[3..]);
        assert_eq!(run.to_host[..2], [UNASSIGNED, 0]);
    });
}

#[test]
fn what_is_hidden_now_is_an_opcode_that_no_server_has_until_it_is_shown_again() {
    both_orders(|order| {
        let mut run = connected(order, &Arc::default(), BASE);
        for (name, major) in [("XTEST", XTEST), ("RENDER", RENDER), ("Mystery", UNLISTED)] {
            run.learn(name, major);
        }
        let request = |major| run.wire.request(major, 1, &[0; 4]);
        let (xtest, render, mystery) = (request(XTEST), request(RENDER), request(UNLISTED));
        let refused = run.wire.request(RENDER, 5, &[0; 4]);
        tighten(&mut run);
        for hidden in [&xtest, &mystery] {
            assert!(!passes(&mut run, hidden));
            assert_eq!(error_code(&mut run), 1);
        }
        assert!(passes(&mut run, &render));
        assert!(!passes(&mut run, &refused));
        assert_eq!(error_code(&mut run), 10);
        // No question shows it again, but another policy does.
        run.learn("XTEST", XTEST);
        assert!(!passes(&mut run, &xtest));
        run.session.obey_anew(None, &[]);
        assert!([&xtest, &render, &mystery, &refused].into_iter().all(|request| passes(&mut run, request)));
    });
}

#[test]
fn an_answer_that_is_under_way_is_that_of_the_new_policy() {
    both_orders(|order| {
        for (name, major, present) in [("XTEST", XTEST, 0), ("Mystery", UNLISTED, 0), ("RENDER", RENDER, 1)] {
            let mut run = connected(order, &Arc::default(), BASE);
            run.client(&run.wire.query_extension(name));
            tighten(&mut run);
            run.host(&run.wire.has_extension(1, major));
            assert_eq!(run.to_client[8], present, "{name}");
            let request = run.wire.request(major, 1, &[0; 4]);
            assert_eq!(passes(&mut run, &request), present == 1, "{name}");
        }
    });
}

#[test]
fn a_policy_may_change_before_the_host_has_answered_the_set_up_and_after_the_client_has_left() {
    both_orders(|order| {
        let side: Arc<Side> = Arc::default();
        let mut run = Run::fresh(order, EVERYTHING);
        run.session.stand_on(&side);
        tighten(&mut run);
        let own = free_pixmap(&run, BASE + 5);
        run.client(&own);
        assert_eq!((run.next, run.to_host.is_empty()), (Next::Host, true));
        answer_set_up(&mut run, BASE);
        run.client(&[]);
        assert_eq!(run.to_host, own);
        run.session.leave();
        run.session.obey_anew(None, &[]);
        tighten(&mut run);
        assert!(!passes(&mut run, &own));
    });
}
