//! The connected clients, for those who look at them.
//!
//! A client's thread writes its numbers down when it comes to rest, and a busy one when somebody has asked since: it
//! compares one number for each step, which moves up to 256 KiB. Nobody waits for a lock that is held for long: a thread
//! holds its own for a copy of some hundred bytes.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::net::{Shutdown, shutdown};

use crate::stats::Totals;
use crate::vitals::{OldestRequest, RoundTrips};

/// How long somebody who looks waits for clients that are busy; what they have written down before does else.
const LOOK_MAX: Duration = Duration::from_millis(50);
/// Between two looks whether they have written.
const LOOK_STEP: Duration = Duration::from_millis(1);

/// The numbers of a client at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Numbers {
    /// What went through.
    pub totals: Totals,
    /// Requests whose reply is awaited.
    pub awaited: u64,
    /// The one of them that waits longest.
    pub oldest: Option<OldestRequest>,
    /// Bytes that wait for the host to take them.
    pub queued_to_host: u64,
    /// Bytes that wait for the client to take them.
    pub queued_to_client: u64,
    /// Measured round trips.
    pub round_trips: RoundTrips,
}

/// A connected client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientStatus {
    /// Its number: 1, 2, 3 …
    pub client: u64,
    /// Process at the other end of its socket, where the system says so.
    pub pid: Option<i32>,
    /// That process's name.
    pub program: Option<String>,
    /// Since when it is connected.
    pub since: Instant,
    /// Its numbers.
    pub numbers: Numbers,
}

/// What the client's thread and those who look share.
#[derive(Debug)]
pub(crate) struct Entry {
    pid: Option<i32>,
    pub(crate) program: Option<String>,
    since: Instant,
    socket: Arc<OwnedFd>,
    numbers: Mutex<Numbers>,
    /// The question that the numbers answer.
    answers: AtomicU64,
    /// It has written its numbers down and sleeps, so that they are those of now.
    asleep: AtomicBool,
    /// Somebody wants it to end.
    pub(crate) ended: AtomicBool,
}

impl Entry {
    pub(crate) fn new(pid: Option<i32>, program: Option<String>, socket: Arc<OwnedFd>) -> Self {
        Self {
            pid,
            program,
            since: Instant::now(),
            socket,
            numbers: Mutex::default(),
            answers: AtomicU64::default(),
            asleep: AtomicBool::default(),
            ended: AtomicBool::default(),
        }
    }

    /// Relaxed throughout: the numbers have a lock of their own, and who looks a moment too early sees older ones.
    pub(crate) fn write(&self, question: u64, numbers: &Numbers) {
        *self.lock() = *numbers;
        self.answers.store(question, Relaxed);
    }

    pub(crate) fn sleeps(&self, asleep: bool) {
        self.asleep.store(asleep, Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_answered(&self, question: u64) -> bool {
        self.asleep.load(Relaxed) || self.answers.load(Relaxed) >= question
    }

    fn status(&self, client: u64) -> ClientStatus {
        let (pid, program, since) = (self.pid, self.program.clone(), self.since);
        ClientStatus { client, pid, program, since, numbers: *self.lock() }
    }
}

/// All connected clients.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    question: AtomicU64,
    entries: Mutex<BTreeMap<u64, Arc<Entry>>>,
    /// The round trips of clients that have gone.
    gone: Mutex<RoundTrips>,
}

impl Roster {
    /// How often somebody has looked.
    pub(crate) fn question(&self) -> u64 {
        self.question.load(Relaxed)
    }

    /// Has every client's thread write down its numbers soon, and see who looks.
    pub(crate) fn ask(&self) {
        self.question.fetch_add(1, Relaxed);
    }

    pub(crate) fn add(&self, client: u64, entry: Arc<Entry>) -> Listed<'_> {
        self.lock().insert(client, Arc::clone(&entry));
        Listed { roster: self, client, entry }
    }

    /// Every client, by its number. Waits a moment for those that are busy.
    pub(crate) fn look(&self) -> Vec<ClientStatus> {
        let question = self.question.fetch_add(1, Relaxed) + 1;
        let entries: Vec<_> =
            self.lock().iter().map(|(client, entry)| (*client, Arc::clone(entry))).collect();
        let deadline = Instant::now() + LOOK_MAX;
        while !entries.iter().all(|(_, entry)| entry.has_answered(question)) && Instant::now() < deadline {
            std::thread::sleep(LOOK_STEP);
        }
        entries.into_iter().map(|(client, entry)| entry.status(client)).collect()
    }

    /// The round trips of all clients, those that have gone included.
    pub(crate) fn round_trips(&self) -> RoundTrips {
        // Held together: a client that goes meanwhile is counted once.
        let entries = self.lock();
        let mut sum = *self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        entries.values().for_each(|entry| sum.merge(&entry.lock().round_trips));
        sum
    }

    /// Ends a client's connection; `false` when there is no such client.
    pub(crate) fn end(&self, client: u64) -> bool {
        let entry = self.lock().get(&client).cloned();
        entry.is_some_and(|entry| {
            entry.ended.store(true, Relaxed);
            // Its thread sees the hang-up, as if the client had gone.
            shutdown(&entry.socket, Shutdown::Both).is_ok()
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client's place in the roster, for as long as the value lives.
#[derive(Debug)]
pub(crate) struct Listed<'a> {
    roster: &'a Roster,
    client: u64,
    pub(crate) entry: Arc<Entry>,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        let mut entries = self.roster.lock();
        entries.remove(&self.client);
        let mut gone = self.roster.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.merge(&self.entry.lock().round_trips);
    }
}
