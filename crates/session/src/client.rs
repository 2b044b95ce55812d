//! The client's stream: requests on their way to the host.

use x11_wire::ByteOrder;
use x11_wire::extension::{
    self, BIG_REQUESTS_ENABLE, DESCRIPTOR_REQUEST_MAX, DRI3_FREE_SYNCOBJ, DRI3_IMPORT_SYNCOBJ, DRI3_OPEN,
    DRI3_QUERY_VERSION, DRI3_SET_DRM_DEVICE_IN_USE, Descriptors, Extension, PRESENT_PIXMAP_SYNCED,
    PRESENT_QUERY_CAPABILITIES, RANDR_CREATE_LEASE,
};
use x11_wire::fence::fence_use;
use x11_wire::message::{BAD_ACCESS, BAD_ALLOC, BAD_REQUEST};
use x11_wire::request::{EXTENSION_FIRST, Head, NO_OPERATION, RequestHead, UNASSIGNED};
use x11_wire::shm;

use crate::descriptors::{Marks, Queue};
use crate::extensions::Class;
use crate::limits::{EXTENSION_NAME_MAX, PENDING_MAX};
use crate::pending::{Answer, Pending};
use crate::policy::{Enforcer, Ruling};
use crate::provided::Wanted;
use crate::segments::Attach;
use crate::session::{Next, Progress, Session, Violation};

#[derive(Debug)]
pub(crate) struct ClientStream<F> {
    /// Bytes of the current request that are still to come.
    pub(crate) body_left: u64,
    /// Bytes passed since the set-up.
    pub(crate) position: u64,
    /// Requests begun since the set-up: the number of the current one.
    pub(crate) sequence: u64,
    /// The last request that may have a reply and is not remembered: those of extensions, as a rule.
    pub(crate) unremembered: u64,
    /// The last request that the policy has let through.
    passed_policy: u64,
    big_requests: bool,
    pub(crate) descriptors: Queue<F>,
}

impl<F> ClientStream<F> {
    pub(crate) const fn new() -> Self {
        Self {
            body_left: 0,
            position: 0,
            sequence: 0,
            unremembered: 0,
            passed_policy: 0,
            big_requests: false,
            descriptors: Queue::new(),
        }
    }
}

/// What to do with a request that has been looked at.
pub(crate) enum Verdict {
    /// It passes; remember it if there is something to do with its answer.
    Pass(Option<Answer>),
    /// More of its bytes are needed first.
    Hold,
    /// An answer of the host is needed first.
    Stall,
    /// A segment is needed first.
    Attach(Attach),
    /// A fence has to be linked first, by this id.
    Link(u32),
    /// The fence of this id has to be reset first.
    ResetFence(u32),
    /// A descriptor is needed first.
    Provide(Wanted),
}

impl<F> Session<F> {
    pub(crate) fn look_at_requests<const TRACED: bool>(
        &mut self,
        chunk: &mut [u8],
        marks: &mut Marks<F>,
    ) -> Progress {
        let start = self.client.position;
        let mut at = 0;
        let mut next = Next::Client;
        let mut opcodes = [0; 2];
        loop {
            let passed = pass_body(&mut self.client.body_left, chunk.len() - at);
            if TRACED && let Some(trace) = &mut self.trace {
                trace.request_bytes(chunk.get(at..at + passed).unwrap_or_default(), opcodes);
            }
            at += passed;
            let Some(rest) = chunk.get_mut(at..).filter(|rest| !rest.is_empty()) else { break };
            let head = match RequestHead::parse(self.order, self.client.big_requests, rest) {
                Head::Complete(head) => head,
                Head::NeedMore => break,
                Head::BadLength => {
                    let [major, minor] = rest.first_chunk().copied().unwrap_or_default();
                    next = Next::Nothing(Violation::ClientLength { major, minor });
                    break;
                }
            };
            if TRACED {
                opcodes = [head.major, head.minor];
            }
            let class = self.extensions.class(head.major);
            let ruled = self.enforcer.as_ref().is_some_and(|enforcer| !enforcer.passes(head, rest));
            if class != Class::Plain || ruled {
                // Never beyond the request: what follows it is the next one's.
                let own = usize::try_from(head.len).unwrap_or(usize::MAX).min(rest.len());
                let Some(rest) = rest.get_mut(..own) else { break };
                let resumed = self.client.passed_policy == self.client.sequence + 1;
                // Of an extension that is hidden, rules say nothing.
                let verdict = if ruled && !resumed && class != Class::Unlearnt {
                    self.rule(class, head, rest, at, marks)
                } else {
                    self.judge(class, head, rest, at, marks)
                };
                match verdict {
                    Verdict::Pass(answer) => self.remember(rest, answer),
                    Verdict::Hold => break,
                    Verdict::Stall => {
                        next = Next::Host;
                        break;
                    }
                    Verdict::Attach(attach) => {
                        next = Next::Attach(attach);
                        break;
                    }
                    Verdict::Link(id) => {
                        next = Next::Link(id);
                        break;
                    }
                    Verdict::ResetFence(id) => {
                        next = Next::ResetFence(id);
                        break;
                    }
                    Verdict::Provide(wanted) => {
                        next = Next::Provide(wanted);
                        break;
                    }
                }
            }
            self.client.sequence += 1;
            if TRACED && let Some(trace) = &mut self.trace {
                let changed = chunk.get(at..at + 2) != Some(&opcodes);
                trace.request(self.client.sequence, head.len, changed);
            }
            if head.major >= EXTENSION_FIRST {
                self.client.unremembered = self.client.sequence;
            }
            self.client.body_left = head.len;
        }
        self.client.position = start + at as u64;
        self.client.descriptors.expire(self.client.position);
        Progress { forward: at, next }
    }

    /// Decides on one request. `rest` starts at it and may end before it does.
    fn judge(
        &mut self,
        class: Class,
        head: RequestHead,
        rest: &mut [u8],
        at: usize,
        marks: &mut Marks<F>,
    ) -> Verdict {
        match class {
            Class::Plain => Verdict::Pass(None),
            Class::Replies if self.pending.len() < PENDING_MAX => Verdict::Pass(Some(Answer::Pass)),
            Class::Replies => {
                self.client.unremembered = self.client.sequence + 1;
                Verdict::Pass(None)
            }
            _ if self.pending.len() >= PENDING_MAX => Verdict::Stall,
            Class::ListExtensions => Verdict::Pass(Some(Answer::ExtensionList)),
            Class::QueryExtension => self.query_extension(head, rest),
            Class::Unlearnt if self.pending.awaits_extension() => Verdict::Stall,
            Class::Unlearnt => self.deny(head, rest),
            Class::Known(_) if !has(rest, head, DESCRIPTOR_REQUEST_MAX) => Verdict::Hold,
            Class::Known(extension) => self.known(extension, head, rest, at, marks),
        }
    }

    /// Carries out the policy, and if the request passes decides on it like on any other.
    fn rule(
        &mut self,
        class: Class,
        head: RequestHead,
        rest: &mut [u8],
        at: usize,
        marks: &mut Marks<F>,
    ) -> Verdict {
        // Each request is ruled once, or it would be counted twice: what would hold up a refusal comes first.
        if matches!(class, Class::Known(_)) && !has(rest, head, DESCRIPTOR_REQUEST_MAX) {
            return Verdict::Hold;
        }
        if self.pending.len() >= PENDING_MAX {
            return Verdict::Stall;
        }
        let Some(enforcer) = &mut self.enforcer else { return Verdict::Hold };
        match enforcer.rule(head, rest, &self.standing) {
            Ruling::Hold => Verdict::Hold,
            Ruling::Stall => Verdict::Stall,
            Ruling::Pass => {
                // It may be held up still.
                self.client.passed_policy = self.client.sequence + 1;
                self.judge(class, head, rest, at, marks)
            }
            Ruling::Deny(code, value) => {
                self.close_descriptors(class, head, rest);
                self.refuse(head, rest, code, value)
            }
            Ruling::Ignore => {
                self.close_descriptors(class, head, rest);
                self.denied += 1;
                set_opcodes(rest, NO_OPERATION);
                Verdict::Pass(None)
            }
            // Blanking another request's answer would let this one's through. Some servers number an answer of MIT-SHM
            // wrongly for clients of the other byte order, so that these can make their answers uncertain.
            Ruling::Blank if !self.answers_are_certain() || self.order == ByteOrder::Big => {
                self.refuse(head, rest, BAD_ACCESS, 0)
            }
            Ruling::Blank => Verdict::Pass(Some(Answer::Blank)),
        }
    }

    /// The descriptors of a request that does not reach the server.
    fn close_descriptors(&mut self, class: Class, head: RequestHead, rest: &[u8]) {
        if let Class::Known(extension) = class
            && let Some(Descriptors::Request(fds)) = extension::descriptors(extension, head.minor)
        {
            self.client.descriptors.discard(fds.count(rest, head.header));
        }
    }

    fn query_extension(&self, head: RequestHead, rest: &[u8]) -> Verdict {
        if !has(rest, head, head.header + 4 + EXTENSION_NAME_MAX) {
            return Verdict::Hold;
        }
        let name_len = self.order.u16_at(rest, head.header).map_or(0, usize::from);
        let from = head.header + 4;
        // A server refuses a length that does not fit the name's; then there is nothing to learn.
        let fits = head.len == x11_wire::padded(from + name_len) as u64;
        let name = rest.get(from..from + name_len).filter(|_| fits);
        // What is learnt opens an opcode to the client, so it must rest on this request's answer and no other's.
        let certain = self.answers_are_certain();
        let policy = self.enforcer.as_deref().map(Enforcer::policy);
        let hidden = policy.is_some_and(|policy| policy.hides(name.unwrap_or_default()));
        let learn = || Answer::Extension {
            extension: name.and_then(Extension::from_name),
            group: policy.map_or(0, |policy| policy.group_number(name.unwrap_or_default())),
        };
        Verdict::Pass(Some(if certain && !hidden { learn() } else { Answer::Absent }))
    }

    /// Lets the server refuse a request that it does not know.
    pub(crate) fn deny(&mut self, head: RequestHead, rest: &mut [u8]) -> Verdict {
        // Without an extension there is no minor opcode either.
        self.refuse(RequestHead { minor: 0, ..head }, rest, BAD_REQUEST, 0)
    }

    /// Lets the server refuse the request at its place in the sequence: its opcode becomes one that no server has. The
    /// error that comes back gets this code, this value, and the opcodes that the client used.
    pub(crate) fn refuse(&mut self, head: RequestHead, rest: &mut [u8], code: u8, value: u32) -> Verdict {
        set_opcodes(rest, UNASSIGNED);
        self.denied += 1;
        let minor = if head.major < EXTENSION_FIRST { 0 } else { head.minor };
        Verdict::Pass(Some(Answer::Denied { major: head.major, minor, code, value }))
    }

    fn known(
        &mut self,
        extension: Extension,
        head: RequestHead,
        rest: &mut [u8],
        at: usize,
        marks: &mut Marks<F>,
    ) -> Verdict {
        let leases = self.extensions.carries().timelines;
        let timelines = self.extensions.carries_timelines();
        if self.extensions.links_fences()
            && let Some(used) = fence_use(self.order, extension, head.minor, rest, head.header)
        {
            return self.fence_request(used, head, rest, at, marks);
        }
        match (extension, head.minor) {
            (Extension::BigRequests, BIG_REQUESTS_ENABLE) if head.len == 4 => self.client.big_requests = true,
            (Extension::MitShm, shm::ATTACH) => return self.attach(head, rest, at, marks),
            (Extension::MitShm, shm::ATTACH_FD) if !self.extensions.carries().files => {
                return self.attach_descriptor(head, rest, at, marks);
            }
            (Extension::MitShm, minor)
                if self.extensions.copies_segments() && minor <= shm::CREATE_PIXMAP =>
            {
                return self.segment_request(head, rest);
            }
            (Extension::RandR, RANDR_CREATE_LEASE) if !leases => {
                // No window: the server answers with a Window error, and gives no lease away.
                self.order.put_u32(rest, head.header, 0);
            }
            (Extension::Present, PRESENT_QUERY_CAPABILITIES) if !timelines => {
                return Verdict::Pass(Some(Answer::PresentCapabilities));
            }
            (Extension::Dri3, DRI3_OPEN) if !self.extensions.carries().files => {
                return self.provide_for(Wanted::Device, head, rest, (BAD_ALLOC, 0));
            }
            (Extension::Dri3, DRI3_QUERY_VERSION) if !timelines => {
                return Verdict::Pass(Some(Answer::Dri3Version));
            }
            (Extension::Dri3, DRI3_SET_DRM_DEVICE_IN_USE) if !timelines => set_opcodes(rest, NO_OPERATION),
            (Extension::Dri3, DRI3_IMPORT_SYNCOBJ) if !timelines => {
                self.client.descriptors.discard(1);
                return self.deny(head, rest);
            }
            (Extension::Dri3, DRI3_FREE_SYNCOBJ) | (Extension::Present, PRESENT_PIXMAP_SYNCED)
                if !timelines =>
            {
                return self.deny(head, rest);
            }
            _ => match extension::descriptors(extension, head.minor) {
                Some(Descriptors::Request(fds)) => {
                    self.client.descriptors.claim(fds.count(rest, head.header), at, marks);
                }
                Some(Descriptors::Reply) => {
                    let RequestHead { major, minor, .. } = head;
                    return Verdict::Pass(Some(Answer::Descriptors { major, minor }));
                }
                None => {}
            },
        }
        Verdict::Pass(None)
    }

    pub(crate) fn remember(&mut self, rest: &[u8], answer: Option<Answer>) {
        let (Some(answer), Some(&major)) = (answer, rest.first()) else { return };
        self.pending.push(Pending { sequence: self.client.sequence + 1, major, answer });
    }
}

/// Makes another request of one, in its place and of its length.
pub(crate) fn set_opcodes(request: &mut [u8], major: u8) {
    if let Some(opcodes) = request.first_chunk_mut::<2>() {
        *opcodes = [major, 0];
    }
}

/// Takes what is there of the current body; returns how many bytes that is.
#[inline]
pub(crate) fn pass_body(body_left: &mut u64, available: usize) -> usize {
    let taken = (*body_left).min(available as u64);
    *body_left -= taken;
    // No more than `available`, which is a usize.
    usize::try_from(taken).unwrap_or(available)
}

/// Whether the first `wanted` bytes of a request are there, or all of it if it is shorter.
fn has(rest: &[u8], head: RequestHead, wanted: usize) -> bool {
    rest.len() as u64 >= head.len.min(wanted as u64)
}
