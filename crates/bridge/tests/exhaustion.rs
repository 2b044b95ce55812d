//! When descriptors run out, one client is refused, without a busy loop. Alone in its process: the limit is the process's.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed test"
)]

mod lab;

use std::fs::File;

use bridge::ChannelChoice;
use lab::Lab;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use x11bridge_testkit::{ByteOrder, requests};

#[test]
fn without_descriptors_left_a_client_is_refused_and_the_next_is_served_when_some_are_free() {
    let lab = Lab::new(&ChannelChoice::Socket);
    let mut healthy = lab.pair(ByteOrder::Little);
    // A round trip later, all that its set-up had opened for a moment is closed.
    healthy.0.request(&requests::get_input_focus(ByteOrder::Little)).unwrap();
    healthy.1.request().unwrap();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: limit.maximum }).unwrap();
    let mut fill: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    fill.pop(); // the client's own socket

    let refused = lab.connect(ByteOrder::Little).unwrap_err().to_string();
    assert!(refused.contains("too many open files"), "{refused}");
    assert_eq!(lab.bridge.stats().clients_refused, 1);
    // One more for the bridge's end of it, but none for its way to the server.
    fill.pop();
    let refused = lab.connect(ByteOrder::Little).unwrap_err().to_string();
    assert!(refused.contains("too many open files"), "{refused}");

    drop(fill);
    lab.pair(ByteOrder::Little);
    drop(healthy);
}
