//! The driver's calls answered by a host half in this process: the same messages, rings and POLLs, no kernel.
//!
//! The context runs on the client's own thread, so a message costs no wake-up on its way through.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use cross_domain::{Dialect, Identifier, IdentifierType};
use device::{Context, Opener};
use rustix::event::PollFlags;
use session::Carries;
use sys::SharedMap;

use super::cross_domain::Driver;
use super::{ChannelError, Interest};
use crate::bell::Bell;

/// A device context of this process.
#[derive(Debug)]
pub struct Loopback {
    context: Context,
    carries: Carries,
    /// What the host half rings when a fence has been triggered.
    bell: Option<Arc<Bell>>,
}

impl Loopback {
    /// A context whose channels are opened by `opener`; `descriptors` tells whether those are Unix sockets.
    ///
    /// The host half could take timelines as well; that it does not is what makes it like a real device.
    pub fn new(opener: Opener, descriptors: bool) -> Self {
        let carries = if descriptors { Carries::MEMORY } else { Carries::BYTES };
        Self { context: Context::new(opener), carries, bell: None }
    }

    /// Has the host half relay fences, as if it ran on a kernel of its own.
    pub fn relay_fences(&mut self) -> Result<(), ChannelError> {
        let bell = Arc::new(Bell::new()?);
        let rung = Arc::clone(&bell);
        self.context.relay_fences(Arc::new(move || rung.ring()));
        self.bell = Some(bell);
        Ok(())
    }

    fn interest(&self, wanted: PollFlags) -> Option<Interest<'_>> {
        let (socket, flags) = self.context.interest()?;
        flags.contains(wanted).then_some((socket, wanted))
    }
}

impl Driver for Loopback {
    fn capset(&mut self) -> Result<Vec<u8>, ChannelError> {
        Ok(Context::capset())
    }

    fn create_blob(&mut self, bytes: usize) -> Result<(u32, Arc<SharedMap>), ChannelError> {
        Ok(self.context.resources().create_blob(bytes)?)
    }

    fn execbuffer(&mut self, commands: &[u8], ring: Option<u8>) -> Result<usize, ChannelError> {
        self.context.submit(commands, ring).map_err(|error| ChannelError { why: error.to_string() })
    }

    fn read_event(&mut self) -> Result<bool, ChannelError> {
        if let Some(bell) = &self.bell {
            bell.hear();
        }
        let answered = self.context.next_fence().is_some();
        // A device would go on by itself once it is polled again; here nobody else remembers that there is more.
        if let Some(bell) = self.bell.as_ref().filter(|_| self.context.has_news()) {
            bell.ring();
        }
        Ok(answered)
    }

    fn crosses_kernels(&self) -> bool {
        false
    }

    fn carries(&self) -> Carries {
        self.carries
    }

    fn name(&mut self, descriptor: BorrowedFd<'_>) -> Option<Identifier> {
        let size = rustix::fs::fstat(descriptor).map_or(0, |status| status.st_size);
        let id = self.context.resources().import(descriptor.try_clone_to_owned().ok()?).ok()?;
        let id_type = Dialect::X11Bridge.raw_identifier_type(IdentifierType::VirtgpuBlob)?;
        Some(Identifier { id, id_type, size: u32::try_from(size.max(0)).unwrap_or(u32::MAX) })
    }

    fn forget(&mut self, identifier: Identifier, _sent: bool) {
        self.context.resources().release(identifier.id);
    }

    fn take(&mut self, identifier: Identifier) -> Option<OwnedFd> {
        self.context.resources().take_item(identifier.id)
    }

    /// The host half writes on this same thread, so not now.
    fn release(&mut self, blob: &SharedMap) {
        blob.release();
    }

    fn alarm(&self) -> Option<Interest<'_>> {
        self.bell.as_ref().map(|bell| (bell.descriptor(), PollFlags::IN))
    }

    fn end(&self) -> Option<BorrowedFd<'_>> {
        self.context.socket()
    }

    fn receiving(&self) -> Option<Interest<'_>> {
        self.interest(PollFlags::IN)
    }

    fn sending(&self) -> Option<Interest<'_>> {
        self.interest(PollFlags::OUT)
    }
}
