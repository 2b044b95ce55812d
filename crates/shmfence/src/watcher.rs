//! One watcher for all fences of a process.
//!
//! A watcher sleeps on each word whatever its value, wakes when somebody triggers the fence who saw a sleeper, and
//! reports it. It never writes to a word, and it is stopped by a channel of its own.
//!
//! # No trigger is lost to the watcher
//!
//! Claim: when somebody takes a fence from -1 to 1 and it stays there, a report is made after that.
//!
//! For each word the watcher goes round: it *looks* at the value v, *falls asleep* if the word is still v, and *reports*
//! if v was 1 (in a relay always); when the sleep ends, by a wake or at once because the word is another, it goes round again. With
//! `io_uring` a sleep is a request, so the thread can report after it has fallen asleep. The order matters, see below.
//!
//! Let the word become 1 at the time t, and the wake that follows come at w.
//! - The watcher sleeps at w: the wake ends that, it looks after t, sees 1, and reports.
//! - It does not sleep at w: take the first time after w that it tries to fall asleep, and the value v that it looked at
//!   before. If it looked after t, v is 1 and the report follows. If it looked before t and v was not 1, the kernel
//!   finds another value and it goes round again, as before. If it looked before t and v was 1, from an earlier
//!   trigger, with a reset in between that it has missed: it does fall asleep, *and then reports*, after t. Had it
//!   reported first and fallen asleep then, this trigger would be lost.
//!
//! If the fence is reset before the watcher looks, a shared one is not reported; a waiter in a process that missed the 1
//! in the same way would have gone back to sleep as well: waiters look at the word, not at the wake. A report may come
//! twice, or for a fence that was reset meanwhile. `no_wake_is_lost` in tests/ checks the claim over every interleaving
//! that a bounded model has, and that the other order fails it.
//!
//! `futex_waitv` puts the thread to sleep, so it has to report first. There, who says that it expects a wake (0 → -1)
//! calls [`Watch::look_again`] afterwards. In the last case above the watcher had looked before that call; so the doorbell
//! was rung after it had read the doorbell's number, which ends or prevents the sleep, and it goes round. In a relay
//! there is only one who expects wakes, the relay itself. A shared fence has others, and a thread has no doorbell; so
//! a plain thread does not sleep on a triggered fence for longer than a tenth of a second, after which it looks again.
//!
//! A process that changes its word without pause keeps the watcher going round, as long as it spends a processor on that
//! itself. All other fences get their turn in every round.
//!
//! # Orderings
//!
//! The look acquires, so a report happens after all that the trigger released. The list of commands is behind a lock, and
//! the doorbell's number is incremented (releasing) after a command is in the list and read (acquiring) before the list
//! is emptied; so a thread that goes to sleep on a number has seen all commands of the rings up to it.

mod threads;
mod uring;
mod vector;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

use rustix::io::Errno;
use sys::{Doorbell, FutexRing};

use crate::error::Error;
use crate::fence::Fence;
use crate::word::{TRIGGERED, Word};

/// How a watcher sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// `FUTEX_WAIT` of `io_uring`, Linux 6.7: one thread, however many fences.
    IoUring,
    /// `futex_waitv`, Linux 5.16: one thread for each 127 fences in relay, and one for each that is shared, since it has
    /// no masks.
    FutexWaitv,
    /// A thread for each fence: any Linux. It wakes ten times a second for a fence that stays triggered.
    Threads,
}

impl Backend {
    /// All of them, the best first.
    pub const ALL: [Self; 3] = [Self::IoUring, Self::FutexWaitv, Self::Threads];

    /// The best that is available.
    pub fn best() -> Self {
        Self::ALL.into_iter().find(|backend| backend.is_available()).unwrap_or(Self::Threads)
    }

    /// Whether the running kernel, and the sandbox if there is one, have it.
    pub fn is_available(self) -> bool {
        match self {
            Self::IoUring => FutexRing::new(Arc::default()).is_ok(),
            // A doorbell that never rang is not what is expected: supported calls say so, and none sleeps.
            Self::FutexWaitv => Doorbell::default().wait_v(1, []) == Err(Errno::AGAIN),
            Self::Threads => true,
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IoUring => "io_uring",
            Self::FutexWaitv => "futex_waitv",
            Self::Threads => "threads",
        })
    }
}

/// What a watcher has to be careful of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The fence's memory is another kernel's too: wakes that come from there by [`crate::word::ALL_BUT_WATCHERS`] must not
    /// be reported, or two watchers echo for ever.
    Shared,
    /// Each wake is reported, whatever the word is: who relays a fence must see to it that the next trigger wakes.
    Relay,
}

/// What a watcher reports of a fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// It is triggered, or was a moment ago; in a relay: somebody woke its sleepers, which a trigger does, or it is time to
    /// look for another reason.
    Woken,
    /// It can't be watched any more; the last report.
    Broken(Error),
}

/// What is called for each report, on the watcher's thread: it must be brief, for all others wait. A panic ends that
/// watch.
type Reporter = Box<dyn Fn(Report) + Send + Sync>;

/// The watcher that all of the process share.
static SHARED: Mutex<Weak<Watcher>> = Mutex::new(Weak::new());

/// Watches fences. Dropping it ends its threads, and with them all watches.
#[derive(Debug)]
pub struct Watcher {
    backend: Backend,
    engine: Engine,
    last_id: AtomicU64,
}

#[derive(Debug)]
enum Engine {
    IoUring(uring::Thread),
    FutexWaitv(vector::Threads),
    Threads,
}

impl Watcher {
    /// A watcher with the best backend that there is.
    pub fn start() -> Result<Self, Error> {
        Self::with_backend(Backend::best())
    }

    /// The watcher that all of the process share: started for the first who asks, and ended when the last has let it go.
    pub fn shared() -> Result<Arc<Self>, Error> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watcher) = shared.upgrade() {
            return Ok(watcher);
        }
        let watcher = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&watcher);
        Ok(watcher)
    }

    /// How the one that all share sleeps, while there is one.
    pub fn running() -> Option<Backend> {
        let shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().map(|watcher| watcher.backend)
    }

    /// A watcher with that backend; [`Error::Unsupported`] where the kernel does not have it.
    pub fn with_backend(backend: Backend) -> Result<Self, Error> {
        let engine = match backend {
            Backend::IoUring => Engine::IoUring(uring::Thread::start()?),
            Backend::FutexWaitv if !backend.is_available() => {
                return Err(Error::Unsupported { what: "futex_waitv" });
            }
            Backend::FutexWaitv => Engine::FutexWaitv(vector::Threads::default()),
            Backend::Threads => Engine::Threads,
        };
        Ok(Self { backend, engine, last_id: AtomicU64::new(0) })
    }

    /// How it sleeps.
    pub const fn backend(&self) -> Backend {
        self.backend
    }

    /// Begins to watch a fence. `report` is called on the watcher's thread, first before this returns or soon after if the
    /// fence is triggered already, and must be brief: all other fences wait meanwhile. The watch ends when the value that
    /// is returned is dropped; a report that is under way then may still come.
    pub fn watch(
        &self,
        fence: Arc<Fence>,
        purpose: Purpose,
        report: impl Fn(Report) + Send + Sync + 'static,
    ) -> Result<Watch, Error> {
        let watched = Watched { fence, purpose, report: Box::new(report) };
        // Relaxed: ids need only differ.
        let id = self.last_id.fetch_add(1, Ordering::Relaxed);
        let hold = match (&self.engine, purpose) {
            (Engine::IoUring(thread), _) => Hold::Ring(thread.add(id, watched)),
            (Engine::FutexWaitv(threads), Purpose::Relay) => Hold::Vector(threads.add(id, watched)?),
            (Engine::FutexWaitv(_) | Engine::Threads, _) => Hold::Thread(threads::Thread::start(watched)?),
        };
        Ok(Watch { id, hold })
    }
}

/// A watch under way; dropping it ends it.
#[derive(Debug)]
#[must_use = "the watch ends when this is dropped"]
pub struct Watch {
    id: u64,
    hold: Hold,
}

#[derive(Debug)]
enum Hold {
    Ring(Arc<Queue>),
    Vector(Arc<Queue>),
    Thread(#[expect(dead_code, reason = "dropping it ends the watch")] threads::Thread),
}

impl Watch {
    /// To be called by who has said that it expects a wake ([`Word::expect_wake`]), unless it sleeps itself. Only
    /// [`Backend::FutexWaitv`] needs it; the others do nothing.
    pub fn look_again(&self) {
        if let Hold::Vector(queue) = &self.hold {
            queue.doorbell.ring();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Hold::Ring(queue) | Hold::Vector(queue) = &self.hold {
            queue.push(Command::Remove(self.id));
        }
    }
}

/// A fence under watch.
struct Watched {
    fence: Arc<Fence>,
    purpose: Purpose,
    report: Reporter,
}

impl Watched {
    /// What the word is, or `None` when the watch is over.
    fn look(&self) -> Option<u32> {
        self.fence.value().map_err(|error| self.end(error)).ok()
    }

    /// Whether a value that was looked at is worth a report.
    fn is_news(&self, value: u32) -> bool {
        value == TRIGGERED || self.purpose == Purpose::Relay
    }

    /// Reports what was looked at, if it is news. `false` when the watch is over.
    fn tell(&self, value: u32) -> bool {
        !self.is_news(value) || self.report(Report::Woken)
    }

    /// Reports that the watch is over.
    fn end(&self, error: Error) {
        self.report(Report::Broken(error));
    }

    /// `false` when the callee panicked.
    fn report(&self, report: Report) -> bool {
        catch_unwind(AssertUnwindSafe(|| (self.report)(report))).is_ok()
    }
}

enum Command {
    Add(u64, Watched),
    Remove(u64),
    Stop,
}

/// Commands to a watcher's thread.
#[derive(Default)]
struct Queue {
    commands: Mutex<Vec<Command>>,
    doorbell: Arc<Doorbell>,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue")
    }
}

impl Queue {
    fn push(&self, command: Command) {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).push(command);
        self.doorbell.ring();
    }

    fn take(&self) -> Vec<Command> {
        std::mem::take(&mut self.commands.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Waits for the end of one of the watcher's threads, unless it is the one that asks.
fn join(thread: JoinHandle<()>) {
    if thread.thread().id() != std::thread::current().id() {
        // It does not panic; if it did, there would be nothing to clean up.
        let _ = thread.join();
    }
}

/// Starts one of the watcher's threads.
fn spawn(body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new().name("x11bridge-fences".to_owned()).spawn(body).map_err(|error| Error::Os {
        op: "starting a thread that watches fences",
        errno: Errno::from_io_error(&error).unwrap_or(Errno::AGAIN),
    })
}
