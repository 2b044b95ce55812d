//! Mapping files into the guest, by asking the VMM.
//!
//! The VMM answers a request on the channel that it came by, and may first ask something on the main one. So whoever
//! waits for the answer must not be whoever answers: requests have a thread of their own, which ends with the channel.
//!
//! QEMU (11.1) answers that a file is mapped, and then changes the guest's memory. A processor of the guest that hears of the
//! mapping in between finds nothing there: it reads zeros, and what it writes is lost. So it is asked for something else behind
//! each mapping, which it does when it is done with that: to remove a shared object that there is not.

use std::sync::mpsc::{Receiver, Sender, channel};

use device::gpu::MapRequest;
use vhost::vhost_user::message::{VhostUserMMap, VhostUserMMapFlags, VhostUserSharedMsg};
use vhost::vhost_user::{Backend, VhostUserFrontendReqHandler};
use vm_memory::ByteValued;

use crate::mail::{Mail, Mailbox};

/// The way to the thread.
#[derive(Debug)]
pub(crate) struct WindowThread {
    requests: Sender<MapRequest>,
}

impl WindowThread {
    /// Starts the thread on the VMM's channel for requests of devices.
    pub(crate) fn start(backend: Backend, shmid: u8, mailbox: Mailbox) -> std::io::Result<Self> {
        let (requests, receiver) = channel();
        let thread = std::thread::Builder::new().name("x11bridge-window".into());
        thread.spawn(move || serve(&backend, shmid, &receiver, &mailbox))?;
        Ok(Self { requests })
    }

    /// Hands a request over; its answer comes by mail. `false` where the thread has ended.
    pub(crate) fn request(&self, request: MapRequest) -> bool {
        self.requests.send(request).is_ok()
    }
}

fn serve(backend: &Backend, shmid: u8, requests: &Receiver<MapRequest>, mailbox: &Mailbox) {
    let range = |shm_offset, len, fd_offset| VhostUserMMap {
        shmid,
        padding: [0; 7],
        fd_offset,
        shm_offset,
        len,
        flags: VhostUserMMapFlags::WRITABLE.bits(),
    };
    while let Ok(request) = requests.recv() {
        let works = match request {
            MapRequest::Map { file, from, offset, len } => {
                let mapped = backend.shmem_map(&range(offset, len, from), &file);
                // Whatever the answer is, it comes afterwards.
                let _ = nobodys_object().map(|object| backend.shared_object_remove(&object));
                mapped
            }
            MapRequest::Unmap { offset, len } => backend.shmem_unmap(&range(offset, len, 0)),
        };
        mailbox.put(Mail::Mapped(works.is_ok()));
    }
}

/// A name that nothing has.
fn nobodys_object() -> Option<VhostUserSharedMsg> {
    VhostUserSharedMsg::from_slice(b"x11bridge-nobody").copied()
}
