//! What comes from the X server: bytes into the ring, and items for the descriptors among them.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use cross_domain::dialect::x11bridge::{encode_closed, note_sends_done};
use cross_domain::{
    Dialect, IDENTIFIERS_MAX, Identifier, IdentifierType, SEND_HEADER_BYTES, encode_receive_header,
    receive_data_max,
};
use rustix::io::Errno;
use sys::Blob;
use sys::socket::Outcome;

use super::fences::Fences;
use super::{Context, End, Fence, Link, raw};
use crate::mappable::mappable_bytes;
use crate::resources::Resources;

/// The channel ring.
#[derive(Debug)]
pub(super) struct Ring {
    pub(super) blob: Arc<Blob>,
    /// Bytes of it that are used.
    pub(super) bytes: usize,
    /// Whether the guest speaks our dialect. Others are told by a RECEIVE without data that the stream is over.
    pub(super) is_ours: bool,
}

impl Context {
    /// Answers a POLL if there is something to answer.
    pub fn next_fence(&mut self) -> Option<Fence> {
        if !self.polled {
            return None;
        }
        let received = if self.received > 0 { Ok(Outcome::Bytes(self.received)) } else { self.receive() };
        // A message may go first, which must not hide it.
        if let Err(errno) = &received {
            self.ended(raw(*errno));
        }
        if let Some(message) = self.fences.as_mut().and_then(Fences::next_message)
            && let Some(ring) = &self.ring
        {
            // It is shorter than the room in front of what was received, which stays there.
            return ring.blob.write(0, &message).then(|| self.signal());
        }
        match received.and_then(|outcome| self.announce(outcome)) {
            Ok(Outcome::Bytes(_)) => return Some(self.signal()),
            Ok(Outcome::WouldBlock) if self.end.is_none() => return None,
            Ok(Outcome::WouldBlock) => {}
            Ok(Outcome::Closed) => self.ended(0),
            Err(errno) => self.ended(raw(errno)),
        }
        let End { stage, errno, text } = self.end.as_ref()?;
        let ring = self.ring.as_ref()?;
        let message = if ring.is_ours {
            encode_closed(*stage, *errno, text)
        } else {
            let mut header = [0; SEND_HEADER_BYTES];
            encode_receive_header(&mut header, 0, ring.bytes, &[]).ok()?;
            header.to_vec()
        };
        ring.blob.write(0, &message).then(|| self.signal())
    }

    /// Receives straight into the ring, behind the room for the header.
    fn receive(&mut self) -> Result<Outcome, Errno> {
        let (Link::Open(channel), Some(Ring { blob, bytes: ring_bytes, .. })) = (&self.link, &self.ring)
        else {
            self.drained = true;
            return Ok(Outcome::WouldBlock);
        };
        let mut descriptors = vec![];
        let room = receive_data_max(*ring_bytes);
        let outcome = blob.receive(channel.socket(), SEND_HEADER_BYTES, room, &mut descriptors)?;
        // A stream that gave less than was asked for has no more, unless descriptors cut it there.
        self.drained = match outcome {
            Outcome::Bytes(bytes) => bytes < room && descriptors.is_empty(),
            Outcome::WouldBlock => true,
            Outcome::Closed => false,
        };
        if let Outcome::Bytes(bytes) = outcome {
            self.traffic.bytes_to_guest += bytes as u64;
            self.traffic.descriptors_to_guest += descriptors.len() as u64;
            self.received = bytes;
            self.arrived.extend(descriptors);
        }
        Ok(outcome)
    }

    /// Writes the header in front of what was received. Descriptors that don't fit into one message go ahead of the bytes
    /// that they came with, in messages without any.
    fn announce(&mut self, outcome: Outcome) -> Result<Outcome, Errno> {
        let (Outcome::Bytes(_), Some(ring)) = (outcome, &self.ring) else { return Ok(outcome) };
        let mut identifiers = [Identifier::default(); IDENTIFIERS_MAX];
        let mut count = 0;
        while let Some(identifier) = identifiers.get_mut(count)
            && let Some(descriptor) = self.arrived.pop_front()
        {
            *identifier = item(&mut self.resources, descriptor, self.is_remote && ring.is_ours)?;
            count += 1;
        }
        let bytes = if self.arrived.is_empty() { std::mem::take(&mut self.received) } else { 0 };
        self.traffic.messages_to_guest += 1;
        let mut header = [0; SEND_HEADER_BYTES];
        let identifiers = identifiers.get(..count).unwrap_or_default();
        encode_receive_header(&mut header, bytes, ring.bytes, identifiers).map_err(|_| Errno::INVAL)?;
        if ring.is_ours {
            note_sends_done(&mut header, self.sends_done);
        }
        if ring.blob.write(0, &header) { Ok(outcome) } else { Err(Errno::FAULT) }
    }

    fn signal(&mut self) -> Fence {
        self.polled = false;
        Fence
    }
}

/// What names a descriptor of the host's in a RECEIVE; with `remote`, only one that can be mapped for another machine.
fn item(resources: &mut Resources, descriptor: OwnedFd, remote: bool) -> Result<Identifier, Errno> {
    let id_type = Dialect::X11Bridge.raw_identifier_type(IdentifierType::VirtgpuBlob).ok_or(Errno::INVAL)?;
    let size = mappable_bytes(&descriptor);
    if remote && size.is_none() {
        return Ok(Identifier { id: 0, id_type, size: 0 });
    }
    let id = resources.add_item(descriptor)?;
    // What is above 4 GiB can't be said.
    Ok(Identifier { id, id_type, size: u32::try_from(size.unwrap_or(0)).unwrap_or(u32::MAX) })
}
