//! The driver's calls answered by the real thing: the render node of Linux's `virtio_gpu` driver, one open file for
//! each client.
//!
//! `EXECBUFFER` returns when the commands are in the device's queue, whoever takes them out; and who finds the queue full
//! waits in the kernel, where no signal reaches it. [`Window`] keeps that from happening.

mod buffers;
mod device;
#[cfg(test)]
mod fake;
mod fence;
mod files;
mod node;
mod probe;
mod unavailable;
mod watch;
mod window;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use cross_domain::{CAPSET_EXTENDED_BYTES, CAPSET_ID, Identifier, QUERY_RING};
use rustix::event::PollFlags;
use rustix::param::page_size;
use session::Carries;
use sys::SharedMap;

use super::cross_domain::Driver;
use super::{ChannelError, FenceMemory, Interest, SharedPage};
use buffers::Buffers;
use files::Files;
use watch::Watched;
use window::Window;

pub use self::device::Device;
pub(super) use self::device::find;
pub(super) use self::fence::{is_signalled, is_signalled_within};
pub use self::node::RenderNode;
pub(super) use self::probe::ONE_PIXEL;
pub use self::unavailable::Unavailable;

/// What ends clients, and keeps new ones out, when our host half has gone.
const HOST_LOST: &str = "the host half of x11bridge does not answer; see whether it is running";

/// A context of its own on a render node.
pub struct Virtgpu {
    node: Box<dyn RenderNode>,
    device: Device,
    window: Window,
    buffers: Buffers,
    files: Files,
    /// The number of the last SEND that was submitted.
    last: u32,
    /// Where the host half is a process that can end by itself.
    watched: Option<Watched>,
}

impl std::fmt::Debug for Virtgpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Virtgpu {{ window: {:?} }}", self.window)
    }
}

impl Virtgpu {
    /// Uses a node whose context has been initialized.
    fn new(node: Box<dyn RenderNode>, device: Device, watched: Option<Watched>) -> Self {
        let (window, buffers, files) = (Window::default(), Buffers::default(), Files::default());
        Self { node, device, window, buffers, files, last: 0, watched }
    }
}

impl Driver for Virtgpu {
    fn capset(&mut self) -> Result<Vec<u8>, ChannelError> {
        let mut capset = vec![0; CAPSET_EXTENDED_BYTES];
        self.node.capset(CAPSET_ID, &mut capset)?;
        Ok(capset)
    }

    fn create_blob(&mut self, bytes: usize) -> Result<(u32, Arc<SharedMap>), ChannelError> {
        let bytes = bytes.next_multiple_of(page_size());
        let (resource_id, map) = self.node.create_guest_blob(bytes)?;
        Ok((resource_id, Arc::new(map)))
    }

    fn execbuffer(&mut self, commands: &[u8], ring: Option<u8>) -> Result<usize, ChannelError> {
        self.node.execbuffer(commands, ring.or(Some(QUERY_RING)), false)?;
        Ok(commands.len())
    }

    fn send(&mut self, commands: &[u8], last: u32) -> Result<usize, ChannelError> {
        if !self.window.is_open()? {
            return Ok(0);
        }
        // On a ring of the context: a fence of the device as a whole would wait for everybody else's.
        // Buffers are let go of when their SEND is done, which nothing else may tell for a long time.
        let names_files = self.files.are_named();
        let wants_fence = self.window.wants_fence() || self.buffers.are_named() || names_files;
        let submit = |commands: &[u8]| self.node.execbuffer(commands, Some(QUERY_RING), wants_fence);
        let fence = if names_files { submit(&self.files.in_front_of(commands)) } else { submit(commands) }?;
        self.window.submitted(last, fence);
        self.last = last;
        Ok(commands.len())
    }

    fn sends_done(&mut self, last: u32) {
        self.window.done(last);
        self.buffers.done(self.node.as_ref(), last);
        self.files.done(last);
    }

    fn carries(&self) -> Carries {
        self.device.carries()
    }

    fn name(&mut self, descriptor: BorrowedFd<'_>) -> Option<Identifier> {
        if self.shares(descriptor) {
            return self.files.name(descriptor);
        }
        self.buffers.name(self.node.as_ref(), self.device.offer().dialect, descriptor)
    }

    fn shares(&self, descriptor: BorrowedFd<'_>) -> bool {
        self.device.offer().names_files && sys::dev_shm::is_shared(descriptor)
    }

    fn fence_memory(&self, file: BorrowedFd<'_>) -> FenceMemory {
        self.device.dev_shm().map_or(FenceMemory::Own, |dev_shm| dev_shm.memory_of(file))
    }

    fn shared_page(&self) -> Option<SharedPage> {
        self.device.dev_shm()?.page()
    }

    fn shares_fences(&self) -> bool {
        self.device.dev_shm().is_some()
    }

    fn forget(&mut self, identifier: Identifier, sent: bool) {
        let number = sent.then_some(self.last);
        if Files::is(identifier) {
            self.files.forget(identifier.id, number);
        } else {
            self.buffers.forget(self.node.as_ref(), identifier.id, number);
        }
    }

    fn take(&mut self, identifier: Identifier) -> Option<OwnedFd> {
        let Identifier { id, size, .. } = identifier;
        // Our host half's way to say that it has nothing that a guest could map.
        if id == 0 || size == 0 {
            return None;
        }
        self.node.take(id.into(), size.into()).ok()
    }

    fn device(&mut self) -> Option<OwnedFd> {
        self.device.open_for_client().ok()
    }

    fn memory(&mut self, blob_id: u64, bytes: usize) -> Option<(OwnedFd, SharedMap)> {
        let bytes = bytes.next_multiple_of(page_size());
        let descriptor = self.node.take(blob_id, bytes as u64).ok()?;
        let map = SharedMap::map_buffer(descriptor.as_fd(), bytes).ok()?;
        Some((descriptor, map))
    }

    fn rest(&mut self) {
        if self.buffers.is_empty() && self.files.is_empty() {
            return;
        }
        if let Ok(Some(last)) = self.window.look() {
            self.buffers.done(self.node.as_ref(), last);
            self.files.done(last);
        }
    }

    fn query(&mut self, commands: &[u8]) -> Result<Option<OwnedFd>, ChannelError> {
        Ok(self.node.execbuffer(commands, Some(QUERY_RING), true)?)
    }

    fn read_event(&mut self) -> Result<bool, ChannelError> {
        if self.watched.as_ref().is_some_and(Watched::is_lost) {
            return Err(ChannelError { why: HOST_LOST.into() });
        }
        Ok(self.node.read_event()?)
    }

    fn alarm(&self) -> Option<Interest<'_>> {
        self.watched.as_ref().map(|watched| (watched.alarm(), PollFlags::IN))
    }

    fn receiving(&self) -> Option<Interest<'_>> {
        Some((self.node.events(), PollFlags::IN))
    }

    fn sending(&self) -> Option<Interest<'_>> {
        self.window.waiting_for().map(|fence| (fence, PollFlags::IN))
    }
}
