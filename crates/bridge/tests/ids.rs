//! A policy's side gives up what its clients no longer own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic here is a failed test")]

mod lab;

use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use bridge::{ChannelChoice, SPIN_MAX};
use lab::{BY_DISPLAY, CHANNELS, Lab};
use session::Policy;
use x11bridge_testkit::{ByteOrder, FakeConnection, HANG_GUARD, RawClient, requests, setup};

const ORDER: ByteOrder = ByteOrder::Little;
const FREE_PIXMAP: u8 = 54;
const MAP_NOTIFY: u8 = 19;
const FIRST: u32 = 0x0020_0000;
const SECOND: u32 = 0x0040_0000;

/// Denies a `FreePixmap` of a pixmap of others.
fn others_stay() -> Policy {
    let words = [0, 0, FREE_PIXMAP.into(), 1, 10, 0, 1, 0, 4 << 16, 0, 0, 8, 0];
    Policy::from_table(&words, vec![], vec!["rule".into()], vec![], String::new()).unwrap()
}

/// A client whose ids start at `base`, and its connection at the server.
fn pair(lab: &Lab, base: u32) -> (RawClient, FakeConnection) {
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut connection = lab.server().accept().unwrap();
            connection.setup_request().unwrap();
            let mut reply = setup::accepted(ORDER);
            reply.get_mut(12..16).unwrap().copy_from_slice(&ORDER.u32(base));
            connection.stream.send(&reply).unwrap();
            connection
        });
        (lab.connect(ORDER).unwrap(), server.join().unwrap())
    })
}

/// Sends events until they find no room for a while: the client does not read.
fn fill(server: &mut FakeConnection) {
    let mut event = [0; 32];
    event[0] = MAP_NOTIFY;
    server.stream.socket().set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    while server.stream.send(&event.repeat(256)).is_ok() {}
}

/// Whether the second client may free a pixmap of the first one's.
fn shares(second: &mut RawClient, server: &mut FakeConnection) -> bool {
    second.request(&requests::free_pixmap(ORDER, FIRST + 1)).unwrap();
    server.request().unwrap().opcode() == FREE_PIXMAP
}

/// Whether the second client may for as long as can be waited for.
fn keeps(second: &mut RawClient, server: &mut FakeConnection) -> bool {
    let deadline = Instant::now() + HANG_GUARD;
    while shares(second, server) {
        if Instant::now() >= deadline {
            return true;
        }
    }
    false
}

fn policed(channel: &ChannelChoice) -> Lab {
    Lab::with(channel, |options| {
        options.live.policy = Some(Arc::new(others_stay()));
        options.live.spin = SPIN_MAX;
    })
}

#[test]
fn a_client_that_floods_and_does_not_read_keeps_no_ids_that_the_server_has_taken_back() {
    for channel in &CHANNELS {
        let lab = policed(channel);
        let (mut first, mut first_server) = pair(&lab, FIRST);
        let (mut second, mut second_server) = pair(&lab, SECOND);
        assert!(shares(&mut second, &mut second_server));
        fill(&mut first_server);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let flood = requests::no_operation(ORDER).repeat(1 << 14);
                loop {
                    let sent = first.stream.send(&flood);
                    if stop.load(Relaxed) || sent.is_err() {
                        break;
                    }
                }
            });
            // Gone while requests come without a pause: the bridge hardly ever sleeps.
            let mut buffer = vec![0; 1 << 20];
            let mut heard = 0;
            while heard < 1 << 23 {
                heard += first_server.stream.receive(&mut buffer, &mut vec![]).unwrap();
            }
            drop(first_server);
            let kept = keeps(&mut second, &mut second_server);
            stop.store(true, Relaxed);
            assert!(!kept, "{channel:?}: the ids are still the first client's");
        });
    }
}

#[test]
fn a_server_that_says_no_more_has_taken_the_ids_back() {
    for channel in &BY_DISPLAY {
        let lab = policed(channel);
        let (_first, mut first_server) = pair(&lab, FIRST);
        let (mut second, mut second_server) = pair(&lab, SECOND);
        assert!(shares(&mut second, &mut second_server));
        fill(&mut first_server);
        first_server.stream.socket().shutdown(Shutdown::Write).unwrap();
        assert!(!keeps(&mut second, &mut second_server), "{channel:?}: the ids are still the first client's");
    }
}
