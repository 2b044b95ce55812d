//! The host's stream: the set-up reply, then replies, errors and events on their way to the client.

use x11_wire::extension::{
    DRI3_VERSION, PRESENT_CAPABILITIES, PRESENT_CAPABILITY_SYNCOBJ, QueryExtensionReply, hide_in_list,
};
use x11_wire::message::{BAD_ALLOC, ERROR_MAJOR, HEADER, Kind, MessageHead, encode_error, rewrite_error};
use x11_wire::pixmap_formats::PixmapFormats;
use x11_wire::request::UNASSIGNED;
use x11_wire::sequence::widen;
use x11_wire::setup::{SetupReply, SetupStatus};
use x11_wire::shm::get_image_size;

use crate::client::pass_body;
use crate::descriptors::{Mark, Marks, Queue};
use crate::limits::HOST_HELD_MAX;
use crate::pending::{Answer, Pending};
use crate::policy::Enforcer;
use crate::session::{Session, Violation};
use crate::trace::Traced;

/// With fewer requests under way than this, 16 bits tell before from after.
const UNAMBIGUOUS: u64 = 32_768;
/// The last version of DRI3 whose requests name neither timelines nor devices.
const DRI3_WITHOUT_TIMELINES: (u32, u32) = (1, 2);
/// Offset of what a reply says, behind its length.
const REPLY_BODY: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    SetUp,
    Messages,
    /// The set-up was refused: whatever follows passes.
    Refused,
}

#[derive(Debug)]
pub(crate) struct HostStream<F> {
    phase: Phase,
    /// Bytes of the current message that are still to come.
    pub(crate) body_left: u64,
    /// Bytes passed.
    pub(crate) position: u64,
    /// The request that the host had reached; a lower bound after a gap of 65,536 and more.
    pub(crate) sequence: u64,
    /// How images lie in memory, once the set-up has said.
    pub(crate) formats: PixmapFormats,
    pub(crate) replies: u64,
    pub(crate) events: u64,
    pub(crate) errors: u64,
    pub(crate) descriptors: Queue<Option<F>>,
}

impl<F> HostStream<F> {
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::SetUp,
            body_left: 0,
            position: 0,
            sequence: 0,
            formats: PixmapFormats::default(),
            replies: 0,
            events: 0,
            errors: 0,
            descriptors: Queue::new(),
        }
    }
}

impl<F> Session<F> {
    pub(crate) fn look_at_messages<const TRACED: bool>(
        &mut self,
        chunk: &mut [u8],
        marks: &mut Marks<F>,
    ) -> Result<usize, Violation> {
        let start = self.host.position;
        let mut at = 0;
        loop {
            let passed = pass_body(&mut self.host.body_left, chunk.len() - at);
            if TRACED && let Some(trace) = &mut self.trace {
                trace.message_bytes(chunk.get(at..at + passed).unwrap_or_default());
            }
            at += passed;
            let Some(rest) = chunk.get_mut(at..).filter(|rest| !rest.is_empty()) else { break };
            let kind = if self.host.phase == Phase::Messages { Traced::Message } else { Traced::SetUp };
            let begun = match self.host.phase {
                Phase::SetUp => self.begin_set_up(rest),
                Phase::Messages => self.begin_message(rest, at, marks)?,
                Phase::Refused => Some(rest.len() as u64),
            };
            let Some(len) = begun else { break };
            if TRACED && let Some(trace) = &mut self.trace {
                trace.message(kind, self.client.sequence, len);
            }
            self.host.body_left = len;
        }
        self.host.position = start + at as u64;
        self.host.descriptors.expire(self.host.position);
        self.fences.reached(self.host.sequence);
        Ok(at)
    }

    /// The length of the set-up reply at the start of `rest`; `None` while too little of it is there.
    fn begin_set_up(&mut self, rest: &[u8]) -> Option<u64> {
        let reply = SetupReply::parse(self.order, rest)?;
        if reply.status == SetupStatus::Success && rest.len() < reply.len.min(HOST_HELD_MAX) {
            // A list that is longer than what may be held, or than the reply, is read as far as it goes.
            let end = PixmapFormats::end(self.order, rest)?;
            if rest.len() < end.min(HOST_HELD_MAX).min(reply.len) {
                return None;
            }
        }
        self.host.formats = PixmapFormats::parse(self.order, rest.get(..reply.len).unwrap_or(rest));
        if reply.status == SetupStatus::Success
            && let Some((base, mask)) = SetupReply::resource_ids(self.order, rest)
        {
            self.join(base, mask);
        }
        self.host.phase = if reply.status == SetupStatus::Success { Phase::Messages } else { Phase::Refused };
        Some(reply.len as u64)
    }

    /// The length of the message at the start of `rest`; `None` while too little of it is there.
    fn begin_message(
        &mut self,
        rest: &mut [u8],
        at: usize,
        marks: &mut Marks<F>,
    ) -> Result<Option<u64>, Violation> {
        let Some(head) = MessageHead::parse(self.order, rest) else { return Ok(None) };
        // A server that numbers an answer wrongly, as some do for clients of the other byte order, must not leave what it
        // answered in the way of all that come later.
        if let Some(wire) =
            head.sequence.filter(|wire| head.kind != Kind::Event && !self.pending.is_next(*wire))
        {
            self.advance(wire);
        }
        if let (Kind::Reply, Some(wire)) = (head.kind, head.sequence)
            && self.pending.awaits_whole(wire)
        {
            if head.len > HOST_HELD_MAX as u64 {
                return Err(Violation::HostListTooLong { bytes: head.len });
            }
            if head.len > rest.len() as u64 {
                return Ok(None);
            }
        }
        match head.kind {
            Kind::Reply => self.host.replies += 1,
            Kind::Error => self.host.errors += 1,
            Kind::Event => {
                self.host.events += 1;
                if let Some(enforcer) = &mut self.enforcer {
                    enforcer.notice(rest, &self.standing);
                }
            }
        }
        if let Some(wire) = head.sequence {
            if let Some(pending) = self.match_pending(head.kind, wire, rest) {
                self.reach(pending.sequence, wire);
                self.answer(pending.answer, head, rest, at, marks);
            } else {
                self.advance(wire);
                if head.kind == Kind::Error {
                    self.notice_refused_fence(wire, rest);
                    self.rename_attach_error(wire, rest);
                }
            }
        }
        Ok(Some(head.len))
    }

    fn match_pending(&mut self, kind: Kind, wire: u16, rest: &[u8]) -> Option<Pending> {
        match kind {
            Kind::Reply => self.pending.match_reply(wire, rest.get(1) == Some(&0)),
            Kind::Error => self.pending.match_error(wire, rest.get(ERROR_MAJOR).copied()?),
            Kind::Event => None,
        }
    }

    /// Whether the answer to a request that comes now can't be confused with one that is not remembered. Fewer than
    /// 65,537 requests under way have different numbers on the wire; libraries never have more.
    pub(crate) const fn answers_are_certain(&self) -> bool {
        let under_way = (self.client.sequence + 1).saturating_sub(self.host.sequence);
        under_way <= 0x1_0000 || self.client.unremembered <= self.host.sequence
    }

    /// Notes how far the host has come: to the request that was answered, or at least to a number of these 16 bits.
    fn reach(&mut self, answered: u64, wire: u16) {
        let certain = self.answers_are_certain();
        let reached = if certain { answered } else { widen(self.host.sequence, wire) };
        self.host.sequence = reached.min(self.client.sequence);
    }

    /// Follows the sequence number of a message that answers nothing remembered.
    fn advance(&mut self, wire: u16) {
        let reached = widen(self.host.sequence, wire);
        if reached <= self.client.sequence {
            let unambiguous = self.client.sequence - self.host.sequence < UNAMBIGUOUS;
            self.host.sequence = reached;
            if unambiguous {
                self.pending.skip_before(wire);
            }
        }
    }

    /// Hands its descriptors to a reply. If one is missing the reply becomes an error: a library that does not get what a
    /// reply announces gives the connection up.
    pub(crate) fn hand_over(
        &mut self,
        opcodes: (u8, u8),
        head: MessageHead,
        rest: &mut [u8],
        at: usize,
        marks: &mut Marks<F>,
    ) {
        let count = rest.get(1).copied().map_or(0, usize::from);
        let descriptors = self.host.descriptors.take(count);
        match descriptors.into_iter().collect::<Option<Vec<_>>>() {
            Some(descriptors) if descriptors.is_empty() => {}
            Some(descriptors) => marks.push(Mark { offset: at, skip: 0, descriptors, fence: None }),
            None => self.fail_reply(opcodes, head, rest, at, marks),
        }
    }

    /// Puts an error in the place of a reply, all of which is in `rest`. What the reply was longer than an error is left out.
    fn fail_reply(
        &self,
        (major, minor): (u8, u8),
        head: MessageHead,
        rest: &mut [u8],
        at: usize,
        marks: &mut Marks<F>,
    ) {
        let left_out = usize::try_from(head.len).unwrap_or(usize::MAX).saturating_sub(HEADER);
        let Some(place) = rest.get_mut(left_out..).and_then(|rest| rest.first_chunk_mut()) else { return };
        *place = encode_error(self.order, BAD_ALLOC, head.sequence.unwrap_or(0), major, minor.into());
        if left_out > 0 {
            marks.push(Mark { offset: at + left_out, skip: left_out, descriptors: vec![], fence: None });
        }
    }

    fn clamp_dri3(&self, reply: &mut [u8]) {
        let (major, minor) = DRI3_WITHOUT_TIMELINES;
        let field = |at| self.order.u32_at(reply, at).unwrap_or(0);
        if (field(DRI3_VERSION), field(DRI3_VERSION + 4)) > (major, minor) {
            self.order.put_u32(reply, DRI3_VERSION, major);
            self.order.put_u32(reply, DRI3_VERSION + 4, minor);
        }
    }

    fn answer(
        &mut self,
        answer: Answer,
        head: MessageHead,
        rest: &mut [u8],
        at: usize,
        marks: &mut Marks<F>,
    ) {
        match (answer, head.kind) {
            (Answer::Extension { extension, group }, Kind::Reply) => {
                let Some(reply) = QueryExtensionReply::parse(rest).filter(|reply| reply.present) else {
                    return;
                };
                let concealed = self.enforcer.as_ref().is_some_and(|enforcer| enforcer.conceals(reply.major));
                if concealed || extension.is_some_and(|extension| self.extensions.hides(extension)) {
                    QueryExtensionReply::hide(rest);
                } else {
                    self.extensions.learn(reply.major, extension);
                    if let Some(enforcer) = &mut self.enforcer {
                        enforcer.learn(reply.major, group, reply.first_event);
                    }
                }
            }
            (Answer::Absent, Kind::Reply) => QueryExtensionReply::hide(rest),
            (Answer::ExtensionList, Kind::Reply) => {
                let policy = self.enforcer.as_deref().map(Enforcer::policy);
                hide_in_list(self.order, rest, |name| {
                    self.extensions.hides_name(name) || policy.is_some_and(|policy| policy.hides(name))
                });
            }
            (Answer::Descriptors { major, minor }, Kind::Reply) => {
                self.hand_over((major, minor), head, rest, at, marks);
            }
            (Answer::Exported { major, fence }, Kind::Reply) => {
                self.adopt_fence((major, fence), head, rest, at, marks);
            }
            (Answer::Provided { .. }, Kind::Reply) => self.put_provided(rest, at, marks),
            (Answer::Provided { major, minor }, Kind::Error) => self.withhold_provided(rest, (major, minor)),
            (Answer::ShmVersion, Kind::Reply) => {
                if let Some(shared_pixmaps) = rest.get_mut(1) {
                    *shared_pixmaps = 0;
                }
            }
            (Answer::ShmImage { key, offset }, kind) => {
                let offset = u64::from(offset);
                let size = u64::from(get_image_size(self.order, rest));
                self.segments.written(key, (kind == Kind::Reply).then_some(offset..offset + size));
            }
            (Answer::Dri3Version, Kind::Reply) => self.clamp_dri3(rest),
            (Answer::PresentCapabilities, Kind::Reply) => {
                let capabilities = self.order.u32_at(rest, PRESENT_CAPABILITIES).unwrap_or(0);
                self.order.put_u32(rest, PRESENT_CAPABILITIES, capabilities & !PRESENT_CAPABILITY_SYNCOBJ);
            }
            (Answer::Denied { major, minor, code, value }, Kind::Error)
                if rest.get(ERROR_MAJOR) == Some(&UNASSIGNED) =>
            {
                rewrite_error(self.order, rest, code, value, major, minor.into());
            }
            (Answer::Blank, Kind::Reply) => blank(rest, head.len),
            _ => {}
        }
    }
}

/// Takes everything out of a reply but its kind, second byte, sequence number and length.
fn blank(rest: &mut [u8], len: u64) {
    let own = usize::try_from(len).unwrap_or(usize::MAX).min(rest.len());
    rest.get_mut(REPLY_BODY..own).unwrap_or_default().fill(0);
}
