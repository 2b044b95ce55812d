//! A fence of two pages: the client's, which is its own kernel's, and the server's. Two *ends*, one at each page, keep
//! them alike by messages.
//!
//! # The state machine
//!
//! Time at a fence is cut into *epochs*; one begins with each reset. An end is in the state `Reset(e)` or `Triggered(e)`,
//! e being its epoch. The two ends pass each other `Trigger{e}` and, from the client's end only, `Reset{e}`.
//!
//! | at | event | in state | does | state after | message |
//! |---|---|---|---|---|---|
//! | both | the watcher reports a wake | `Reset(e)`, the page is 1 | | `Triggered(e)` | `Trigger{e}` |
//! | | | `Reset(e)`, the page is not 1 | page 0 → -1 | | |
//! | | | `Triggered(e)` | | | |
//! | both | `Trigger{f}`, f ≥ e | any | triggers the page | `Triggered(f)` | |
//! | | `Trigger{f}`, f < e | any | nothing: *stale*, counted | | |
//! | client's | a request that names the fence is about to pass | `Triggered(e)`, the page is not 1 | page 0 → -1 | `Reset(e + 1)` | `Reset{e + 1}` |
//! | | | `Reset(e)` | as if the watcher had spoken | | |
//! | server's | `Reset{f}`, f > e | any | resets the page, then 0 → -1 | `Reset(f)` | |
//! | | `Reset{f}`, f ≤ e | any | nothing | | |
//!
//! The page of an end in `Reset` is -1: the watcher is a waiter like others, or a trigger would wake nobody. Where the
//! page is found to be 1 after a step to `Reset`, the watcher's row applies at once.
//!
//! # Why the client's end resets only what was triggered
//!
//! A reset is a silent store, so it is only noticed when a request that names the fence passes: the client's page, known
//! to have been 1 in this epoch, is not 1 any more. If it was not known to have been 1, there was nothing to reset, and
//! a trigger of the server's for an earlier request may be on its way; to reset the server's page would undo that, and
//! the client would wait for ever. So an epoch ends only after both pages have been 1 in it, or will be by a message
//! that is under way; that is also why a stale `Trigger` has nothing to tell: the client has seen this fence triggered
//! in that epoch, and has reset it since. With one page it would have been the same trigger.
//!
//! The order of messages does not matter: `Trigger{f}` of a later epoch stands for the `Reset{f}` that it has
//! overtaken. But `Reset{f}` must reach the server's end before the server reads the request that it belongs to.
//!
//! # No wake is lost
//!
//! Claim: if a page is triggered in the epoch of its end, the other page becomes 1, unless that end has gone on to a later
//! epoch, and everybody who sleeps on it is woken.
//! - The page goes to 1 from -1: the watcher reports after that ([`crate::watcher`]). If the end is in `Reset`, the
//!   message goes; if it is in `Triggered`, a message has gone before in the same epoch, in one direction or the other.
//! - The page goes to 1 from 0, silently: then it was 0 in state `Reset`. It is so between the step to that state and
//!   0 → -1 right behind it, which finds the 1 and acts as the watcher does; or after a trigger and a reset so quick
//!   that the watcher, on its way after that trigger's wake, has not made it -1 yet, and then it finds the 1. Or the
//!   state is `Triggered`, in which the other page is 1 already.
//! - The message arrives, and triggering the page wakes all who sleep on it ([`crate::word`]).
//!
//! Two threads work on an end: its owner's, and the watcher's by [`Listener::woken`]. A watcher's step from `Reset(e)` to
//! `Triggered(e)` is a compare-and-exchange on a state that was loaded *before* the page was looked at. If the owner has
//! begun an epoch in between, the exchange fails and the page is looked at again; so no 1 of an earlier epoch is taken
//! for one of this. The owner, where it finds the page of `Reset(e)` not triggered, counts that in the state by a
//! compare-and-exchange of its own: if the watcher had seen a 1 that the client has taken back, either the watcher's
//! exchange fails, and it looks again, or the owner's does, and finds `Triggered(e)`. `Triggered(f)` is stored before the
//! page is triggered, so the watcher that is woken by that does not send the same trigger back.
//!
//! # What it can't do
//!
//! A client that resets a fence *after* it has sent the request that will trigger it races with the server, with one page
//! or two; with two it loses always. No toolkit does so. A client page that can't be sealed ([`crate::Error::NotSealed`])
//! can't be waited for; there a client's own trigger reaches the server's page with the next request that names
//! the fence, which is when an X server looks at it. Mesa triggers by SYNC's request, not by a store.
//!
//! # Orderings
//!
//! The state is stored with release and loaded with acquire, so whoever sees an epoch sees the page as it was when the
//! epoch began, or later. That is all that the argument above needs: both look at the page after they have seen the state.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;
use crate::word::{TRIGGERED, Word};

/// A state is `epoch << 32 | looks << 1 | triggered`, where *looks* counts how often the owner has found the page not
/// triggered in this epoch.
const IS_TRIGGERED: u64 = 1;
const ONE_LOOK: u64 = 2;
const LOOKS: u64 = 0xffff_fffe;

/// What one end tells the other. Epochs go round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// The fence was triggered in that epoch.
    Trigger {
        /// The epoch.
        epoch: u32,
    },
    /// The client has reset the fence; that epoch begins. From the client's end only.
    Reset {
        /// The epoch.
        epoch: u32,
    },
}

/// Where an end keeps its state: an [`AtomicU64`], but in a model checker.
pub trait StateCell {
    /// The state, acquiring.
    fn load(&self) -> u64;
    /// Stores a state, releasing.
    fn store(&self, state: u64);
    /// Stores `new` if the state is `current`, acquiring and releasing; whether it did.
    fn exchange(&self, current: u64, new: u64) -> bool;
}

impl StateCell for AtomicU64 {
    fn load(&self) -> u64 {
        self.load(Ordering::Acquire)
    }

    fn store(&self, state: u64) {
        self.store(state, Ordering::Release);
    }

    fn exchange(&self, current: u64, new: u64) -> bool {
        self.compare_exchange(current, new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// One end of a relay, for the thread that owns it.
#[derive(Debug)]
pub struct Relay<W, S = AtomicU64> {
    end: Arc<Listener<W, S>>,
    stale: u64,
}

/// The watcher's part of an end.
#[derive(Debug)]
pub struct Listener<W, S = AtomicU64> {
    word: W,
    /// The epoch, and whether the fence was triggered in it.
    state: S,
}

impl<W: Word> Relay<W> {
    /// An end whose page is triggered or not; both ends must begin alike. Watch the page, then call [`Relay::start`].
    pub fn new(word: W, triggered: bool) -> Self {
        Self::with_state(word, AtomicU64::new(triggered.into()))
    }
}

impl<W: Word, S: StateCell> Relay<W, S> {
    /// The same with a cell for the state that holds 1 (triggered) or 0.
    pub fn with_state(word: W, state: S) -> Self {
        Self { end: Arc::new(Listener { word, state }), stale: 0 }
    }

    /// What the watcher has to call.
    pub fn listener(&self) -> Arc<Listener<W, S>> {
        Arc::clone(&self.end)
    }

    /// Begins to expect triggers, once the page is watched.
    pub fn start(&mut self) -> Result<Option<Message>, Error> {
        self.end.woken()
    }

    /// A request that names the fence is about to go to the server (client's end only). The message, if there is one, must
    /// be carried out at the other end before the request is.
    pub fn before_request(&mut self) -> Result<Option<Message>, Error> {
        loop {
            let state = self.end.state.load();
            if state & IS_TRIGGERED != 0 {
                return self.begin_epoch(epoch_of(state).wrapping_add(1));
            }
            if self.end.expect_wake()? {
                return self.end.woken();
            }
            // The client may have triggered the fence and reset it again just now, and the watcher may have seen it
            // triggered: its step to that state must fail, or else ours must, and we see its.
            if self.end.state.exchange(state, state & !LOOKS | state.wrapping_add(ONE_LOOK) & LOOKS) {
                return Ok(None);
            }
        }
    }

    /// The fence was triggered in this epoch; if the client has reset it since, the next one begins.
    fn begin_epoch(&mut self, epoch: u32) -> Result<Option<Message>, Error> {
        if self.end.word.is(TRIGGERED)? {
            return Ok(None);
        }
        self.end.state.store(state_of(epoch));
        if self.end.expect_wake()? {
            return self.end.woken();
        }
        Ok(Some(Message::Reset { epoch }))
    }

    /// The client asks the server to reset the fence, SYNC's `ResetFence` (client's end only): both pages are reset in the
    /// place of that, since the server would do it in silence. Whether the fence was triggered; if not, the request is for
    /// the server to refuse. The message, if there is one, must be carried out at the other end before what follows.
    pub fn reset(&mut self) -> Result<(bool, Option<Message>), Error> {
        let was_triggered = match self.end.word.reset() {
            // It stays triggered on both sides; a client that waits next goes on too early, and does not hang.
            Err(Error::NotSealed) => return self.end.word.is(TRIGGERED).map(|is| (is, None)),
            result => result?,
        };
        Ok((was_triggered, self.before_request()?))
    }

    /// A message of the other end.
    pub fn receive(&mut self, message: Message) -> Result<Option<Message>, Error> {
        let epoch = epoch_of(self.end.state.load());
        match message {
            Message::Trigger { epoch: other } if !is_later(epoch, other) => {
                self.end.state.store(state_of(other) | IS_TRIGGERED);
                self.end.word.trigger_watchers_last().map(|()| None)
            }
            Message::Trigger { .. } => {
                self.stale += 1;
                Ok(None)
            }
            Message::Reset { epoch: other } if is_later(other, epoch) => {
                self.end.word.reset()?;
                self.end.state.store(state_of(other));
                self.end.woken()
            }
            Message::Reset { .. } => Ok(None),
        }
    }

    /// Whether the page has been triggered and the watcher has not said so yet.
    pub fn look(&self) -> Result<Option<Message>, Error> {
        self.end.look()
    }

    /// Triggers the page because the other end is lost: whoever sleeps on it must not do so for ever. Whether it was not
    /// triggered before.
    pub fn give_up(&mut self) -> Result<bool, Error> {
        let waiting = !self.end.word.is(TRIGGERED)?;
        self.end.word.trigger().map(|()| waiting)
    }

    /// The epoch that this end is in.
    pub fn epoch(&self) -> u32 {
        epoch_of(self.end.state.load())
    }

    /// How many triggers came too late to mean anything.
    pub const fn stale(&self) -> u64 {
        self.stale
    }
}

impl<W: Word, S: StateCell> Listener<W, S> {
    /// The watcher reports a wake, or there is another reason to look at the page. The message goes to the other end.
    pub fn woken(&self) -> Result<Option<Message>, Error> {
        loop {
            let state = self.state.load();
            if state & IS_TRIGGERED != 0 || !self.expect_wake()? {
                return Ok(None);
            }
            if self.state.exchange(state, state | IS_TRIGGERED) {
                return Ok(Some(Message::Trigger { epoch: epoch_of(state) }));
            }
        }
    }

    /// Whether the page has been triggered and nobody has noticed yet: a look that changes nothing, but for the state.
    pub fn look(&self) -> Result<Option<Message>, Error> {
        if self.state.load() & IS_TRIGGERED != 0 || !self.word.is(TRIGGERED)? {
            return Ok(None);
        }
        self.woken()
    }

    /// Whether the page is triggered; if not, a trigger will wake the watcher.
    fn expect_wake(&self) -> Result<bool, Error> {
        match self.word.expect_wake() {
            Err(Error::NotSealed) => self.word.is(TRIGGERED),
            result => result,
        }
    }
}

fn epoch_of(state: u64) -> u32 {
    u32::try_from(state >> u32::BITS).unwrap_or_default()
}

/// Reset, in that epoch.
fn state_of(epoch: u32) -> u64 {
    u64::from(epoch) << u32::BITS
}

/// Whether an epoch is later than another; half of all are.
fn is_later(epoch: u32, other: u32) -> bool {
    epoch.wrapping_sub(other).cast_signed() > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fence;
    use crate::word::{RESET, SLEEPING};
    use std::os::fd::AsFd;

    /// Both ends of one fence, and the two pages as client and server have them.
    fn ends(triggered: bool) -> ([Relay<Fence>; 2], [Fence; 2]) {
        let [client, server] = [(), ()].map(|()| {
            let (page, file) = Fence::create(triggered).unwrap();
            let mut end = Relay::new(Fence::open(file.as_fd()).unwrap(), triggered);
            assert_eq!(end.start(), Ok(None));
            (end, page)
        });
        ([client.0, server.0], [client.1, server.1])
    }

    fn woken(end: &Relay<Fence>) -> Option<Message> {
        end.listener().woken().unwrap()
    }

    #[test]
    fn one_cycle_after_another_keeps_the_pages_alike() {
        let ([mut guest, mut host], [client, server]) = ends(true);
        for epoch in 1..100 {
            assert_eq!(client.reset(), Ok(true));
            let reset = guest.before_request().unwrap();
            assert_eq!(reset, Some(Message::Reset { epoch }));
            assert_eq!(guest.before_request(), Ok(None), "a second request of the same epoch");
            assert_eq!(host.receive(reset.unwrap()), Ok(None));
            assert_eq!((client.value(), server.value()), (Ok(SLEEPING), Ok(SLEEPING)));
            server.trigger().unwrap();
            let trigger = woken(&host);
            assert_eq!((trigger, woken(&host)), (Some(Message::Trigger { epoch }), None));
            assert_eq!(guest.receive(trigger.unwrap()), Ok(None));
            assert_eq!((client.value(), woken(&guest)), (Ok(TRIGGERED), None), "no echo");
        }
        assert_eq!((guest.stale(), host.stale()), (0, 0));
    }

    #[test]
    fn a_trigger_of_the_clients_own_reaches_the_server_by_the_watcher_or_with_the_next_request() {
        for by_request in [false, true] {
            let ([mut guest, mut host], [client, server]) = ends(false);
            client.trigger().unwrap();
            let trigger = if by_request { guest.before_request().unwrap() } else { woken(&guest) };
            assert_eq!(trigger, Some(Message::Trigger { epoch: 0 }));
            host.receive(trigger.unwrap()).unwrap();
            assert_eq!((server.value(), woken(&host)), (Ok(TRIGGERED), None));
        }
    }

    #[test]
    fn a_trigger_that_is_under_way_is_not_undone_by_the_next_request() {
        let ([mut guest, mut host], [client, server]) = ends(false);
        server.trigger().unwrap();
        let trigger = woken(&host).unwrap();
        assert_eq!(guest.before_request(), Ok(None), "the client has reset nothing");
        guest.receive(trigger).unwrap();
        assert_eq!((client.value(), server.value()), (Ok(TRIGGERED), Ok(TRIGGERED)));
        assert_eq!(host.receive(Message::Reset { epoch: 0 }), Ok(None));
    }

    #[test]
    fn a_trigger_of_an_earlier_epoch_changes_nothing_and_is_counted() {
        let ([mut guest, mut host], [client, server]) = ends(false);
        // Both sides trigger at once, then the client resets.
        client.trigger().unwrap();
        server.trigger().unwrap();
        let (from_guest, from_host) = (woken(&guest).unwrap(), woken(&host).unwrap());
        client.reset().unwrap();
        let reset = guest.before_request().unwrap().unwrap();
        guest.receive(from_host).unwrap();
        assert_eq!((client.value(), guest.stale()), (Ok(SLEEPING), 1));
        for message in [from_guest, reset] {
            host.receive(message).unwrap();
        }
        assert_eq!(server.value(), Ok(SLEEPING));
        server.trigger().unwrap();
        guest.receive(woken(&host).unwrap()).unwrap();
        assert_eq!(client.value(), Ok(TRIGGERED));
    }

    #[test]
    fn a_trigger_that_overtakes_its_reset_stands_for_both() {
        let ([mut guest, mut host], [client, server]) = ends(true);
        client.reset().unwrap();
        let reset = guest.before_request().unwrap().unwrap();
        client.trigger().unwrap();
        let trigger = woken(&guest).unwrap();
        for message in [trigger, reset] {
            host.receive(message).unwrap();
        }
        assert_eq!(server.value(), Ok(TRIGGERED));
    }

    #[test]
    fn a_trigger_that_was_reset_before_the_watcher_looked_does_not_deafen_the_relay() {
        let ([mut guest, host], [client, server]) = ends(false);
        server.trigger().unwrap();
        server.reset().unwrap();
        assert_eq!((woken(&host), server.value()), (None, Ok(SLEEPING)));
        server.trigger().unwrap();
        guest.receive(woken(&host).unwrap()).unwrap();
        assert_eq!(client.value(), Ok(TRIGGERED));
    }

    #[test]
    fn a_reset_in_the_servers_place_resets_both_pages_and_only_a_triggered_fence() {
        let ([mut guest, mut host], [client, server]) = ends(true);
        let (was_triggered, reset) = guest.reset().unwrap();
        assert!(was_triggered);
        host.receive(reset.unwrap()).unwrap();
        assert_eq!((client.value(), server.value()), (Ok(SLEEPING), Ok(SLEEPING)));
        assert_eq!(guest.reset(), Ok((false, None)));
        server.trigger().unwrap();
        guest.receive(woken(&host).unwrap()).unwrap();
        assert_eq!(client.value(), Ok(TRIGGERED));
    }

    #[test]
    fn a_page_that_cannot_be_sealed_works_as_clients_use_it() {
        let path = format!("/dev/shm/shmfence-relay-{}", std::process::id());
        let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        file.set_len(4).unwrap();
        std::fs::remove_file(path).unwrap();
        let mut guest = Relay::new(Fence::open(file.as_fd()).unwrap(), false);
        let set = |value: u32| rustix::io::pwrite(&file, &value.to_ne_bytes(), 0).map(drop).unwrap();
        assert_eq!(guest.start(), Ok(None));
        set(TRIGGERED);
        assert_eq!(guest.before_request(), Ok(Some(Message::Trigger { epoch: 0 })));
        set(RESET);
        assert_eq!(guest.before_request(), Ok(Some(Message::Reset { epoch: 1 })));
        assert_eq!(guest.receive(Message::Trigger { epoch: 1 }), Ok(None));
        assert_eq!(Fence::open(file.as_fd()).unwrap().value(), Ok(TRIGGERED));
    }

    #[test]
    fn giving_up_wakes_whoever_waits_and_says_whether_somebody_may_have() {
        let ([mut guest, _], [client, _]) = ends(false);
        assert_eq!((guest.give_up(), client.value(), guest.give_up()), (Ok(true), Ok(TRIGGERED), Ok(false)));
    }

    #[test]
    fn epochs_go_round() {
        for (epoch, other, later) in
            [(0, 0, false), (1, 0, true), (0, 1, false), (0, u32::MAX, true), (u32::MAX, 0, false)]
        {
            assert_eq!(is_later(epoch, other), later, "{epoch} {other}");
        }
        let (page, file) = Fence::create(true).unwrap();
        let state = AtomicU64::new(state_of(u32::MAX) | IS_TRIGGERED);
        let mut guest = Relay::with_state(Fence::open(file.as_fd()).unwrap(), state);
        page.reset().unwrap();
        assert_eq!(guest.before_request(), Ok(Some(Message::Reset { epoch: 0 })));
    }
}
