//! One cross-domain context: a channel from a guest's client to a socket of the host.

mod fences;
mod futexes;
mod receiving;
mod sending;
mod submit_error;
#[cfg(test)]
mod test;

use std::collections::VecDeque;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use cross_domain::dialect::x11bridge::fence::{FEATURE_ADOPTION, FEATURE_FENCES};
use cross_domain::dialect::x11bridge::{FEATURE_FILES, FEATURE_MEMORY, Stage};
use cross_domain::{
    CHANNEL_RING, Capset, Command, Commands, Dialect, Extension, Init, InitForm, QUERY_RING, RING_BYTES,
    channel,
};
use rustix::event::PollFlags;
use rustix::io::Errno;
use sys::Blob;

use self::fences::Fences;
use self::receiving::Ring;
use crate::channel::{Batch, Channel};
use crate::exports::Exports;
use crate::opening::{OpenFailure, Opened, Opener, Opening};
use crate::resources::Resources;
use crate::shared_files::SharedFiles;

pub use self::fences::FenceNotifier;
pub use self::submit_error::SubmitError;

/// Bytes of a channel ring at most that are offered to guests of our own dialect.
pub const RING_BYTES_MAX: usize = 256 << 10;

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
    /// Fences that are relayed, from the first on.
    fences: Option<Fences>,
    notifier: Option<FenceNotifier>,
    /// Whether the guest is another machine, which files have to be mapped for.
    is_remote: bool,
    /// What it names of the guest's `/dev/shm`.
    shared: SharedFiles,
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
            extension: Some(Extension {
                features: FEATURE_FENCES | FEATURE_ADOPTION | FEATURE_MEMORY | FEATURE_FILES,
                ..Extension::new(ring_bytes)
            }),
        }
        .encode()
    }

    /// A context without a channel yet, of a client on this machine.
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
            fences: None,
            notifier: None,
            is_remote: false,
            shared: SharedFiles::default(),
            traffic: Traffic::default(),
        }
    }

    /// The same of a client in a virtual machine, some of whose files have names.
    pub(crate) fn of_guest(opener: Opener, exports: Exports) -> Self {
        Self { is_remote: true, shared: SharedFiles::new(exports), ..Self::new(opener) }
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
            self.fences = None;
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
    pub fn is_drained(&self) -> bool {
        self.drained && self.received == 0 && !self.has_news()
    }

    /// Whether there is something to tell that did not come from the X server's socket.
    pub fn has_news(&self) -> bool {
        self.fences.as_ref().is_some_and(Fences::has_news)
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
}

fn raw(errno: Errno) -> u32 {
    errno.raw_os_error().unsigned_abs()
}
