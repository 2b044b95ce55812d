//! The calls of a render node, so that another peer than a kernel and its host can answer them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use sys::SharedMap;
use sys::virtgpu::{Buffer, Node, Param};

/// An open render node of a virtio-gpu driver; see [`Node`] for what the calls do.
pub trait RenderNode: Send {
    /// The value of a parameter; 0 where the driver does not know it.
    fn param(&self, param: Param) -> u32;

    /// Makes the node's context one of a capset.
    fn init_context(&self, capset_id: u32, rings: u32, poll_mask: u64) -> Result<(), Errno>;

    /// Fills `out` with what the host says of a capset.
    fn capset(&self, capset_id: u32, out: &mut [u8]) -> Result<(), Errno>;

    /// Makes a blob of a multiple of the page size in guest memory, and maps it; returns its resource id too.
    fn create_guest_blob(&self, bytes: usize) -> Result<(u32, SharedMap), Errno>;

    /// The buffer that a descriptor is of, with one handle however often it is asked for.
    fn import(&self, descriptor: BorrowedFd<'_>) -> Result<Buffer, Errno>;

    /// Gives a buffer's handle up.
    fn close(&self, handle: u32);

    /// A descriptor of `bytes` bytes, rounded up to pages, of what the host calls `blob_id`.
    fn take(&self, blob_id: u64, bytes: u64) -> Result<OwnedFd, Errno>;

    /// Queues commands for the host; with `fence`, returns a descriptor that is readable once they are carried out.
    fn execbuffer(&self, commands: &[u8], ring: Option<u8>, fence: bool) -> Result<Option<OwnedFd>, Errno>;

    /// Takes an event, if there is one: whether a fence of a polled ring was signalled.
    fn read_event(&self) -> Result<bool, Errno>;

    /// Readable when an event waits.
    fn events(&self) -> BorrowedFd<'_>;
}

impl RenderNode for Node {
    fn param(&self, param: Param) -> u32 {
        Self::param(self, param)
    }

    fn init_context(&self, capset_id: u32, rings: u32, poll_mask: u64) -> Result<(), Errno> {
        Self::init_context(self, capset_id, rings, poll_mask)
    }

    fn capset(&self, capset_id: u32, out: &mut [u8]) -> Result<(), Errno> {
        Self::capset(self, capset_id, 0, out)
    }

    fn create_guest_blob(&self, bytes: usize) -> Result<(u32, SharedMap), Errno> {
        let blob = Self::create_guest_blob(self, bytes)?;
        Ok((blob.resource_id, self.map(blob, bytes)?))
    }

    fn import(&self, descriptor: BorrowedFd<'_>) -> Result<Buffer, Errno> {
        Self::import(self, descriptor)
    }

    fn close(&self, handle: u32) {
        Self::close(self, handle);
    }

    fn take(&self, blob_id: u64, bytes: u64) -> Result<OwnedFd, Errno> {
        let handle = self.create_host_blob(blob_id, bytes)?;
        let descriptor = self.export(handle);
        // The descriptor keeps it.
        Self::close(self, handle);
        descriptor
    }

    fn execbuffer(&self, commands: &[u8], ring: Option<u8>, fence: bool) -> Result<Option<OwnedFd>, Errno> {
        Self::execbuffer(self, commands, ring, fence)
    }

    fn read_event(&self) -> Result<bool, Errno> {
        Self::read_event(self)
    }

    fn events(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}
