//! The ways to the host: one [`Channel`] for each client.

mod choice;
mod cross_domain;
mod decide;
mod fence_memory;
mod fences;
#[cfg(test)]
mod hostile_host;
mod liveness;
mod loopback;
mod memory;
mod offer;
mod pipe;
mod route;
mod socket;
mod virtgpu;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::PollFlags;
use session::{Carries, FenceAction};
use sys::SharedMap;
use sys::socket::Outcome;
use x11_wire::message::BAD_MATCH;

use crate::downlink::Downlink;
use crate::uplink::Uplink;

pub use self::choice::ChannelChoice;
pub use self::cross_domain::{CrossDomain, Driver};
pub(crate) use self::decide::Wishes;
pub use self::fence_memory::{FenceChoice, FenceMemory, SharedDevShm, SharedPage};
pub use self::fences::FenceTotals;
pub use self::loopback::Loopback;
pub use self::pipe::{PipeAddress, VSOCK_PORT_DEFAULT};
pub use self::route::Route;
pub use self::socket::Socket;
pub use self::virtgpu::{Device, RenderNode, Unavailable, Virtgpu};

/// Which way to an X server the virtio-gpu device of this machine offers, in one line: the channel and the host's dialect.
/// Blocks for up to 5 s when the host is silent.
pub fn virtgpu_offer(render_node: Option<&std::path::Path>) -> Result<String, crate::Error> {
    let device = virtgpu::find(render_node)?;
    Ok(device.to_string())
}

/// The host's side of one client. Nothing here blocks.
pub trait Channel {
    /// What it carries besides bytes.
    fn carries(&self) -> Carries;

    /// Sends what is ready in the uplink, as far as the host takes it, and returns how many bytes went. What is left is
    /// sent by the next call. Once the host has gone, what is ready is dropped.
    fn send(&mut self, uplink: &mut Uplink) -> Result<usize, ChannelError>;

    /// Says that the client's stream is over, once all is sent, or returns `false` where the host does not take that yet.
    fn finish(&mut self) -> bool;

    /// Whether the end of the client's stream reaches the X server while the other stream goes on. Elsewhere it takes the
    /// end of the channel.
    fn half_closes(&self) -> bool {
        true
    }

    /// Receives into the downlink's room; descriptors that came along are appended to `descriptors`, `None` for one that
    /// could not be taken.
    fn receive(
        &mut self,
        downlink: &mut Downlink,
        descriptors: &mut Vec<Option<OwnedFd>>,
    ) -> Result<Outcome, ChannelError>;

    /// Whether the X server can be sent this file of the client's itself, though files of this machine in general mean nothing
    /// to it.
    fn shares(&self, _descriptor: BorrowedFd<'_>) -> bool {
        false
    }

    /// The device that DRI3 opens, where the server's means nothing on this machine.
    fn device(&mut self) -> Option<OwnedFd> {
        None
    }

    /// New memory of the server's machine: a descriptor that the server can be sent, and a mapping of at least `bytes`
    /// bytes. `None` where there is none left, or a file of this machine does as well.
    fn memory(&mut self, _bytes: usize) -> Option<(OwnedFd, SharedMap)> {
        None
    }

    /// Passes up to `bytes` received ones straight on to the client, without the downlink. `None` where it has none
    /// at hand, so that [`Channel::receive`] is the way.
    fn pass(&mut self, _client: BorrowedFd<'_>, _bytes: u64) -> Option<Result<Outcome, rustix::io::Errno>> {
        None
    }

    /// Links a client's fence by an id before the request passes that makes it; else the X11 error for the client. Only to
    /// be called where the channel links fences.
    fn link_fence(&mut self, _id: u32, _file: BorrowedFd<'_>) -> Result<(), u8> {
        Err(BAD_MATCH)
    }

    /// Resets a linked fence on both sides; whether the server has nothing left to do.
    fn reset_fence(&mut self, _id: u32) -> bool {
        false
    }

    /// Another descriptor of the file that a fence was linked by; `None` where there is none left.
    fn fence_file(&self, _id: u32) -> Option<OwnedFd> {
        None
    }

    /// Links a fence that the server has made, by the descriptor of its page: what the client gets in the place of that. `None`
    /// where there is no room for one.
    fn adopt_fence(&mut self, _id: u32, _theirs: BorrowedFd<'_>) -> Option<OwnedFd> {
        None
    }

    /// Does what has to be done about a linked fence before what was let through passes.
    fn fence(&mut self, _action: FenceAction) {}

    /// Triggers all linked fences: the host is lost, and nobody will.
    fn give_up_fences(&mut self) {}

    /// Looks whether the X server has triggered a linked fence, where that can be seen before the host says so. Whether anything
    /// has changed.
    fn look_at_fences(&mut self) -> bool {
        false
    }

    /// Submits what there is to say of linked fences; whether that is all. It counts for no SEND. Sending and receiving do so by themselves.
    fn tell_of_fences(&mut self) -> Result<bool, ChannelError> {
        Ok(true)
    }

    /// Lets go of who sleeps on a linked fence that the host may have triggered: what it says of them waits behind bytes that the
    /// client does not take, maybe because it waits for a fence. Whether to call it again soon.
    fn relieve_fences(&mut self) -> bool {
        false
    }

    /// What became of the linked fences so far.
    fn fence_totals(&self) -> FenceTotals {
        FenceTotals::default()
    }

    /// A descriptor that reports a hang-up as soon as the X server closes the connection, however much of what it said is
    /// still unread; `None` where there is no such thing.
    fn end(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// When to [`Channel::watch`] the host if nothing happens until then; `None` where it tells of its end by itself.
    fn watch_at(&mut self) -> Option<Instant> {
        None
    }

    /// Looks whether the host is still there.
    fn watch(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }

    /// Gives memory back, as far as nothing is in it: the client is at rest.
    fn release(&mut self) {}

    /// What to poll for: until it takes more if it did not take all, and until there is something to receive if
    /// `receiving`.
    fn interest(&self, receiving: bool) -> Interests<'_>;
}

/// A descriptor to poll and what for.
pub type Interest<'a> = (BorrowedFd<'a>, PollFlags);

/// As many as a channel can have at once.
pub type Interests<'a> = [Option<Interest<'a>>; 4];

/// Why a channel ended before its stream did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelError {
    /// One sentence for the client's user.
    pub why: String,
}

impl From<rustix::io::Errno> for ChannelError {
    fn from(errno: rustix::io::Errno) -> Self {
        Self { why: format!("the connection to the X server broke: {}", std::io::Error::from(errno)) }
    }
}
