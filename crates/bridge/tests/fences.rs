//! Fences relayed between two ends that share no page: the real library on both sides, the bridge in between.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed test"
)]

mod lab;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bridge::{ChannelChoice, FenceChoice};
use lab::Lab;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use shmfence::Backend;
use x11bridge_testkit::{
    ByteOrder, FakeConnection, FenceChecker, HANG_GUARD, PacketKind, RawClient, XshmfencePeer, requests,
};

const DRI3: u8 = 149;
const SYNC: u8 = 134;
const PRESENT: u8 = 148;
const NAME: u32 = 0x0020_0007;
const BAD_MATCH: u8 = 8;
const REPLY: u8 = 1;
const EVENT: u8 = 2;

/// A client and its server, which relay fences, and a process with libxshmfence beside each.
struct Ends {
    client: RawClient,
    server: FakeConnection,
    lab: Lab,
}

fn peer() -> XshmfencePeer {
    XshmfencePeer::start(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap()
}

fn ends(order: ByteOrder) -> Ends {
    let lab = Lab::with(&ChannelChoice::Loopback, |options| options.fences = FenceChoice::Relay);
    let (mut client, mut server) = lab.pair(order);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for major in [DRI3, SYNC, PRESENT] {
                server.request().unwrap();
                server.reply_extension(Some(major)).unwrap();
            }
        });
        for (name, major) in [("DRI3", DRI3), ("SYNC", SYNC), ("Present", PRESENT)] {
            assert_eq!(client.extension(name).unwrap(), Some(major));
        }
    });
    Ends { client, server, lab }
}

impl Ends {
    fn request(&mut self, major: u8, minor: u8, words: &[u32]) -> Vec<OwnedFd> {
        let order = self.client.order;
        let body: Vec<u8> = words.iter().flat_map(|word| order.u32(*word)).collect();
        self.client.request(&requests::request(order, major, minor, &body)).unwrap();
        let request = self.server.request().unwrap();
        assert_eq!(request.bytes[..2], [major, minor]);
        request.fds
    }

    /// Makes a fence of a client's file; returns the page that the server gets.
    fn make(&mut self, name: u32, file: impl AsFd) -> OwnedFd {
        let order = self.client.order;
        let body = [&order.u32(1)[..], &order.u32(name), &[0; 4]].concat();
        let request = requests::request(order, DRI3, 4, &body);
        self.client.request_with_fds(&request, &[file.as_fd()]).unwrap();
        let mut fds = self.server.request().unwrap().fds;
        assert_eq!(fds.len(), 1);
        fds.remove(0)
    }

    /// The client presents with an idle fence.
    fn present(&mut self, idle: u32) {
        let mut words = [0; 17];
        words[8] = idle;
        self.request(PRESENT, 1, &words);
    }

    fn round_trip(&mut self) {
        let order = self.client.order;
        self.client.request(&requests::get_input_focus(order)).unwrap();
        self.server.request().unwrap();
        self.server.reply(0, &[], &[]).unwrap();
        while self.client.packet().unwrap().kind() != PacketKind::Reply {}
    }
}

fn word(file: impl AsFd) -> u32 {
    let mut bytes = [0; 4];
    assert_eq!(rustix::io::pread(file, &mut bytes, 0), Ok(4));
    u32::from_ne_bytes(bytes)
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < HANG_GUARD, "it never happened: {what}");
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_client_that_sleeps_on_its_page_is_woken_by_the_servers_trigger_again_and_again() {
    for order in ByteOrder::BOTH {
        let (mut ends, mut client, mut server) = (ends(order), peer(), peer());
        let file = client.alloc(0).unwrap();
        let page = ends.make(NAME, &file);
        assert_ne!(rustix::fs::fstat(&page).unwrap().st_ino, rustix::fs::fstat(&file).unwrap().st_ino);
        server.map(0, &page).unwrap();
        let checker = FenceChecker::start(vec![file.try_clone().unwrap(), File::from(page)]);
        for turn in 0..300 {
            client.ask("reset 0").unwrap();
            ends.present(NAME);
            client.tell("await 0").unwrap();
            if turn % 3 == 0 {
                client.until_asleep().unwrap();
            }
            server.ask("trigger 0").unwrap();
            client.answer().unwrap();
        }
        assert!(checker.finish().unwrap() > 0);
        let Ends { client, server, lab } = ends;
        drop((client, server));
        lab.ends(1);
        let totals = lab.bridge.stats().totals.fences;
        assert_eq!((totals.relayed, totals.given_up, totals.stale), (1, 0, 0));
    }
}

#[test]
fn a_clients_own_trigger_reaches_the_servers_page() {
    let (mut ends, mut client, mut server) = (ends(ByteOrder::Little), peer(), peer());
    let file = client.alloc(0).unwrap();
    let page = ends.make(NAME, &file);
    server.map(0, &page).unwrap();
    server.tell("await 0").unwrap();
    server.until_asleep().unwrap();
    client.ask("trigger 0").unwrap();
    server.answer().unwrap();
    // And is undone before a request that names the fence, once the client has reset it.
    client.ask("reset 0").unwrap();
    ends.present(NAME);
    assert_ne!(word(&page), 1);
}

#[test]
fn what_the_server_triggered_before_it_answered_is_there_with_the_answer() {
    let (mut ends, mut client, mut server) = (ends(ByteOrder::Little), peer(), peer());
    let file = client.alloc(0).unwrap();
    let page = ends.make(NAME, &file);
    server.map(0, &page).unwrap();
    for _ in 0..200 {
        client.ask("reset 0").unwrap();
        ends.present(NAME);
        server.ask("trigger 0").unwrap();
        ends.round_trip();
        assert_eq!(word(&file), 1);
    }
    // The last trigger before a fence is destroyed is not lost either.
    client.ask("reset 0").unwrap();
    ends.present(NAME);
    ends.request(SYNC, 17, &[NAME]);
    server.ask("trigger 0").unwrap();
    ends.round_trip();
    assert_eq!(word(&file), 1);
    ends.round_trip();
    client.ask("reset 0").unwrap();
    server.ask("reset 0").unwrap();
    server.ask("trigger 0").unwrap();
    ends.round_trip();
    assert_eq!(word(&file), 0, "it is relayed no more");
}

#[test]
fn three_hundred_fences_of_one_client_are_relayed_at_once_by_one_thread() {
    let (mut ends, mut client, mut server) = (ends(ByteOrder::Little), peer(), peer());
    let mut files = vec![];
    for slot in 0..300 {
        let file = client.alloc(slot).unwrap();
        let page = ends.make(NAME + u32::try_from(slot).unwrap(), &file);
        server.map(slot, &page).unwrap();
        files.extend([file, File::from(page)]);
    }
    let checker = FenceChecker::start(files);
    for turn in 0..3 {
        for slot in 0..300 {
            client.ask(&format!("reset {slot}")).unwrap();
            ends.present(NAME + slot);
        }
        for slot in 0..300 {
            server.ask(&format!("trigger {}", (slot * 7 + turn) % 300)).unwrap();
        }
        for slot in 0..300 {
            client.ask(&format!("await {slot}")).unwrap();
        }
    }
    assert!(checker.finish().unwrap() > 0);
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
    let watchers = names.filter(|name| name.starts_with("x11bridge-fence")).count();
    // Where the kernel is older, or a processor is emulated, it takes more.
    assert!(watchers == 1 || Backend::best() != Backend::IoUring, "{watchers}");
}

#[test]
fn what_is_no_fence_is_refused_as_a_server_refuses_it_and_that_client_lives_on() {
    let mut ends = ends(ByteOrder::Little);
    let memfd = |bytes| {
        let file = rustix::fs::memfd_create("fence", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&file, bytes).unwrap();
        file
    };
    let (pipe, _other) = rustix::pipe::pipe().unwrap();
    let sealed = memfd(4096);
    rustix::fs::fcntl_add_seals(&sealed, rustix::fs::SealFlags::WRITE).unwrap();
    let folder = OwnedFd::from(File::open("/tmp").unwrap());
    for (what, file) in [("empty", memfd(0)), ("pipe", pipe), ("sealed", sealed), ("folder", folder)] {
        let order = ends.client.order;
        let body = [&order.u32(1)[..], &order.u32(NAME), &[0; 4]].concat();
        let request = requests::request(order, DRI3, 4, &body);
        ends.client.request_with_fds(&request, &[file.as_fd()]).unwrap();
        let request = ends.server.request().unwrap();
        assert!(request.fds.is_empty(), "{what}");
        let error = ends.server.error_bytes(1);
        let error = [&error[..10], &request.bytes[..1], &error[11..]].concat();
        ends.server.stream.send(&error).unwrap();
        let packet = ends.client.packet().unwrap();
        assert_eq!((packet.kind(), packet.bytes[1], packet.bytes[10]), (PacketKind::Error, BAD_MATCH, DRI3));
    }
    ends.round_trip();
}

#[test]
fn a_file_that_is_truncated_under_the_bridge_harms_its_own_client_alone() {
    let (mut ends, mut client, mut server) = (ends(ByteOrder::Little), peer(), peer());
    let path = format!("/dev/shm/x11bridge-fence-test-{}", std::process::id());
    let cut = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    cut.set_len(4096).unwrap();
    ends.make(NAME, &cut);
    cut.set_len(0).unwrap();
    ends.present(NAME);
    let file = client.alloc(0).unwrap();
    let page = ends.make(NAME + 1, &file);
    server.map(0, &page).unwrap();
    client.tell("await 0").unwrap();
    server.ask("trigger 0").unwrap();
    client.answer().unwrap();
    ends.round_trip();
}

#[test]
fn nobody_sleeps_for_ever_on_a_fence_of_a_server_that_has_gone() {
    let (mut ends, mut client) = (ends(ByteOrder::Little), peer());
    let file = client.alloc(0).unwrap();
    ends.make(NAME, &file);
    ends.present(NAME);
    client.tell("await 0").unwrap();
    client.until_asleep().unwrap();
    drop(ends.server);
    client.answer().unwrap();
    // And who is awake finds the connection closed, so that nobody resets the fence and sleeps once more.
    let mut polled = [PollFd::new(ends.client.stream.socket(), PollFlags::RDHUP)];
    assert_eq!(poll(&mut polled, Some(&Timespec::default())), Ok(1));
    assert_eq!(ends.lab.ends(1).len(), 1);
    assert_eq!(ends.lab.bridge.stats().totals.fences.given_up, 1);
}

#[test]
fn a_client_that_waits_for_a_fence_and_reads_nothing_goes_on() {
    let (mut ends, mut client, mut server) = (ends(ByteOrder::Little), peer(), peer());
    let file = client.alloc(0).unwrap();
    let page = ends.make(NAME, &file);
    server.map(0, &page).unwrap();
    ends.present(NAME);
    while_nothing_is_read(ends, REPLY, || {
        client.tell("await 0").unwrap();
        server.ask("trigger 0").unwrap();
        client.answer().unwrap();
    });
}

#[test]
fn a_client_that_reads_nothing_triggers_its_own_fence_for_the_server() {
    let (mut ends, mut client, mut server) = (ends(ByteOrder::Little), peer(), peer());
    let file = client.alloc(0).unwrap();
    let page = ends.make(NAME, &file);
    server.map(0, &page).unwrap();
    server.tell("await 0").unwrap();
    server.until_asleep().unwrap();
    while_nothing_is_read(ends, EVENT, || {
        client.ask("trigger 0").unwrap();
        server.answer().unwrap();
    });
}

/// Does something while the server sends packets of that kind and the client takes none. Replies as long as these go past the
/// bridge's own buffer, events through it.
fn while_nothing_is_read(ends: Ends, kind: u8, body: impl FnOnce()) {
    let Ends { client: connection, server: mut stream, lab } = ends;
    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // More than all buffers on the way hold.
        scope.spawn(|| {
            let mut packets = stream.reply_bytes(0, &[], &vec![0; 1 << 16]);
            if kind == EVENT {
                packets = [&[EVENT][..], &packets[1..4], &[0; 28]].concat().repeat(2048);
            }
            while !enough.load(Relaxed) {
                stream.stream.send(&packets).unwrap();
            }
        });
        until("the client's socket is full", || {
            let before = lab.bridge.stats().totals.bytes_to_client;
            sleep(Duration::from_millis(100));
            before > 0 && lab.bridge.stats().totals.bytes_to_client == before
        });
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        // Or the thread above would go on for ever.
        enough.store(true, Relaxed);
        drop(connection);
        done.unwrap();
    });
}

#[test]
fn the_server_goes_on_when_a_client_dies_and_nothing_of_it_stays() {
    let mut server_peer = peer();
    let before = holdings();
    for _ in 0..20 {
        let (mut ends, mut client) = (ends(ByteOrder::Little), peer());
        let file = client.alloc(0).unwrap();
        let page = ends.make(NAME, &file);
        server_peer.map(0, &page).unwrap();
        server_peer.tell("await 0").unwrap();
        client.kill().unwrap();
        // A server closes the connection when it hears that the client has gone.
        drop((ends.client, ends.server));
        server_peer.answer().unwrap();
        ends.lab.ends(1);
    }
    until("all maps and watches are gone", || holdings() <= before);
}

/// Mappings of fences, and descriptors of this process.
fn holdings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("xshmfence") || line.contains("x11bridge-fence")).count()
}

#[test]
fn without_fences_clients_are_not_offered_dri3() {
    for channel in [ChannelChoice::Loopback, ChannelChoice::Socket] {
        let lab = Lab::with(&channel, |options| options.fences = FenceChoice::Off);
        let (mut client, mut server) = lab.pair(ByteOrder::Little);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                server.request().unwrap();
                server.reply_extension(Some(DRI3)).unwrap();
            });
            assert_eq!(client.extension("DRI3").unwrap(), None);
        });
    }
}
