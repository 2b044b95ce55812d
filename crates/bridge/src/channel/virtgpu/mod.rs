//! The driver's calls answered by the real thing: the render node of Linux's `virtio_gpu` driver, one open file for
//! each client.
//!
//! `EXECBUFFER` returns when the commands are in the device's queue, whoever takes them out; and who finds the queue full
//! waits in the kernel, where no signal reaches it. [`Window`] keeps that from happening.

mod device;
#[cfg(test)]
mod fake;
mod fence;
mod node;
mod probe;
mod unavailable;
mod watch;
mod window;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use cross_domain::{CAPSET_EXTENDED_BYTES, CAPSET_ID, QUERY_RING};
use rustix::event::PollFlags;
use rustix::param::page_size;
use sys::SharedMap;

use super::cross_domain::Driver;
use super::{ChannelError, Interest};
use watch::Watched;
use window::Window;

pub use self::device::Device;
pub(super) use self::device::find;
pub(super) use self::fence::is_signalled;
pub use self::node::RenderNode;
pub(super) use self::probe::ONE_PIXEL;
pub use self::unavailable::Unavailable;

/// What ends clients, and keeps new ones out, when our host half has gone.
const HOST_LOST: &str = "the host half of x11bridge does not answer; see whether it is running";

/// A context of its own on a render node.
pub struct Virtgpu {
    node: Box<dyn RenderNode>,
    window: Window,
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
    fn new(node: Box<dyn RenderNode>, watched: Option<Watched>) -> Self {
        Self { node, window: Window::default(), watched }
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
        let fence = self.node.execbuffer(commands, Some(QUERY_RING), self.window.wants_fence())?;
        self.window.submitted(last, fence);
        Ok(commands.len())
    }

    fn sends_done(&mut self, last: u32) {
        self.window.done(last);
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
