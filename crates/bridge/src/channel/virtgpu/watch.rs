//! Whether our own host half is still there.
//!
//! libkrun and crosvm are the virtual machine themselves. Our host half is a process beside it, and when that ends the
//! guest's kernel hears nothing: what is in the device's queue stays there. So while there are clients, one thread for all
//! of them asks every now and then, in a context of its own. It is the only timer of a bridge at rest.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cross_domain::{QUERY_RING, encode_poll};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use super::RenderNode;
use super::device::Opener;
use super::fence::is_signalled_within;

/// Time between an answer and the next question. With the time to answer it stays below five seconds.
const PERIOD: Duration = Duration::from_secs(1);
/// Programs often come one by one: the thread waits for the next one before it ends.
const LINGER: Duration = Duration::from_secs(2);
/// A host half does nothing that takes long, so this much only passes on a machine that is very busy.
const ANSWER_MAX: Duration = Duration::from_millis(2500);
/// A machine that was stopped for a while wakes up with its time run out, and the host not asked yet.
const GRACE: Duration = Duration::from_millis(500);

/// Rings when the host has gone, for those who were its clients then.
#[derive(Debug)]
struct Alarm {
    rung: AtomicBool,
    descriptor: OwnedFd,
}

impl Alarm {
    fn new() -> Result<Arc<Self>, Errno> {
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Arc::new(Self { rung: AtomicBool::default(), descriptor }))
    }

    fn ring(&self) {
        // Relaxed: nothing else is read on the strength of it.
        self.rung.store(true, Relaxed);
        let _ = rustix::io::write(&self.descriptor, &1_u64.to_ne_bytes());
    }
}

#[derive(Debug)]
struct State {
    clients: usize,
    /// Whether the thread runs.
    running: bool,
    /// Whether the host owes an answer.
    silent: bool,
    alarm: Arc<Alarm>,
}

/// The thread, and what it knows.
pub(super) struct Watch {
    open: Opener,
    state: Mutex<State>,
    changed: Condvar,
}

/// A client's part in it, for as long as it is connected.
pub(super) struct Watched {
    watch: Arc<Watch>,
    alarm: Arc<Alarm>,
}

impl Watch {
    pub(super) fn new(open: Opener) -> Result<Arc<Self>, Errno> {
        let state = State { clients: 0, running: false, silent: false, alarm: Alarm::new()? };
        Ok(Arc::new(Self { open, state: Mutex::new(state), changed: Condvar::new() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a client in; `ETIMEDOUT` while the host does not answer.
    pub(super) fn enter(self: &Arc<Self>) -> Result<Watched, Errno> {
        let mut state = self.state();
        if state.silent {
            return Err(Errno::TIMEDOUT);
        }
        if !state.running {
            let watch = Arc::clone(self);
            let thread = std::thread::Builder::new().name("x11bridge-watch".into()).stack_size(64 << 10);
            thread.spawn(move || watch.run()).map_err(|_| Errno::AGAIN)?;
            state.running = true;
        }
        state.clients += 1;
        self.changed.notify_all();
        Ok(Watched { watch: Arc::clone(self), alarm: Arc::clone(&state.alarm) })
    }

    fn run(&self) {
        let node = (self.open)();
        let mut owed = None;
        while self.is_needed() {
            // A node that can't be opened any more is no better than a host that is silent.
            let answers = node.as_ref().is_ok_and(|node| answers(node.as_ref(), &mut owed).unwrap_or(false));
            self.note(answers);
        }
    }

    /// Waits for the time of the next question; `false`, and the thread is over, when no client is left and none comes.
    fn is_needed(&self) -> bool {
        let waited = self.changed.wait_timeout_while(self.state(), PERIOD, |state| state.clients > 0);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(state, LINGER, |state| state.clients == 0);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.running = state.clients > 0;
        // Whoever comes next finds out anew.
        state.silent &= state.running;
        state.running
    }

    fn note(&self, answers: bool) {
        let mut state = self.state();
        if !answers && !state.silent {
            state.alarm.ring();
            // For those who come when the host is back.
            if let Ok(alarm) = Alarm::new() {
                state.alarm = alarm;
            }
        }
        state.silent = !answers;
    }
}

/// Whether the host answers: the question that it still owes an answer to, else a new one.
fn answers(node: &dyn RenderNode, owed: &mut Option<OwnedFd>) -> Result<bool, Errno> {
    let fence = match owed.take() {
        Some(fence) => fence,
        None => node.execbuffer(&encode_poll(), Some(QUERY_RING), true)?.ok_or(Errno::PROTO)?,
    };
    let answered = is_signalled_within(&fence, ANSWER_MAX)? || is_signalled_within(&fence, GRACE)?;
    if !answered {
        *owed = Some(fence);
    }
    Ok(answered)
}

impl Watched {
    /// Whether the host has gone.
    pub(super) fn is_lost(&self) -> bool {
        self.alarm.rung.load(Relaxed)
    }

    /// Readable when the host has gone.
    pub(super) fn alarm(&self) -> BorrowedFd<'_> {
        self.alarm.descriptor.as_fd()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.state().clients -= 1;
        self.watch.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};

    /// Long enough for a machine that is very busy.
    const LIMIT: Duration = Duration::from_secs(30);

    #[test]
    fn a_host_that_goes_is_told_to_its_clients_and_takes_new_ones_when_it_is_back() {
        let answers = Arc::new(AtomicBool::new(true));
        let node = Fake { answers: Some(Arc::clone(&answers)), ..Fake::default() };
        let watch = Watch::new(Arc::new(move || Ok(Box::new(node.clone())))).unwrap();
        let clients = [watch.enter().unwrap(), watch.enter().unwrap()];
        assert!(clients.iter().all(|client| !client.is_lost()));
        answers.store(false, Relaxed);
        for client in &clients {
            let limit = rustix::event::Timespec::try_from(LIMIT).unwrap();
            let mut polled = [PollFd::from_borrowed_fd(client.alarm(), PollFlags::IN)];
            assert_eq!(poll(&mut polled, Some(&limit)), Ok(1));
            assert!(client.is_lost());
        }
        while !watch.state().silent {
            std::thread::yield_now();
        }
        assert_eq!(watch.enter().err(), Some(Errno::TIMEDOUT));
        drop(clients);
        // The thread has gone with its clients, and with what the host owed it.
        while watch.state().running {
            std::thread::yield_now();
        }
        answers.store(true, Relaxed);
        assert!(watch.enter().is_ok_and(|client| !client.is_lost()));
    }
}
