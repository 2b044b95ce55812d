//! The driver's calls answered by a host half in this process: the same messages, rings and POLLs, no kernel.
//!
//! The context runs on the client's own thread, so a message costs no wake-up on its way through.

use std::sync::Arc;

use device::{Context, Opener};
use rustix::event::PollFlags;
use sys::SharedMap;

use super::cross_domain::Driver;
use super::{ChannelError, Interest};

/// A device context of this process.
#[derive(Debug)]
pub struct Loopback(Context);

impl Loopback {
    /// A context whose channels are opened by `opener`.
    pub fn new(opener: Opener) -> Self {
        Self(Context::new(opener))
    }

    fn interest(&self, wanted: PollFlags) -> Option<Interest<'_>> {
        let (socket, flags) = self.0.interest()?;
        flags.contains(wanted).then_some((socket, wanted))
    }
}

impl Driver for Loopback {
    fn capset(&mut self) -> Result<Vec<u8>, ChannelError> {
        Ok(Context::capset())
    }

    fn create_blob(&mut self, bytes: usize) -> Result<(u32, Arc<SharedMap>), ChannelError> {
        Ok(self.0.resources().create_blob(bytes)?)
    }

    fn execbuffer(&mut self, commands: &[u8], ring: Option<u8>) -> Result<usize, ChannelError> {
        self.0.submit(commands, ring).map_err(|error| ChannelError { why: error.to_string() })
    }

    fn read_event(&mut self) -> Result<bool, ChannelError> {
        Ok(self.0.next_fence().is_some())
    }

    /// The host half writes on this same thread, so not now.
    fn release(&mut self, blob: &SharedMap) {
        blob.release();
    }

    fn receiving(&self) -> Option<Interest<'_>> {
        self.interest(PollFlags::IN)
    }

    fn sending(&self) -> Option<Interest<'_>> {
        self.interest(PollFlags::OUT)
    }
}
