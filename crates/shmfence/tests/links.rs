//! Links between two "kernels": for relays two processes with a page each, so no wake of one reaches the other; for a shared
//! page the sleepers of each kernel sleep by bits of their own, which no wake of the other has.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed test"
)]

mod lab;

use std::fs::File;
use std::num::NonZeroU32;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lab::{HANG_GUARD, memfd, peer, shm_file, until, watchers};
use shmfence::links::{Event, Message};
use shmfence::word::{ALL_BUT_WATCHERS, RESET, SLEEPING, TRIGGERED};
use shmfence::{Backend, Error, Fence, Links, Purpose, Watcher, Word};
use x11bridge_testkit::{FenceChecker, XshmfencePeer};

const TURNS: u32 = 100_000;
const ID: u32 = 0x4000_0000;

/// Keeps the processors busy with something else until it is dropped.
struct Load(Arc<AtomicBool>);

impl Load {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..2 {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || while !stop.load(Ordering::Relaxed) {});
        }
        Self(stop)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What arrives at a side, in order: messages of the other, and requests of the client.
enum Arrival {
    Message(u32, Message),
    Request,
}

/// One side: its links, and where the messages for the other go.
struct Side {
    links: Mutex<Links>,
    other: Sender<Arrival>,
}

impl Side {
    fn new(watcher: &Arc<Watcher>, other: Sender<Arrival>) -> Self {
        let outbox = other.clone();
        let outlet = move |id, event| match event {
            Event::Send(message) => _ = outbox.send(Arrival::Message(id, message)).is_ok(),
            Event::Broken(error) => assert_eq!(error, Error::Truncated),
        };
        let links = Links::new(Arc::clone(watcher), Arc::new(outlet));
        Self { links: Mutex::new(links), other }
    }

    fn arrives(&self, id: u32, message: Message) {
        if let Some(answer) = self.links.lock().unwrap().receive(id, message).unwrap() {
            let _ = self.other.send(Arrival::Message(id, answer));
        }
    }
}

/// A guest and a host with one relayed fence, whose server is a process with the real library.
struct Relayed {
    guest: Arc<Side>,
    host: Arc<Side>,
    server_file: File,
    client_file: File,
}

impl Relayed {
    fn new(watchers: [&Arc<Watcher>; 2], client_file: File, mut server: XshmfencePeer) -> Self {
        let ((to_guest, at_guest), (to_host, at_host)) = (channel(), channel());
        let guest = Arc::new(Side::new(watchers[0], to_host));
        let host = Arc::new(Side::new(watchers[1], to_guest));
        let fence = Fence::open(client_file.as_fd()).unwrap();
        let triggered = guest.links.lock().unwrap().add_client(ID, fence).unwrap();
        let server_file = File::from(host.links.lock().unwrap().add_server(ID, triggered).unwrap());
        server.map(0, &server_file).unwrap();
        let relayed = Self { guest, host, server_file, client_file };
        relayed.serve(at_guest, at_host, server);
        relayed
    }

    /// The two sides' threads, which end with their channels.
    fn serve(&self, at_guest: Receiver<Arrival>, at_host: Receiver<Arrival>, mut server: XshmfencePeer) {
        let (guest, host) = (Arc::downgrade(&self.guest), Arc::downgrade(&self.host));
        std::thread::spawn(move || {
            while let (Ok(Arrival::Message(id, message)), Some(guest)) = (at_guest.recv(), guest.upgrade()) {
                guest.arrives(id, message);
            }
        });
        std::thread::spawn(move || {
            while let (Ok(arrival), Some(host)) = (at_host.recv(), host.upgrade()) {
                match arrival {
                    Arrival::Message(id, message) => host.arrives(id, message),
                    Arrival::Request => _ = server.ask("trigger 0").is_ok(),
                }
            }
        });
    }

    /// A request that names the fence passes.
    fn request(&self) {
        let message = self.guest.links.lock().unwrap().before_request(ID).unwrap();
        if let Some(message) = message {
            self.guest.other.send(Arrival::Message(ID, message)).unwrap();
        }
        self.guest.other.send(Arrival::Request).unwrap();
    }

    fn checker(&self) -> FenceChecker {
        let files = [&self.server_file, &self.client_file];
        FenceChecker::start(files.map(|file| file.try_clone().unwrap()).into())
    }
}

fn pairs_of_watchers() -> Vec<[Arc<Watcher>; 2]> {
    watchers().into_iter().zip(watchers()).map(|(one, other)| [Arc::new(one), Arc::new(other)]).collect()
}

/// As many presents by a client with the real library: reset, request, wait.
fn present(relayed: &Relayed, client: &mut XshmfencePeer, times: u32) {
    for _ in 0..times {
        client.ask("reset 0").unwrap();
        relayed.request();
        client.ask("await 0").unwrap();
    }
}

#[test]
fn a_relay_carries_present_after_present_under_load_and_loses_none() {
    let _load = Load::start();
    for [one, other] in pairs_of_watchers() {
        let turns = if one.backend() == Backend::IoUring { TURNS / 4 } else { TURNS / 20 };
        let (mut client, mut file) = (peer(), memfd(4));
        client.map(0, &file).unwrap();
        file.set_len(4).unwrap();
        std::io::Write::write_all(&mut file, &TRIGGERED.to_ne_bytes()).unwrap();
        let relayed = Relayed::new([&one, &other], file, peer());
        let checker = relayed.checker();
        present(&relayed, &mut client, turns);
        assert!(checker.finish().unwrap() > 0);
        let stats = [&relayed.guest, &relayed.host].map(|side| side.links.lock().unwrap().stats());
        assert_eq!(stats.map(|stats| (stats.stale, stats.given_up)), [(0, 0); 2]);
    }
}

#[test]
fn a_relay_works_for_a_client_page_that_can_be_truncated_until_it_is() {
    for [one, other] in pairs_of_watchers() {
        let (mut client, file) = (peer(), shm_file(4));
        client.map(0, &file).unwrap();
        let truncates = file.try_clone().unwrap();
        let relayed = Relayed::new([&one, &other], file, peer());
        client.ask("trigger 0").unwrap();
        present(&relayed, &mut client, 100);
        truncates.set_len(0).unwrap();
        let result = relayed.guest.links.lock().unwrap().before_request(ID);
        assert_eq!(result, Err(Error::Truncated));
        relayed.guest.links.lock().unwrap().give_up(ID);
        assert!(relayed.guest.links.lock().unwrap().is_empty());
    }
}

#[test]
fn a_trigger_by_the_client_alone_wakes_a_server_that_sleeps() {
    for [one, other] in pairs_of_watchers() {
        let (mut client, file) = (peer(), memfd(4));
        client.map(0, &file).unwrap();
        let relayed = Relayed::new([&one, &other], file, peer());
        let mut server = peer();
        server.map(0, &relayed.server_file).unwrap();
        server.tell("await 0").unwrap();
        server.until_asleep().unwrap();
        client.ask("trigger 0").unwrap();
        assert_eq!(server.answer().unwrap(), 0);
    }
}

#[test]
fn whichever_side_is_killed_the_other_goes_on() {
    let [one, other] = pairs_of_watchers().remove(0);
    let mut seed = 0x2545_f491_u32;
    for round in 0..60 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let ((mut client, file), server) = ((peer(), memfd(4)), peer());
        client.map(0, &file).unwrap();
        client.ask("trigger 0").unwrap();
        let relayed = Relayed::new([&one, &other], file, server);
        let checker = relayed.checker();
        present(&relayed, &mut client, seed >> 28);
        client.ask("reset 0").unwrap();
        let _ = relayed.guest.links.lock().unwrap().before_request(ID).unwrap();
        if seed & 1 << 20 == 0 {
            // The server never answers: its side is lost, and the client must not sleep for ever.
            client.tell("await 0").unwrap();
            until("the client waits", || lab::word_in(&relayed.client_file) == SLEEPING);
            relayed.host.links.lock().unwrap().destroy(ID);
            relayed.guest.links.lock().unwrap().give_up_all();
            assert_eq!(client.answer().unwrap(), 0);
            assert_eq!(relayed.guest.links.lock().unwrap().stats().given_up, 1);
        } else {
            client.kill().unwrap();
            for side in [&relayed.guest, &relayed.host] {
                side.links.lock().unwrap().destroy(ID);
            }
        }
        assert!(checker.finish().is_ok(), "round {round} of a fixed seed");
        assert!([&relayed.guest, &relayed.host].iter().all(|side| side.links.lock().unwrap().is_empty()));
    }
}

#[test]
fn what_is_not_linked_any_more_is_let_pass() {
    let mut links = Links::new(Arc::new(Watcher::start().unwrap()), Arc::new(|_, _| ()));
    assert!(!links.add_client(ID, Fence::create(false).unwrap().0).unwrap());
    links.add_shared(ID + 1, Fence::create(false).unwrap().0).unwrap();
    assert_eq!((links.len(), links.before_request(ID + 1)), (2, Ok(None)));
    for id in [ID, ID, ID + 1, ID + 2] {
        links.destroy(id);
        assert_eq!(links.before_request(id), Ok(None));
        assert_eq!(links.reset(id), Ok((false, None)));
        assert_eq!(links.receive(id, Message::Signal), Ok(None));
    }
    assert_eq!((links.len(), links.stats().shared, links.stats().relayed), (0, 1, 1));
}

/// A fence as one of two kernels has it: its sleepers and wakes have only the bits of that kernel.
struct InKernel {
    fence: Arc<Fence>,
    bits: u32,
}

impl InKernel {
    fn own(&self, mask: NonZeroU32) -> NonZeroU32 {
        NonZeroU32::new(mask.get() & self.bits).unwrap()
    }
}

impl Word for InKernel {
    fn is(&self, value: u32) -> Result<bool, Error> {
        self.fence.is(value)
    }

    fn compare_exchange(&self, current: u32, new: u32) -> Result<u32, Error> {
        self.fence.compare_exchange(current, new)
    }

    fn force(&self) -> Result<(), Error> {
        if self.compare_exchange(SLEEPING, TRIGGERED)? == SLEEPING {
            self.wake(shmfence::word::ALL)?;
        }
        Ok(())
    }

    fn sleep(&self, expected: u32, mask: NonZeroU32, timeout: Option<Duration>) -> Result<(), Error> {
        self.fence.sleep(expected, self.own(mask), timeout)
    }

    fn wake(&self, mask: NonZeroU32) -> Result<(), Error> {
        self.fence.wake(self.own(mask))
    }
}

/// A word that two kernels map: the fence here with its watcher's bit, and there.
fn two_kernels(file: &File) -> [InKernel; 2] {
    let fence = Arc::new(Fence::open(file.as_fd()).unwrap());
    [0x0000_ffff, 0xffff_0000].map(|bits| InKernel { fence: Arc::clone(&fence), bits })
}

#[test]
fn a_shared_link_wakes_the_other_kernel_turn_after_turn_under_load() {
    for watcher in watchers() {
        // A thread looks again ten times a second where it may have missed something.
        let turns = if watcher.backend() == Backend::IoUring { TURNS } else { 1000 };
        let file = memfd(4);
        let ([here, there], [_, woken]) = (two_kernels(&file), two_kernels(&file));
        let signal = move |_| woken.wake(ALL_BUT_WATCHERS).unwrap();
        let _watch = watcher.watch(Arc::clone(&here.fence), Purpose::Shared, signal).unwrap();
        let (_load, checker) = (Load::start(), FenceChecker::start(vec![file.try_clone().unwrap()]));
        let (turn, ended) = channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for _ in 0..turns {
                    assert_eq!(there.wait(Some(HANG_GUARD)), Ok(true));
                    assert_eq!(there.reset(), Ok(true));
                    turn.send(()).unwrap();
                }
            });
            for _ in 0..turns {
                here.trigger().unwrap();
                ended.recv().unwrap();
            }
        });
        assert!(checker.finish().unwrap() > 0);
    }
}

#[test]
fn a_shared_link_is_silent_while_nobody_sleeps() {
    // The other ways look at a triggered word again and again.
    for watcher in watchers().into_iter().filter(|watcher| watcher.backend() == Backend::IoUring) {
        let signals = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&signals);
        let outlet = move |_, event| {
            assert_eq!(event, Event::Send(Message::Signal));
            counted.fetch_add(1, Ordering::Relaxed);
        };
        let mut links = Links::new(Arc::new(watcher), Arc::new(outlet));
        let file = memfd(4);
        links.add_shared(ID, Fence::open(file.as_fd()).unwrap()).unwrap();
        let (mut client, mut server) = (peer(), peer());
        client.map(0, &file).unwrap();
        server.map(0, &file).unwrap();
        for _ in 0..1000 {
            server.ask("trigger 0").unwrap();
            client.ask("await 0").unwrap();
            client.ask("reset 0").unwrap();
        }
        // It may have begun to watch when the fence was triggered.
        assert!(signals.load(Ordering::Relaxed) <= 1);
        assert_eq!(lab::word_in(&file), RESET);
    }
}
