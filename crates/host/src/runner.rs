//! The device's thread: one loop over all that can happen.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use vhost::vhost_user::{BackendReqHandler, Error as VhostError};

use crate::event::Level;
use crate::front_end::{Device, TOKEN_FRONT_END, TOKEN_LISTENER, TOKEN_MAIL, TOKEN_QUEUE, TOKEN_STOP};
use crate::host::Shared;
use crate::listen::Listener;
use crate::machine::Machine;
use crate::mail::Mailbox;
use crate::virtio_device::VirtioDevice;
use crate::vring::Vring;

/// Events that are taken at once.
const EVENTS_MAX: usize = 64;
/// Requests that are taken before other events get their turn.
const REQUESTS_AT_ONCE: usize = 256;

/// Everything of the thread. `make` makes the device of each guest.
#[derive(Debug)]
pub(crate) struct Runner<F> {
    shared: Arc<Shared>,
    listener: Listener,
    epoll: Arc<OwnedFd>,
    front_end: FrontEnd,
    make: F,
}

/// The VMM that is connected to a device, to be cut off when the host half closes: it may have stopped in the middle of a
/// message.
pub(crate) type FrontEnd = Arc<Mutex<Option<UnixStream>>>;

/// A VMM that is connected.
struct Guest<D: VirtioDevice> {
    device: Arc<Mutex<Device<D>>>,
    front_end: BackendReqHandler<Mutex<Device<D>>>,
}

impl<D: VirtioDevice, F: Fn() -> D> Runner<F> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        listener: Listener,
        front_end: FrontEnd,
        make: F,
    ) -> Result<Self, Errno> {
        let epoll = Arc::new(epoll::create(CreateFlags::CLOEXEC)?);
        let watch =
            |fd: BorrowedFd<'_>, token| epoll::add(&epoll, fd, EventData::new_u64(token), EventFlags::IN);
        watch(shared.stop.as_fd(), TOKEN_STOP)?;
        watch(listener.socket(), TOKEN_LISTENER)?;
        Ok(Self { shared, listener, epoll, front_end, make })
    }

    /// Serves one VMM after another until the host half closes.
    pub(crate) fn run(self) {
        let mut guest: Option<Guest<D>> = None;
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

    fn accept(&self, guest: &mut Option<Guest<D>>) {
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
                self.shared.events.push(D::connected(pid));
            }
            Err(errno) => {
                let message = format!("a virtual machine monitor could not be served: {errno}");
                self.shared.events.log(Level::Error, message);
            }
        }
    }

    fn meet(&self, stream: UnixStream) -> Result<Guest<D>, Errno> {
        let (mailbox, mail) = Mailbox::new()?;
        let watch = |fd: BorrowedFd<'_>, token| {
            epoll::add(&self.epoll, fd, EventData::new_u64(token), EventFlags::IN)
        };
        watch(mailbox.wake().as_fd(), TOKEN_MAIL)?;
        watch(stream.as_fd(), TOKEN_FRONT_END)?;
        let failed = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
        let stays = stream.try_clone().map_err(failed)?;
        let machine = Machine::new(Arc::clone(&self.epoll), D::QUEUES, mailbox, Arc::clone(&self.shared))?;
        let device = Arc::new(Mutex::new(Device::new((self.make)(), machine, mail)));
        let front_end = BackendReqHandler::from_stream(stream, Arc::clone(&device));
        *lock(&self.front_end) = Some(stays);
        Ok(Guest { device, front_end })
    }

    fn part(&self, guest: &mut Option<Guest<D>>, reason: &str) {
        let Some(guest) = guest.take() else { return };
        *lock(&self.front_end) = None;
        let mut device = lock(&guest.device);
        let Device { virtio, machine, .. } = &mut *device;
        machine.stop();
        virtio.reset(machine, "the virtual machine is gone");
        drop(device);
        self.shared.events.push(D::disconnected(reason));
    }
}

impl<D: VirtioDevice> Guest<D> {
    /// Takes one event. An error ends the guest's connection.
    fn serve(&mut self, token: u64, flags: EventFlags) -> Result<(), String> {
        match token {
            // Monitors write a request in one piece. One that stops in the middle of it stops its own device alone, and
            // closing the host half ends the wait.
            TOKEN_FRONT_END => return self.front_end.handle_request().map_err(|error| why(&error)),
            TOKEN_MAIL => self.read_mail(),
            token => match token.checked_sub(TOKEN_QUEUE).and_then(|index| usize::try_from(index).ok()) {
                Some(index) if index < D::QUEUES => lock(&self.device).take_requests(index),
                _ => {
                    let mut device = lock(&self.device);
                    // The guest's memory is left alone while its queue stands still; when it goes on, all sockets are
                    // tried.
                    if device.runs() {
                        let Device { virtio, machine, .. } = &mut *device;
                        virtio.ready(machine, token, flags);
                    }
                }
            },
        }
        Ok(())
    }

    fn read_mail(&self) {
        let mut device = lock(&self.device);
        device.machine.mailbox.hear();
        // Letters are kept while there is no queue to answer by; its start is heard as another.
        if !device.runs() {
            return;
        }
        let Device { virtio, machine, mail, .. } = &mut *device;
        while let Ok(letter) = mail.try_recv() {
            virtio.letter(machine, letter);
        }
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

impl<D: VirtioDevice> Device<D> {
    /// Takes what is in a queue, and asks for kicks once there is no more.
    fn take_requests(&mut self, index: usize) {
        let Self { virtio, machine, .. } = self;
        let mut taken = 0;
        let Some(vring) = machine.vrings.get_mut(index) else { return };
        vring.hear_kick();
        if !vring.runs() {
            return;
        }
        loop {
            let view = machine.memory.view();
            let Some(vring) = machine.vrings.get_mut(index) else { return };
            vring.want_kicks(false, &view);
            while taken < REQUESTS_AT_ONCE
                && let Some(chain) = machine.vrings.get_mut(index).and_then(|vring| vring.pop(&view))
            {
                taken += 1;
                virtio.request(machine, index, chain);
            }
            let Some(vring) = machine.vrings.get_mut(index) else { return };
            let more = vring.want_kicks(true, &view);
            if taken >= REQUESTS_AT_ONCE {
                return vring.kick_self();
            }
            if !more {
                break;
            }
        }
        if machine.vrings.get(index).is_some_and(Vring::is_broken) {
            let why = "a queue of the guest promises requests that it does not have: none is taken until its driver starts anew";
            machine.refused(why.into());
        }
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
