//! The session after the set-up: both streams' state, and what the caller is told.

use std::sync::Arc;

use x11_wire::ByteOrder;
use x11_wire::message::{BAD_LENGTH, HEADER, encode_error};
use x11_wire::sequence::low16;

use crate::client::ClientStream;
use crate::descriptors::Marks;
use crate::extensions::{Carries, Extensions, Offers};
use crate::fences::{FenceAction, LinkedFences};
use crate::host::HostStream;
use crate::pending::{Awaiting, PendingQueue};
use crate::policy::{Enforcer, ExtensionNumbers, Policy, Side, Standing};
use crate::provided::{Provided, Wanted};
use crate::segments::{Action, Attach, Attached, Segments};
use crate::trace::{Trace, Traced};

/// How far a chunk of a client's bytes may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// This many bytes from the start of the chunk go to the host now. The caller keeps the rest and shows it again,
    /// with what has come behind it.
    pub forward: usize,
    /// What the rest waits for.
    pub next: Next,
}

/// What a client's stream waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// More of the client's bytes.
    Client,
    /// An answer that is still under way: more of the client's bytes don't help, the next of the host's may.
    Host,
    /// A segment: the caller attaches it, tells by [`Session::attached`], and shows the rest again.
    Attach(Attach),
    /// A fence of this id: the caller links [`Session::fence_file`], tells by [`Session::linked`], and shows the rest again.
    Link(u32),
    /// The fence of this id: the caller resets it on both sides, tells by [`Session::fence_reset`], and shows the rest again.
    ResetFence(u32),
    /// This descriptor, for a reply: the caller gives it to [`Session::provide`], and shows the rest again.
    Provide(Wanted),
    /// Nothing: the client broke the protocol there, and nothing behind it can be understood.
    Nothing(Violation),
}

/// What ends a session before its streams do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// The client sent a request with an impossible length. Where the next one starts can't be known.
    ClientLength {
        /// The request's major opcode.
        major: u8,
        /// Its minor opcode, or data byte.
        minor: u8,
    },
    /// The host sent a `ListExtensions` reply of more than [`crate::HOST_HELD_MAX`] bytes.
    HostListTooLong {
        /// Length of the reply in bytes.
        bytes: u64,
    },
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ClientLength { major, minor } => {
                write!(f, "the client sent a request with an impossible length (opcode {major}, {minor})")
            }
            Self::HostListTooLong { bytes } => {
                write!(f, "the X server sent a list of extensions of {bytes} bytes")
            }
        }
    }
}

/// What went through, since the set-up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests of the client.
    pub requests: u64,
    /// Replies of the host.
    pub replies: u64,
    /// Events of the host.
    pub events: u64,
    /// Errors of the host.
    pub errors: u64,
    /// Requests that the session turned into ones that the server refuses.
    pub denied: u64,
    /// Descriptors handed to requests.
    pub descriptors_to_host: u64,
    /// Descriptors handed to replies.
    pub descriptors_to_client: u64,
    /// Descriptors that were closed because nothing claimed them or nothing can carry them.
    pub descriptors_dropped: u64,
}

/// One client's session. `F` is an owned descriptor: `OwnedFd` in the bridge, a number in tests.
#[derive(Debug)]
pub struct Session<F> {
    pub(crate) order: ByteOrder,
    pub(crate) extensions: Extensions,
    pub(crate) pending: PendingQueue,
    pub(crate) client: ClientStream<F>,
    pub(crate) host: HostStream<F>,
    pub(crate) segments: Segments,
    /// What became of the segment that was asked for last.
    pub(crate) attached: Attached<F>,
    pub(crate) fences: LinkedFences,
    pub(crate) provided: Provided<F>,
    pub(crate) denied: u64,
    /// Whose the client's resources are.
    pub(crate) standing: Standing,
    /// What the policy asks for; none where everything is allowed.
    pub(crate) enforcer: Option<Box<Enforcer>>,
    /// What is told to somebody who looks on; none as a rule.
    pub(crate) trace: Option<Box<Trace>>,
}

impl<F> Session<F> {
    /// A session whose set-up request has been accepted; the next bytes of the client are requests, the next of the
    /// host the set-up reply.
    pub fn new(order: ByteOrder, carries: Carries, offers: Offers) -> Self {
        Self {
            order,
            extensions: Extensions::new(carries, offers),
            pending: PendingQueue::default(),
            client: ClientStream::new(),
            host: HostStream::new(),
            segments: Segments::default(),
            attached: Attached::Unknown,
            fences: LinkedFences::default(),
            provided: Provided::new(),
            denied: 0,
            standing: Standing::default(),
            enforcer: None,
            trace: None,
        }
    }

    /// Puts the client on a side, before anything is said: what it shares with the bridge's other clients.
    pub fn stand_on(&mut self, side: &Arc<Side>) {
        self.standing = Standing::on(Arc::clone(side));
    }

    /// Puts the client, which stands on a side, under a policy before anything is said. `atoms` are the numbers that the host has for
    /// [`Policy::atoms`], in that order.
    pub fn obey(&mut self, policy: &Arc<Policy>, atoms: Vec<u32>) {
        self.enforcer = Some(Box::new(Enforcer::new(self.order, Arc::clone(policy), atoms)));
    }

    /// Puts the client under another policy, or none, from its next request on. `extensions` are the numbers that the host has for
    /// [`Policy::extensions`]; those that it lacks are left out. What the client knows of an extension that is hidden now helps it no
    /// more: its requests are refused as those of an opcode that no server has. [`Session::take_hits`] comes before.
    pub fn obey_anew(&mut self, policy: Option<(&Arc<Policy>, Vec<u32>)>, extensions: &[ExtensionNumbers]) {
        let before = self.enforcer.take().map(|before| *before);
        self.enforcer = policy.map(|(policy, atoms)| {
            let enforcer = Enforcer::new(self.order, Arc::clone(policy), atoms);
            Box::new(enforcer.renew(extensions, &self.standing, before))
        });
        let enforcer = &self.enforcer;
        self.extensions.conceal(|major| enforcer.as_ref().is_some_and(|enforcer| enforcer.conceals(major)));
    }

    /// Notes the client's ids.
    pub(crate) fn join(&mut self, base: u32, mask: u32) {
        self.standing.join(base, mask);
        if let Some(enforcer) = self.enforcer.as_mut().filter(|_| self.standing.member().is_some()) {
            enforcer.know(base, mask);
        }
    }

    /// Strikes the client out of its side: what it owns is nobody's from now on. To be called before the connection to
    /// the host is closed, for the host may then give the client's ids to another.
    pub fn leave(&mut self) {
        self.standing.leave();
        if let Some(enforcer) = &mut self.enforcer {
            enforcer.forget();
        }
    }

    /// Tells how often each of the policy's rules applied since the last time, by its label.
    pub fn take_hits(&mut self, each: impl FnMut(usize, u32)) {
        if let Some(enforcer) = &mut self.enforcer {
            enforcer.take_hits(each);
        }
    }

    /// Traces what goes through from now on, and says that under this name; `None` ends it.
    pub fn follow(&mut self, trace: Option<Trace>, name: &[u8]) {
        self.trace = trace.map(|mut trace| {
            trace.note(Traced::Begins, self.client.sequence, name);
            Box::new(trace)
        });
    }

    /// What is told to somebody who looks on.
    pub fn trace(&mut self) -> Option<&mut Trace> {
        self.trace.as_deref_mut()
    }

    /// The requests that await their reply, if any.
    pub fn awaiting(&self) -> Option<Awaiting> {
        self.pending.awaiting()
    }

    /// Answers [`Next::Attach`]: with a file of the segment's size for the server to attach, or with `None` where the
    /// client has no right to the segment, or there is none.
    pub fn attached(&mut self, file: Option<F>) {
        self.attached = file.map_or(Attached::Refused, Attached::File);
    }

    /// The descriptor that [`Next::Link`] is about.
    pub fn fence_file(&self) -> Option<&F> {
        self.client.descriptors.oldest()
    }

    /// Answers [`Next::Link`]: whether the fence is linked by the id, or with which X11 error the client is refused.
    pub fn linked(&mut self, result: Result<(), u8>) {
        self.fences.answer(result);
    }

    /// Answers [`Next::ResetFence`]: whether the fence was triggered and is reset, so that the server has nothing left to do.
    pub fn fence_reset(&mut self, is_done: bool) {
        self.fences.answer_reset(is_done);
    }

    /// What has to be done about linked fences before anything goes on that was let through, in order. To be asked after
    /// each look at a chunk.
    pub fn take_fence_actions(&mut self) -> Vec<FenceAction> {
        self.fences.take_actions()
    }

    /// Answers [`Next::Attach`] of a file that the client sent, where the server can be sent that itself.
    pub fn attached_itself(&mut self, file: F) {
        self.attached = Attached::Itself(file);
    }

    /// Answers [`Next::Attach`] where the client has no right to write to the file that it sent.
    pub fn denied(&mut self) {
        self.attached = Attached::Denied;
    }

    /// The descriptor of a segment to attach ([`crate::Source::Descriptor`]); `None` where the client sent none.
    pub fn take_segment(&mut self) -> Option<F> {
        self.client.descriptors.take(1).pop()
    }

    /// Answers [`Next::Provide`]; `None` where there is none.
    pub fn provide(&mut self, descriptor: Option<F>) {
        self.provided.answer(descriptor);
    }

    /// What has to be done before anything goes on that was let through. To be asked after each look at a chunk.
    pub fn take_actions(&mut self) -> Vec<Action> {
        self.segments.take_actions()
    }

    /// Takes descriptors that came with the client's next bytes. On a path that carries none they are closed.
    pub fn client_descriptors(&mut self, descriptors: impl IntoIterator<Item = F>) {
        let carried = self.extensions.carries().descriptors;
        let position = self.client.position;
        self.client.descriptors.arrive(position, descriptors);
        if !carried {
            self.client.descriptors.discard(usize::MAX);
        }
    }

    /// Takes descriptors that came with the host's next bytes; `None` for one that did not get here. The reply that owns
    /// such a one becomes an error.
    pub fn host_descriptors(&mut self, descriptors: impl IntoIterator<Item = Option<F>>) {
        let position = self.host.position;
        self.host.descriptors.arrive(position, descriptors);
        if !self.extensions.carries().descriptors {
            self.host.descriptors.discard(usize::MAX);
        }
    }

    /// Looks at the client's bytes, in place: those held back last time first, then what has come since.
    ///
    /// At most [`crate::CLIENT_HELD_MAX`] bytes are held back while it is the client that is waited for. New marks are added to
    /// `marks`; their offsets count from the start of `chunk` and lie below `forward`.
    pub fn client_data(&mut self, chunk: &mut [u8], marks: &mut Marks<F>) -> Progress {
        if self.trace.is_some() {
            self.look_at_requests::<true>(chunk, marks)
        } else {
            self.look_at_requests::<false>(chunk, marks)
        }
    }

    /// Looks at the host's bytes, in place; returns how many from the start of the chunk go to the client now.
    ///
    /// At most [`crate::HOST_HELD_MAX`] bytes are held back.
    pub fn host_data(&mut self, chunk: &mut [u8], marks: &mut Marks<F>) -> Result<usize, Violation> {
        if self.trace.is_some() {
            self.look_at_messages::<true>(chunk, marks)
        } else {
            self.look_at_messages::<false>(chunk, marks)
        }
    }

    /// How many of the host's next bytes are the body of a message that nothing has to be known of. The caller may
    /// pass them on without showing them, and then has to say so with [`Session::host_passed`].
    pub const fn host_passable(&self) -> u64 {
        self.host.body_left
    }

    /// Notes that `bytes` of the host's, at most [`Session::host_passable`], went to the client unseen.
    pub fn host_passed(&mut self, bytes: u64) {
        self.host.body_left = self.host.body_left.saturating_sub(bytes);
        self.host.position += bytes;
        if let Some(trace) = self.trace.as_mut().filter(|_| bytes > 0) {
            trace.cut_message();
        }
    }

    /// What went through so far.
    pub const fn counters(&self) -> Counters {
        let (client, host) = (&self.client.descriptors, &self.host.descriptors);
        Counters {
            requests: self.client.sequence,
            replies: self.host.replies,
            events: self.host.events,
            errors: self.host.errors,
            denied: self.denied,
            descriptors_to_host: client.claimed,
            descriptors_to_client: host.claimed,
            descriptors_dropped: client.dropped + host.dropped,
        }
    }

    /// The error that tells the client why its connection ends, to be sent behind all that the host still says.
    pub fn last_error(&self, violation: Violation) -> Option<[u8; HEADER]> {
        match violation {
            Violation::ClientLength { major, minor } => {
                let sequence = low16(self.client.sequence + 1);
                Some(encode_error(self.order, BAD_LENGTH, sequence, major, u16::from(minor)))
            }
            Violation::HostListTooLong { .. } => None,
        }
    }
}
