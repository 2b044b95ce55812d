//! The claims that no wake is lost, over every interleaving of a bounded model (loom): fences, watchers, shared links and
//! relays, with the same code that runs on real memory. A lost wake is a deadlock, which the model checker reports.
//!
//! A [`Model`] is a word with a queue of sleepers for each kernel. As in a real kernel a sleeper compares and goes to
//! the queue under one lock, which a wake takes as well.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed test"
)]

use std::num::NonZeroU32;
use std::time::Duration;

use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use loom::sync::mpsc::{Receiver, Sender, channel};
use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
use loom::thread;

use shmfence::relay::{Listener, Message, StateCell};
use shmfence::word::{ALL, ALL_BUT_WATCHERS, RESET, SLEEPING, TRIGGERED, WATCHER_BIT};
use shmfence::{Error, Relay, Word};

/// Runs the body in every interleaving with at most so many preemptions.
fn check(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}

/// Sleepers of one kernel: the bits of each, by ticket.
#[derive(Default)]
struct Queue {
    asleep: Mutex<Vec<(u32, u32)>>,
    tickets: std::sync::atomic::AtomicU32,
    woken: Condvar,
}

impl Queue {
    /// Joins the queue if `still` holds under its lock; the ticket, or `None`.
    fn enter(&self, mask: NonZeroU32, still: impl FnOnce() -> bool) -> Option<u32> {
        let mut asleep = self.asleep.lock().unwrap();
        let ticket = self.tickets.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        still().then(|| {
            asleep.push((ticket, mask.get()));
            ticket
        })
    }

    fn sleep(&self, ticket: u32) {
        let mut asleep = self.asleep.lock().unwrap();
        while asleep.iter().any(|(sleeper, _)| *sleeper == ticket) {
            asleep = self.woken.wait(asleep).unwrap();
        }
    }

    fn wake(&self, mask: NonZeroU32) {
        let mut asleep: MutexGuard<'_, Vec<(u32, u32)>> = self.asleep.lock().unwrap();
        asleep.retain(|(_, bits)| bits & mask.get() == 0);
        self.woken.notify_all();
    }
}

/// A fence as one kernel has it.
#[derive(Clone)]
struct Model {
    word: Arc<AtomicU32>,
    queue: Arc<Queue>,
}

impl Model {
    fn new(value: u32) -> Self {
        Self { word: Arc::new(AtomicU32::new(value)), queue: Arc::default() }
    }

    /// The same memory in another kernel, which has sleepers of its own.
    fn in_another_kernel(&self) -> Self {
        Self { word: Arc::clone(&self.word), queue: Arc::default() }
    }

    fn holds_a_fence(&self) {
        assert!([RESET, TRIGGERED, SLEEPING].contains(&self.word.load(Ordering::Relaxed)));
    }
}

impl Word for Model {
    fn is(&self, value: u32) -> Result<bool, Error> {
        Ok(self.word.load(Ordering::Acquire) == value)
    }

    // The model needs no second look: it loads once.
    fn value(&self) -> Result<u32, Error> {
        Ok(self.word.load(Ordering::Acquire))
    }

    fn compare_exchange(&self, current: u32, new: u32) -> Result<u32, Error> {
        let result = self.word.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire);
        Ok(result.unwrap_or_else(|other| other))
    }

    fn force(&self) -> Result<(), Error> {
        if self.word.swap(TRIGGERED, Ordering::AcqRel) == SLEEPING {
            self.queue.wake(ALL);
        }
        Ok(())
    }

    fn sleep(&self, expected: u32, mask: NonZeroU32, _: Option<Duration>) -> Result<(), Error> {
        let ticket = self.queue.enter(mask, || self.word.load(Ordering::Relaxed) == expected);
        if let Some(ticket) = ticket {
            self.queue.sleep(ticket);
        }
        Ok(())
    }

    fn wake(&self, mask: NonZeroU32) -> Result<(), Error> {
        self.queue.wake(mask);
        Ok(())
    }
}

/// In which order a watcher does its work: as with `io_uring`, or as with `futex_waitv`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    SleepThenReport,
    ReportThenSleep,
}

/// What makes a watcher look again, and what ends it: compared before it falls asleep as the word is.
#[derive(Clone)]
struct Doorbell {
    rings: Arc<AtomicU32>,
    fence: Model,
}

const STOP: u32 = 1 << 16;

impl Doorbell {
    fn new(fence: &Model) -> Self {
        Self { rings: Arc::default(), fence: fence.clone() }
    }

    fn ring(&self, by: u32) {
        self.rings.fetch_add(by, Ordering::AcqRel);
        self.fence.queue.wake(WATCHER_BIT);
    }
}

/// A watcher's rounds until it is stopped.
fn watch(order: Order, doorbell: &Doorbell, report: impl Fn(u32)) {
    let fence = &doorbell.fence;
    loop {
        let rings = doorbell.rings.load(Ordering::Acquire);
        if rings >= STOP {
            return;
        }
        let value = fence.value().unwrap();
        if order == Order::ReportThenSleep {
            report(value);
        }
        let ticket = fence.queue.enter(WATCHER_BIT, || {
            fence.word.load(Ordering::Relaxed) == value && doorbell.rings.load(Ordering::Relaxed) == rings
        });
        if order == Order::SleepThenReport {
            report(value);
        }
        if let Some(ticket) = ticket {
            fence.queue.sleep(ticket);
        }
    }
}

#[test]
fn between_a_trigger_and_those_who_wait() {
    check(3, || {
        let fence = Model::new(RESET);
        let pixels = Arc::new(AtomicU32::new(0));
        let waiters = [(); 2].map(|()| {
            let (fence, pixels) = (fence.clone(), Arc::clone(&pixels));
            thread::spawn(move || {
                assert!(fence.wait(None).unwrap());
                assert_eq!(pixels.load(Ordering::Relaxed), 7, "what was written before the trigger is seen");
            })
        });
        pixels.store(7, Ordering::Relaxed);
        fence.trigger().unwrap();
        for waiter in waiters {
            waiter.join().unwrap();
        }
        fence.holds_a_fence();
    });
}

#[test]
fn between_two_triggers_and_one_who_waits() {
    check(3, || {
        let fence = Model::new(RESET);
        let triggers = [(); 2].map(|()| {
            let fence = fence.clone();
            thread::spawn(move || fence.trigger().unwrap())
        });
        assert!(fence.wait(None).unwrap());
        for trigger in triggers {
            trigger.join().unwrap();
        }
        assert_eq!(fence.value(), Ok(TRIGGERED));
    });
}

#[test]
fn between_turns_of_two_who_reset_what_they_have_waited_for() {
    check(2, || {
        let [there, back] = [(); 2].map(|()| Model::new(RESET));
        let (arrives, answers) = (there.clone(), back.clone());
        let other = thread::spawn(move || {
            for _ in 0..2 {
                arrives.wait(None).unwrap();
                assert_eq!(arrives.reset(), Ok(true));
                answers.trigger().unwrap();
            }
        });
        for _ in 0..2 {
            there.trigger().unwrap();
            back.wait(None).unwrap();
            assert_eq!(back.reset(), Ok(true));
        }
        other.join().unwrap();
    });
}

/// A fence in memory of two kernels. It is triggered in one, `times` times; somebody in the other waits and resets as
/// often.
fn shared_link(order: Order, times: usize) {
    let here = Model::new(RESET);
    let there = here.in_another_kernel();
    let doorbell = Doorbell::new(&here);
    let (watcher_bell, wakes) = (doorbell.clone(), there.clone());
    let watcher = thread::spawn(move || {
        watch(order, &watcher_bell, |value| {
            if value == TRIGGERED {
                wakes.wake(ALL_BUT_WATCHERS).unwrap();
            }
        });
    });
    let (turn, turns) = channel();
    let waiter = thread::spawn(move || {
        for _ in 0..times {
            there.wait(None).unwrap();
            assert_eq!(there.reset(), Ok(true));
            turn.send(()).unwrap();
        }
    });
    for _ in 0..times {
        here.trigger().unwrap();
        turns.recv().unwrap();
    }
    waiter.join().unwrap();
    doorbell.ring(STOP);
    watcher.join().unwrap();
    here.holds_a_fence();
}

#[test]
fn over_a_shared_link() {
    check(2, || shared_link(Order::SleepThenReport, 1));
    check(2, || shared_link(Order::SleepThenReport, 2));
}

#[test]
fn unless_a_watcher_reports_before_it_sleeps() {
    // One turn is safe in either order; what is lost is a second one between the look and the sleep.
    check(2, || shared_link(Order::ReportThenSleep, 1));
    loses_a_wake("unless_a_watcher_reports_before_it_sleeps", || shared_link(Order::ReportThenSleep, 2));
}

/// That the model checker finds the deadlock of a design that is known to be wrong; or it would prove nothing of others.
/// It can't go on after a deadlock: so the test runs itself once more, in a process of its own.
fn loses_a_wake(test: &str, body: impl Fn() + Sync + Send + 'static) {
    const INNER: &str = "SHMFENCE_EXPECT_DEADLOCK";
    if std::env::var_os(INNER).is_some() {
        return check(2, body);
    }
    let program = std::env::current_exe().unwrap();
    let args = ["--exact", test, "--nocapture"];
    let output = std::process::Command::new(program).args(args).env(INNER, "1").output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && complaint.contains("deadlock"), "{complaint}");
}

struct State(AtomicU64);

impl StateCell for State {
    fn load(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    fn store(&self, state: u64) {
        self.0.store(state, Ordering::Release);
    }

    fn exchange(&self, current: u64, new: u64) -> bool {
        self.0.compare_exchange(current, new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// One end with its page: an owner, who is a lock in place of a thread, and a watcher.
#[derive(Clone)]
struct End {
    page: Model,
    relay: Arc<Mutex<Relay<Model, State>>>,
    doorbell: Doorbell,
    looks_again: bool,
}

impl End {
    fn new(order: Order, triggered: bool) -> Self {
        let page = Model::new(if triggered { TRIGGERED } else { RESET });
        let relay = Relay::with_state(page.clone(), State(AtomicU64::new(triggered.into())));
        let doorbell = Doorbell::new(&page);
        let looks_again = order == Order::ReportThenSleep;
        Self { page, relay: Arc::new(Mutex::new(relay)), doorbell, looks_again }
    }

    /// Does what the owner does, as `Links` does it.
    fn own(
        &self,
        act: impl FnOnce(&mut Relay<Model, State>) -> Result<Option<Message>, Error>,
    ) -> Option<Message> {
        let message = act(&mut self.relay.lock().unwrap()).unwrap();
        if self.looks_again {
            self.doorbell.ring(1);
        }
        message
    }

    fn deliver(&self, message: Message) {
        assert_eq!(self.own(|relay| relay.receive(message)), None, "nothing goes back");
    }

    /// Watches this end's page; its messages arrive at the other end at once, on this thread.
    fn watched(&self, order: Order, other: &Self) -> thread::JoinHandle<()> {
        let (doorbell, other) = (self.doorbell.clone(), other.clone());
        let listener: std::sync::Arc<Listener<Model, State>> = self.relay.lock().unwrap().listener();
        thread::spawn(move || {
            watch(order, &doorbell, |_| {
                if let Some(message) = listener.woken().unwrap() {
                    other.deliver(message);
                }
            });
        })
    }
}

/// What the client asks of the server. The model's channels don't tell that nobody sends any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    Present,
    Close,
}

/// A client and an X server with a page each.
fn relay(
    order: Order,
    triggered: bool,
    client: impl FnOnce(&End, &End, &Sender<Request>),
    server: fn(&Model, &Receiver<Request>),
) {
    let [guest, host] = [End::new(order, triggered), End::new(order, triggered)];
    let watchers = [guest.watched(order, &host), host.watched(order, &guest)];
    for (end, other) in [(&guest, &host), (&host, &guest)] {
        if let Some(message) = end.own(Relay::start) {
            other.deliver(message);
        }
    }
    let (requests, arrived) = channel();
    let their_page = host.page.clone();
    let server = thread::spawn(move || server(&their_page, &arrived));
    client(&guest, &host, &requests);
    requests.send(Request::Close).unwrap();
    server.join().unwrap();
    for end in [&guest, &host] {
        end.doorbell.ring(STOP);
    }
    for watcher in watchers {
        watcher.join().unwrap();
    }
    for end in [&guest, &host] {
        end.page.holds_a_fence();
    }
}

/// Sends a request that names the fence: what the relay has to say comes before it.
fn request(guest: &End, host: &End, requests: &Sender<Request>) {
    if let Some(message) = guest.own(Relay::before_request) {
        host.deliver(message);
    }
    requests.send(Request::Present).unwrap();
}

/// Presents as often, each time with the idle fence reset before and waited for afterwards.
fn presents(order: Order, times: usize) {
    let client = move |guest: &End, host: &End, requests: &Sender<Request>| {
        for _ in 0..times {
            assert_eq!(guest.page.reset(), Ok(true));
            request(guest, host, requests);
            guest.page.wait(None).unwrap();
        }
    };
    relay(order, true, client, |page, requests| {
        while requests.recv() == Ok(Request::Present) {
            assert_ne!(page.value(), Ok(TRIGGERED), "it was reset before the request came");
            page.trigger().unwrap();
        }
    });
}

#[test]
fn over_a_relay_from_the_server_to_the_client() {
    check(1, || presents(Order::SleepThenReport, 1));
    check(0, || presents(Order::SleepThenReport, 3));
}

#[test]
fn over_a_relay_with_watchers_that_report_before_they_sleep() {
    check(0, || presents(Order::ReportThenSleep, 3));
}

#[test]
fn over_a_relay_from_the_client_to_a_server_that_sleeps() {
    let client = |guest: &End, _: &End, _: &Sender<Request>| guest.page.trigger().unwrap();
    check(1, move || {
        relay(Order::SleepThenReport, false, client, |page, requests| {
            assert!(page.wait(None).unwrap());
            assert_eq!(requests.recv(), Ok(Request::Close));
        });
    });
}

#[test]
fn over_a_relay_whose_both_sides_trigger_before_the_client_resets() {
    let client = |guest: &End, host: &End, requests: &Sender<Request>| {
        guest.page.trigger().unwrap();
        guest.page.reset().unwrap();
        request(guest, host, requests);
        guest.page.wait(None).unwrap();
    };
    check(1, move || {
        relay(Order::SleepThenReport, false, client, |page, requests| {
            page.trigger().unwrap();
            assert_eq!(requests.recv(), Ok(Request::Present));
            page.trigger().unwrap();
            assert_eq!(requests.recv(), Ok(Request::Close));
        });
    });
}
