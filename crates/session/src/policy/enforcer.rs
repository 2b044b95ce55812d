//! Carrying a policy out on one client's requests.

use std::sync::Arc;

use x11_wire::ByteOrder;
use x11_wire::message::BAD_ACCESS;
use x11_wire::request::{EXTENSION_FIRST, RequestHead};

use super::quick::QuickTable;
use super::side::{Standing, class};
use super::test::{Ask, Sight, Subject, Test, Xi2};
use super::{Action, ExtensionNumbers, Policy, Rule};
use crate::limits::{CLIENT_HELD_MAX, REQUESTED_MAX};

/// Core events `SelectionClear` and `SelectionNotify`.
const SELECTION_CLEAR: u8 = 29;
const SELECTION_NOTIFY: u8 = 31;
/// The extension whose first event tells of selections.
const XFIXES: &str = "XFIXES";
/// Core event `SelectionRequest`.
const SELECTION_REQUEST: u8 = 30;
/// Offsets of its requestor and property, and of the target that stands for a property that is `None`.
const REQUESTOR: usize = 12;
const TARGET: usize = 20;
const PROPERTY: usize = 24;
/// Offset of the property in `ChangeProperty` and `GetProperty`, behind the header; of format and length in the former.
const PROPERTY_FIELD: usize = 4;
const FORMAT_FIELD: usize = 12;
const LENGTH_FIELD: usize = 16;
const TEXT_FIELD: usize = 20;
/// The predefined atom `ITALIC_ANGLE`, a font's property: no window has one of that name.
const NO_PROPERTY: u32 = 55;

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
    /// The policy's group of each major opcode of an extension; 0 where nothing is ruled.
    groups: [u8; 256],
    /// It came while the client was connected, and the groups are those that the host says: what the client had asked for before, it
    /// asked under another policy.
    renewed: bool,
    order: ByteOrder,
    /// The code of XFIXES' event that tells of selections, once the client knows it.
    xfixes_event: Option<u8>,
    quick: QuickTable,
    /// The numbers of the policy's atoms at this server.
    atoms: Vec<u32>,
    /// How often each rule applied, by label, since the last time that somebody asked.
    hits: Vec<u32>,
    any_hits: bool,
    requested: Requested,
}

impl Enforcer {
    pub(crate) fn new(order: ByteOrder, policy: Arc<Policy>, atoms: Vec<u32>) -> Self {
        Self {
            quick: QuickTable::new(order, &policy),
            hits: vec![0; policy.labels.len()],
            policy,
            groups: [0; 256],
            renewed: false,
            order,
            xfixes_event: None,
            atoms,
            any_hits: false,
            requested: Requested::default(),
        }
    }

    /// For a client that is connected already, after this one if it had any.
    pub(crate) fn renew(
        mut self,
        extensions: &[ExtensionNumbers],
        standing: &Standing,
        before: Option<Self>,
    ) -> Self {
        for numbers in extensions {
            if let Ok(group) = u8::try_from(numbers.place + 1) {
                self.learn(numbers.major, group, numbers.first_event);
            }
        }
        self.renewed = true;
        if let Some(member) = standing.member() {
            let (base, mask) = member.ids();
            self.know(base, mask);
        }
        if let Some(before) = before {
            self.requested = before.requested;
        }
        self
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Notes the client's ids.
    pub(crate) fn know(&mut self, base: u32, mask: u32) {
        self.quick.know(self.order, base, mask);
    }

    /// The ids are the client's no more.
    pub(crate) fn forget(&mut self) {
        self.quick.forget();
    }

    /// Notes that the server gave `major` to the extension with this group number, and which its first event is.
    pub(crate) fn learn(&mut self, major: u8, group: u8, first_event: u8) {
        if self.renewed {
            return;
        }
        if self.policy.group_number(XFIXES.as_bytes()) == group && group != 0 {
            self.xfixes_event = Some(first_event);
        }
        if let Some(place) = self.groups.get_mut(usize::from(major)).filter(|_| major >= EXTENSION_FIRST) {
            *place = group;
            self.quick.learn(major, group != 0);
        }
    }

    /// Whether an extension is hidden whose opcode the client may know from before.
    pub(crate) fn conceals(&self, major: u8) -> bool {
        let group = self.groups.get(usize::from(major)).copied().unwrap_or(0);
        self.renewed && major >= EXTENSION_FIRST && self.policy.hides_group(group)
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
    pub(crate) fn notice(&mut self, event: &mut [u8], standing: &Standing) {
        if let Some((first, count)) = self.policy.diverted {
            self.restore_selection(event, usize::from(first), usize::from(count));
        }
        if !self.policy.needs_requested || event.first() != Some(&SELECTION_REQUEST) {
            return;
        }
        let read = |at| self.order.u32_at(event, at).unwrap_or(0);
        // The server lets any client name any window: for the root's and its own side's, the other side has not asked.
        if standing.member().is_none_or(|member| member.class(read(REQUESTOR)) != class::OTHER) {
            return;
        }
        let property = if read(PROPERTY) == 0 { read(TARGET) } else { read(PROPERTY) };
        self.requested.note(read(REQUESTOR), property);
    }

    /// Gives a diverted selection its own name again.
    fn restore_selection(&self, event: &mut [u8], first: usize, count: usize) {
        let at = match event.first() {
            Some(&SELECTION_REQUEST) => 16,
            Some(&(SELECTION_CLEAR | SELECTION_NOTIFY)) => 12,
            Some(code) if Some(*code) == self.xfixes_event => 12,
            _ => return,
        };
        let Some(selection) = self.order.u32_at(event, at) else { return };
        let stand_ins = self.atoms.get(first + count..first + 2 * count).unwrap_or_default();
        let place = stand_ins.iter().position(|stand_in| *stand_in == selection);
        if let Some(own) = place.and_then(|place| self.atoms.get(first + place)) {
            self.order.put_u32(event, at, *own);
        }
    }

    /// Decides on a request, `bytes` of which are there from its header on, and takes out of it what has to go.
    pub(crate) fn rule(&mut self, head: RequestHead, bytes: &mut [u8], standing: &Standing) -> Ruling {
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
        let Some(member) = standing.member() else {
            return if standing.has_left() { Ruling::Deny(BAD_ACCESS, 0) } else { Ruling::Stall };
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
        apply(rules, &self.policy.tests, &self.policy.machine, &mut sight, |label| {
            self.any_hits = true;
            if let Some(hits) = self.hits.get_mut(usize::from(label)) {
                *hits = hits.saturating_add(1);
            }
        })
    }
}

fn apply(
    rules: &[Rule],
    tests: &[Test],
    machine: &str,
    sight: &mut Sight<'_>,
    mut count: impl FnMut(u16),
) -> Ruling {
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
            Action::Absent => {
                sight.order.put_u32(sight.bytes, sight.header + PROPERTY_FIELD, NO_PROPERTY);
                return Ruling::Pass;
            }
            Action::Mark if !mark(machine, sight) => return Ruling::Ignore,
            Action::Divert if !divert(tests, sight) => return Ruling::Deny(BAD_ACCESS, value),
            // What can't be taken out can't pass.
            Action::Strip if !strip(tests, sight) => return Ruling::Deny(BAD_ACCESS, value),
            Action::Strip | Action::Observe | Action::Mark | Action::Divert | Action::Allow => {}
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

/// Puts the machine's name in the place of the property's text, with zeros behind it where the text was longer: its length
/// must stay that of the request. False where there is no text.
fn mark(machine: &str, sight: &mut Sight<'_>) -> bool {
    let (order, header) = (sight.order, sight.header);
    let length = order.u32_at(sight.bytes, header + LENGTH_FIELD).unwrap_or(0);
    if sight.bytes.get(header + FORMAT_FIELD) != Some(&8) || length == 0 {
        return false;
    }
    // All that the padding leaves room for; what is not here yet stands behind a zero.
    let room = u64::from(length.saturating_add(3) & !3);
    order.put_u32(sight.bytes, header + LENGTH_FIELD, u32::try_from(room).unwrap_or(length));
    let text = sight.bytes.get_mut(header + TEXT_FIELD..).unwrap_or_default();
    for (at, byte) in text.iter_mut().enumerate().take_while(|(at, _)| (*at as u64) < room) {
        *byte = machine.as_bytes().get(at).copied().unwrap_or(0);
    }
    true
}

/// Puts what stands for a selection in its place. False where nothing does.
fn divert(tests: &[Test], sight: &mut Sight<'_>) -> bool {
    let Some(&Test { subject: Subject::Field(field), ask: Ask::Atom { first, count }, .. }) = tests.last()
    else {
        return false;
    };
    let (first, count) = (usize::from(first), usize::from(count));
    let selection = field.read(sight.order, sight.bytes, sight.header);
    let place = sight.atoms.iter().skip(first).take(count).position(|atom| Some(*atom) == selection);
    let stand_in = place.and_then(|place| sight.atoms.get(first + count + place)).copied();
    if let Some(stand_in) = stand_in {
        field.write(sight.order, sight.bytes, sight.header, stand_in);
    }
    stand_in.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_properties_that_others_asked_for_the_latest_are_remembered() {
        let most = u32::try_from(REQUESTED_MAX).unwrap();
        let mut requested = Requested::default();
        let known =
            |requested: &Requested| (1..=most + 1).filter(|n| requested.has(*n, Some(7))).collect::<Vec<_>>();
        for window in 1..most {
            requested.note(window, 7);
        }
        assert_eq!(known(&requested), (1..most).collect::<Vec<_>>());
        requested.note(most, 7);
        // Asked for again, it takes no second place.
        requested.note(1, 7);
        assert_eq!(known(&requested), (1..=most).collect::<Vec<_>>());
        requested.note(most + 1, 7);
        assert_eq!(known(&requested), (2..=most + 1).collect::<Vec<_>>());
        assert!(!requested.has(2, Some(8)) && !requested.has(0, None) && requested.has(2, None));
    }
}
