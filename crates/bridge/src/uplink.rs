//! The buffer between a client's socket and the channel.
//!
//! It has four slots, each as large as one SEND of the cross-domain wire can be and with room for its header in front,
//! so that what `recvmsg` wrote is what the channel submits: the bytes are never moved. Only what a session holds back
//! at the end of a slot, at most 128 bytes, is copied to the front of the next.

use std::io::IoSliceMut;
use std::ops::Range;
use std::os::fd::OwnedFd;

use cross_domain::{CMD_BYTES_MAX, SEND_HEADER_BYTES};
use rustix::io::Errno;
use session::{CLIENT_HELD_MAX, Marks, Next, Session};
use sys::Buffer;

/// Slots: what is received at once, and submitted at once. With four, 256 KiB, images pass half as fast again as with
/// one; with eight no faster.
pub(crate) const SLOTS: usize = 4;
/// Bytes of a slot: a command can be 65,535 bytes long, and slots keep a multiple of 64.
const SLOT_BYTES: usize = CMD_BYTES_MAX / 64 * 64;
/// Where in a slot received bytes begin: behind the header and what was held back.
const FRONT: usize = SEND_HEADER_BYTES + CLIENT_HELD_MAX;

/// One slot's bytes, as offsets into the memory.
#[derive(Debug, Default)]
struct Slot {
    /// First byte that has not been sent.
    start: usize,
    /// End of what may be sent.
    ready: usize,
    /// End of what was received.
    end: usize,
    /// Descriptors, by offset into the memory.
    marks: Marks<OwnedFd>,
}

impl Slot {
    /// The pieces that are ready.
    fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let cuts = self.marks.iter().filter(|mark| mark.offset > self.start);
        let cuts = cuts.map(|mark| (mark.offset - mark.skip, mark.offset)).chain([(self.ready, self.ready)]);
        let mut start = self.start;
        cuts.filter_map(move |(end, next)| {
            let range = std::mem::replace(&mut start, next)..end;
            let mark = self.marks.iter().find(|mark| mark.offset == range.start);
            let descriptors = mark.map_or(&[][..], |mark| mark.descriptors.as_slice());
            let fence = mark.and_then(|mark| mark.fence);
            (!range.is_empty()).then_some(Piece { range, descriptors, fence })
        })
    }

    /// Notes that the first `bytes` of what is ready have gone, or all if that is less; returns how many that are.
    fn sent(&mut self, bytes: usize) -> usize {
        let mut left = bytes;
        let mut start = self.start;
        for Piece { range, .. } in self.pieces() {
            if left == 0 {
                break;
            }
            let gone = left.min(range.len());
            left -= gone;
            start = range.start + gone;
        }
        if start > self.start {
            self.start = start;
            self.marks.retain(|mark| mark.offset >= start);
        }
        bytes - left
    }
}

/// A piece that goes out in one message: its bytes, and the descriptors that go with the first.
#[derive(Debug)]
pub struct Piece<'a> {
    /// Offsets into [`Uplink::memory`].
    pub range: Range<usize>,
    /// Descriptors of the request at the start of the range.
    pub descriptors: &'a [OwnedFd],
    /// The id of the linked fence that the descriptor is of.
    pub fence: Option<u32>,
}

/// The buffer.
#[derive(Debug)]
pub struct Uplink {
    memory: Buffer,
    slots: [Slot; SLOTS],
    /// Slots with bytes in them.
    filled: usize,
    /// The slot that the session looks at; all before it are ready as a whole.
    current: usize,
}

impl Uplink {
    pub(crate) fn new() -> Result<Self, Errno> {
        Ok(Self {
            memory: Buffer::new(SLOTS * SLOT_BYTES)?,
            slots: Default::default(),
            filled: 0,
            current: 0,
        })
    }

    /// The memory that pieces point into. A channel may write its header into the [`SEND_HEADER_BYTES`] in front of a
    /// piece.
    pub fn memory(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    /// Receives by `receive` into the free slots, behind what was held back. Only to be called when nothing is ready.
    pub(crate) fn fill(&mut self, receive: impl FnOnce(&mut [IoSliceMut<'_>]) -> usize) {
        self.rewind();
        let mut slots = self.memory.chunks_exact_mut(SLOT_BYTES);
        let mut room =
            || IoSliceMut::new(slots.next().and_then(|slot| slot.get_mut(FRONT..)).unwrap_or_default());
        let mut left = receive(&mut std::array::from_fn::<_, SLOTS, _>(|_| room()));
        for (at, slot) in self.slots.iter_mut().enumerate() {
            let base = at * SLOT_BYTES + FRONT;
            let taken = left.min(SLOT_BYTES - FRONT);
            left -= taken;
            if at > 0 {
                (slot.start, slot.ready) = (base, base);
            }
            slot.end = base + taken;
            if taken > 0 {
                self.filled = at + 1;
            }
        }
    }

    /// Fills the buffer with bytes of the bridge's own that are ready as they are: at most a slot of them.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.fill(|room| {
            let room = room.first_mut().and_then(|room| room.get_mut(..bytes.len()));
            room.map_or(0, |room| {
                room.copy_from_slice(bytes);
                bytes.len()
            })
        });
        self.give_up_holding();
    }

    /// Lets the session look at what it has not passed yet.
    pub(crate) fn look(&mut self, session: &mut Session<OwnedFd>) -> Next {
        loop {
            let Some(slot) = self.slots.get_mut(self.current).filter(|_| self.current < self.filled) else {
                return Next::Client;
            };
            let bytes = self.memory.get_mut(slot.ready..slot.end).unwrap_or_default();
            let before = slot.marks.len();
            let progress = session.client_data(bytes, &mut slot.marks);
            for mark in slot.marks.iter_mut().skip(before) {
                mark.offset += slot.ready;
            }
            slot.ready += progress.forward;
            if progress.next != Next::Client || self.current + 1 >= self.filled {
                return progress.next;
            }
            self.carry_over();
        }
    }

    /// Whether something may be sent.
    pub(crate) fn is_ready(&self) -> bool {
        self.slots.iter().any(|slot| slot.start < slot.ready)
    }

    /// Whether nothing at all is in the buffer.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.iter().all(|slot| slot.start == slot.end)
    }

    /// Gives the memory back. Only to be called when the buffer is empty.
    pub(crate) fn release(&mut self) {
        self.memory.release();
    }

    /// Bytes that may be sent.
    pub(crate) fn ready_bytes(&self) -> usize {
        self.slots.iter().map(|slot| slot.ready - slot.start).sum()
    }

    /// Makes all that is left ready: the stream is over, so nothing will complete it.
    pub(crate) fn give_up_holding(&mut self) {
        for slot in self.slots.iter_mut().take(self.filled.max(1)) {
            slot.ready = slot.end;
        }
    }

    /// The pieces that are ready, in order: a new one starts at each slot and at each request with descriptors.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        self.slots.iter().flat_map(Slot::pieces)
    }

    /// The bytes of a piece.
    pub fn bytes(&self, range: Range<usize>) -> Option<&[u8]> {
        self.memory.get(range)
    }

    /// Notes that the first `bytes` of what is ready have gone, and the descriptors with them: those are closed here.
    pub fn sent(&mut self, mut bytes: usize) {
        for slot in &mut self.slots {
            bytes -= slot.sent(bytes);
        }
    }

    /// Moves what the session holds back at the end of the current slot in front of the next one.
    fn carry_over(&mut self) {
        if let [_, rest @ ..] = self.slots.get_mut(self.current..).unwrap_or_default()
            && let Some(next) = rest.first_mut()
        {
            let front = next.start;
            let Some(slot) = self.slots.get_mut(self.current) else { return };
            let held = slot.ready..slot.end;
            let to = front.saturating_sub(held.len());
            slot.end = slot.ready;
            self.memory.copy_within(held, to);
            self.current += 1;
            if let Some(next) = self.slots.get_mut(self.current) {
                (next.start, next.ready) = (to, to);
            }
        }
    }

    /// Starts over in the first slot, with what is held back in front of it.
    fn rewind(&mut self) {
        let held = self.slots.get(self.current).map_or(0..0, |slot| slot.ready..slot.end);
        let to = FRONT.saturating_sub(held.len());
        let held = if self.filled == 0 { 0..0 } else { held };
        let to = if held.is_empty() { FRONT } else { to };
        self.memory.copy_within(held, to);
        for slot in &mut self.slots {
            *slot = Slot { marks: std::mem::take(&mut slot.marks), ..Slot::default() };
        }
        if let Some(first) = self.slots.first_mut() {
            (first.start, first.ready, first.end) = (to, to, FRONT);
        }
        (self.filled, self.current) = (1, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use session::Mark;

    /// A slot of 100 bytes from offset 500 on, with marks at these offsets that leave out so many bytes in front.
    fn slot(marks: &[(usize, usize)]) -> Slot {
        let descriptor = || rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let mark = |&(offset, skip): &(usize, usize)| Mark {
            offset,
            skip,
            descriptors: vec![descriptor()],
            fence: None,
        };
        Slot { start: 500, ready: 600, end: 600, marks: marks.iter().map(mark).collect() }
    }

    fn pieces(slot: &Slot) -> Vec<(Range<usize>, usize)> {
        slot.pieces().map(|piece| (piece.range, piece.descriptors.len())).collect()
    }

    #[test]
    fn a_piece_starts_at_each_request_with_descriptors_and_leaves_out_what_is_none_any_more() {
        assert_eq!(pieces(&slot(&[])), [(500..600, 0)]);
        assert_eq!(pieces(&slot(&[(500, 0)])), [(500..600, 1)]);
        assert_eq!(pieces(&slot(&[(504, 4)])), [(504..600, 1)]);
        assert_eq!(
            pieces(&slot(&[(520, 0), (544, 4), (564, 8)])),
            [(500..520, 0), (520..540, 1), (544..556, 1), (564..600, 1)]
        );
    }

    #[test]
    fn what_is_sent_in_any_portions_goes_once_and_its_descriptors_with_it() {
        for portion in 1..=100 {
            let mut slot = slot(&[(504, 4), (520, 0), (544, 4), (564, 8)]);
            let (mut bytes, mut descriptors) = (vec![], 0);
            while let Some((range, count)) = pieces(&slot).into_iter().next() {
                let sent = portion.min(range.len());
                bytes.extend(range.start..range.start + sent);
                descriptors += count;
                assert_eq!(slot.sent(sent), sent);
            }
            let left_out = [500..504, 540..544, 556..564];
            assert!(bytes.iter().all(|at| !left_out.iter().any(|range| range.contains(at))), "{portion}");
            assert_eq!((bytes.len(), bytes.is_sorted(), descriptors), (84, true, 4), "{portion}");
            assert!(slot.marks.is_empty() && slot.start == slot.ready);
        }
    }

    #[test]
    fn all_is_gone_where_the_host_is() {
        let mut slot = slot(&[(544, 4)]);
        assert_eq!(slot.sent(usize::MAX), 96);
        assert!(slot.start == slot.ready && slot.marks.is_empty());
    }
}
