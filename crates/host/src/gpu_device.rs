//! The virtio-gpu device: its contexts lead to the X server.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use device::gpu::{ContextKey, FEATURES, HOST_VISIBLE, MapRequest, Ready, Report, Response, config};
use device::{Exports, FenceNotifier, Gpu, Limits, Platform};
use rustix::event::epoll::{self, EventData, EventFlags};
use sys::Piece;

use crate::chain::Chain;
use crate::event::Event;
use crate::machine::Machine;
use crate::mail::Mail;
use crate::virtio_device::VirtioDevice;
use crate::x_server::XServer;

const CONTROL_QUEUE: usize = 0;

/// One guest's virtio-gpu device.
#[derive(Debug)]
pub(crate) struct GpuDevice {
    gpu: Gpu<Chain>,
    x_server: XServer,
    limits: Limits,
    scanouts: u32,
}

impl GpuDevice {
    pub(crate) fn new(x_server: XServer, limits: Limits, scanouts: u32, exports: Exports) -> Self {
        Self { gpu: Gpu::with_exports(limits, exports), x_server, limits, scanouts }
    }

    /// The device, and what it stands on.
    const fn parts<'a>(&'a mut self, machine: &'a mut Machine) -> (&'a mut Gpu<Chain>, Ground<'a>) {
        (&mut self.gpu, Ground { machine, x_server: &self.x_server })
    }
}

impl VirtioDevice for GpuDevice {
    /// That of control, and that of the cursor.
    const QUEUES: usize = 2;
    const MAIN_QUEUE: usize = CONTROL_QUEUE;
    const FEATURES: u64 = FEATURES;
    const SHMID: u8 = HOST_VISIBLE;

    fn config(&self) -> Vec<u8> {
        config(self.scanouts).to_vec()
    }

    fn window_bytes(&self) -> u64 {
        self.limits.window_bytes
    }

    fn request(&mut self, machine: &mut Machine, queue: usize, chain: Chain) {
        if queue == CONTROL_QUEUE {
            let (gpu, mut ground) = self.parts(machine);
            gpu.request(&mut ground, chain);
        } else {
            // There is no cursor to show: its requests are given back as they are.
            machine.give_back(queue, &chain, 0);
        }
    }

    fn letter(&mut self, machine: &mut Machine, letter: Mail) {
        let (gpu, mut ground) = self.parts(machine);
        match letter {
            Mail::Opened(context, result) => gpu.opened(&mut ground, context, result),
            Mail::Fences(context) => gpu.fence_news(&mut ground, context),
            Mail::Mapped(works) => gpu.mapped(&mut ground, works),
        }
    }

    fn ready(&mut self, machine: &mut Machine, token: u64, flags: EventFlags) {
        let [id, serial] = [token, token >> 32].map(|half| u32::try_from(half & 0xffff_ffff).unwrap_or(0));
        let ready = Ready {
            bytes: flags.contains(EventFlags::IN),
            end: flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR),
            room: flags.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR),
        };
        let (gpu, mut ground) = self.parts(machine);
        gpu.socket_ready(&mut ground, ContextKey { id, serial }, ready);
    }

    fn resume(&mut self, machine: &mut Machine) {
        let (gpu, mut ground) = self.parts(machine);
        gpu.resume(&mut ground);
    }

    fn reset(&mut self, machine: &mut Machine, reason: &str) {
        let (gpu, mut ground) = self.parts(machine);
        gpu.reset(&mut ground, reason);
    }

    fn connected(pid: Option<i32>) -> Event {
        Event::GuestConnected { pid }
    }

    fn disconnected(reason: &str) -> Event {
        Event::GuestDisconnected { reason: reason.to_owned() }
    }
}

/// What the device stands on: the machine, and the X server.
struct Ground<'a> {
    machine: &'a mut Machine,
    x_server: &'a XServer,
}

/// Sockets of contexts are told apart from all else that is watched by a serial above 0.
fn event_data(key: ContextKey) -> EventData {
    EventData::new_u64(u64::from(key.serial) << 32 | u64::from(key.id))
}

impl Platform for Ground<'_> {
    type Chain = Chain;

    fn read(&mut self, chain: &Chain, max: usize, out: &mut Vec<u8>) -> bool {
        chain.read(max, out)
    }

    fn complete(&mut self, chain: Chain, response: &Response) {
        let written = chain.write(&[&response.header, &response.body]);
        self.machine.give_back(CONTROL_QUEUE, &chain, written);
    }

    fn pieces(&mut self, address: u64, len: u64, pieces: &mut Vec<Piece>) -> bool {
        self.machine.memory.pieces(address, len, pieces)
    }

    fn open(&mut self, context: ContextKey) {
        self.x_server.connect(context, &self.machine.mailbox);
    }

    fn watch(&mut self, context: ContextKey, socket: BorrowedFd<'_>) -> bool {
        let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.machine.epoll, socket, event_data(context), flags).is_ok()
    }

    fn watch_room(&mut self, context: ContextKey, socket: BorrowedFd<'_>, wanted: bool) {
        // Only while the socket is full: else the X server would wake us whenever it reads.
        let mut flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        flags.set(EventFlags::OUT, wanted);
        let _ = epoll::modify(&self.machine.epoll, socket, event_data(context), flags);
    }

    fn map(&mut self, request: MapRequest) -> bool {
        self.machine.map(request)
    }

    fn fence_notifier(&mut self, context: ContextKey) -> FenceNotifier {
        let mailbox = self.machine.mailbox.clone();
        Arc::new(move || mailbox.put(Mail::Fences(context)))
    }

    fn report(&mut self, report: Report) {
        match report {
            Report::ContextOpened { number, name } => {
                self.machine.shared.events.push(Event::ContextOpened { context: number, name });
            }
            Report::ContextClosed { number, reason, traffic } => {
                self.machine.shared.events.push(Event::ContextClosed { context: number, reason, traffic });
            }
            Report::Refused(message) => self.machine.refused(message),
        }
    }
}
