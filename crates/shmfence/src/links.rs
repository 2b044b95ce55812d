//! The fences of one channel by id, each with its link to the other kernel.
//!
//! Two ways to link a fence:
//! * *shared*: the file lies in memory that both kernels map. The word itself needs no help, and while nobody sleeps on it
//!   no system call is made; but a wake ends at its kernel. So the watcher reports each trigger that saw a sleeper, the
//!   other side is sent a [`Message::Signal`], and wakes all but its own watcher ([`ALL_BUT_WATCHERS`]), or the two
//!   would wake each other for ever.
//! * *relay*: each side has a page of its own; see [`crate::relay`].
//!
//! # No wake is lost over a shared link
//!
//! Let somebody in the other kernel sleep on the word, which is -1 then. It leaves -1 by a trigger only, which wakes all in
//! its own kernel: the sleeper itself if it is the same, or the watcher, which reports *after* that step
//! ([`crate::watcher`]). The signal follows the report, and the wake follows the signal, after the word has become 1 for
//! both kernels. So the sleeper is asleep before that wake, which ends its sleep, or its kernel compares afterwards and
//! does not let it sleep.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::error::Error;
use crate::fence::Fence;
use crate::outbox::Outlet;
use crate::relay::{self, Relay};
use crate::watcher::{Purpose, Report, Watch, Watcher};
use crate::word::{ALL_BUT_WATCHERS, SLEEPING, TRIGGERED, Word};

/// What the two sides of a link tell each other about one fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// The shared word was triggered: wake those who sleep on it in your kernel.
    Signal,
    /// For the other end of a relay.
    Relay(relay::Message),
}

/// What comes from the watcher's thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Tell the other side.
    Send(Message),
    /// The fence can't be watched any more: the client has truncated its file, or scribbled on it. End the link by
    /// [`Links::destroy`], and let the other side know.
    Broken(Error),
}

impl Event {
    /// Whether a later event of the same fence tells all that this one does. A trigger of a later epoch stands for the earlier one,
    /// which means nothing any more ([`crate::relay`]).
    pub(crate) fn is_superseded_by(self, later: Self) -> bool {
        use relay::Message::Trigger;
        matches!(
            (self, later),
            (Self::Send(Message::Signal), Self::Send(Message::Signal))
                | (Self::Send(Message::Relay(Trigger { .. })), Self::Send(Message::Relay(Trigger { .. })))
                | (Self::Broken(_), Self::Broken(_))
        )
    }
}

/// The linked fences of one channel. Dropping it ends all links.
pub struct Links {
    watcher: Arc<Watcher>,
    outlet: Arc<dyn Outlet>,
    by_id: HashMap<u32, Link>,
    stats: Stats,
}

/// What is counted over all fences of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Shared links there ever were.
    pub shared: u64,
    /// Relays there ever were.
    pub relayed: u64,
    /// Triggers of the other side that came too late to mean anything.
    pub stale: u64,
    /// Fences that were triggered because nobody could say any more when to.
    pub given_up: u64,
}

enum Link {
    Shared { fence: Arc<Fence>, _watch: Watch },
    Relay { relay: Relay<Arc<Fence>>, watch: Watch },
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Links {{ links: {}, stats: {:?} }}", self.by_id.len(), self.stats)
    }
}

impl Links {
    /// No fences yet. `outlet` takes each event.
    pub fn new(watcher: Arc<Watcher>, outlet: Arc<dyn Outlet>) -> Self {
        Self { watcher, outlet, by_id: HashMap::new(), stats: Stats::default() }
    }

    /// Links a fence in memory that both kernels map. An id that is in use loses its old link.
    pub fn add_shared(&mut self, id: u32, fence: Fence) -> Result<(), Error> {
        let (fence, outlet) = (Arc::new(fence), Arc::clone(&self.outlet));
        let watch = self.watcher.watch(Arc::clone(&fence), Purpose::Shared, move |report| {
            let event = match report {
                Report::Woken => Event::Send(Message::Signal),
                Report::Broken(error) => Event::Broken(error),
            };
            outlet.put_with(id, &mut || Some(event));
        })?;
        self.insert(id, Link::Shared { fence, _watch: watch });
        Ok(())
    }

    /// Begins to relay a client's fence; returns whether it is triggered now, which [`Links::add_server`] at the other
    /// side must be told. Call it before anything that names the fence passes.
    pub fn add_client(&mut self, id: u32, fence: Fence) -> Result<bool, Error> {
        let triggered = fence.is(TRIGGERED)?;
        self.add_relay(id, fence, triggered)?;
        Ok(triggered)
    }

    /// Makes a page for the server; returns its file, to be handed to it in the place of the client's.
    pub fn add_server(&mut self, id: u32, triggered: bool) -> Result<OwnedFd, Error> {
        let (fence, file) = Fence::create(triggered)?;
        self.add_relay(id, fence, triggered)?;
        Ok(file)
    }

    /// Begins to relay a page that the server has made itself; the other side's begins as one that is not triggered. If it is
    /// triggered now, that is told at once.
    pub fn adopt(&mut self, id: u32, fence: Fence) -> Result<(), Error> {
        self.add_relay(id, fence, false)
    }

    fn add_relay(&mut self, id: u32, fence: Fence, triggered: bool) -> Result<(), Error> {
        let (fence, outlet) = (Arc::new(fence), Arc::clone(&self.outlet));
        let mut relay = Relay::new(Arc::clone(&fence), triggered);
        let listener = relay.listener();
        let watch = self.watcher.watch(fence, Purpose::Relay, move |report| {
            // The step and its message are one to who looks at the fence.
            outlet.put_with(id, &mut || {
                let result = match report {
                    Report::Woken => listener.woken(),
                    Report::Broken(error) => Err(error),
                };
                event_of(result)
            });
        })?;
        let message = relay.start()?;
        watch.look_again();
        self.insert(id, Link::Relay { relay, watch });
        if let Some(message) = message {
            self.outlet.put_with(id, &mut || Some(Event::Send(Message::Relay(message))));
        }
        Ok(())
    }

    fn insert(&mut self, id: u32, link: Link) {
        match &link {
            Link::Shared { .. } => self.stats.shared += 1,
            Link::Relay { .. } => self.stats.relayed += 1,
        }
        self.by_id.insert(id, link);
    }

    /// A request that names a fence is about to pass to the server. The message, if there is one, must be carried out at
    /// the other side before the request is. Nothing for an id that is not linked.
    pub fn before_request(&mut self, id: u32) -> Result<Option<Message>, Error> {
        self.relay(id, Relay::before_request)
    }

    /// Resets a relayed fence on both sides in the place of the server, see [`Relay::reset`]. Whether the server has nothing
    /// left to do; for an id that is not relayed it has.
    pub fn reset(&mut self, id: u32) -> Result<(bool, Option<Message>), Error> {
        let Some(Link::Relay { relay, watch }) = self.by_id.get_mut(&id) else { return Ok((false, None)) };
        let (was_triggered, message) = relay.reset()?;
        watch.look_again();
        Ok((was_triggered, message.map(Message::Relay)))
    }

    /// Looks at the pages of all relays, and tells which were triggered that the watcher has not found yet. Whoever passes
    /// something on that followed the triggers calls it first, and empties the [`crate::Outbox`] then, so that none is overtaken by
    /// it: then a link that is destroyed after an answer of the server's has missed nothing that came before that answer.
    pub fn look(&mut self, mut each: impl FnMut(u32, Event)) {
        for (id, link) in &self.by_id {
            let Link::Relay { relay, .. } = link else { continue };
            if let Some(event) = event_of(relay.look()) {
                each(*id, event);
            }
        }
    }

    /// Looks at a shared fence before the other side has spoken of it: if it is triggered, those who sleep on it here are woken.
    /// Whether it is; no other fence is.
    pub fn look_at_shared(&self, id: u32) -> Result<bool, Error> {
        let Some(Link::Shared { fence, .. }) = self.by_id.get(&id) else { return Ok(false) };
        let is_triggered = fence.is(TRIGGERED)?;
        if is_triggered {
            fence.wake(ALL_BUT_WATCHERS)?;
        }
        Ok(is_triggered)
    }

    /// The other side has told something about a fence. What is returned goes back to it. Nothing for an id that is not
    /// linked (any more), or a message that is not for its kind of link.
    pub fn receive(&mut self, id: u32, message: Message) -> Result<Option<Message>, Error> {
        match (message, self.by_id.get(&id)) {
            (Message::Signal, Some(Link::Shared { fence, .. })) => {
                fence.wake(ALL_BUT_WATCHERS).map(|()| None)
            }
            (Message::Relay(message), _) => self.relay(id, |relay| relay.receive(message)),
            (Message::Signal, _) => Ok(None),
        }
    }

    /// Ends a link in order; a second time it does nothing.
    pub fn destroy(&mut self, id: u32) {
        match self.by_id.remove(&id) {
            Some(Link::Relay { relay, .. }) => self.stats.stale += relay.stale(),
            // A signal may be under way that nobody will take here; who is woken for nothing sleeps again.
            Some(Link::Shared { fence, .. }) => drop(fence.wake(ALL_BUT_WATCHERS)),
            None => {}
        }
    }

    /// Ends a link because the other side is lost, and triggers this side's page: whoever sleeps on it must not do so for
    /// ever.
    pub fn give_up(&mut self, id: u32) {
        let waiting = match self.by_id.get_mut(&id) {
            Some(Link::Relay { relay, .. }) => relay.give_up(),
            Some(Link::Shared { fence, .. }) => {
                fence.is(TRIGGERED).and_then(|is| fence.trigger().map(|()| !is))
            }
            None => Ok(false),
        };
        // A page that is gone has no sleepers that anybody could wake.
        self.stats.given_up += u64::from(waiting.unwrap_or(false));
        self.destroy(id);
    }

    /// [`Links::give_up`] for all.
    pub fn give_up_all(&mut self) {
        for id in self.ids() {
            self.give_up(id);
        }
    }

    /// The ids of all fences that are linked, in no order.
    pub fn ids(&self) -> Vec<u32> {
        self.by_id.keys().copied().collect()
    }

    /// Whether a fence of that id is linked.
    pub fn has(&self, id: u32) -> bool {
        self.by_id.contains_key(&id)
    }

    /// The epoch of a relay; `None` for an id that is not relayed.
    pub fn epoch(&self, id: u32) -> Option<u32> {
        let Some(Link::Relay { relay, .. }) = self.by_id.get(&id) else { return None };
        Some(relay.epoch())
    }

    /// Whether a fence of that id is linked by memory that both sides map.
    pub fn is_shared(&self, id: u32) -> bool {
        matches!(self.by_id.get(&id), Some(Link::Shared { .. }))
    }

    /// What the other side tells can't get here at the moment, and somebody may wait for it. So the pages of all relays are
    /// triggered; of shared fences only the sleepers are woken, who look for themselves. All links stay. Whether somebody still
    /// sleeps on a shared fence, so that it is to be called again soon.
    pub fn relieve(&mut self) -> bool {
        let mut somebody_sleeps = false;
        for link in self.by_id.values_mut() {
            match link {
                Link::Relay { relay, .. } => {
                    self.stats.given_up += u64::from(relay.give_up().unwrap_or(false));
                }
                // A page that is gone has no sleepers.
                Link::Shared { fence, .. } => {
                    somebody_sleeps |= fence.is(SLEEPING).unwrap_or(false);
                    let _ = fence.wake(ALL_BUT_WATCHERS);
                }
            }
        }
        somebody_sleeps
    }

    /// How many fences are linked.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Counters; those of a fence that is linked are added when its link ends.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    fn relay(
        &mut self,
        id: u32,
        act: impl FnOnce(&mut Relay<Arc<Fence>>) -> Result<Option<relay::Message>, Error>,
    ) -> Result<Option<Message>, Error> {
        let Some(Link::Relay { relay, watch }) = self.by_id.get_mut(&id) else { return Ok(None) };
        let message = act(relay)?;
        watch.look_again();
        Ok(message.map(Message::Relay))
    }
}

/// What there is to tell after a step of a relay's end.
fn event_of(result: Result<Option<relay::Message>, Error>) -> Option<Event> {
    match result {
        Ok(message) => message.map(|message| Event::Send(Message::Relay(message))),
        Err(error) => Some(Event::Broken(error)),
    }
}
