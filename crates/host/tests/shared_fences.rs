//! Fences in files of the guest's `/dev/shm`: both sides map the word, and only wake-ups travel.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

mod lab;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use cross_domain::{ExportedFile, FutexNew, encode_futex_destroy, encode_futex_signal};
use lab::Lab;
use lab::dev_shm::{self, SETATTR, bytes, named, send_naming, word};
use lab::gpu::{Channel, Guest, OK_NODATA, UNSPECIFIED};
use shmfence::word::{RESET, SLEEPING, TRIGGERED};
use shmfence::{Backend, Fence, Word};
use sys::SharedMap;
use x11bridge_testkit::{FakeConnection, FenceChecker, HANG_GUARD, XshmfencePeer};

const ID: u32 = 0x4000_0000;
/// The type of what a futex names in a SEND.
const SHM: u32 = 5;
const OPEN: u32 = 14;

/// A guest with one channel and one file for a fence.
struct Place {
    // Dropped in this order: the guest first.
    files: dev_shm::Guest,
    gpu: Guest,
    channel: Channel,
    server: FakeConnection,
    node: u64,
    file: ExportedFile,
    lab: Lab,
}

impl Place {
    fn new() -> Self {
        let lab = dev_shm::lab();
        let (mut files, mut gpu) = (dev_shm::Guest::new(&lab), lab.guest());
        let channel = gpu.channel(1);
        let server = lab.server().accept().unwrap();
        let (node, _, file) = named(&mut files, "fence", &[0; 4]);
        Self { files, gpu, channel, server, node, file, lab }
    }

    /// Hands the fence to the X server; its descriptor there.
    fn share(&mut self) -> OwnedFd {
        let new = FutexNew { file: self.file, id: ID }.encode();
        let commands = [&new[..], &send_naming(ID, SHM)].concat();
        assert_eq!(self.gpu.execute(1, &commands), OK_NODATA);
        let mut files = vec![];
        self.server.stream.receive_exact(&mut [0; 4], &mut files).unwrap();
        files.pop().unwrap()
    }

    /// The word as a program of the guest has it mapped.
    fn map(&mut self) -> SharedMap {
        self.files.map(self.node, 0).unwrap()
    }

    /// The next message that the guest hears.
    fn next_message(&mut self) -> String {
        self.channel.receive(&mut self.gpu).what
    }

    /// How many signals the guest hears before what the server says now.
    fn signals(&mut self) -> usize {
        self.server.stream.send(b"end").unwrap();
        let heard = std::iter::repeat_with(|| self.channel.receive(&mut self.gpu));
        heard
            .take_while(|received| received.data != b"end")
            .map(|received| assert_eq!(received.what, signal()))
            .count()
    }

    /// Triggers the fence as if somebody slept on it in the guest, and waits until the guest hears of it. From then on the
    /// watcher is asleep, and may have one more report to make.
    fn trigger_with_sleeper(&mut self, file: &OwnedFd, server: &mut XshmfencePeer) {
        let ours = Fence::open(file.as_fd()).unwrap();
        assert_eq!(ours.compare_exchange(RESET, SLEEPING), Ok(RESET));
        server.ask("trigger 0").unwrap();
        assert_eq!(self.next_message(), signal());
        assert_eq!(ours.value(), Ok(TRIGGERED));
        server.ask("reset 0").unwrap();
    }
}

/// A process with the real library that has the fence in slot 0.
fn peer(file: &OwnedFd) -> XshmfencePeer {
    let mut peer = XshmfencePeer::start(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
    peer.map(0, file).unwrap();
    peer
}

/// How many signals may come for nothing. Before Linux 6.7 the watcher looks at a triggered word again and again.
fn late_reports() -> usize {
    if Backend::best() == Backend::IoUring { 1 } else { usize::MAX }
}

fn signal() -> String {
    format!("FutexSignal {{ id: {ID} }}")
}

#[test]
fn a_trigger_by_the_server_is_told_if_somebody_sleeps_and_only_then() {
    let mut place = Place::new();
    let file = place.share();
    let checker = FenceChecker::start(vec![File::from(file.try_clone().unwrap())]);
    let (mut server, guest) = (peer(&file), place.map());
    place.trigger_with_sleeper(&file, &mut server);
    for _ in 0..1000 {
        server.ask("trigger 0").unwrap();
        server.ask("reset 0").unwrap();
    }
    assert!(place.signals() <= late_reports());
    place.trigger_with_sleeper(&file, &mut server);
    server.ask("trigger 0").unwrap();
    let mut word = [0; 4];
    assert!(guest.read(0, &mut word), "the guest's memory is the server's");
    assert_eq!(u32::from_ne_bytes(word), TRIGGERED);
    checker.finish().unwrap();
}

#[test]
fn a_signal_of_the_guest_wakes_the_server_and_is_not_echoed() {
    let mut place = Place::new();
    let file = place.share();
    let (mut server, ours) = (peer(&file), Fence::open(file.as_fd()).unwrap());
    place.trigger_with_sleeper(&file, &mut server);
    for _ in 0..50 {
        server.tell("await 0").unwrap();
        server.until_asleep().unwrap();
        // The step alone, as it is made in the guest: nobody wakes here.
        assert_eq!(ours.compare_exchange(SLEEPING, TRIGGERED), Ok(SLEEPING));
        assert_eq!(place.gpu.execute(1, &encode_futex_signal(ID)), OK_NODATA);
        assert_eq!(server.answer().unwrap(), 0);
        server.ask("reset 0").unwrap();
    }
    assert!(place.signals() <= late_reports());
}

#[test]
fn a_fence_that_was_destroyed_is_watched_no_more() {
    let mut place = Place::new();
    let file = place.share();
    let mut server = peer(&file);
    assert_eq!(place.gpu.execute(1, &encode_futex_destroy(ID)), OK_NODATA);
    let ours = Fence::open(file.as_fd()).unwrap();
    assert_eq!(ours.compare_exchange(RESET, SLEEPING), Ok(RESET));
    server.ask("trigger 0").unwrap();
    assert_eq!(place.signals(), 0);
    // One may have been under way; to destroy it again, or to name it, is an error.
    assert_eq!(place.gpu.execute(1, &encode_futex_signal(ID)), OK_NODATA);
    assert_eq!(place.gpu.execute(1, &send_naming(ID, SHM)), UNSPECIFIED);
}

#[test]
fn a_server_that_waits_for_a_guest_that_has_gone_goes_on() {
    let mut place = Place::new();
    let file = place.share();
    let mut server = peer(&file);
    server.tell("await 0").unwrap();
    server.until_asleep().unwrap();
    assert_eq!(place.gpu.destroy_context(1), OK_NODATA);
    assert_eq!(server.answer().unwrap(), 0);
}

#[test]
fn a_file_that_the_guest_cuts_off_stays_a_fence() {
    let mut place = Place::new();
    let file = place.share();
    let mut server = peer(&file);
    let mut body = bytes(&[1 << 3, 0, 0]);
    body.resize(88, 0);
    place.files.call(SETATTR, place.node, &body).unwrap();
    for _ in 0..10 {
        server.ask("trigger 0").unwrap();
        server.ask("reset 0").unwrap();
    }
    let ours = Fence::open(file.as_fd()).unwrap();
    assert_eq!(ours.compare_exchange(RESET, SLEEPING), Ok(RESET));
    server.ask("trigger 0").unwrap();
    assert_eq!(place.next_message(), signal());
}

#[test]
fn a_word_that_is_no_fences_ends_that_link_alone() {
    let mut place = Place::new();
    let guest = place.map();
    assert!(guest.write(0, &7_u32.to_ne_bytes()));
    let file = place.share();
    // Whoever slept there was let go.
    let ours = Fence::open(file.as_fd()).unwrap();
    let start = Instant::now();
    while ours.is(TRIGGERED) != Ok(true) {
        assert!(start.elapsed() < HANG_GUARD);
        assert!(place.signals() <= late_reports(), "the channel goes on");
    }
}

#[test]
fn what_is_not_the_guests_to_give_is_no_fence() {
    for case in ["a guess", "another guest's", "read-only", "closed", "an id in use"] {
        let (mut place, other) = (Place::new(), Place::new());
        let id = if case == "an id in use" { ID } else { ID + 1 };
        place.share();
        let file = match case {
            "a guess" => ExportedFile { handle: place.file.handle ^ 1, ..place.file },
            "another guest's" => other.file,
            "read-only" => {
                let reply = place.files.call(OPEN, place.node, &bytes(&[0])).unwrap();
                let asked = bytes(&[word(&reply, 0), 0x8010_7601 << 32, 0, 16 << 32]);
                let reply = place.files.call(39, place.node, &asked).unwrap();
                ExportedFile { fs_id: word(&reply, 16), handle: word(&reply, 24) }
            }
            "closed" => {
                let (node, handle, file) = named(&mut place.files, "closed", &[0; 4]);
                place.files.call(18, node, &bytes(&[handle, 0, 0])).unwrap();
                file
            }
            _ => place.file,
        };
        let commands = [&FutexNew { file, id }.encode()[..], &send_naming(id, SHM)].concat();
        assert_eq!(place.gpu.execute(1, &commands), UNSPECIFIED, "{case}");
        // The others of that guest don't notice.
        place.gpu.channel(2);
        let mut server = place.lab.server().accept().unwrap();
        server.stream.send(b"goes on").unwrap();
    }
}
