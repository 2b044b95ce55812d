//! The client's ends of fences that a cross-domain channel relays.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use cross_domain::dialect::x11bridge::fence::FenceCommand;
use cross_domain::encode_futex_destroy;
use rustix::event::PollFlags;
use session::FenceAction;
use shmfence::links::{Event, Message};
use shmfence::{Error, Fence, Links, Outbox, Watcher, relay};
use x11_wire::message::{BAD_ALLOC, BAD_MATCH};

use super::Interest;
use crate::bell::Bell;

/// How fences cross kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FenceChoice {
    /// As descriptors where client and server share a kernel; else relayed, where the host can; else DRI3 is hidden.
    Auto,
    /// Relayed wherever the host can; else DRI3 is hidden.
    Relay,
    /// Not at all: DRI3 is hidden.
    Off,
}

impl FenceChoice {
    /// Understands a name as users write it.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "relay" => Some(Self::Relay),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// What became of a client's fences, or of all clients'.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FenceTotals {
    /// Fences that were relayed.
    pub relayed: u64,
    /// Triggers that came too late to mean anything.
    pub stale: u64,
    /// Fences that were triggered because nobody could say any more when to.
    pub given_up: u64,
}

/// The fences of one client.
#[derive(Debug)]
pub(super) struct Fences {
    links: Links,
    outbox: Arc<Outbox>,
    bell: Arc<Bell>,
    /// Commands that the host has not taken yet, in order.
    commands: Vec<u8>,
}

impl Fences {
    pub(super) fn new() -> Result<Self, Error> {
        let os = |errno| Error::Os { op: "making an eventfd", errno };
        let bell = Arc::new(Bell::new().map_err(os)?);
        let rung = Arc::clone(&bell);
        let outbox = Arc::new(Outbox::new(move || rung.ring()));
        let put = Arc::clone(&outbox);
        let links = Links::new(Watcher::shared()?, move |id, event| put.put(id, event));
        Ok(Self { links, outbox, bell, commands: vec![] })
    }

    /// Links a client's file; else the X11 error that a server would answer.
    pub(super) fn link(&mut self, id: u32, file: BorrowedFd<'_>) -> Result<(), u8> {
        let triggered = Fence::open(file).and_then(|fence| self.links.add_client(id, fence));
        let triggered = triggered.map_err(|error| match error {
            Error::Os { .. } => BAD_ALLOC,
            _ => BAD_MATCH,
        })?;
        self.put(FenceCommand::New { id, triggered });
        Ok(())
    }

    /// Does what a client's request asks for, before it passes.
    pub(super) fn act(&mut self, action: FenceAction) {
        match action {
            FenceAction::Named { id } => self.before(id, Links::before_request),
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

    /// Takes what the host says of a fence.
    pub(super) fn receive(&mut self, command: FenceCommand) {
        if let FenceCommand::Trigger { id, epoch } = command {
            let message = Message::Relay(relay::Message::Trigger { epoch });
            let answer = self.links.receive(id, message);
            self.tell(id, answer);
        }
    }

    /// The commands that the host has to take next, with what the watcher has seen.
    pub(super) fn commands(&mut self) -> &[u8] {
        self.bell.hear();
        for (id, event) in self.outbox.take() {
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

    /// The client takes no bytes, and what the host says of fences waits behind them.
    pub(super) fn relieve(&mut self) {
        self.links.relieve();
    }

    pub(super) fn totals(&self) -> FenceTotals {
        let stats = self.links.stats();
        FenceTotals { relayed: stats.links, stale: stats.stale, given_up: stats.given_up }
    }

    fn before(&mut self, id: u32, look: impl FnOnce(&mut Links, u32) -> Result<Option<Message>, Error>) {
        let answer = look(&mut self.links, id);
        self.tell(id, answer);
    }

    fn end(&mut self, id: u32, end: impl FnOnce(&mut Links, u32)) {
        if self.links.has(id) {
            end(&mut self.links, id);
            self.commands.extend(encode_futex_destroy(id));
        }
    }

    fn tell(&mut self, id: u32, answer: Result<Option<Message>, Error>) {
        match answer {
            Ok(Some(Message::Relay(relay::Message::Trigger { epoch }))) => {
                self.put(FenceCommand::Trigger { id, epoch });
            }
            Ok(Some(Message::Relay(relay::Message::Reset { epoch }))) => {
                self.put(FenceCommand::Reset { id, epoch });
            }
            // No link here is shared.
            Ok(Some(Message::Signal) | None) => {}
            // The client has truncated its file, or writes what no fence holds.
            Err(_) => self.end(id, Links::give_up),
        }
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
