//! A render node with the faults that real ones can't be made to show.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use cross_domain::{CAPSET_ID, Capset, Extension, channel};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use sys::SharedMap;
use sys::virtgpu::{BlobMem, Buffer, Param};

use super::RenderNode;

/// Faultless by default: a host half of our own.
#[derive(Debug, Clone)]
pub(super) struct Fake {
    pub(super) context_init: u32,
    pub(super) capsets: u32,
    pub(super) makes_contexts: Result<(), Errno>,
    pub(super) takes_commands: Result<(), Errno>,
    /// Whether fences are signalled, now and later; `None` for never.
    pub(super) answers: Option<Arc<AtomicBool>>,
    pub(super) capset: Vec<u8>,
    pub(super) events: Arc<OwnedFd>,
    /// Whether descriptors are of buffers: all of one.
    pub(super) imports: bool,
    /// Where that is.
    pub(super) mem: BlobMem,
    /// How often its handle was closed.
    pub(super) closed: Arc<AtomicUsize>,
}

impl Fake {
    pub(super) fn times_closed(&self) -> usize {
        self.closed.load(Relaxed)
    }
}

impl Default for Fake {
    fn default() -> Self {
        let extension = Some(Extension::new(1 << 16));
        let supported_channels = 1 << channel::X11;
        Self {
            context_init: 1,
            capsets: 1 << CAPSET_ID,
            makes_contexts: Ok(()),
            takes_commands: Ok(()),
            answers: Some(Arc::new(AtomicBool::new(true))),
            capset: Capset { version: 1, supported_channels, extension, ..Capset::default() }.encode(),
            events: Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap()),
            imports: true,
            mem: BlobMem::Host,
            closed: Arc::default(),
        }
    }
}

impl RenderNode for Fake {
    fn param(&self, param: Param) -> u32 {
        match param {
            Param::ContextInit => self.context_init,
            Param::SupportedCapsetIds => self.capsets,
            _ => 1,
        }
    }

    fn init_context(&self, _: u32, _: u32, _: u64) -> Result<(), Errno> {
        self.makes_contexts
    }

    fn capset(&self, _: u32, out: &mut [u8]) -> Result<(), Errno> {
        out.iter_mut().zip(&self.capset).for_each(|(out, byte)| *out = *byte);
        Ok(())
    }

    fn create_guest_blob(&self, bytes: usize) -> Result<(u32, SharedMap), Errno> {
        Ok((1, SharedMap::create(bytes)?.0))
    }

    fn import(&self, _: BorrowedFd<'_>) -> Result<Buffer, Errno> {
        let buffer = Buffer { handle: 3, resource_id: 7, size: 4096, mem: self.mem };
        if self.imports { Ok(buffer) } else { Err(Errno::INVAL) }
    }

    fn close(&self, handle: u32) {
        assert_eq!(handle, 3);
        self.closed.fetch_add(1, Relaxed);
    }

    fn take(&self, _: u64, bytes: u64) -> Result<OwnedFd, Errno> {
        Ok(SharedMap::create(usize::try_from(bytes).unwrap())?.1)
    }

    fn execbuffer(&self, _: &[u8], _: Option<u8>, _: bool) -> Result<Option<OwnedFd>, Errno> {
        self.takes_commands?;
        let answers = self.answers.as_ref().is_some_and(|answers| answers.load(Relaxed));
        eventfd(answers.into(), EventfdFlags::CLOEXEC).map(Some)
    }

    fn read_event(&self) -> Result<bool, Errno> {
        Ok(false)
    }

    fn events(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}
