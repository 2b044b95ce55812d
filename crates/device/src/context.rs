//! One cross-domain context: a channel from a guest's client to a socket of the host.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use cross_domain::dialect::x11bridge::{Stage, encode_closed};
use cross_domain::{
    CHANNEL_RING, Capset, Command, Commands, Dialect, Extension, IDENTIFIERS_MAX, Identifier, IdentifierType,
    Init, InitForm, RING_BYTES, SEND_HEADER_BYTES, Send, channel, encode_receive_header, receive_data_max,
};
use rustix::event::PollFlags;
use rustix::io::Errno;
use sys::SharedMap;
use sys::socket::{self, Outcome};

use crate::resources::Resources;

/// Bytes of a channel ring at most that are offered to guests of our own dialect.
pub const RING_BYTES_MAX: usize = 256 << 10;

/// SENDs that go in one system call at most.
const BATCH_MAX: usize = 4;

/// Opens the host's socket for a channel type.
pub type Opener = Box<dyn FnMut(u32) -> Result<OwnedFd, OpenFailure> + std::marker::Send>;

/// Why a channel could not be opened; goes to the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenFailure {
    /// Linux errno, 0 if there is none.
    pub errno: u32,
    /// What could not be reached, for the guest's user.
    pub text: String,
}

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
            Self::Unsupported { what } => write!(f, "this host does not carry {what}"),
        }
    }
}

/// A fence of the channel ring that is signalled: the answer to one POLL is in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence;

#[derive(Debug)]
struct Channel {
    socket: OwnedFd,
    /// Bytes of the SEND under way that the socket has taken; `None` while none is.
    sent: Option<usize>,
}

/// One context. It is destroyed by dropping it.
pub struct Context {
    resources: Resources,
    opener: Opener,
    ring: Option<(Arc<SharedMap>, usize)>,
    channel: Option<Channel>,
    /// The end of the channel, once it is known and until the guest has heard of it.
    end: Option<(Stage, u32, String)>,
    polled: bool,
    /// Bytes that lie in the ring and that the guest has not heard of.
    received: usize,
    /// Descriptors that came with them, and that the guest has not heard of.
    arrived: VecDeque<OwnedFd>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { channel, end, polled, .. } = self;
        write!(f, "Context {{ channel: {channel:?}, end: {end:?}, polled: {polled} }}")
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
            channel: None,
            end: None,
            polled: false,
            received: 0,
            arrived: VecDeque::new(),
        }
    }

    /// The context's blobs.
    pub const fn resources(&mut self) -> &mut Resources {
        &mut self.resources
    }

    /// Carries out a submission as far as the host's socket takes it, and returns how many of its bytes are done; `ring`
    /// is the fence ring that it names, if it wants a fence.
    ///
    /// Nothing is queued here. When less than all is done, the caller keeps the rest, as a device keeps the descriptor,
    /// and submits it again once [`Context::interest`] is ready. The first faulty command ends the submission; those
    /// before it are carried out.
    pub fn submit(&mut self, submission: &[u8], ring: Option<u8>) -> Result<usize, SubmitError> {
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
                    if complete < batch.len {
                        let rest = complete.checked_sub(1).and_then(|last| batch.rests.get(last));
                        return Ok(rest.map_or(done, |rest| submission.len() - rest));
                    }
                }
                _ => return Err(SubmitError::Unsupported { what: "this command" }),
            }
        }
    }

    /// What to poll for before [`Context::next_fence`] can have news; `None` when there is nothing to wait for.
    pub fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let channel = self.channel.as_ref()?;
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, self.polled);
        flags.set(PollFlags::OUT, channel.sent.is_some());
        (!flags.is_empty()).then(|| (channel.socket.as_fd(), flags))
    }

    /// Answers a POLL if there is something to answer.
    pub fn next_fence(&mut self) -> Option<Fence> {
        if !self.polled {
            return None;
        }
        if self.end.is_none() {
            let received = if self.received > 0 { Ok(Outcome::Bytes(self.received)) } else { self.receive() };
            match received.and_then(|outcome| self.announce(outcome)) {
                Ok(Outcome::Bytes(_)) => return Some(self.signal()),
                Ok(Outcome::WouldBlock) => return None,
                Ok(Outcome::Closed) => self.end = Some((Stage::Stream, 0, String::new())),
                Err(errno) => self.end = Some((Stage::Stream, raw(errno), String::new())),
            }
        }
        let (stage, errno, text) = self.end.as_ref()?;
        let message = encode_closed(*stage, *errno, text);
        let (map, _) = self.ring.as_ref()?;
        map.write(0, &message).then(|| self.signal())
    }

    fn init(&mut self, init: Init) -> Result<(), SubmitError> {
        if self.ring.is_some() {
            return Err(SubmitError::OutOfPlace { what: "a second INIT" });
        }
        let id = init.channel_ring_id;
        let ring_bytes = match init.form {
            InitForm::X11Bridge { channel_ring_bytes, .. } => channel_ring_bytes as usize,
            _ => RING_BYTES,
        };
        let map =
            self.resources.blob(id).filter(|map| ring_bytes <= map.len() && ring_bytes <= RING_BYTES_MAX);
        self.ring = Some((map.ok_or(SubmitError::NoSuchRing { id })?, ring_bytes));
        match (self.opener)(init.channel_type) {
            Ok(socket) => self.channel = Some(Channel { socket, sent: None }),
            Err(OpenFailure { errno, text }) => self.end = Some((Stage::Init, errno, text)),
        }
        Ok(())
    }

    fn poll(&mut self, ring: Option<u8>) -> Result<(), SubmitError> {
        let what = match (&self.ring, ring) {
            (None, _) => "a POLL before INIT",
            (_, other) if other != Some(CHANNEL_RING) => "a POLL without a fence on the channel ring",
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
        if self.ring.is_none() {
            return Err(SubmitError::OutOfPlace { what: "a SEND before INIT" });
        }
        let descriptors = named(&self.resources, first)?;
        // A channel that never opened swallows what the guest sent before it could know.
        let Some(channel) = self.channel.as_mut() else { return Ok(batch.len) };
        Ok(channel.send(batch, &descriptors).unwrap_or_else(|errno| {
            self.end.get_or_insert((Stage::Send, raw(errno), String::new()));
            batch.len
        }))
    }

    /// Receives straight into the ring, behind the room for the header.
    fn receive(&mut self) -> Result<Outcome, Errno> {
        let (Some(channel), Some((map, ring_bytes))) = (&self.channel, &self.ring) else {
            return Ok(Outcome::WouldBlock);
        };
        let mut descriptors = vec![];
        let outcome = map.receive(
            channel.socket.as_fd(),
            SEND_HEADER_BYTES,
            receive_data_max(*ring_bytes),
            &mut descriptors,
        )?;
        if let Outcome::Bytes(bytes) = outcome {
            self.received = bytes;
            self.arrived.extend(descriptors);
        }
        Ok(outcome)
    }

    /// Writes the header in front of what was received. Descriptors that don't fit into one message go ahead of the bytes
    /// that they came with, in messages without any.
    fn announce(&mut self, outcome: Outcome) -> Result<Outcome, Errno> {
        let (Outcome::Bytes(_), Some((map, ring_bytes))) = (outcome, &self.ring) else { return Ok(outcome) };
        let mut identifiers = [Identifier::default(); IDENTIFIERS_MAX];
        let mut count = 0;
        while let Some(identifier) = identifiers.get_mut(count)
            && let Some(descriptor) = self.arrived.pop_front()
        {
            *identifier = item(&mut self.resources, descriptor)?;
            count += 1;
        }
        let bytes = if self.arrived.is_empty() { std::mem::take(&mut self.received) } else { 0 };
        let mut header = [0; SEND_HEADER_BYTES];
        let identifiers = identifiers.get(..count).unwrap_or_default();
        encode_receive_header(&mut header, bytes, *ring_bytes, identifiers).map_err(|_| Errno::INVAL)?;
        if map.write(0, &header) { Ok(outcome) } else { Err(Errno::FAULT) }
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

/// SENDs that follow one another: their data goes in one system call.
struct Batch<'a> {
    data: [&'a [u8]; BATCH_MAX],
    /// Bytes of the submission behind each.
    rests: [usize; BATCH_MAX],
    len: usize,
}

impl<'a> Batch<'a> {
    /// `first`, which was just taken from `commands`, and those behind it that are nothing but data.
    fn gather(first: Send<'a>, commands: &mut Commands<'a>) -> Self {
        let mut batch = Self { data: [&[]; BATCH_MAX], rests: [0; BATCH_MAX], len: 0 };
        let mut next = first.data;
        for (data, rest) in batch.data.iter_mut().zip(&mut batch.rests) {
            (*data, *rest) = (next, commands.rest().len());
            batch.len += 1;
            let mut ahead = commands.clone();
            match ahead.next() {
                Some(Ok(Command::Send(send)))
                    if batch.len < BATCH_MAX && send.identifiers.is_empty() && !send.data.is_empty() =>
                {
                    next = send.data;
                }
                _ => break,
            }
            *commands = ahead;
        }
        batch
    }
}

impl Channel {
    /// Sends what the socket has not taken of a batch, and returns how many of its SENDs are done. One without data is
    /// the guest's way to say that nothing follows: the socket is half-closed. `descriptors` go with the first byte.
    fn send(&mut self, batch: &Batch<'_>, descriptors: &[BorrowedFd<'_>]) -> Result<usize, Errno> {
        let mut sent = self.sent.take().unwrap_or(0);
        if batch.data.iter().all(|data| data.is_empty()) {
            let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write);
        }
        loop {
            let mut skip = sent;
            let slices = batch.data.map(|data| {
                let skipped = skip.min(data.len());
                skip -= skipped;
                IoSlice::new(data.get(skipped..).unwrap_or_default())
            });
            if slices.iter().all(|slice| slice.is_empty()) {
                return Ok(batch.len);
            }
            let descriptors = if sent == 0 { descriptors } else { &[] };
            match socket::send(&self.socket, &slices, descriptors)? {
                Outcome::Bytes(bytes) => sent += bytes,
                Outcome::WouldBlock => {
                    let mut done = 0;
                    while let Some(data) = batch.data.get(done).filter(|data| data.len() <= sent) {
                        sent -= data.len();
                        done += 1;
                    }
                    self.sent = Some(sent);
                    return Ok(done);
                }
                // The X server has gone; what it had said is still to be read, and tells the guest.
                Outcome::Closed => return Ok(batch.len),
            }
        }
    }
}

fn raw(errno: Errno) -> u32 {
    errno.raw_os_error().unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cross_domain::{Message, encode_poll, encode_send_header};
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    const RING: Option<u8> = Some(CHANNEL_RING);

    fn context() -> (Context, OwnedFd) {
        let (here, there) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        let mut here = Some(here);
        (Context::new(Box::new(move |_| Ok(here.take().unwrap()))), there)
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
        let mut context = Context::new(Box::new(move |_| Err(failure.clone())));
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
