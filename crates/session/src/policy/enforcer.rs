//! Carrying a policy out on one client's requests.

use std::sync::Arc;

use x11_wire::ByteOrder;
use x11_wire::request::{EXTENSION_FIRST, RequestHead};

use super::quick::QuickTable;
use super::side::{Member, Side};
use super::test::{Ask, Sight, Subject, Test, Xi2};
use super::{Action, Policy, Rule};
use crate::limits::{CLIENT_HELD_MAX, REQUESTED_MAX};

/// Core event `SelectionRequest`.
const SELECTION_REQUEST: u8 = 30;
/// Offsets of its requestor and property, and of the target that stands for a property that is `None`.
const REQUESTOR: usize = 12;
const TARGET: usize = 20;
const PROPERTY: usize = 24;
/// Error code of `Access`.
const BAD_ACCESS: u8 = 10;

/// What a policy makes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// More of its bytes are needed.
    Hold,
    /// It passes, maybe changed.
    Pass,
    /// The set-up has to be answered first: until then nobody knows which ids are the client's.
    Stall,
    /// The server has to refuse it: error code, and the value that the error names.
    Deny(u8, u32),
    /// It has to do nothing.
    Ignore,
    /// It passes, and its reply has to be blanked.
    Blank,
}

/// Properties that the other side asked this client to write, the latest last.
#[derive(Debug, Default)]
pub(crate) struct Requested {
    /// Window and property.
    latest: [(u32, u32); REQUESTED_MAX],
    next: usize,
}

impl Requested {
    pub(crate) fn has(&self, window: u32, property: Option<u32>) -> bool {
        window != 0
            && self.latest.iter().any(|known| known.0 == window && property.is_none_or(|p| known.1 == p))
    }

    fn note(&mut self, window: u32, property: u32) {
        if !self.has(window, Some(property))
            && let Some(place) = self.latest.get_mut(self.next)
        {
            *place = (window, property);
            self.next = (self.next + 1) % REQUESTED_MAX;
        }
    }
}

/// One client's share of a policy.
#[derive(Debug)]
pub(crate) struct Enforcer {
    policy: Arc<Policy>,
    side: Arc<Side>,
    /// From the set-up reply on, until the client's connection is about to end.
    member: Option<Member>,
    left: bool,
    /// The policy's group of each major opcode of an extension; 0 where nothing is ruled.
    groups: [u8; 256],
    order: ByteOrder,
    quick: QuickTable,
    /// The numbers of the policy's atoms at this server.
    atoms: Vec<u32>,
    /// How often each rule applied, by label, since the last time that somebody asked.
    hits: Vec<u32>,
    any_hits: bool,
    requested: Requested,
}

impl Enforcer {
    pub(crate) fn new(order: ByteOrder, policy: Arc<Policy>, side: Arc<Side>, atoms: Vec<u32>) -> Self {
        Self {
            quick: QuickTable::new(order, &policy),
            hits: vec![0; policy.labels.len()],
            policy,
            side,
            member: None,
            left: false,
            groups: [0; 256],
            order,
            atoms,
            any_hits: false,
            requested: Requested::default(),
        }
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Notes the client's ids.
    pub(crate) fn join(&mut self, base: u32, mask: u32) {
        if !self.left {
            self.member = Some(Member::join(Arc::clone(&self.side), base, mask));
            self.quick.know(self.order, base, mask);
        }
    }

    /// Strikes the client out: the server may give its ids to somebody else.
    pub(crate) fn leave(&mut self) {
        self.member = None;
        self.left = true;
        self.quick.forget();
    }

    /// Notes that the server gave `major` to the extension with this group number.
    pub(crate) fn learn(&mut self, major: u8, group: u8) {
        if let Some(place) = self.groups.get_mut(usize::from(major)).filter(|_| major >= EXTENSION_FIRST) {
            *place = group;
            self.quick.learn(major, group != 0);
        }
    }

    /// Whether a request, `bytes` from its header on and maybe others behind it, passes without asking the rules.
    #[inline]
    pub(crate) fn passes(&self, head: RequestHead, bytes: &[u8]) -> bool {
        self.quick.passes(head, bytes)
    }

    /// Takes the counts of the rules that applied since the last time: label and number.
    pub(crate) fn take_hits(&mut self, mut each: impl FnMut(usize, u32)) {
        if std::mem::take(&mut self.any_hits) {
            for (label, hits) in self.hits.iter_mut().enumerate().filter(|(_, hits)| **hits > 0) {
                each(label, std::mem::take(hits));
            }
        }
    }

    /// Looks at an event for this client: what another client asks it for, it may write. Events that clients made
    /// up themselves have their highest bit set, and count for nothing.
    pub(crate) fn notice(&mut self, event: &[u8]) {
        if !self.policy.needs_requested || event.first() != Some(&SELECTION_REQUEST) {
            return;
        }
        let read = |at| self.order.u32_at(event, at).unwrap_or(0);
        let property = if read(PROPERTY) == 0 { read(TARGET) } else { read(PROPERTY) };
        self.requested.note(read(REQUESTOR), property);
    }

    /// Decides on a request, `bytes` of which are there from its header on, and takes out of it what has to go.
    pub(crate) fn rule(&mut self, head: RequestHead, bytes: &mut [u8]) -> Ruling {
        let order = self.order;
        let group = self.groups.get(usize::from(head.major)).copied().unwrap_or(0);
        let opcode = if head.major < EXTENSION_FIRST { head.major } else { head.minor };
        let Some(request) = self.policy.request(group, opcode) else { return Ruling::Pass };
        if request.rules.is_empty() {
            return Ruling::Pass;
        }
        let need = (head.header + usize::from(request.need)).min(CLIENT_HELD_MAX);
        if bytes.len() < need && (bytes.len() as u64) < head.len {
            return Ruling::Hold;
        }
        let Some(member) = &self.member else {
            return if self.left { Ruling::Deny(BAD_ACCESS, 0) } else { Ruling::Stall };
        };
        if request.glance.is_some_and(|glance| glance.clears(order, bytes, head.header, member)) {
            return Ruling::Pass;
        }
        let rules = self.policy.rules.get(request.rules.clone()).unwrap_or_default();
        let mut sight = Sight {
            order,
            bytes,
            header: head.header,
            len: head.len,
            member,
            atoms: &self.atoms,
            requested: &self.requested,
        };
        apply(rules, &self.policy.tests, &mut sight, |label| {
            self.any_hits = true;
            if let Some(hits) = self.hits.get_mut(usize::from(label)) {
                *hits = hits.saturating_add(1);
            }
        })
    }
}

fn apply(rules: &[Rule], tests: &[Test], sight: &mut Sight<'_>, mut count: impl FnMut(u16)) -> Ruling {
    for rule in rules {
        let tests = tests.get(rule.tests.clone()).unwrap_or_default();
        if !tests.iter().all(|test| test.holds(sight)) {
            continue;
        }
        if rule.action == Action::Allow {
            return Ruling::Pass;
        }
        count(rule.label);
        let value = tests.iter().find_map(|test| named(test, sight)).unwrap_or(0);
        match rule.action {
            Action::Deny(code) => return Ruling::Deny(code, value),
            Action::Ignore => return Ruling::Ignore,
            Action::Blank => return Ruling::Blank,
            // What can't be taken out can't pass.
            Action::Strip if !strip(tests, sight) => return Ruling::Deny(BAD_ACCESS, value),
            Action::Strip | Action::Observe | Action::Allow => {}
        }
    }
    Ruling::Pass
}

/// The id that a test is about: errors name it.
fn named(test: &Test, sight: &Sight<'_>) -> Option<u32> {
    let field = match (test.ask, test.subject) {
        (Ask::Class(_), Subject::Field(field)) => field,
        (Ask::Class(_), Subject::Value(values)) => values.field(sight.order, sight.bytes, sight.header)?,
        _ => return None,
    };
    field.read(sight.order, sight.bytes, sight.header)
}

/// Takes out of the request what the rule's last test asked for. False where that is not all there.
fn strip(tests: &[Test], sight: &mut Sight<'_>) -> bool {
    let Some(Test { subject, ask: Ask::Bits(bits), .. }) = tests.last().copied() else { return false };
    let field = match subject {
        Subject::Field(field) => Some(field),
        Subject::Value(values) => values.field(sight.order, sight.bytes, sight.header),
        Subject::Xi2(at) => return strip_xi2(at, bits, sight),
        Subject::Requested { .. } => None,
    };
    let Some(field) = field else { return false };
    let kept = field.read(sight.order, sight.bytes, sight.header).unwrap_or(0) & !bits;
    field.write(sight.order, sight.bytes, sight.header, kept);
    true
}

fn strip_xi2(at: u16, bits: u32, sight: &mut Sight<'_>) -> bool {
    let mut masks = Xi2::new(sight, at);
    while let Some((place, word)) = masks.next(sight.bytes) {
        ByteOrder::Little.put_u32(sight.bytes, place, word & !bits);
    }
    sight.is_whole()
}
