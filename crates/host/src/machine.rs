//! What a device stands on: the guest's memory and queues, the window.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use device::gpu::MapRequest;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use crate::chain::Chain;
use crate::event::{Event, Level};
use crate::front_end::TOKEN_QUEUE;
use crate::host::Shared;
use crate::mail::Mailbox;
use crate::memory::Memory;
use crate::vring::Vring;
use crate::window::WindowThread;

/// A guest's side of a device.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) epoll: Arc<OwnedFd>,
    pub(crate) memory: Memory,
    pub(crate) vrings: Vec<Vring>,
    pub(crate) window: Option<WindowThread>,
    pub(crate) mailbox: Mailbox,
    pub(crate) shared: Arc<Shared>,
    /// Requests that were refused.
    refusals: u64,
}

/// Refused requests of a guest that are logged: more tell nothing new, and a guest must not fill a log.
const REFUSALS_LOGGED: u64 = 100;

impl Machine {
    /// `EMFILE` and the like where the system has no room for it.
    pub(crate) fn new(
        epoll: Arc<OwnedFd>,
        queues: usize,
        mailbox: Mailbox,
        shared: Arc<Shared>,
    ) -> Result<Self, Errno> {
        let vrings = (0..queues).map(|_| Vring::new()).collect::<Result<_, _>>()?;
        Ok(Self { epoll, memory: Memory::default(), vrings, window: None, mailbox, shared, refusals: 0 })
    }

    /// Whether requests of a queue are taken.
    pub(crate) fn runs(&self, queue: usize) -> bool {
        self.vrings.get(queue).is_some_and(Vring::runs)
    }

    /// Gives a request back, with so many bytes of response.
    pub(crate) fn give_back(&mut self, queue: usize, chain: &Chain, written: u32) {
        let view = self.memory.view();
        if let Some(vring) = self.vrings.get_mut(queue) {
            vring.give_back(&view, chain.head(), written);
        }
    }

    /// Begins to change the window; the answer comes by mail. `false` where there is no window.
    pub(crate) fn map(&self, request: MapRequest) -> bool {
        self.window.as_ref().is_some_and(|window| window.request(request))
    }

    /// Logs a request that was refused: one sentence.
    pub(crate) fn refused(&mut self, mut message: String) {
        self.refusals += 1;
        if self.refusals > REFUSALS_LOGGED {
            return;
        }
        if self.refusals == REFUSALS_LOGGED {
            message.push_str("; more of this guest are not logged");
        }
        self.shared.events.push(Event::Log { level: Level::Info, message });
    }

    /// Starts a queue and watches for its kicks. Returns whether it goes on where it was stopped.
    pub(crate) fn start_queue(&mut self, index: usize, kick: Option<File>) -> Result<bool, Errno> {
        self.stop_queue(index);
        let vring = self.vrings.get_mut(index).ok_or(Errno::INVAL)?;
        let resumed = vring.start(kick, &self.memory)?;
        if let Some(kick) = vring.kick() {
            let data = EventData::new_u64(TOKEN_QUEUE + index as u64);
            epoll::add(&self.epoll, kick, data, EventFlags::IN)?;
        }
        // Requests may have come before the kick could be heard.
        vring.kick_self();
        Ok(resumed)
    }

    /// Stops a queue, and returns where.
    pub(crate) fn stop_queue(&mut self, index: usize) -> Option<u16> {
        let vring = self.vrings.get_mut(index)?;
        if let Some(kick) = vring.kick() {
            // The VMM keeps the eventfd open, so closing ours would not end the watch.
            let _ = epoll::delete(&self.epoll, kick);
        }
        Some(vring.stop())
    }

    /// Stops to watch what others keep open.
    pub(crate) fn stop(&mut self) {
        for index in 0..self.vrings.len() {
            self.stop_queue(index);
        }
        let _ = epoll::delete(&self.epoll, self.mailbox.wake());
        self.window = None;
    }
}
