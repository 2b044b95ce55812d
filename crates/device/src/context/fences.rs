//! The X server's ends of a guest's fences: a page of the host's own for each that is relayed; and for each in memory that both
//! map, nothing but its wake-ups.

use std::collections::{HashMap, HashSet, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use cross_domain::dialect::x11bridge::fence::FenceCommand;
use cross_domain::{ID_COMMAND_BYTES, encode_futex_signal_in_ring, is_futex_id};
use shmfence::links::{Event, Message};
use shmfence::{Fence, Links, Outbox, Outlet, Watcher, relay};

use super::{Context, SubmitError};
use crate::resources::FUTEXES_MAX;

/// Called when a context has something to say about a fence: on another thread, and it must be brief.
pub type FenceNotifier = Arc<dyn Fn() + Send + Sync>;

/// Events that a guest may leave untaken and still make fences: all that its fences can have to say at once, several times over. Each
/// has a kind of event in the outbox once, but a guest that takes nothing could end one and make the next without end.
const UNTAKEN_MAX: usize = 4 * FUTEXES_MAX;

/// The fences of one context.
#[derive(Debug)]
pub(super) struct Fences {
    links: Links,
    outbox: Arc<Outbox>,
    /// Pages that the X server has not been handed yet.
    files: HashMap<u32, OwnedFd>,
    /// Relays whose page can't be watched (any more): they count as triggered in every epoch, so that nobody waits for ever.
    lost: HashSet<u32>,
    /// What the guest is told next, from the outbox.
    events: VecDeque<(u32, Event)>,
}

impl Fences {
    fn new(notifier: FenceNotifier) -> Result<Self, shmfence::Error> {
        let outbox = Arc::new(Outbox::new(move || notifier()));
        let links = Links::new(Watcher::shared()?, Arc::<Outbox>::clone(&outbox));
        Ok(Self { links, outbox, files: HashMap::new(), lost: HashSet::new(), events: VecDeque::new() })
    }

    /// Begins to carry the wake-ups of a fence in a file that the guest maps too. What can't be one is refused.
    ///
    /// Its memory can be touched for ever: the files of a guest's `/dev/shm` are sealed against shrinking, and what else has
    /// not been is sealed here, or reached by the kernel alone.
    fn share(&mut self, id: u32, file: BorrowedFd<'_>) -> Result<(), SubmitError> {
        self.check_new(id)?;
        let fence = Fence::open(file).map_err(SubmitError::Fence)?;
        self.links.add_shared(id, fence).map_err(SubmitError::Fence)
    }

    fn add(&mut self, id: u32, triggered: bool) -> Result<(), SubmitError> {
        self.check_new(id)?;
        let file = self.links.add_server(id, triggered).map_err(SubmitError::Fence)?;
        self.files.insert(id, file);
        Ok(())
    }

    /// Relays a page of the server's own. Of one that can't be watched the guest hears that it is triggered.
    fn adopt(&mut self, id: u32, file: Option<BorrowedFd<'_>>) -> Result<(), SubmitError> {
        self.check_new(id)?;
        let fence = file.map(Fence::open).and_then(Result::ok).filter(Fence::is_sealed);
        let adopted = fence.is_some_and(|fence| self.links.adopt(id, fence).is_ok());
        if !adopted {
            self.lost.insert(id);
            self.put(id, trigger(0));
        }
        Ok(())
    }

    fn check_new(&self, id: u32) -> Result<(), SubmitError> {
        let has_room = self.links.len() + self.lost.len() < FUTEXES_MAX && self.outbox.len() < UNTAKEN_MAX;
        if has_room && is_futex_id(id) && !self.is_known(id) {
            Ok(())
        } else {
            Err(SubmitError::NoSuchItem { id })
        }
    }

    fn is_known(&self, id: u32) -> bool {
        self.links.has(id) || self.lost.contains(&id)
    }

    /// An id that is not known (any more) means nothing.
    fn receive(&mut self, id: u32, message: Message) -> Result<(), SubmitError> {
        let answer = match message {
            Message::Relay(relay::Message::Reset { epoch }) if self.lost.contains(&id) => {
                Some(trigger(epoch))
            }
            _ => self.links.receive(id, message).map_err(SubmitError::Fence)?,
        };
        if let Some(answer) = answer {
            self.put(id, answer);
        }
        Ok(())
    }

    /// What waits in the outbox is bounded, whatever a guest does.
    fn put(&self, id: u32, message: Message) {
        self.outbox.put_with(id, &mut || Some(Event::Send(message)));
    }

    /// Ends a link; whether there was one.
    pub(super) fn destroy(&mut self, id: u32) -> bool {
        let known = self.links.has(id) | self.lost.remove(&id);
        self.links.destroy(id);
        self.files.remove(&id);
        known
    }

    pub(super) fn file(&self, id: u32) -> Option<BorrowedFd<'_>> {
        self.files.get(&id).map(AsFd::as_fd)
    }

    /// The X server has the pages that were named.
    pub(super) fn handed_over(&mut self, ids: impl Iterator<Item = u32>) {
        for id in ids {
            self.files.remove(&id);
        }
    }

    /// The next message for the guest. Whatever the X server has triggered by now comes before what it has said by now.
    pub(super) fn next_message(&mut self) -> Option<[u8; ID_COMMAND_BYTES]> {
        if self.events.is_empty() {
            self.links.look(|id, event| self.events.push_back((id, event)));
            // Afterwards: what a look finds to be done is in there by then.
            self.events.extend(self.outbox.take());
        }
        while let Some((id, event)) = self.events.pop_front() {
            if let Some(message) = self.message(id, event) {
                return Some(message);
            }
        }
        None
    }

    /// Whether there may be such a message before anything else happens.
    pub(super) fn has_news(&self) -> bool {
        !self.events.is_empty() || !self.outbox.is_empty()
    }

    fn message(&mut self, id: u32, event: Event) -> Option<[u8; ID_COMMAND_BYTES]> {
        match event {
            // The watcher may have spoken of a fence whose link has ended since.
            _ if !self.is_known(id) => None,
            Event::Send(Message::Relay(relay::Message::Trigger { epoch })) => {
                Some(FenceCommand::Trigger { id, epoch }.encode_in_ring())
            }
            Event::Send(Message::Signal) => Some(encode_futex_signal_in_ring(id)),
            // A server's end resets nothing.
            Event::Send(Message::Relay(relay::Message::Reset { .. })) => None,
            // The X server writes to it what no fence holds: whoever waits for it there goes on, and so does the guest.
            Event::Broken(_) => {
                let epoch = self.links.epoch(id);
                self.links.give_up(id);
                let epoch = epoch.filter(|_| self.lost.insert(id))?;
                Some(FenceCommand::Trigger { id, epoch }.encode_in_ring())
            }
        }
    }
}

fn trigger(epoch: u32) -> Message {
    Message::Relay(relay::Message::Trigger { epoch })
}

impl Drop for Fences {
    fn drop(&mut self) {
        self.links.give_up_all();
    }
}

impl Context {
    /// Has the context carry fences: `notifier` says that [`Context::next_fence`] may have something to tell.
    pub fn relay_fences(&mut self, notifier: FenceNotifier) {
        self.notifier = Some(notifier);
    }

    pub(super) fn fence(&mut self, command: FenceCommand) -> Result<(), SubmitError> {
        let (id, message) = match command {
            FenceCommand::New { id, triggered } => return self.fences_mut()?.add(id, triggered),
            FenceCommand::Trigger { id, epoch } => (id, relay::Message::Trigger { epoch }),
            FenceCommand::Reset { id, epoch } => (id, relay::Message::Reset { epoch }),
            FenceCommand::Adopt { id, resource } => {
                self.fences_mut()?;
                let file = self.resources.file(resource);
                return self.fences.as_mut().map_or(Ok(()), |fences| fences.adopt(id, file));
            }
        };
        self.fences.as_mut().map_or(Ok(()), |fences| fences.receive(id, Message::Relay(message)))
    }

    /// Begins to carry the wake-ups of a futex whose file the guest has named.
    pub(super) fn share_fence(&mut self, id: u32) -> Result<(), SubmitError> {
        let Some(file) = self.shared.futex(id) else { return Ok(()) };
        let file = file.try_clone_to_owned().map_err(|_| SubmitError::NoSuchItem { id })?;
        self.fences_mut()?.share(id, file.as_fd())
    }

    /// The guest says that a futex was woken there.
    pub(super) fn wake_fence(&mut self, id: u32) -> Result<(), SubmitError> {
        self.fences.as_mut().map_or(Ok(()), |fences| fences.receive(id, Message::Signal))
    }

    fn fences_mut(&mut self) -> Result<&mut Fences, SubmitError> {
        let notifier = self.notifier.clone().ok_or(SubmitError::Unsupported { what: "fences" })?;
        match &mut self.fences {
            Some(fences) => Ok(fences),
            none => Ok(none.insert(Fences::new(notifier).map_err(SubmitError::Fence)?)),
        }
    }
}
