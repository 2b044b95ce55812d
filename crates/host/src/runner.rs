//! The device's thread: one loop over all that can happen.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use device::gpu::{ContextKey, Report};
use device::{Gpu, Limits, Platform};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use vhost::vhost_user::{BackendReqHandler, Error as VhostError};

use crate::event::{Event, Level};
use crate::front_end::{Device, TOKEN_FRONT_END, TOKEN_LISTENER, TOKEN_MAIL, TOKEN_QUEUE, TOKEN_STOP};
use crate::host::Shared;
use crate::listen::Listener;
use crate::machine::Machine;
use crate::mail::{Mail, Mailbox};
use crate::memory::Memory;
use crate::vring::{Chain, Vring};
use crate::x_server::XServer;

/// Events that are taken at once.
const EVENTS_MAX: usize = 64;
/// Requests that are taken before other events get their turn.
const REQUESTS_AT_ONCE: usize = 256;

/// Everything of the thread.
#[derive(Debug)]
pub(crate) struct Runner {
    shared: Arc<Shared>,
    listener: Listener,
    epoll: Arc<OwnedFd>,
    x_server: XServer,
    limits: Limits,
    scanouts: u32,
}

/// A VMM that is connected.
struct Guest {
    device: Arc<Mutex<Device>>,
    front_end: BackendReqHandler<Mutex<Device>>,
}

impl Runner {
    pub(crate) fn new(
        shared: Arc<Shared>,
        listener: Listener,
        x_server: XServer,
        limits: Limits,
        scanouts: u32,
    ) -> Result<Self, Errno> {
        let epoll = Arc::new(epoll::create(CreateFlags::CLOEXEC)?);
        let watch =
            |fd: BorrowedFd<'_>, token| epoll::add(&epoll, fd, EventData::new_u64(token), EventFlags::IN);
        watch(shared.stop.as_fd(), TOKEN_STOP)?;
        watch(listener.socket(), TOKEN_LISTENER)?;
        Ok(Self { shared, listener, epoll, x_server, limits, scanouts })
    }

    /// Serves one VMM after another until the host half closes.
    pub(crate) fn run(self) {
        let mut guest: Option<Guest> = None;
        loop {
            let mut room = [MaybeUninit::uninit(); EVENTS_MAX];
            // Nothing but a signal can come between.
            let Ok((events, _)) = epoll::wait(&self.epoll, &mut room, None) else { continue };
            for event in events {
                match event.data.u64() {
                    TOKEN_STOP => return self.part(&mut guest, "the host half was closed"),
                    TOKEN_LISTENER => self.accept(&mut guest),
                    token => {
                        let flags = event.flags;
                        // A fault of the device costs this guest its connection, and nobody else.
                        let served = catch_unwind(AssertUnwindSafe(|| {
                            guest.as_mut().map_or(Ok(()), |guest| guest.serve(token, flags))
                        }));
                        match served {
                            Ok(Ok(())) => {}
                            Ok(Err(reason)) => self.part(&mut guest, &reason),
                            Err(_) => {
                                let message = "the device was lost to a fault of x11bridge";
                                self.shared.events.log(Level::Error, message);
                                self.part(&mut guest, "a fault of x11bridge ended it");
                            }
                        }
                    }
                }
            }
            if let Some(guest) = &guest {
                guest.signal();
            }
        }
    }

    fn accept(&self, guest: &mut Option<Guest>) {
        let Ok(socket) = accept_with(self.listener.socket(), SocketFlags::CLOEXEC) else { return };
        if guest.is_some() {
            let message =
                "a second virtual machine monitor was turned away: each needs a host half of its own";
            return self.shared.events.log(Level::Warn, message);
        }
        let pid = sys::peer::Peer::of(&socket).ok().and_then(|peer| peer.pid);
        match self.meet(UnixStream::from(socket)) {
            Ok(met) => {
                *guest = Some(met);
                self.shared.events.push(Event::GuestConnected { pid });
            }
            Err(errno) => {
                let message = format!("a virtual machine monitor could not be served: {errno}");
                self.shared.events.log(Level::Error, message);
            }
        }
    }

    fn meet(&self, stream: UnixStream) -> Result<Guest, Errno> {
        let (mailbox, mail) = Mailbox::new()?;
        let watch = |fd: BorrowedFd<'_>, token| {
            epoll::add(&self.epoll, fd, EventData::new_u64(token), EventFlags::IN)
        };
        watch(mailbox.wake().as_fd(), TOKEN_MAIL)?;
        watch(stream.as_fd(), TOKEN_FRONT_END)?;
        let failed = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
        let stays = stream.try_clone().map_err(failed)?;
        let machine = Machine {
            epoll: Arc::clone(&self.epoll),
            memory: Memory::default(),
            vrings: [Vring::new()?, Vring::new()?],
            x_server: self.x_server.clone(),
            window: None,
            mailbox,
            shared: Arc::clone(&self.shared),
            refusals: 0,
        };
        let gpu = Gpu::new(self.limits);
        let device = Device::new(gpu, machine, mail, self.scanouts, self.limits.window_bytes);
        let device = Arc::new(Mutex::new(device));
        let front_end = BackendReqHandler::from_stream(stream, Arc::clone(&device));
        *lock(&self.shared.front_end) = Some(stays);
        Ok(Guest { device, front_end })
    }

    fn part(&self, guest: &mut Option<Guest>, reason: &str) {
        let Some(guest) = guest.take() else { return };
        *lock(&self.shared.front_end) = None;
        let mut device = lock(&guest.device);
        let Device { gpu, machine, .. } = &mut *device;
        machine.stop();
        gpu.reset(machine, "the virtual machine is gone");
        drop(device);
        self.shared.events.push(Event::GuestDisconnected { reason: reason.to_owned() });
    }
}

impl Guest {
    /// Takes one event. An error ends the guest's connection.
    fn serve(&mut self, token: u64, flags: EventFlags) -> Result<(), String> {
        match token {
            // Monitors write a request in one piece. One that stops in the middle of it stops its own device alone, and
            // closing the host half ends the wait.
            TOKEN_FRONT_END => return self.front_end.handle_request().map_err(|error| why(&error)),
            TOKEN_MAIL => self.read_mail(),
            TOKEN_QUEUE => self.serve_control(),
            token if token == TOKEN_QUEUE + 1 => self.serve_cursor(),
            token => {
                let [id, serial] =
                    [token, token >> 32].map(|half| u32::try_from(half & 0xffff_ffff).unwrap_or(0));
                let bytes =
                    flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
                let room = flags.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR);
                let mut device = lock(&self.device);
                let Device { gpu, machine, .. } = &mut *device;
                // The guest's memory is left alone while its queue stands still; when it goes on, all sockets are tried.
                if machine.control().runs() {
                    gpu.socket_ready(machine, ContextKey { id, serial }, bytes, room);
                }
            }
        }
        Ok(())
    }

    fn read_mail(&self) {
        let mut device = lock(&self.device);
        let Device { gpu, machine, mail, .. } = &mut *device;
        machine.mailbox.hear();
        // Letters are kept while there is no queue to answer by; its start is heard as another.
        if !machine.control().runs() {
            return;
        }
        while let Ok(letter) = mail.try_recv() {
            match letter {
                Mail::Opened(context, result) => gpu.opened(machine, context, result),
                Mail::Mapped(works) => gpu.mapped(machine, works),
            }
        }
    }

    fn serve_control(&self) {
        let mut device = lock(&self.device);
        let Device { gpu, machine, .. } = &mut *device;
        take_requests(machine, Machine::control, |machine, chain| gpu.request(machine, chain));
    }

    /// There is no cursor to show: its requests are given back as they are.
    fn serve_cursor(&self) {
        let mut device = lock(&self.device);
        take_requests(&mut device.machine, Machine::cursor, |machine, chain| {
            let view = machine.memory.view();
            machine.cursor().give_back(&view, chain.head_index(), 0);
        });
    }

    /// Tells the guest of everything that was given back.
    fn signal(&self) {
        let mut device = lock(&self.device);
        let Machine { memory, vrings, .. } = &mut device.machine;
        let view = memory.view();
        for vring in vrings {
            vring.signal(&view);
        }
    }
}

/// Takes what is in a queue, and asks for kicks once there is no more.
fn take_requests(
    machine: &mut Machine,
    queue: impl Fn(&mut Machine) -> &mut Vring,
    mut serve: impl FnMut(&mut Machine, Chain),
) {
    queue(machine).hear_kick();
    if !queue(machine).runs() {
        return;
    }
    let mut taken = 0;
    loop {
        let view = machine.memory.view();
        queue(machine).want_kicks(false, &view);
        while taken < REQUESTS_AT_ONCE
            && let Some(chain) = queue(machine).pop(&view)
        {
            taken += 1;
            serve(machine, chain);
        }
        let more = queue(machine).want_kicks(true, &view);
        if taken >= REQUESTS_AT_ONCE {
            return queue(machine).kick_self();
        }
        if !more {
            break;
        }
    }
    if queue(machine).is_broken() {
        let why = "a queue of the guest promises requests that it does not have: none is taken until its driver starts anew";
        machine.report(Report::Refused(why.into()));
    }
}

fn why(error: &VhostError) -> String {
    match error {
        VhostError::Disconnected | VhostError::PartialMessage | VhostError::SocketBroken(_) => {
            "the virtual machine monitor closed the connection".into()
        }
        error => format!("a request of the virtual machine monitor can't be carried out: {error}"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
