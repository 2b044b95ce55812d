//! Clients as those see them who look at a bridge while it runs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed test"
)]

mod lab;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bridge::ChannelChoice;
use lab::{CHANNELS, Lab};
use x11bridge_testkit::{ByteOrder, HANG_GUARD, requests};

#[test]
fn who_looks_sees_each_client_with_what_went_through_and_what_it_waits_for() {
    for channel in CHANNELS {
        let lab = Lab::new(&channel);
        let (mut quick, mut quick_server) = lab.pair(ByteOrder::Little);
        let (mut stuck, mut stuck_server) = lab.pair(ByteOrder::Little);
        quick.request(&requests::get_input_focus(ByteOrder::Little)).unwrap();
        quick_server.request().unwrap();
        quick_server.reply(1, &[], &[]).unwrap();
        quick.packet().unwrap();
        stuck.request(&requests::get_input_focus(ByteOrder::Little)).unwrap();
        stuck_server.request().unwrap();
        let seen = until(|| {
            let seen = lab.bridge.clients();
            let settled = seen.iter().all(|client| client.numbers.totals.session.requests == 1)
                && seen.iter().any(|client| client.numbers.totals.session.replies == 1);
            settled.then_some(seen)
        });
        assert!(seen.is_sorted_by_key(|client| client.client));
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[0].pid, Some(i32::try_from(std::process::id()).unwrap()));
        assert!(seen.iter().all(|client| client.since.elapsed() < HANG_GUARD));
        assert_eq!((seen[0].numbers.awaited, seen[1].numbers.awaited), (0, 1));
        assert_eq!(seen[0].numbers.oldest, None);
        let oldest = seen[1].numbers.oldest.unwrap();
        assert_eq!((oldest.sequence, oldest.major), (1, 43));
        let measured = |at: usize| seen[at].numbers.round_trips.counts.iter().sum::<u32>();
        assert_eq!((measured(0), measured(1)), (1, 0));
        drop((quick, quick_server));
        until(|| (lab.bridge.clients().len() == 1).then_some(()));
        // What has gone is not forgotten.
        assert_eq!(lab.bridge.stats().round_trips.counts.iter().sum::<u32>(), 1);
    }
}

#[test]
fn bytes_that_nobody_takes_show_as_queued() {
    let lab = Lab::new(&ChannelChoice::Socket);
    let (mut client, _server) = lab.pair(ByteOrder::Little);
    let block = requests::no_operation(ByteOrder::Little).repeat(1 << 14);
    std::thread::scope(|scope| {
        scope.spawn(|| while client.stream.send(&block).is_ok() {});
        let queued = until(|| {
            let queued = lab.bridge.clients().first()?.numbers.queued_to_host;
            (queued > 0).then_some(queued)
        });
        assert!(queued <= 256 << 10, "{queued}");
        assert!(lab.bridge.close_client(number(&lab, 0)));
    });
}

#[test]
fn a_client_that_is_busy_all_the_time_tells_its_numbers_when_asked() {
    let lab = Lab::new(&ChannelChoice::Loopback);
    let (mut client, mut server) = lab.pair(ByteOrder::Little);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let request = requests::no_operation(ByteOrder::Little);
            let mut more = true;
            while more {
                more = client.request(&request).is_ok() && !stop.load(Relaxed);
            }
        });
        scope.spawn(|| while server.request().is_ok() {});
        let first = until(|| {
            Some(lab.bridge.clients().first()?.numbers.totals.session.requests).filter(|count| *count > 0)
        });
        until(|| (lab.bridge.clients().first()?.numbers.totals.session.requests > first).then_some(()));
        stop.store(true, Relaxed);
        assert!(lab.bridge.close_client(number(&lab, 0)));
    });
}

#[test]
fn one_client_can_be_closed_by_its_number_and_the_others_stay() {
    let lab = Lab::new(&ChannelChoice::Socket);
    let (mut first, _first_server) = lab.pair(ByteOrder::Little);
    let (mut second, mut second_server) = lab.pair(ByteOrder::Little);
    assert!(!lab.bridge.close_client(1 << 40));
    assert!(lab.bridge.close_client(number(&lab, 0)));
    assert_eq!(lab.next_end(), "the bridge was asked to close it");
    assert!(first.packet().is_err());
    second.request(&requests::no_operation(ByteOrder::Little)).unwrap();
    assert!(second_server.request().is_ok());
}

/// The number of a client. Other bridges that look for a free display take some as well.
fn number(lab: &Lab, at: usize) -> u64 {
    until(|| lab.bridge.clients().get(at).map(|client| client.client))
}

/// Tries again until there is something, which must be before the guard against hanging.
fn until<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + HANG_GUARD;
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(Instant::now() < deadline, "it never came true");
        std::thread::sleep(Duration::from_millis(2));
    }
}
