//! What clients may do: rules over extensions and requests.
//!
//! A policy is a flat table that the shell compiles from what a person wrote: for each request a few rules, in order,
//! each with tests on the request's fields and an action. The first rule that decides, decides; a request that no rule
//! speaks of passes. Policies are data: what they say is up to their author, and this module only carries it out.

mod enforcer;
mod quick;
mod side;
mod table;
mod test;

use std::ops::Range;

use side::Member;
use test::{Field, Test};
use x11_wire::ByteOrder;

pub(crate) use enforcer::{Enforcer, Requested, Ruling};
pub use side::Side;
pub(crate) use side::Standing;
pub use table::TableError;

/// Opcodes of an extension, or of the core protocol.
const REQUESTS: usize = 256;
/// Ids that the quickest look at a request compares; no request has more that rules speak of.
const OWN_IDS_MAX: usize = 4;

/// What happens to a request that a rule speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// It passes, whatever later rules say.
    Allow,
    /// The server refuses it, with this error code.
    Deny(u8),
    /// It does nothing. Only for requests without a reply.
    Ignore,
    /// It passes, and its reply says nothing: all behind the header's eight bytes is zero.
    Blank,
    /// The bits or bytes that the rule's last test asked for are taken out of it; later rules go on.
    Strip,
    /// It is only counted; later rules go on.
    Observe,
    /// The text of the property that it sets becomes the name of the policy's machine; later rules go on.
    Mark,
    /// The selection that the rule's last test asked for becomes another one, this side's alone; later rules go on.
    Divert,
    /// It asks for a property that no window has.
    Absent,
}

impl Action {
    /// Bytes behind the header that it changes, besides those that the rule's tests look at.
    const fn need(self) -> u16 {
        match self {
            Self::Mark => u16::MAX,
            Self::Absent => 8,
            _ => 0,
        }
    }
}

/// One rule.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) action: Action,
    /// Its place in [`Policy::labels`].
    pub(crate) label: u16,
    /// Its tests: all of them have to hold.
    pub(crate) tests: Range<usize>,
}

/// The rules of one request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    rules: Range<usize>,
    /// Bytes behind the header that the tests look at.
    need: u16,
    glance: Option<Glance>,
}

/// What the quickest look at a request compares. When all these ids are the client's own and none of these values is
/// there, no rule applies.
#[derive(Debug, Clone, Copy, Default)]
struct Glance {
    /// Offsets of ids; the first `ids` of them count.
    own: [u16; OWN_IDS_MAX],
    ids: u8,
    /// The mask of a list of values, and bits in it.
    values: Option<(Field, u32)>,
}

/// An extension that a policy speaks of.
#[derive(Debug, Clone)]
struct Group {
    name: String,
    hidden: bool,
    /// From this opcode on its author knows no requests.
    requests_known: usize,
    /// By opcode.
    requests: Vec<Request>,
}

/// What the host calls an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtensionNumbers {
    /// Its place in [`Policy::extensions`].
    pub place: usize,
    /// Its major opcode.
    pub major: u8,
    /// The code of its first event.
    pub first_event: u8,
}

/// A compiled policy.
#[derive(Debug)]
pub struct Policy {
    /// Whether extensions that the policy does not speak of are hidden.
    hide_unlisted: bool,
    /// The core protocol, then extensions.
    groups: Vec<Group>,
    rules: Vec<Rule>,
    tests: Vec<Test>,
    labels: Vec<String>,
    atoms: Vec<String>,
    /// The name that guests' windows get for that of their machine.
    machine: String,
    /// Whether the policy is only for clients whose processes are another machine's.
    only_elsewhere: bool,
    /// The places of diverted selections among the atoms: the first, and how many there are. Those that stand for them
    /// follow.
    diverted: Option<(u16, u16)>,
    /// Whether a test asks what the other side has asked for.
    needs_requested: bool,
}

impl Glance {
    /// Whether no rule can apply. A field that a request is too short for counts as harmless: the server refuses it.
    #[inline]
    fn clears(&self, order: ByteOrder, bytes: &[u8], header: usize, member: &Member) -> bool {
        let mine =
            |at: &u16| order.u32_at(bytes, header + usize::from(*at)).is_none_or(|id| member.is_mine(id));
        let absent =
            |(mask, bits): (Field, u32)| mask.read(order, bytes, header).is_none_or(|mask| mask & bits == 0);
        self.own.iter().take(self.ids.into()).all(mine) && self.values.is_none_or(absent)
    }
}

impl Policy {
    /// What a rule does, in words, by its label.
    pub fn label(&self, label: usize) -> &str {
        self.labels.get(label).map_or("", String::as_str)
    }

    /// The atoms that the server has to be asked for, by name. A `%` in one stands for what tells one bridge from
    /// another.
    pub fn atoms(&self) -> &[String] {
        &self.atoms
    }

    /// The extensions that it speaks of.
    pub fn extensions(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().skip(1).map(|group| group.name.as_str())
    }

    /// Whether the policy is only for clients whose processes are those of another machine than the X server's.
    pub const fn only_elsewhere(&self) -> bool {
        self.only_elsewhere
    }

    /// Whether clients are told that the server lacks the extension of that name.
    pub(crate) fn hides(&self, name: &[u8]) -> bool {
        self.group(name).map_or(self.hide_unlisted, |group| group.hidden)
    }

    /// The same by the number of its group.
    fn hides_group(&self, number: u8) -> bool {
        let group = self.groups.get(usize::from(number)).filter(|_| number > 0);
        group.map_or(self.hide_unlisted, |group| group.hidden)
    }

    fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.iter().skip(1).find(|group| group.name.as_bytes() == name)
    }

    /// The number of an extension's group; 0 where the policy has no rules for it.
    pub(crate) fn group_number(&self, name: &[u8]) -> u8 {
        let found = self.groups.iter().skip(1).position(|group| group.name.as_bytes() == name);
        found.and_then(|at| u8::try_from(at + 1).ok()).unwrap_or(0)
    }

    fn request(&self, group: u8, opcode: u8) -> Option<&Request> {
        self.groups.get(usize::from(group))?.requests.get(usize::from(opcode))
    }
}
