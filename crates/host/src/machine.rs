//! What the device stands on: the guest's memory and queues, the X server, the window.

use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use device::Platform;
use device::gpu::{ContextKey, MapRequest, Report, Response};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use sys::Piece;
use vm_memory::{Bytes, GuestAddress};

use crate::event::{Event, Level};
use crate::front_end::TOKEN_QUEUE;
use crate::host::Shared;
use crate::mail::Mailbox;
use crate::memory::Memory;
use crate::vring::{Chain, Vring};
use crate::window::WindowThread;
use crate::x_server::XServer;

/// A guest's side of the device.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) epoll: Arc<OwnedFd>,
    pub(crate) memory: Memory,
    /// The control queue, and that of the cursor.
    pub(crate) vrings: [Vring; 2],
    pub(crate) x_server: XServer,
    pub(crate) window: Option<WindowThread>,
    pub(crate) mailbox: Mailbox,
    pub(crate) shared: Arc<Shared>,
    /// Requests that were refused.
    pub(crate) refusals: u64,
}

/// Refused requests of a guest that are logged: more tell nothing new, and a guest must not fill a log.
const REFUSALS_LOGGED: u64 = 100;

impl Machine {
    /// The control queue.
    pub(crate) const fn control(&mut self) -> &mut Vring {
        let [control, _] = &mut self.vrings;
        control
    }

    /// The cursor's queue.
    pub(crate) const fn cursor(&mut self) -> &mut Vring {
        let [_, cursor] = &mut self.vrings;
        cursor
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

/// Sockets of contexts are told apart from all else that is watched by a serial above 0.
pub(crate) fn event_data(key: ContextKey) -> EventData {
    EventData::new_u64(u64::from(key.serial) << 32 | u64::from(key.id))
}

impl Platform for Machine {
    type Chain = Chain;

    fn read(&mut self, chain: &Chain, max: usize, out: &mut Vec<u8>) -> bool {
        let view = chain.memory();
        let mut end = 0_usize;
        let mut whole = true;
        for descriptor in chain.clone().readable() {
            let start = end;
            let len = usize::try_from(descriptor.len()).unwrap_or(usize::MAX).min(max - start);
            whole &= len == descriptor.len() as usize;
            end += len;
            if out.len() < end {
                out.resize(end, 0);
            }
            let room = out.get_mut(start..end).unwrap_or_default();
            if view.read_slice(room, descriptor.addr()).is_err() {
                (end, whole) = (start, false);
            }
            if !whole {
                break;
            }
        }
        out.truncate(end);
        whole
    }

    fn complete(&mut self, chain: Chain, response: &Response) {
        let view = self.memory.view();
        let written = write_response(&chain, response);
        self.control().give_back(&view, chain.head_index(), written);
    }

    fn pieces(&mut self, address: u64, len: u64, pieces: &mut Vec<Piece>) -> bool {
        self.memory.pieces(address, len, pieces)
    }

    fn open(&mut self, context: ContextKey) {
        self.x_server.connect(context, &self.mailbox);
    }

    fn watch(&mut self, context: ContextKey, socket: BorrowedFd<'_>) -> bool {
        let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, socket, event_data(context), flags).is_ok()
    }

    fn watch_room(&mut self, context: ContextKey, socket: BorrowedFd<'_>, wanted: bool) {
        // Only while the socket is full: else the X server would wake us whenever it reads.
        let mut flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        flags.set(EventFlags::OUT, wanted);
        let _ = epoll::modify(&self.epoll, socket, event_data(context), flags);
    }

    fn map(&mut self, request: MapRequest) -> bool {
        self.window.as_ref().is_some_and(|window| window.request(request))
    }

    fn report(&mut self, report: Report) {
        if matches!(report, Report::Refused(_)) {
            self.refusals += 1;
            if self.refusals > REFUSALS_LOGGED {
                return;
            }
        }
        self.shared.events.push(match report {
            Report::ContextOpened { number, name } => Event::ContextOpened { context: number, name },
            Report::ContextClosed { number, reason, traffic } => {
                Event::ContextClosed { context: number, reason, traffic }
            }
            Report::Refused(mut message) => {
                if self.refusals == REFUSALS_LOGGED {
                    message.push_str("; more of this guest are not logged");
                }
                Event::Log { level: Level::Info, message }
            }
        });
    }
}

/// Writes as much of the response as there is room for, and returns how much that was.
fn write_response(chain: &Chain, response: &Response) -> u32 {
    let view = chain.memory();
    let mut parts = [&response.header[..], &response.body[..]];
    let mut written = 0;
    for descriptor in chain.clone().writable() {
        let (mut address, mut room) = (descriptor.addr().0, descriptor.len() as usize);
        for part in &mut parts {
            let (now, later) = part.split_at(room.min(part.len()));
            if view.write_slice(now, GuestAddress(address)).is_err() {
                return written;
            }
            *part = later;
            room -= now.len();
            address = address.saturating_add(now.len() as u64);
            written += u32::try_from(now.len()).unwrap_or(0);
        }
    }
    written
}
