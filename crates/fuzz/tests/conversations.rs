//! Recorded conversations of real programs: what a server is told must not depend on how fast it answers.

// Helpers of tests may fail loudly; clippy only sees that in the test functions themselves.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use fuzz::script::Script;
use fuzz::wire::Wire;
use session::{Carries, Marks, Next, Offers, Session};
use x11_wire::ByteOrder;
use x11_wire::message::MessageHead;
use x11_wire::sequence::widen;

const PROGRAMS: [&str; 6] = ["python-xlib", "xclock", "xdpyinfo", "xlsatoms", "xprop", "xterm"];

/// What a client and a server said, and in what order.
struct Conversation {
    script: Script,
    requests: Vec<u8>,
    /// Each message of the server, with the number of the request that it had reached.
    messages: Vec<(u64, Vec<u8>)>,
}

impl Conversation {
    fn of(program: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/session").join(program);
        let script = Script::decode(&std::fs::read(path).unwrap());
        let side = |host| script.records.iter().filter(move |record| record.host == host);
        let requests = side(false).flat_map(|record| record.bytes.clone()).collect();
        let stream: Vec<u8> = side(true).flat_map(|record| record.bytes.clone()).collect();
        let messages = messages(script.order, &stream);
        Self { script, requests, messages }
    }

    fn session(&self, descriptors: bool) -> Session<u32> {
        let carries = if descriptors { Carries::EVERYTHING } else { Carries::BYTES };
        let mut session = Session::new(self.script.order, carries, Offers::default());
        let mut reply = Wire(self.script.order).set_up_reply();
        assert_eq!(session.host_data(&mut reply, &mut Marks::new()), Ok(reply.len()));
        session
    }

    /// The client writes `ahead` bytes beyond what the server has read; the server answers one message at a time, as
    /// late as it can. What each side was told.
    fn run(&self, descriptors: bool, ahead: usize) -> (Vec<u8>, Vec<u8>) {
        let mut session = self.session(descriptors);
        let (mut to_host, mut to_client) = (vec![], vec![]);
        let (mut held, mut unsaid) = (vec![], &self.requests[..]);
        let mut messages = self.messages.iter().peekable();
        loop {
            let (said, later) = unsaid.split_at(ahead.saturating_sub(held.len()).min(unsaid.len()));
            held.extend(said);
            unsaid = later;
            let progress = session.client_data(&mut held, &mut Marks::new());
            to_host.extend(held.drain(..progress.forward));
            if progress.next == Next::Client && !unsaid.is_empty() {
                continue;
            }
            let reached = session.counters().requests;
            let Some((_, message)) = messages.next_if(|(sequence, _)| *sequence <= reached) else { break };
            let mut message = message.clone();
            assert_eq!(session.host_data(&mut message, &mut Marks::new()), Ok(message.len()));
            to_client.extend(message);
        }
        (to_host, to_client)
    }
}

fn messages(order: ByteOrder, mut stream: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut messages = vec![];
    let mut reached = 0;
    while let Some(head) = MessageHead::parse(order, stream) {
        let Some((message, rest)) = stream.split_at_checked(usize::try_from(head.len).unwrap()) else {
            break;
        };
        reached = head.sequence.map_or(reached, |wire| widen(reached, wire));
        messages.push((reached, message.to_vec()));
        stream = rest;
    }
    messages
}

#[test]
fn a_server_is_told_the_same_however_far_the_client_writes_ahead() {
    for program in PROGRAMS {
        let conversation = Conversation::of(program);
        for descriptors in [true, false] {
            let patient = conversation.run(descriptors, 200);
            assert!(!patient.0.is_empty() && !patient.1.is_empty(), "{program} says something");
            for ahead in [300, 4096, usize::MAX] {
                let hasty = conversation.run(descriptors, ahead);
                assert!(hasty == patient, "{program}, {ahead} bytes ahead, descriptors: {descriptors}");
            }
        }
    }
}

#[test]
fn a_path_with_descriptors_tells_the_server_all_that_the_client_said() {
    for program in PROGRAMS {
        let conversation = Conversation::of(program);
        let (to_host, to_client) = conversation.run(true, usize::MAX);
        assert!(conversation.requests.starts_with(&to_host), "{program}");
        assert!(
            conversation.requests.len() - to_host.len() < 128,
            "{program}: no more than a broken end is held"
        );
        let said: usize = conversation.messages.iter().map(|(_, message)| message.len()).sum();
        assert_eq!(to_client.len(), said, "{program}");
    }
}
