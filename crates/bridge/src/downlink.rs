//! The buffer between a channel and a client's socket.

use std::io::IoSlice;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use session::{Marks, Session, Violation};
use sys::Buffer;
use sys::socket::{self, Outcome};

/// Bytes that are received from a socket at once: about what the kernel holds of a Unix socket's bytes.
const BYTES: usize = 192 << 10;

/// The buffer: `start..ready` may go to the client, `ready..end` is held back by the session.
#[derive(Debug)]
pub struct Downlink {
    memory: Buffer,
    start: usize,
    ready: usize,
    end: usize,
    marks: Marks<OwnedFd>,
}

impl Downlink {
    pub(crate) fn new() -> Result<Self, Errno> {
        Ok(Self { memory: Buffer::new(BYTES)?, start: 0, ready: 0, end: 0, marks: Marks::new() })
    }

    /// The free memory behind what is held back. Only to be called when nothing is ready.
    pub fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.memory.copy_within(self.ready..self.end, 0);
            (self.end, self.start, self.ready) = (self.end - self.ready, 0, 0);
        }
        self.memory.get_mut(self.end..).unwrap_or_default()
    }

    /// Notes that the first `bytes` of the room were filled, and lets the session look at them.
    pub(crate) fn filled(&mut self, bytes: usize, session: &mut Session<OwnedFd>) -> Result<(), Violation> {
        self.end = (self.end + bytes).min(self.memory.len());
        let chunk = self.memory.get_mut(self.ready..self.end).unwrap_or_default();
        let before = self.marks.len();
        let forward = session.host_data(chunk, &mut self.marks)?;
        for mark in self.marks.iter_mut().skip(before) {
            mark.offset += self.ready;
        }
        self.ready += forward;
        self.leave_out();
        Ok(())
    }

    /// Puts other descriptors in the place of the pages of the server's fences, by the fences' ids. `false` where one could not be
    /// had; then its reply goes without.
    pub(crate) fn replace_pages(
        &mut self,
        mut page: impl FnMut(u32, BorrowedFd<'_>) -> Option<OwnedFd>,
    ) -> bool {
        let mut all = true;
        for mark in &mut self.marks {
            let Some(id) = mark.fence.take() else { continue };
            let ours = mark.descriptors.first().and_then(|theirs| page(id, theirs.as_fd()));
            all &= ours.is_some();
            mark.descriptors = ours.into_iter().collect();
        }
        all
    }

    /// Makes all that is left ready: the stream is over, so nothing will complete it.
    pub(crate) fn give_up_holding(&mut self) {
        self.ready = self.end;
    }

    /// Appends bytes of the bridge's own behind all that the host said, if they fit.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        if let Some(room) = self.memory.get_mut(self.end..self.end + bytes.len()) {
            room.copy_from_slice(bytes);
            self.end += bytes.len();
        }
        self.give_up_holding();
    }

    /// Drops what is ready: there is nobody to send it to.
    pub(crate) fn discard(&mut self) {
        self.start = self.ready;
        self.marks.clear();
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.start < self.ready
    }

    pub(crate) fn ready_bytes(&self) -> usize {
        self.ready - self.start
    }

    /// Whether nothing at all is in the buffer, so that bytes may pass beside it.
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Gives the memory back. Only to be called when the buffer is empty.
    pub(crate) fn release(&mut self) {
        self.memory.release();
    }

    /// Sends the next piece. A reply with descriptors starts a message of its own: libxcb takes descriptors that come
    /// before their reply for a fault and closes the connection.
    pub(crate) fn send(&mut self, client: BorrowedFd<'_>) -> Result<Outcome, Errno> {
        let piece = self.piece();
        let mark = self.marks.first().filter(|mark| mark.offset == piece.start);
        let descriptors: Vec<_> =
            mark.iter().flat_map(|mark| &mark.descriptors).map(|descriptor| descriptor.as_fd()).collect();
        let bytes = self.memory.get(piece).unwrap_or_default();
        let outcome = socket::send(client, &[IoSlice::new(bytes)], &descriptors)?;
        if let Outcome::Bytes(bytes) = outcome {
            self.start += bytes;
            let start = self.start;
            if !self.marks.is_empty() {
                self.marks.retain(|mark| mark.offset >= start);
                self.leave_out();
            }
        }
        Ok(outcome)
    }

    fn piece(&self) -> Range<usize> {
        let next = self.marks.iter().find(|mark| mark.offset > self.start);
        self.start..next.map_or(self.ready, |mark| mark.offset - mark.skip)
    }

    /// Steps over bytes that were a reply's, and are none any more.
    fn leave_out(&mut self) {
        let start = self.start;
        if let Some(mark) = self.marks.iter().find(|mark| mark.skip > 0 && mark.offset - mark.skip == start) {
            self.start = mark.offset;
        }
    }
}
