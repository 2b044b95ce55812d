//! The client's ends of fences that a cross-domain channel carries.

#[cfg(test)]
mod test;

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use cross_domain::dialect::x11bridge::fence::FenceCommand;
use cross_domain::{ExportedFile, FutexNew, encode_futex_destroy, encode_futex_signal};
use rustix::event::PollFlags;
use rustix::io::Errno;
use session::FenceAction;
use shmfence::links::{Event, Message};
use shmfence::{Error, Fence, Links, Outbox, Relay, RemoteFence, Watcher, relay};
use x11_wire::message::{BAD_ALLOC, BAD_MATCH};

use super::Interest;
use super::cross_domain::is_done;
use super::fence_memory::{FenceLink, SharedPage};
use crate::bell::Bell;

/// Fences that are looked at while the client's thread does not sleep: one each for the buffers that a client may have under way.
const AWAITED_MAX: usize = 4;
/// Files that are kept for clients that ask for one: all clients share the process's descriptors.
const FILES_MAX: usize = 64;

/// What became of a client's fences, or of all clients'.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FenceTotals {
    /// Fences in memory that both kernels map.
    pub shared: u64,
    /// Fences that were relayed.
    pub relayed: u64,
    /// Those of them that were relayed because there was no room left in the memory that both kernels map.
    pub crowded_out: u64,
    /// Triggers that came too late to mean anything.
    pub stale: u64,
    /// Fences that were triggered because nobody could say any more when to.
    pub given_up: u64,
}

/// The fences of one client.
#[derive(Debug)]
pub(super) struct Fences {
    links: Links,
    /// The other ends of relays whose server's pages are kept here, in memory of both kernels.
    pages: HashMap<u32, Relay<RemoteFence>>,
    outbox: Arc<Outbox>,
    bell: Arc<Bell>,
    /// Commands that the host has not taken yet, in order.
    commands: Vec<u8>,
    /// Files whose names the host has not followed yet, with the number of the SEND by which it has: a name holds as long as
    /// its file is open.
    named: Vec<(OwnedFd, u32)>,
    /// Those that requests have named last and that have not been triggered since, of which a look may tell before the host does.
    awaited: VecDeque<u32>,
    crowded_out: u64,
    /// The client's own files, for when it asks for one; of the fences beyond [`FILES_MAX`], and where the process has no room for another
    /// descriptor, there is none.
    files: HashMap<u32, OwnedFd>,
}

impl Fences {
    pub(super) fn new() -> Result<Self, Error> {
        let os = |errno| Error::Os { op: "making an eventfd", errno };
        let bell = Arc::new(Bell::new().map_err(os)?);
        let rung = Arc::clone(&bell);
        let outbox = Arc::new(Outbox::new(move || rung.ring()));
        let links = Links::new(Watcher::shared()?, Arc::<Outbox>::clone(&outbox));
        Ok(Self {
            links,
            pages: HashMap::new(),
            outbox,
            bell,
            commands: vec![],
            named: vec![],
            awaited: VecDeque::new(),
            crowded_out: 0,
            files: HashMap::new(),
        })
    }

    /// Links a client's file; else the X11 error that a server would answer. `send` is the number of the next SEND.
    pub(super) fn link(
        &mut self,
        id: u32,
        file: BorrowedFd<'_>,
        link: FenceLink,
        send: u32,
    ) -> Result<(), u8> {
        let linked = match link {
            FenceLink::Shared { device, name } => self.share(id, file, device, name, send),
            FenceLink::Relayed { device, crowded_out, page } => {
                let fence = device.map_or_else(|| Fence::open(file), |device| Fence::open_on(file, device));
                let linked = fence.and_then(|fence| self.relay(id, fence, page, send));
                linked.inspect(|()| self.crowded_out += u64::from(crowded_out))
            }
        };
        linked.map_err(|error| match error {
            Error::Os { .. } => BAD_ALLOC,
            _ => BAD_MATCH,
        })?;
        self.keep_file(id, file);
        Ok(())
    }

    fn keep_file(&mut self, id: u32, file: BorrowedFd<'_>) {
        if self.files.len() < FILES_MAX {
            self.files.extend(file.try_clone_to_owned().ok().map(|file| (id, file)));
        }
    }

    /// Relays a fence that the server has made, whose page the host knows as that resource; returns the file of the client's page.
    /// That begins as one that is not triggered, and if the server's is, the host says so a moment after the client has it.
    pub(super) fn adopt(&mut self, id: u32, resource: u32) -> Result<OwnedFd, Error> {
        let (fence, file) = Fence::create(false)?;
        self.links.add_client(id, fence)?;
        self.keep_file(id, file.as_fd());
        self.put(FenceCommand::Adopt { id, resource });
        Ok(file)
    }

    /// Another descriptor of the file that a fence was linked by.
    pub(super) fn file(&self, id: u32) -> Option<OwnedFd> {
        self.files.get(&id)?.try_clone().ok()
    }

    fn share(
        &mut self,
        id: u32,
        file: BorrowedFd<'_>,
        device: u64,
        name: ExportedFile,
        send: u32,
    ) -> Result<(), Error> {
        let fence = Fence::open_on(file, device)?;
        let kept = file.try_clone_to_owned();
        let kept = kept.map_err(|error| Error::Os {
            op: "keeping the file of a fence open",
            errno: Errno::from_io_error(&error).unwrap_or(Errno::MFILE),
        })?;
        self.links.add_shared(id, fence)?;
        self.tell_name(id, name, kept, send);
        Ok(())
    }

    fn relay(&mut self, id: u32, fence: Fence, page: Option<SharedPage>, send: u32) -> Result<(), Error> {
        let triggered = self.links.add_client(id, fence)?;
        let Some(SharedPage { file, device, name }) = page else {
            self.put(FenceCommand::New { id, triggered });
            return Ok(());
        };
        let remote = RemoteFence::create_in(file.as_fd(), device, triggered);
        let remote = remote.inspect_err(|_| self.links.destroy(id))?;
        self.pages.insert(id, Relay::new(remote, triggered));
        self.tell_name(id, name, file, send);
        Ok(())
    }

    /// Has the host watch the futex in a file.
    fn tell_name(&mut self, id: u32, name: ExportedFile, file: OwnedFd, send: u32) {
        self.named.push((file, send));
        self.commands.extend(FutexNew { file: name, id }.encode());
    }

    /// Notes that the host has carried out all SENDs up to this number.
    pub(super) fn sends_done(&mut self, last: u32) {
        self.named.retain(|(_, send)| !is_done(*send, last));
    }

    /// Does what a client's request asks for, before it passes.
    pub(super) fn act(&mut self, action: FenceAction) {
        match action {
            FenceAction::Named { id } => {
                self.before(id, Links::before_request);
                self.await_trigger(id);
            }
            FenceAction::AnyNamed => {
                for id in self.links.ids() {
                    self.before(id, Links::before_request);
                }
            }
            FenceAction::Destroyed { id } => self.end(id, Links::destroy),
            FenceAction::GiveUp { id } => self.end(id, Links::give_up),
        }
    }

    /// Resets a fence on both sides; whether the server has nothing left to do.
    pub(super) fn reset(&mut self, id: u32) -> bool {
        let (is_done, answer) = match self.links.reset(id) {
            Ok((is_done, message)) => (is_done, Ok(message)),
            Err(error) => (false, Err(error)),
        };
        self.tell(id, answer);
        is_done
    }

    /// The host says that a futex was woken there: of a fence that is shared, or of the server's page of one.
    pub(super) fn wake(&mut self, id: u32) {
        if self.pages.contains_key(&id) {
            self.look_at_page(id);
            return;
        }
        let answer = self.links.receive(id, Message::Signal);
        self.tell(id, answer);
    }

    /// Passes on to the client that the server has triggered a page; whether it had.
    fn look_at_page(&mut self, id: u32) -> bool {
        let looked = self.pages.get(&id).map(Relay::look);
        let is_triggered = matches!(looked, Some(Ok(Some(_))));
        let answer = match looked {
            Some(Ok(Some(message))) => self.links.receive(id, Message::Relay(message)),
            Some(Err(error)) => Err(error),
            _ => Ok(None),
        };
        self.tell(id, answer);
        is_triggered
    }

    /// A request that names the fence passes: its answer may be a trigger, and that may be seen here.
    fn await_trigger(&mut self, id: u32) {
        let is_seen = self.links.is_shared(id) || self.pages.contains_key(&id);
        if !is_seen || self.awaited.contains(&id) {
            return;
        }
        if self.awaited.len() == AWAITED_MAX {
            self.awaited.pop_front();
        }
        self.awaited.push_back(id);
    }

    /// Looks in memory that is the host's, too, whether the server has triggered what the client may wait for: the host will
    /// say so some wake-ups later. Whether anything has changed.
    pub(super) fn look(&mut self) -> bool {
        let before = self.awaited.len();
        for _ in 0..before {
            let Some(id) = self.awaited.pop_front() else { break };
            let is_page = self.pages.contains_key(&id);
            match if is_page { Ok(self.look_at_page(id)) } else { self.links.look_at_shared(id) } {
                // A page that was found to be broken has ended its link.
                Ok(false) if self.links.has(id) => self.awaited.push_back(id),
                Ok(_) => {}
                Err(error) => self.tell(id, Err(error)),
            }
        }
        self.awaited.len() < before
    }

    /// Takes what the host says of a fence that is relayed.
    pub(super) fn receive(&mut self, command: FenceCommand) {
        if let FenceCommand::Trigger { id, epoch } = command {
            let message = Message::Relay(relay::Message::Trigger { epoch });
            let answer = self.links.receive(id, message);
            self.tell(id, answer);
        }
    }

    /// The commands that the host has to take next, with what the watcher has seen; that waits while there are others, so that
    /// it is never more than one event for each fence.
    pub(super) fn commands(&mut self) -> &[u8] {
        self.bell.hear();
        if !self.commands.is_empty() {
            return &self.commands;
        }
        for (id, event) in self.outbox.take() {
            // The watcher may have spoken of a fence whose link has ended since.
            if !self.links.has(id) {
                continue;
            }
            match event {
                Event::Send(message) => self.tell(id, Ok(Some(message))),
                Event::Broken(error) => self.tell(id, Err(error)),
            }
        }
        &self.commands
    }

    /// The host has taken the first `bytes` of them.
    pub(super) fn submitted(&mut self, bytes: usize) {
        self.commands.drain(..bytes.min(self.commands.len()));
    }

    /// What to poll for until there are more commands.
    pub(super) fn interest(&self) -> Interest<'_> {
        (self.bell.descriptor(), PollFlags::IN)
    }

    /// The host is lost: nobody who sleeps on a fence must do so for ever.
    pub(super) fn give_up(&mut self) {
        self.links.give_up_all();
    }

    /// The client takes no bytes, and what the host says of fences waits behind them. Whether to call it again soon.
    pub(super) fn relieve(&mut self) -> bool {
        self.links.relieve()
    }

    pub(super) fn totals(&self) -> FenceTotals {
        let stats = self.links.stats();
        FenceTotals {
            shared: stats.shared,
            relayed: stats.relayed,
            crowded_out: self.crowded_out,
            stale: stats.stale,
            given_up: stats.given_up,
        }
    }

    fn before(&mut self, id: u32, look: impl FnOnce(&mut Links, u32) -> Result<Option<Message>, Error>) {
        let answer = look(&mut self.links, id);
        self.tell(id, answer);
    }

    fn end(&mut self, id: u32, end: impl FnOnce(&mut Links, u32)) {
        if !self.links.has(id) {
            return;
        }
        self.awaited.retain(|awaited| *awaited != id);
        self.files.remove(&id);
        // What the server has triggered before it answered, its host may say later.
        if let Some(Ok(Some(message))) = self.pages.remove(&id).map(|page| page.look()) {
            // A client's page that is gone has nobody who waits.
            let _ = self.links.receive(id, Message::Relay(message));
        }
        end(&mut self.links, id);
        self.commands.extend(encode_futex_destroy(id));
    }

    fn tell(&mut self, id: u32, answer: Result<Option<Message>, Error>) {
        match answer {
            Ok(Some(Message::Relay(message))) if self.pages.contains_key(&id) => self.tell_page(id, message),
            Ok(Some(Message::Relay(relay::Message::Trigger { epoch }))) => {
                self.put(FenceCommand::Trigger { id, epoch });
            }
            Ok(Some(Message::Relay(relay::Message::Reset { epoch }))) => {
                self.put(FenceCommand::Reset { id, epoch });
            }
            Ok(Some(Message::Signal)) => self.commands.extend(encode_futex_signal(id)),
            Ok(None) => {}
            // The client has truncated its file, or writes what no fence holds.
            Err(_) => self.end(id, Links::give_up),
        }
    }

    /// The client's end has something to tell the server's, which is here. Who sleeps on the page is the host's to wake.
    fn tell_page(&mut self, id: u32, message: relay::Message) {
        let Some(answer) = self.pages.get_mut(&id).map(|page| page.receive(message)) else { return };
        if matches!(message, relay::Message::Trigger { .. }) {
            self.commands.extend(encode_futex_signal(id));
        }
        let answer = match answer {
            Ok(Some(answer)) => self.links.receive(id, Message::Relay(answer)),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        self.tell(id, answer);
    }

    fn put(&mut self, command: FenceCommand) {
        self.commands.extend(command.encode());
    }
}

impl Drop for Fences {
    fn drop(&mut self) {
        self.give_up();
    }
}
