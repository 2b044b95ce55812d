//! The guest half of a cross-domain channel, over whatever offers the virtio-gpu driver's calls.

use std::ops::Range;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use cross_domain::dialect::x11bridge::Stage;
use cross_domain::{
    CHANNEL_RING, Dialect, Message, RING_BYTES, SEND_HEADER_BYTES, encode_poll, encode_send_header,
};
use rustix::io::Errno;
use session::Carries;
use sys::SharedMap;
use sys::socket::Outcome;

use super::offer::Offer;
use super::{Channel, ChannelError, Interest};
use crate::downlink::Downlink;
use crate::uplink::Uplink;

/// Bytes that are copied out of the ring at once: enough for the heads of messages, whose bodies then pass from the
/// ring to the client's socket without a copy.
const COPY_MAX: usize = 16 << 10;

/// What a render node of the virtio-gpu driver offers to one context.
pub trait Driver {
    /// `GET_CAPS` for capset 5.
    fn capset(&mut self) -> Result<Vec<u8>, ChannelError>;

    /// `RESOURCE_CREATE_BLOB` in guest memory, mapped; returns its resource id.
    fn create_blob(&mut self, bytes: usize) -> Result<(u32, Arc<SharedMap>), ChannelError>;

    /// `EXECBUFFER`; with a `ring`, its fence is signalled as an event. Returns how many of the bytes are done: where
    /// that is less than all, the rest has to be submitted again when [`Driver::sending`] is ready.
    fn execbuffer(&mut self, commands: &[u8], ring: Option<u8>) -> Result<usize, ChannelError>;

    /// Reads a fence event of the channel ring, if there is one.
    fn read_event(&mut self) -> Result<bool, ChannelError>;

    /// Gives the memory of a blob back to the kernel, where that can be done while the host may write to it.
    fn release(&mut self, _blob: &SharedMap) {}

    /// What to poll for before there can be an event.
    fn receiving(&self) -> Option<Interest<'_>>;

    /// What to poll for before the host takes more, where it did not take all.
    fn sending(&self) -> Option<Interest<'_>>;
}

/// A channel in its own context.
#[derive(Debug)]
pub struct CrossDomain<D> {
    driver: D,
    dialect: Dialect,
    ring: Arc<SharedMap>,
    /// What of the ring's message has not been taken yet. While it is empty, a POLL is outstanding.
    unread: Range<usize>,
    /// What of the uplink is submitted and not done: offsets into its memory.
    submission: Range<usize>,
    /// X11 bytes in it.
    submitted: usize,
    over: bool,
    failure: Option<ChannelError>,
}

impl<D: Driver> CrossDomain<D> {
    /// Opens a channel to the host's X server. That it can't be reached shows when the first message is received:
    /// hosts answer INIT with nothing.
    pub fn open(mut driver: D) -> Result<Self, ChannelError> {
        let offer = Offer::from_capset(&driver.capset()?).map_err(misbehaved)?;
        let offer = offer.ok_or_else(|| ChannelError { why: "the host offers no X11 channel".into() })?;
        let (query_ring_id, _) = driver.create_blob(RING_BYTES)?;
        let (channel_ring_id, ring) = driver.create_blob(offer.ring_bytes)?;
        let init = offer.init(query_ring_id, channel_ring_id);
        driver.execbuffer(&init.encode().map_err(misbehaved)?, None)?;
        let mut channel = Self {
            driver,
            // What is sent and received here is the same for libkrun and rutabaga.
            dialect: offer.dialect.unwrap_or(Dialect::Libkrun),
            ring,
            unread: 0..0,
            submission: 0..0,
            submitted: 0,
            over: false,
            failure: None,
        };
        channel.poll()?;
        Ok(channel)
    }

    fn poll(&mut self) -> Result<(), ChannelError> {
        self.driver.execbuffer(&encode_poll(), Some(CHANNEL_RING)).map(|_| ())
    }

    /// Writes the headers of all pieces that are ready. A piece of the uplink becomes a SEND with its header in front of
    /// it; the gap up to the next one's header is made part of the command, so that the pieces need not be moved
    /// together.
    fn prepare(uplink: &mut Uplink) -> Result<Range<usize>, ChannelError> {
        let mut submission = 0..0;
        let mut at = 0;
        loop {
            let Some(range) = uplink.pieces().nth(at).map(|piece| piece.range) else { return Ok(submission) };
            at += 1;
            let next = uplink.pieces().nth(at).map_or(range.end, |next| next.range.start - SEND_HEADER_BYTES);
            let start = range.start - SEND_HEADER_BYTES;
            let header =
                uplink.memory().get_mut(start..range.start).and_then(|header| header.first_chunk_mut());
            let header = header.ok_or(Errno::FAULT)?;
            encode_send_header(header, range.len(), next - range.end, &[]).map_err(misbehaved)?;
            submission = if at == 1 { start..next } else { submission.start..next };
        }
    }

    /// Looks for the next message when the last one has been taken. A failure is final, and told every time.
    fn advance(&mut self) -> Result<Outcome, ChannelError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if !self.unread.is_empty() {
            return Ok(Outcome::Bytes(self.unread.len()));
        }
        if self.over {
            return Ok(Outcome::Closed);
        }
        let message = match self.driver.read_event() {
            Ok(true) => self.read_message(),
            Ok(false) => return Ok(Outcome::WouldBlock),
            Err(error) => Err(error),
        };
        message.inspect_err(|failure| self.failure = Some(failure.clone()))
    }

    fn read_message(&mut self) -> Result<Outcome, ChannelError> {
        // Copied out before it is parsed: the host may write to the ring at any time.
        let mut head = [0; SEND_HEADER_BYTES];
        if !self.ring.read(0, &mut head) {
            return Err(ChannelError { why: "the channel ring is shorter than a message".into() });
        }
        let message = Message::decode(&head, self.ring.len(), self.dialect).map_err(misbehaved)?;
        match message {
            Message::Receive(receive) if receive.is_end_of_stream() => self.over = true,
            Message::Closed(closed) if closed.stage == Stage::Stream => self.over = true,
            Message::Closed(closed) => return Err(self.why_closed(closed.errno, message.data_range())),
            Message::Receive(_) => {
                self.unread = message.data_range();
                return Ok(Outcome::Bytes(self.unread.len()));
            }
            // Nothing that this bridge asked for: the next message is waited for.
            _ => {
                self.poll()?;
                return Ok(Outcome::WouldBlock);
            }
        }
        Ok(Outcome::Closed)
    }

    /// The words of a CLOSED, or what its number means.
    fn why_closed(&self, errno: u32, text: Range<usize>) -> ChannelError {
        let mut words = vec![0; text.len()];
        if words.is_empty() || !self.ring.read(text.start, &mut words) {
            return Errno::from_raw_os_error(i32::try_from(errno).unwrap_or(0)).into();
        }
        ChannelError { why: String::from_utf8_lossy(&words).into_owned() }
    }

    /// Notes that the first `bytes` of the message have been taken, and asks for the next when all have.
    fn taken(&mut self, bytes: usize) -> Result<(), ChannelError> {
        self.unread.start += bytes;
        if self.unread.is_empty() { self.poll() } else { Ok(()) }
    }
}

impl<D: Driver> Channel for CrossDomain<D> {
    fn carries(&self) -> Carries {
        Carries { descriptors: false }
    }

    /// One submission for all that is ready. What becomes ready while it is under way goes with the next.
    fn send(&mut self, uplink: &mut Uplink) -> Result<usize, ChannelError> {
        if self.submission.is_empty() {
            self.submission = Self::prepare(uplink)?;
            self.submitted = uplink.ready_bytes();
        }
        let bytes = uplink.bytes(self.submission.clone()).unwrap_or_default();
        self.submission.start += self.driver.execbuffer(bytes, None)?;
        if !self.submission.is_empty() {
            return Ok(0);
        }
        let sent = std::mem::take(&mut self.submitted);
        uplink.sent(sent);
        Ok(sent)
    }

    /// A SEND without bytes: a host of our dialect half-closes its socket. Others take it for nothing; there the
    /// context's end is the stream's.
    fn finish(&mut self) {
        let mut header = [0; SEND_HEADER_BYTES];
        if encode_send_header(&mut header, 0, 0, &[]).is_ok() {
            let _ = self.driver.execbuffer(&header, None);
        }
    }

    fn receive(&mut self, downlink: &mut Downlink, _: &mut Vec<OwnedFd>) -> Result<Outcome, ChannelError> {
        match self.advance()? {
            Outcome::Bytes(bytes) => {
                let room = downlink.room();
                let len = bytes.min(room.len()).min(COPY_MAX);
                let room = room.get_mut(..len).unwrap_or_default();
                if !self.ring.read(self.unread.start, room) {
                    return Err(Errno::FAULT.into());
                }
                self.taken(len)?;
                Ok(Outcome::Bytes(len))
            }
            other => Ok(other),
        }
    }

    fn pass(&mut self, client: BorrowedFd<'_>, bytes: u64) -> Option<Result<Outcome, Errno>> {
        // `receive` meets the end or the failure again.
        let Ok(Outcome::Bytes(available)) = self.advance() else { return None };
        let len = usize::try_from(bytes).unwrap_or(usize::MAX).min(available);
        let outcome = self.ring.send(client, self.unread.start, len);
        if let Ok(Outcome::Bytes(sent)) = outcome
            && self.taken(sent).is_err()
        {
            return Some(Err(Errno::PROTO));
        }
        Some(outcome)
    }

    fn release(&mut self) {
        if self.unread.is_empty() {
            self.driver.release(&self.ring);
        }
    }

    fn interest(&self, receiving: bool) -> [Option<Interest<'_>>; 2] {
        [self.driver.receiving().filter(|_| receiving), self.driver.sending()]
    }
}

fn misbehaved(error: cross_domain::Error) -> ChannelError {
    ChannelError { why: error.to_string() }
}
