//! The guest half of a cross-domain channel, over whatever offers the virtio-gpu driver's calls.

use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use cross_domain::dialect::x11bridge::{NEW_MEMORY, Stage, sends_done};
use cross_domain::{
    CHANNEL_RING, Dialect, HEADER_BYTES, IDENTIFIERS_MAX, Identifier, IdentifierType, Message, RING_BYTES,
    SEND_HEADER_BYTES, encode_poll, encode_send_header,
};
use rustix::io::Errno;
use session::{Carries, FenceAction};
use sys::SharedMap;
use sys::socket::{DESCRIPTORS_MAX, Outcome};
use x11_wire::message::{BAD_ALLOC, BAD_MATCH};

use super::fence_memory::{FenceChoice, FenceMemory, SharedPage};
use super::fences::{FenceTotals, Fences};
use super::liveness::Liveness;
use super::memory::image_memory;
use super::offer::Offer;
use super::{Channel, ChannelError, Interest, Interests};
use crate::downlink::Downlink;
use crate::uplink::Uplink;

/// Bytes that are copied out of the ring at once: enough for the heads of messages, whose bodies then pass from the
/// ring to the client's socket without a copy.
const COPY_MAX: usize = 16 << 10;

/// Messages without bytes that are taken in a row; then it is the turn of the other direction, and of an order to stop.
const EMPTY_MAX: usize = 64;

/// What a render node of the virtio-gpu driver offers to one context.
pub trait Driver {
    /// `GET_CAPS` for capset 5.
    fn capset(&mut self) -> Result<Vec<u8>, ChannelError>;

    /// `RESOURCE_CREATE_BLOB` in guest memory, mapped; returns its resource id.
    fn create_blob(&mut self, bytes: usize) -> Result<(u32, Arc<SharedMap>), ChannelError>;

    /// `EXECBUFFER`; with a `ring`, its fence is signalled as an event. Returns how many of the bytes are done: where
    /// that is less than all, the rest has to be submitted again when [`Driver::sending`] is ready.
    fn execbuffer(&mut self, commands: &[u8], ring: Option<u8>) -> Result<usize, ChannelError>;

    /// `EXECBUFFER` on the ring of queries; returns a descriptor that is readable once all is carried out. `None` from a
    /// host that does everything at once, and says what went wrong.
    fn query(&mut self, _commands: &[u8]) -> Result<Option<OwnedFd>, ChannelError> {
        Ok(None)
    }

    /// `EXECBUFFER` of SENDs, `last` being the number of the last one, counted from 1 and modulo 2³²; otherwise as
    /// [`Driver::execbuffer`].
    fn send(&mut self, commands: &[u8], _last: u32) -> Result<usize, ChannelError> {
        self.execbuffer(commands, None)
    }

    /// Notes that the host has carried out all SENDs up to this number.
    fn sends_done(&mut self, _last: u32) {}

    /// Reads a fence event of the channel ring, if there is one.
    fn read_event(&mut self) -> Result<bool, ChannelError>;

    /// Whether the host runs on another kernel than the clients, so that what sleeps on memory here is not woken there.
    fn crosses_kernels(&self) -> bool {
        true
    }

    /// In whose memory a client's fence lies, and the host's name for it.
    fn fence_memory(&self, _file: BorrowedFd<'_>) -> FenceMemory {
        FenceMemory::Own
    }

    /// A page for a fence in memory that is the host's, too.
    fn shared_page(&self) -> Option<SharedPage> {
        None
    }

    /// Whether there can be fences whose memory is the host's, too.
    fn shares_fences(&self) -> bool {
        false
    }

    /// Which descriptors the next three can do.
    fn carries(&self) -> Carries {
        Carries::BYTES
    }

    /// Names what a descriptor is of to the host: `PRIME_FD_TO_HANDLE` and `RESOURCE_INFO`. The name holds until
    /// [`Driver::forget`]; `None` for what can't be named.
    fn name(&mut self, _descriptor: BorrowedFd<'_>) -> Option<Identifier> {
        None
    }

    /// See [`Channel::shares`].
    fn shares(&self, _descriptor: BorrowedFd<'_>) -> bool {
        false
    }

    /// Lets go of a name, whose SEND is submitted, or will not be.
    fn forget(&mut self, _identifier: Identifier, _sent: bool) {}

    /// The descriptor of an item that the host named: `RESOURCE_CREATE_BLOB` of it and `PRIME_HANDLE_TO_FD`. `None` where
    /// it can't be had.
    fn take(&mut self, _identifier: Identifier) -> Option<OwnedFd> {
        None
    }

    /// See [`Channel::device`].
    fn device(&mut self) -> Option<OwnedFd> {
        None
    }

    /// Maps `bytes` bytes of what the host calls `blob_id`, a number of memory that it makes when it is asked for.
    fn memory(&mut self, _blob_id: u64, _bytes: usize) -> Option<(OwnedFd, SharedMap)> {
        None
    }

    /// Takes note that the client is at rest.
    fn rest(&mut self) {}

    /// Gives the memory of a blob back to the kernel, where that can be done while the host may write to it.
    fn release(&mut self, _blob: &SharedMap) {}

    /// See [`Channel::end`].
    fn end(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// What to poll for before there can be an event.
    fn receiving(&self) -> Option<Interest<'_>>;

    /// What to poll for before the host takes more, where it did not take all.
    fn sending(&self) -> Option<Interest<'_>>;

    /// What is ready when the host has news by another way: when it has gone, so that the other calls then fail.
    fn alarm(&self) -> Option<Interest<'_>> {
        None
    }
}

/// A channel in its own context.
#[derive(Debug)]
pub struct CrossDomain<D> {
    driver: D,
    dialect: Dialect,
    ring: Arc<SharedMap>,
    query_ring: Arc<SharedMap>,
    liveness: Liveness,
    carries: Carries,
    /// The client's fences, from the first on that is linked.
    fences: Option<Fences>,
    fence_choice: FenceChoice,
    relays_fences: bool,
    /// What of the ring's message has not been taken yet. While it is empty, a POLL is outstanding.
    unread: Range<usize>,
    /// What of the uplink is submitted and not done: offsets into its memory.
    submission: Range<usize>,
    /// X11 bytes in it.
    submitted: usize,
    /// SENDs that were ever submitted or prepared.
    sends: u32,
    /// Those of them that were submitted before the POLL that is outstanding.
    sends_polled: u32,
    /// Those that are prepared and not submitted.
    prepared: u32,
    /// What its SENDs name.
    named: Vec<Identifier>,
    /// The server's pages of fences that the host has not adopted yet, with the number of the SEND by which it has.
    adopted: Vec<(Identifier, u32)>,
    /// Descriptors that came with the ring's message and have not been taken.
    arrived: Vec<Option<OwnedFd>>,
    over: bool,
    failure: Option<ChannelError>,
}

impl<D: Driver> CrossDomain<D> {
    /// Opens a channel to the host's X server. That it can't be reached shows when the first message is received:
    /// hosts answer INIT with nothing.
    pub fn open(mut driver: D, fences: FenceChoice) -> Result<Self, ChannelError> {
        let offer = Offer::from_capset(&driver.capset()?).map_err(misbehaved)?;
        let offer = offer.ok_or_else(|| ChannelError { why: "the host offers no X11 channel".into() })?;
        Self::open_as(driver, offer, fences)
    }

    /// The same for a host whose offer is known.
    pub(super) fn open_as(mut driver: D, offer: Offer, fences: FenceChoice) -> Result<Self, ChannelError> {
        let (query_ring_id, query_ring) = driver.create_blob(RING_BYTES)?;
        let (channel_ring_id, ring) = driver.create_blob(offer.ring_bytes)?;
        let init = offer.init(query_ring_id, channel_ring_id);
        driver.execbuffer(&init.encode().map_err(misbehaved)?, None)?;
        let linked = offer.fences(fences, driver.crosses_kernels(), driver.shares_fences());
        let carries = Carries { fences: linked, ..driver.carries() };
        let mut channel = Self {
            driver,
            carries,
            fences: None,
            fence_choice: fences,
            relays_fences: offer.relays_fences,
            // What is sent and received here is the same for libkrun and rutabaga.
            dialect: offer.dialect.unwrap_or(Dialect::Libkrun),
            ring,
            query_ring,
            liveness: Liveness::new(offer.dialect),
            unread: 0..0,
            submission: 0..0,
            submitted: 0,
            sends: 0,
            sends_polled: 0,
            prepared: 0,
            named: vec![],
            adopted: vec![],
            arrived: vec![],
            over: false,
            failure: None,
        };
        channel.poll()?;
        Ok(channel)
    }

    fn poll(&mut self) -> Result<(), ChannelError> {
        // A device completes the fences of a context that it knows no more: then no message is in the ring.
        let _ = self.ring.write(0, &[0; HEADER_BYTES]);
        // What is prepared and not submitted does not count.
        self.sends_polled = self.sends.wrapping_sub(self.prepared);
        self.driver.execbuffer(&encode_poll(), Some(CHANNEL_RING)).map(|_| ())
    }

    /// Writes the headers of the pieces that are ready, and notes what there is to submit. A piece of the uplink becomes a
    /// SEND with its header in front of it; the gap up to the next one's header is made part of the command, so that the
    /// pieces need not be moved together. A piece that starts right behind another has its header's place in that one's
    /// bytes: it has to wait until those are done.
    fn prepare(&mut self, uplink: &mut Uplink) -> Result<(), ChannelError> {
        let mut at = 0;
        while let Some((range, next)) = Self::next_send(uplink, at) {
            let start = range.start - SEND_HEADER_BYTES;
            if at > 0 && start < self.submission.end {
                break;
            }
            let named = self.named.len();
            self.name(uplink, at);
            let identifiers = self.named.get(named..).unwrap_or_default();
            let header =
                uplink.memory().get_mut(start..range.start).and_then(|header| header.first_chunk_mut());
            let header = header.ok_or(Errno::FAULT)?;
            encode_send_header(header, range.len(), next - range.end, identifiers).map_err(misbehaved)?;
            self.submission = if at == 0 { start..next } else { self.submission.start..next };
            self.submitted += range.len();
            at += 1;
            self.sends = self.sends.wrapping_add(1);
            self.prepared += 1;
        }
        Ok(())
    }

    /// The bytes of the piece with that number, and where the command ends that they are in.
    fn next_send(uplink: &Uplink, at: usize) -> Option<(Range<usize>, usize)> {
        let mut pieces = uplink.pieces().skip(at);
        let range = pieces.next()?.range;
        let next = pieces.next().map(|next| next.range.start - SEND_HEADER_BYTES);
        let end = next.filter(|next| *next > range.end).unwrap_or(range.end);
        Some((range, end))
    }

    /// Names the descriptors of a piece. If one can't be named, none goes: the server then says that they are missing,
    /// instead of taking one for another.
    fn name(&mut self, uplink: &Uplink, at: usize) {
        let before = self.named.len();
        let Some(piece) = uplink.pieces().nth(at) else { return };
        if let Some(fence) = piece.fence.and_then(|id| self.page_of(id)) {
            return self.named.push(fence);
        }
        for descriptor in piece.descriptors.iter().take(IDENTIFIERS_MAX) {
            let Some(identifier) = self.driver.name(descriptor.as_fd()) else {
                return self.forget(before, false);
            };
            self.named.push(identifier);
        }
    }

    /// Lets go of all names from that one on, whose SENDs are submitted, or will not be.
    fn forget(&mut self, from: usize, sent: bool) {
        let fence = self.dialect.raw_identifier_type(IdentifierType::Shm);
        let names = self.named.drain(from..).filter(|identifier| Some(identifier.id_type) != fence);
        names.for_each(|identifier| self.driver.forget(identifier, sent));
    }

    fn fences(&mut self) -> Result<&mut Fences, shmfence::Error> {
        match &mut self.fences {
            Some(fences) => Ok(fences),
            none => Ok(none.insert(Fences::new()?)),
        }
    }

    /// What names the page that the host makes for a fence.
    fn page_of(&self, id: u32) -> Option<Identifier> {
        let id_type = self.dialect.raw_identifier_type(IdentifierType::Shm)?;
        Some(Identifier { id, id_type, size: 0 })
    }

    /// Looks for the next message when the last one has been taken. A failure is final, and told every time.
    fn advance(&mut self) -> Result<Outcome, ChannelError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        self.tell_of_fences()?;
        if !self.unread.is_empty() {
            return Ok(Outcome::Bytes(self.unread.len()));
        }
        if self.over {
            return Ok(Outcome::Closed);
        }
        for _ in 0..EMPTY_MAX {
            let read = match self.driver.read_event() {
                Ok(true) => self.read_message(),
                Ok(false) => return Ok(Outcome::WouldBlock),
                Err(error) => Err(error),
            };
            if let Some(outcome) = read.inspect_err(|failure| self.failure = Some(failure.clone()))? {
                return Ok(outcome);
            }
        }
        Ok(Outcome::WouldBlock)
    }

    /// What the ring's message brings; `None` where it is to wait for the next.
    fn read_message(&mut self) -> Result<Option<Outcome>, ChannelError> {
        // Copied out before it is parsed: the host may write to the ring at any time.
        let mut head = [0; SEND_HEADER_BYTES];
        if !self.ring.read(0, &mut head) {
            return Err(ChannelError { why: "the channel ring is shorter than a message".into() });
        }
        if head.first() == Some(&0) {
            return Err(ChannelError {
                why: "the host has lost the connection: its half was restarted".into(),
            });
        }
        self.liveness.heard();
        // Other hosts carry out all that comes before a POLL before they look at it.
        let ours = self.dialect == Dialect::X11Bridge;
        let done = if ours { sends_done(&head) } else { self.sends_polled };
        self.driver.sends_done(done);
        if let Some(fences) = &mut self.fences {
            fences.sends_done(done);
        }
        for (page, _) in self.adopted.extract_if(.., |(_, send)| is_done(*send, done)) {
            self.driver.forget(page, false);
        }
        let message = Message::decode(&head, self.ring.len(), self.dialect).map_err(misbehaved)?;
        match message {
            Message::Receive(receive) if receive.is_end_of_stream() => self.over = true,
            Message::Closed(closed) if closed.stage == Stage::Stream => self.over = true,
            Message::Closed(closed) => return Err(self.why_closed(closed.errno, message.data_range())),
            Message::Receive(receive) => {
                for identifier in receive.identifiers.iter() {
                    let kind = self.dialect.identifier_type(identifier.id_type);
                    let is_blob = kind == Some(IdentifierType::VirtgpuBlob);
                    self.arrived.push(if is_blob { self.driver.take(identifier) } else { None });
                }
                if self.arrived.len() > DESCRIPTORS_MAX {
                    return Err(ChannelError {
                        why: "the host passes more descriptors than a message can have".into(),
                    });
                }
                self.unread = message.data_range();
            }
            Message::Fence(command) => {
                if let Some(fences) = &mut self.fences {
                    fences.receive(command);
                }
            }
            Message::FutexSignal { id } => {
                if let Some(fences) = &mut self.fences {
                    fences.wake(id);
                }
            }
            // Nothing that this bridge asked for.
            _ => {}
        }
        if self.over {
            return Ok(Some(Outcome::Closed));
        }
        if self.unread.is_empty() {
            self.poll()?;
            return Ok(None);
        }
        Ok(Some(Outcome::Bytes(self.unread.len())))
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
        self.carries
    }

    fn link_fence(&mut self, id: u32, file: BorrowedFd<'_>) -> Result<(), u8> {
        self.fences().map_err(|_| BAD_ALLOC)?;
        let memory = self.driver.fence_memory(file);
        let link = memory.link(self.fence_choice, self.relays_fences, || self.driver.shared_page())?;
        let next = self.sends.wrapping_add(1);
        self.fences.as_mut().map_or(Err(BAD_MATCH), |fences| fences.link(id, file, link, next))
    }

    fn reset_fence(&mut self, id: u32) -> bool {
        self.fences.as_mut().is_some_and(|fences| fences.reset(id))
    }

    fn fence_file(&self, id: u32) -> Option<OwnedFd> {
        self.fences.as_ref()?.file(id)
    }

    fn adopt_fence(&mut self, id: u32, theirs: BorrowedFd<'_>) -> Option<OwnedFd> {
        let page = self.driver.name(theirs)?;
        let ours = self.fences().ok().and_then(|fences| fences.adopt(id, page.id).ok());
        if ours.is_some() {
            self.adopted.push((page, self.sends.wrapping_add(1)));
        } else {
            self.driver.forget(page, false);
        }
        ours
    }

    fn fence(&mut self, action: FenceAction) {
        if let Some(fences) = &mut self.fences {
            fences.act(action);
        }
    }

    fn give_up_fences(&mut self) {
        if let Some(fences) = &mut self.fences {
            fences.give_up();
        }
    }

    fn look_at_fences(&mut self) -> bool {
        self.fences.as_mut().is_some_and(Fences::look)
    }

    fn tell_of_fences(&mut self) -> Result<bool, ChannelError> {
        let Some(fences) = &mut self.fences else { return Ok(true) };
        let last = self.sends.wrapping_sub(self.prepared);
        loop {
            let commands = fences.commands();
            if commands.is_empty() {
                return Ok(true);
            }
            let done = self.driver.send(commands, last)?;
            if done == 0 {
                return Ok(false);
            }
            fences.submitted(done);
        }
    }

    fn relieve_fences(&mut self) -> bool {
        self.fences.as_mut().is_some_and(Fences::relieve)
    }

    fn fence_totals(&self) -> FenceTotals {
        self.fences.as_ref().map_or_else(FenceTotals::default, Fences::totals)
    }

    /// As few submissions as there can be: one, but for descriptors, and what is said of fences ahead of it.
    fn send(&mut self, uplink: &mut Uplink) -> Result<usize, ChannelError> {
        if !self.tell_of_fences()? {
            return Ok(0);
        }
        let mut sent = 0;
        while uplink.is_ready() {
            if self.submission.is_empty() {
                self.prepare(uplink)?;
            }
            let bytes = uplink.bytes(self.submission.clone()).unwrap_or_default();
            self.submission.start += self.driver.send(bytes, self.sends)?;
            if !self.submission.is_empty() {
                break;
            }
            self.prepared = 0;
            self.liveness.sent();
            let submitted = std::mem::take(&mut self.submitted);
            uplink.sent(submitted);
            sent += submitted;
            self.forget(0, true);
        }
        Ok(sent)
    }

    /// A SEND without bytes: a host of our dialect half-closes its socket. Others take it for nothing.
    fn finish(&mut self) -> bool {
        let mut header = [0; SEND_HEADER_BYTES];
        let encoded = encode_send_header(&mut header, 0, 0, &[]).is_ok();
        let last = self.sends.wrapping_add(1);
        let said = !encoded || self.driver.send(&header, last) != Ok(0);
        if said {
            self.sends = last;
        }
        said
    }

    fn half_closes(&self) -> bool {
        self.dialect == Dialect::X11Bridge
    }

    fn receive(
        &mut self,
        downlink: &mut Downlink,
        descriptors: &mut Vec<Option<OwnedFd>>,
    ) -> Result<Outcome, ChannelError> {
        match self.advance()? {
            Outcome::Bytes(bytes) => {
                descriptors.append(&mut self.arrived);
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

    fn shares(&self, descriptor: BorrowedFd<'_>) -> bool {
        self.driver.shares(descriptor)
    }

    fn device(&mut self) -> Option<OwnedFd> {
        self.driver.device()
    }

    fn memory(&mut self, bytes: usize) -> Option<(OwnedFd, SharedMap)> {
        if self.carries().files {
            return None;
        }
        if self.dialect == Dialect::X11Bridge {
            return self.driver.memory(NEW_MEMORY, bytes);
        }
        let (blob_id, bytes) = image_memory(&mut self.driver, &self.query_ring, bytes).ok()??;
        self.driver.memory(blob_id, bytes)
    }

    fn pass(&mut self, client: BorrowedFd<'_>, bytes: u64) -> Option<Result<Outcome, Errno>> {
        // `receive` meets the end or the failure again, and takes descriptors.
        let Ok(Outcome::Bytes(available)) = self.advance() else { return None };
        if !self.arrived.is_empty() {
            return None;
        }
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
        self.driver.rest();
        if self.unread.is_empty() {
            self.driver.release(&self.ring);
        }
    }

    fn watch_at(&mut self) -> Option<Instant> {
        self.liveness.due()
    }

    fn watch(&mut self) -> Result<(), ChannelError> {
        let looked = self.liveness.look(&mut self.driver, &self.query_ring);
        looked.inspect_err(|failure| self.failure = Some(failure.clone()))
    }

    fn end(&self) -> Option<BorrowedFd<'_>> {
        self.driver.end()
    }

    fn interest(&self, receiving: bool) -> Interests<'_> {
        [
            self.driver.receiving().filter(|_| receiving),
            self.driver.sending(),
            self.driver.alarm().filter(|_| receiving),
            self.fences.as_ref().map(Fences::interest),
        ]
    }
}

/// Whether the host has carried out that SEND, having done all up to `last`. Numbers wrap.
pub(super) fn is_done(send: u32, last: u32) -> bool {
    last.wrapping_sub(send) < u32::MAX / 2
}

fn misbehaved(error: cross_domain::Error) -> ChannelError {
    ChannelError { why: error.to_string() }
}
