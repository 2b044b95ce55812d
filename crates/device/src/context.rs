//! One cross-domain context: a channel from a guest's client to a socket of the host.

use std::collections::VecDeque;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use cross_domain::dialect::x11bridge::{Stage, encode_closed, note_sends_done};
use cross_domain::{
    CHANNEL_RING, Capset, Command, Commands, Dialect, Extension, IDENTIFIERS_MAX, Identifier, IdentifierType,
    Init, InitForm, QUERY_RING, RING_BYTES, SEND_HEADER_BYTES, Send, channel, encode_receive_header,
    receive_data_max,
};
use rustix::event::PollFlags;
use rustix::io::Errno;
use sys::Blob;
use sys::socket::Outcome;

use crate::channel::{Batch, Channel};
use crate::opening::{OpenFailure, Opened, Opener, Opening};
use crate::resources::Resources;

/// Bytes of a channel ring at most that are offered to guests of our own dialect.
pub const RING_BYTES_MAX: usize = 256 << 10;

/// A submission that is refused, as the driver's ioctl would fail.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubmitError {
    /// A command that can't be decoded.
    Command(cross_domain::Error),
    /// A command out of place: a second INIT, anything before it, a second POLL.
    OutOfPlace {
        /// What is wrong.
        what: &'static str,
    },
    /// An id that names no blob, or one that is too small.
    NoSuchRing {
        /// The id.
        id: u32,
    },
    /// An identifier that names nothing which the guest may send.
    NoSuchResource {
        /// The id.
        id: u32,
    },
    /// An id that names no futex, pipe or eventfd, or one that is in use.
    NoSuchItem {
        /// The id.
        id: u32,
    },
    /// A command that this host does not carry out.
    Unsupported {
        /// What it is.
        what: &'static str,
    },
}

impl std::fmt::Display for SubmitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Command(error) => error.fmt(f),
            Self::OutOfPlace { what } => write!(f, "the guest sent {what}"),
            Self::NoSuchRing { id } => {
                write!(f, "the guest named resource {id} as a ring, which it can't be")
            }
            Self::NoSuchResource { id } => {
                write!(f, "the guest sent resource {id}, which it does not have")
            }
            Self::NoSuchItem { id } => write!(f, "the guest named item {id}, which it can't"),
            Self::Unsupported { what } => write!(f, "this host does not carry {what}"),
        }
    }
}

/// A fence of the channel ring that is signalled: the answer to one POLL is in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence;

/// What went through a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Bytes that the X server took.
    pub bytes_to_host: u64,
    /// Bytes that came from it.
    pub bytes_to_guest: u64,
    /// Messages in which they came, one for each POLL.
    pub messages_to_guest: u64,
    /// Descriptors that the X server took.
    pub descriptors_to_host: u64,
    /// Descriptors that came from it.
    pub descriptors_to_guest: u64,
}

/// The channel ring.
#[derive(Debug)]
struct Ring {
    blob: Arc<Blob>,
    /// Bytes of it that are used.
    bytes: usize,
    /// Whether the guest speaks our dialect. Others are told by a RECEIVE without data that the stream is over.
    is_ours: bool,
}

#[derive(Debug)]
enum Link {
    /// No INIT yet.
    Absent,
    /// Being opened elsewhere.
    Opening,
    Open(Channel),
    /// It could not be opened, or has lost its ring.
    Failed,
}

/// How the channel ended.
#[derive(Debug)]
struct End {
    stage: Stage,
    errno: u32,
    text: String,
}

/// One context. It is destroyed by dropping it.
pub struct Context {
    resources: Resources,
    opener: Opener,
    ring: Option<Ring>,
    link: Link,
    /// The end of the channel, once it is known.
    end: Option<End>,
    /// The channel type of an opening that nobody has begun yet.
    to_open: Option<u32>,
    polled: bool,
    drained: bool,
    /// Bytes that lie in the ring and that the guest has not heard of.
    received: usize,
    /// Descriptors that came with them, and that the guest has not heard of.
    arrived: VecDeque<OwnedFd>,
    /// SENDs that have been carried out; the guest is told.
    sends_done: u32,
    traffic: Traffic,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { link, end, polled, .. } = self;
        write!(f, "Context {{ link: {link:?}, end: {end:?}, polled: {polled} }}")
    }
}

impl Context {
    /// What `GET_CAPS` for capset 5 gives.
    pub fn capset() -> Vec<u8> {
        let ring_bytes = u32::try_from(RING_BYTES_MAX).unwrap_or(u32::MAX);
        Capset {
            version: 1,
            supported_channels: 1 << channel::X11,
            supports_dmabuf: false,
            supports_external_gpu_memory: false,
            extension: Some(Extension::new(ring_bytes)),
        }
        .encode()
    }

    /// A context without a channel yet.
    pub fn new(opener: Opener) -> Self {
        Self {
            resources: Resources::default(),
            opener,
            ring: None,
            link: Link::Absent,
            end: None,
            to_open: None,
            polled: false,
            drained: false,
            received: 0,
            arrived: VecDeque::new(),
            sends_done: 0,
            traffic: Traffic::default(),
        }
    }

    /// The context's blobs.
    pub const fn resources(&mut self) -> &mut Resources {
        &mut self.resources
    }

    /// What went through so far.
    pub fn traffic(&self) -> Traffic {
        let Link::Open(channel) = &self.link else { return self.traffic };
        let (bytes_to_host, descriptors_to_host) = (channel.bytes, channel.descriptors);
        Traffic { bytes_to_host, descriptors_to_host, ..self.traffic }
    }

    /// Why the channel is over, if it is: one sentence. An X server that closes what the guest has closed is no reason.
    pub fn end(&self) -> Option<String> {
        let End { stage, errno, text } = self.end.as_ref()?;
        let errno = i32::try_from(*errno).ok().filter(|errno| *errno != 0);
        Some(match (text.as_str(), errno) {
            ("", None) if matches!(&self.link, Link::Open(channel) if channel.is_half_closed) => return None,
            ("", None) => "the X server closed the connection".into(),
            ("", Some(errno)) => format!("{stage:?}: {}", std::io::Error::from_raw_os_error(errno)),
            (text, _) => text.to_owned(),
        })
    }

    /// Whether the channel is over; what the X server had said may still be in its socket.
    pub const fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Ends the channel for a reason of the device's own; the guest is told.
    pub fn fail(&mut self, why: &str) {
        let end = End { stage: Stage::Send, errno: raw(Errno::NOBUFS), text: why.into() };
        self.end.get_or_insert(end);
    }

    /// Carries out a submission as far as the host's socket takes it, and returns how many of its bytes are done; `ring`
    /// is the fence ring that it names, if it wants a fence.
    ///
    /// Nothing is queued here. When less than all is done, the caller keeps the rest, as a device keeps the descriptor,
    /// and submits it again once [`Context::interest`] is ready, or the channel is open. The first faulty command ends
    /// the submission and the channel; those before it are carried out.
    pub fn submit(&mut self, submission: &[u8], ring: Option<u8>) -> Result<usize, SubmitError> {
        self.execute(submission, ring).inspect_err(|error| {
            let end = End { stage: Stage::Send, errno: raw(Errno::PROTO), text: error.to_string() };
            self.end.get_or_insert(end);
        })
    }

    /// Ends the channel where a blob that the guest takes back is its ring: nothing is written there any more, and no
    /// POLL can be answered. Whether it was.
    pub fn lose_ring(&mut self, blob: &Arc<Blob>) -> bool {
        let loses = self.ring.as_ref().is_some_and(|ring| Arc::ptr_eq(&ring.blob, blob));
        if loses {
            self.traffic = self.traffic();
            // The files of a program that ends are closed in this order, its context last: no fault of anybody's.
            let text = "the guest closed it".into();
            self.end.get_or_insert(End { stage: Stage::Stream, errno: 0, text });
            (self.ring, self.link, self.polled) = (None, Link::Failed, false);
            (self.received, self.to_open) = (0, None);
            self.arrived.clear();
        }
        loses
    }

    fn execute(&mut self, submission: &[u8], ring: Option<u8>) -> Result<usize, SubmitError> {
        let mut commands = Commands::new(submission, Dialect::X11Bridge);
        loop {
            let done = submission.len() - commands.rest().len();
            let Some(command) = commands.next() else { return Ok(done) };
            match command.map_err(SubmitError::Command)? {
                Command::Init(init) => self.init(init)?,
                Command::Poll => self.poll(ring)?,
                Command::Send(send) => {
                    let batch = Batch::gather(send, &mut commands);
                    let complete = self.send(&send, &batch)?;
                    self.sends_done = self.sends_done.wrapping_add(u32::try_from(complete).unwrap_or(0));
                    if complete < batch.len() {
                        let rest = batch.rest_behind(complete);
                        return Ok(rest.map_or(done, |rest| submission.len() - rest));
                    }
                }
                other => self.track(&other)?,
            }
        }
    }

    /// What to poll for before [`Context::next_fence`] can have news, or more can be submitted; `None` when there is
    /// nothing to wait for.
    pub fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let Link::Open(channel) = &self.link else { return None };
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, self.polled);
        flags.set(PollFlags::OUT, channel.is_full());
        (!flags.is_empty()).then(|| (channel.socket(), flags))
    }

    /// The host's socket, once there is one.
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        if let Link::Open(channel) = &self.link { Some(channel.socket()) } else { None }
    }

    /// Whether a POLL is unanswered.
    pub const fn is_polled(&self) -> bool {
        self.polled
    }

    /// Whether the last [`Context::next_fence`] has left nothing to tell, so that only an event can bring more.
    pub const fn is_drained(&self) -> bool {
        self.drained && self.received == 0
    }

    /// The channel type that an INIT asked for and whose opening is to be begun elsewhere; told once.
    pub const fn take_to_open(&mut self) -> Option<u32> {
        self.to_open.take()
    }

    /// Tells what became of an opening that was under way.
    pub fn opened(&mut self, result: Result<Opened, OpenFailure>) {
        if matches!(self.link, Link::Opening) {
            self.open(result);
        }
    }

    /// Answers a POLL if there is something to answer.
    pub fn next_fence(&mut self) -> Option<Fence> {
        if !self.polled {
            return None;
        }
        let received = if self.received > 0 { Ok(Outcome::Bytes(self.received)) } else { self.receive() };
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

    fn ended(&mut self, errno: u32) {
        self.end.get_or_insert(End { stage: Stage::Stream, errno, text: String::new() });
    }

    fn init(&mut self, init: Init) -> Result<(), SubmitError> {
        if !matches!(self.link, Link::Absent) {
            return Err(SubmitError::OutOfPlace { what: "a second INIT" });
        }
        let id = init.channel_ring_id;
        let (bytes, is_ours) = match init.form {
            InitForm::X11Bridge { channel_ring_bytes, .. } => (channel_ring_bytes as usize, true),
            _ => (RING_BYTES, false),
        };
        let blob = self.resources.blob(id).filter(|blob| bytes <= RING_BYTES_MAX && blob.is_ring(bytes));
        let blob = blob.ok_or(SubmitError::NoSuchRing { id })?;
        self.ring = Some(Ring { blob, bytes, is_ours });
        match (self.opener)(init.channel_type) {
            Opening::Now(result) => self.open(result),
            Opening::Later => {
                self.link = Link::Opening;
                self.to_open = Some(init.channel_type);
            }
        }
        Ok(())
    }

    fn open(&mut self, result: Result<Opened, OpenFailure>) {
        let half_closes = self.ring.as_ref().is_some_and(|ring| ring.is_ours);
        self.link = match result {
            Ok(opened) => Link::Open(Channel::new(opened, half_closes)),
            Err(OpenFailure { errno, text }) => {
                self.end.get_or_insert(End { stage: Stage::Init, errno, text });
                Link::Failed
            }
        };
    }

    fn poll(&mut self, ring: Option<u8>) -> Result<(), SubmitError> {
        let what = match (&self.link, ring) {
            // A guest that wants to know whether anybody is here.
            (_, Some(QUERY_RING)) => return Ok(()),
            (Link::Absent, _) => "a POLL before INIT",
            (_, other) if other != Some(CHANNEL_RING) => "a POLL without a fence on the channel ring",
            _ if self.ring.is_none() => "a POLL of a ring that it took back",
            _ if self.polled => "a second POLL",
            _ => {
                self.polled = true;
                return Ok(());
            }
        };
        Err(SubmitError::OutOfPlace { what })
    }

    /// How many SENDs of the batch are done; the others have to be submitted again.
    fn send(&mut self, first: &Send<'_>, batch: &Batch<'_>) -> Result<usize, SubmitError> {
        if matches!(self.link, Link::Absent) {
            return Err(SubmitError::OutOfPlace { what: "a SEND before INIT" });
        }
        let descriptors = named(&self.resources, first)?;
        match &mut self.link {
            Link::Opening => Ok(0),
            // A channel that never opened, or that is over, swallows what the guest sent before it could know.
            Link::Absent | Link::Failed => Ok(batch.len()),
            Link::Open(_) if self.end.as_ref().is_some_and(|end| end.stage == Stage::Send) => Ok(batch.len()),
            Link::Open(channel) => Ok(channel.send(batch, &descriptors).unwrap_or_else(|errno| {
                let end = End { stage: Stage::Send, errno: raw(errno), text: String::new() };
                self.end.get_or_insert(end);
                batch.len()
            })),
        }
    }

    /// Commands about what has an id. Futexes are noted, so that a guest that shares fences finds a host that keeps its
    /// ids apart; this host watches none.
    fn track(&mut self, command: &Command<'_>) -> Result<(), SubmitError> {
        if matches!(self.link, Link::Absent) {
            return Err(SubmitError::OutOfPlace { what: "a command before INIT" });
        }
        let resources = &mut self.resources;
        let (id, known) = match command {
            Command::FutexNew(new) => (new.id, resources.add_futex(new.id).is_ok()),
            Command::FutexSignal { id } => (*id, resources.has_futex(*id)),
            Command::FutexDestroy { id } => (*id, resources.remove_futex(*id)),
            Command::Write(write) => (write.identifier, false),
            Command::ReadEventfdNew { id } | Command::ReadEventfdDestroy { id } => (*id, false),
            _ => return Err(SubmitError::Unsupported { what: "this command" }),
        };
        if known { Ok(()) } else { Err(SubmitError::NoSuchItem { id }) }
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
            *identifier = item(&mut self.resources, descriptor)?;
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

/// The descriptors that a SEND names.
fn named<'a>(resources: &'a Resources, send: &Send<'_>) -> Result<Vec<BorrowedFd<'a>>, SubmitError> {
    let resource = |identifier: Identifier| {
        let id = identifier.id;
        match Dialect::X11Bridge.identifier_type(identifier.id_type) {
            Some(IdentifierType::VirtgpuBlob) => {
                resources.imported(id).ok_or(SubmitError::NoSuchResource { id })
            }
            _ => Err(SubmitError::Unsupported { what: "identifiers of this type" }),
        }
    };
    send.identifiers.iter().map(resource).collect()
}

/// What names a descriptor of the host's in a RECEIVE.
fn item(resources: &mut Resources, descriptor: OwnedFd) -> Result<Identifier, Errno> {
    let size = rustix::fs::fstat(&descriptor).map_or(0, |status| status.st_size);
    let id_type = Dialect::X11Bridge.raw_identifier_type(IdentifierType::VirtgpuBlob).ok_or(Errno::INVAL)?;
    let id = resources.add_item(descriptor)?;
    // The guest asks the descriptor itself; what is above 4 GiB can't be said.
    Ok(Identifier { id, id_type, size: u32::try_from(size.max(0)).unwrap_or(u32::MAX) })
}

fn raw(errno: Errno) -> u32 {
    errno.raw_os_error().unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cross_domain::{Message, encode_poll, encode_send_header};
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::os::fd::AsFd;
    use sys::SharedMap;

    const RING: Option<u8> = Some(CHANNEL_RING);

    fn context() -> (Context, OwnedFd) {
        let (here, there) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        let mut opened = Some(Opened { socket: here, cookie: None });
        (Context::new(Box::new(move |_| Opening::Now(Ok(opened.take().unwrap())))), there)
    }

    fn init(context: &mut Context, ring_bytes: usize) -> Arc<SharedMap> {
        let (query_ring_id, _) = context.resources().create_blob(4096).unwrap();
        let (channel_ring_id, map) = context.resources().create_blob(ring_bytes).unwrap();
        let form = InitForm::X11Bridge {
            protocol_version: 1,
            channel_ring_bytes: u32::try_from(ring_bytes).unwrap(),
        };
        let init = Init { query_ring_id, channel_ring_id, channel_type: channel::X11, form };
        context.submit(&init.encode().unwrap(), None).unwrap();
        map
    }

    fn send(data: &[u8]) -> Vec<u8> {
        let mut header = [0; SEND_HEADER_BYTES];
        encode_send_header(&mut header, data.len(), 0, &[]).unwrap();
        [&header[..], data].concat()
    }

    fn message(map: &SharedMap) -> (String, Vec<u8>) {
        let mut head = [0; SEND_HEADER_BYTES];
        assert!(map.read(0, &mut head));
        let message = Message::decode(&head, map.len(), Dialect::X11Bridge).unwrap();
        let mut data = vec![0; message.data_range().len()];
        assert!(map.read(message.data_range().start, &mut data));
        (format!("{message:?}"), data)
    }

    #[test]
    fn a_poll_on_the_query_ring_does_nothing_with_and_without_a_channel() {
        let (mut context, _there) = context();
        assert_eq!(context.submit(&encode_poll(), Some(QUERY_RING)), Ok(16));
        init(&mut context, 4096);
        assert_eq!(context.submit(&encode_poll(), Some(QUERY_RING)), Ok(16));
        assert_eq!((context.is_polled(), context.next_fence()), (false, None));
    }

    #[test]
    fn each_message_counts_the_sends_that_are_done() {
        let (mut context, there) = context();
        let map = init(&mut context, 4096);
        for sends in [3, 5] {
            context.submit(&send(b"data").repeat(sends), None).unwrap();
            rustix::io::write(&there, b"reply").unwrap();
            context.submit(&encode_poll(), RING).unwrap();
            assert_eq!(context.next_fence(), Some(Fence));
            let mut head = [0; SEND_HEADER_BYTES];
            assert!(map.read(0, &mut head));
            let done = cross_domain::dialect::x11bridge::sends_done(&head);
            assert_eq!(done, if sends == 3 { 3 } else { 8 });
        }
    }

    #[test]
    fn bytes_pass_both_ways_with_one_poll_for_each_message() {
        let (mut context, there) = context();
        let map = init(&mut context, 8192);
        context.submit(&[send(b"request "), send(b"and another")].concat(), None).unwrap();
        let mut bytes = [0; 64];
        assert_eq!(rustix::io::read(&there, &mut bytes), Ok(19));

        rustix::io::write(&there, b"reply").unwrap();
        assert_eq!(context.next_fence(), None, "nobody has polled");
        context.submit(&encode_poll(), RING).unwrap();
        assert_eq!(context.next_fence(), Some(Fence));
        assert_eq!(message(&map).1, b"reply");
        assert_eq!(context.next_fence(), None, "one answer for one POLL");
    }

    #[test]
    fn a_message_never_exceeds_the_ring_that_was_agreed() {
        let (mut context, there) = context();
        let map = init(&mut context, 4096);
        rustix::io::write(&there, &[7; 5000]).unwrap();
        let mut lengths = vec![];
        while lengths.iter().sum::<usize>() < 5000 {
            context.submit(&encode_poll(), RING).unwrap();
            assert_eq!(context.next_fence(), Some(Fence));
            lengths.push(message(&map).1.len());
        }
        assert_eq!(lengths, [3744, 1256]);
    }

    #[test]
    fn a_channel_that_cannot_open_says_why() {
        let failure = OpenFailure { errno: 111, text: "no X server at :7".into() };
        let mut context = Context::new(Box::new(move |_| Opening::Now(Err(failure.clone()))));
        let map = init(&mut context, 4096);
        context.submit(&send(b"sent before it could know"), None).unwrap();
        context.submit(&encode_poll(), RING).unwrap();
        assert_eq!(context.next_fence(), Some(Fence));
        let (closed, text) = message(&map);
        assert!(closed.contains("stage: Init, errno: 111"), "{closed}");
        assert_eq!(text, b"no X server at :7");
    }

    #[test]
    fn the_end_of_the_stream_comes_after_all_that_was_said() {
        let (mut context, there) = context();
        let map = init(&mut context, 4096);
        rustix::io::write(&there, b"last words").unwrap();
        context.submit(&send(b"never read"), None).unwrap();
        drop(there);
        context.submit(&encode_poll(), RING).unwrap();
        assert_eq!(context.next_fence(), Some(Fence));
        assert_eq!(message(&map).1, b"last words");
        context.submit(&encode_poll(), RING).unwrap();
        assert_eq!(context.next_fence(), Some(Fence));
        assert!(message(&map).0.contains("stage: Stream, errno: 0"));
    }

    #[test]
    fn descriptors_that_do_not_all_arrive_end_the_stream() {
        let (mut context, there) = context();
        let map = init(&mut context, 4096);
        // Credentials take room that was meant for descriptors.
        rustix::net::sockopt::set_socket_passcred(context.socket().unwrap(), true).unwrap();
        let rights = [there.as_fd(); sys::socket::DESCRIPTORS_MAX];
        sys::socket::send(&there, &[std::io::IoSlice::new(b"too many")], &rights).unwrap();
        context.submit(&encode_poll(), RING).unwrap();
        assert_eq!(context.next_fence(), Some(Fence));
        let closed = message(&map).0;
        assert!(closed.contains("stage: Stream, errno: 24"), "{closed}");
    }

    #[test]
    fn what_the_socket_does_not_take_is_submitted_again_and_arrives_once() {
        let (mut context, there) = context();
        init(&mut context, 4096);
        let data: Vec<u8> = (0..=250).cycle().take(60_000).collect();
        let submission = [send(&data), send(&data)].concat();
        let (mut submitted, mut received) = (vec![], vec![]);
        let mut buffer = vec![0; 100_000];
        for _ in 0..10 {
            let mut rest = &submission[..];
            while !rest.is_empty() {
                let done = context.submit(rest, None).unwrap();
                rest = &rest[done..];
                let waits = context.interest().is_some_and(|(_, flags)| flags == PollFlags::OUT);
                assert_eq!(waits, !rest.is_empty());
                if waits {
                    let read = rustix::io::read(&there, &mut buffer).unwrap();
                    received.extend_from_slice(&buffer[..read]);
                }
            }
            submitted.extend([&data[..], &data].concat());
        }
        context.submit(&send(b""), None).unwrap();
        loop {
            match rustix::io::read(&there, &mut buffer).unwrap() {
                0 => break,
                read => received.extend_from_slice(&buffer[..read]),
            }
        }
        assert!(received == submitted, "{} of {} bytes", received.len(), submitted.len());
    }

    #[test]
    fn commands_out_of_place_are_refused() {
        let (mut context, _there) = context();
        let out_of_place = |error| matches!(error, Err(SubmitError::OutOfPlace { .. }));
        assert_eq!(context.submit(&encode_poll(), Some(QUERY_RING)), Ok(16), "a POLL for nothing");
        assert!(out_of_place(context.submit(&encode_poll(), RING)), "POLL before INIT");
        assert!(out_of_place(context.submit(&send(b"x"), None)), "SEND before INIT");
        init(&mut context, 4096);
        assert!(out_of_place(context.submit(&encode_poll(), None)), "POLL without a fence");
        context.submit(&encode_poll(), RING).unwrap();
        assert!(out_of_place(context.submit(&encode_poll(), RING)), "a second POLL");
        let again =
            Init { query_ring_id: 1, channel_ring_id: 2, channel_type: channel::X11, form: InitForm::Bare };
        assert!(out_of_place(context.submit(&again.encode().unwrap(), None)), "a second INIT");
    }

    #[test]
    fn rings_that_are_none_and_bytes_that_are_no_commands_are_refused() {
        for (id, ring_bytes) in [(9, 4096), (1, 8192)] {
            let (mut context, _there) = context();
            context.resources().create_blob(4096).unwrap();
            let form = InitForm::X11Bridge { protocol_version: 1, channel_ring_bytes: ring_bytes };
            let init = Init { query_ring_id: id, channel_ring_id: id, channel_type: channel::X11, form };
            let refused = context.submit(&init.encode().unwrap(), None);
            assert_eq!(refused, Err(SubmitError::NoSuchRing { id }));
        }
        let (mut context, _there) = context();
        assert!(matches!(context.submit(&[0xff; 100], None), Err(SubmitError::Command(_))));
    }
}
