//! What a device stands on: guest memory, queues, sockets to watch, a window to map into.

use std::os::fd::{BorrowedFd, OwnedFd};

use sys::Piece;

use super::protocol::Response;
use crate::context::{FenceNotifier, Traffic};

/// The surroundings of a [`super::Gpu`]. Nothing here blocks.
pub trait Platform {
    /// A request that the guest waits for, until it is completed.
    type Chain;

    /// Copies a request out of guest memory, in place of what is in `out`. Where the request is longer than `max` bytes
    /// or can't be read to its end, `false`; its beginning is copied all the same.
    fn read(&mut self, chain: &Self::Chain, max: usize, out: &mut Vec<u8>) -> bool;

    /// Writes the response to guest memory, and gives the request back to the guest.
    fn complete(&mut self, chain: Self::Chain, response: &Response);

    /// Appends where `len` bytes at a guest physical address lie; `false` where that is not all guest memory.
    fn pieces(&mut self, address: u64, len: u64, pieces: &mut Vec<Piece>) -> bool;

    /// Begins to connect a context to the X server; [`super::Gpu::opened`] takes what becomes of it.
    fn open(&mut self, context: ContextKey);

    /// Begins to watch a context's socket for bytes that arrive, and for their end; [`super::Gpu::socket_ready`] is told once of
    /// each. `false` where that can't be done.
    fn watch(&mut self, context: ContextKey, socket: BorrowedFd<'_>) -> bool;

    /// Watches a context's socket for room as well, or no more.
    fn watch_room(&mut self, context: ContextKey, socket: BorrowedFd<'_>, wanted: bool);

    /// Begins to map a file into the window, or to unmap one; [`super::Gpu::mapped`] takes the answers, which come in
    /// the order of the calls. `false` where there is no window.
    fn map(&mut self, request: MapRequest) -> bool;

    /// What a context calls, on another thread, when it has something to say about a fence; [`super::Gpu::fence_news`] is
    /// told then.
    fn fence_notifier(&mut self, context: ContextKey) -> FenceNotifier;

    /// Tells the owner.
    fn report(&mut self, report: Report);
}

/// A context that is never taken for another, though the guest uses an id again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContextKey {
    /// The guest's id.
    pub id: u32,
    /// Which one of those that had this id.
    pub serial: u32,
}

/// What is to happen in the window.
#[derive(Debug)]
pub enum MapRequest {
    /// Map `len` bytes of a file.
    Map {
        /// The file.
        file: OwnedFd,
        /// Where they begin in it, in bytes.
        from: u64,
        /// Offset in the window, in bytes.
        offset: u64,
        /// Bytes.
        len: u64,
    },
    /// Unmap what was mapped.
    Unmap {
        /// Offset in the window, in bytes.
        offset: u64,
        /// Bytes.
        len: u64,
    },
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The guest has made a context.
    ContextOpened {
        /// Its number: 1, 2, 3 …
        number: u32,
        /// The guest's name for it, often that of its program.
        name: String,
    },
    /// A context is gone.
    ContextClosed {
        /// Its number.
        number: u32,
        /// Why.
        reason: String,
        /// What went through.
        traffic: Traffic,
    },
    /// A request was refused: one sentence.
    Refused(String),
}

/// What a context's socket is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ready {
    /// Bytes have arrived.
    pub bytes: bool,
    /// The X server has hung up: behind its bytes comes the end, of which nothing is told again.
    pub end: bool,
    /// It takes more.
    pub room: bool,
}
