//! The quickest look at a request, taken at every one: most name nothing but the client's own resources.
//!
//! Everything is compared as it is on the wire, so that the byte order costs nothing.

use x11_wire::ByteOrder;
use x11_wire::request::{EXTENSION_FIRST, RequestHead};

use super::Policy;
use super::test::Field;

/// Ids that are compared; core requests have at most three that rules speak of.
const IDS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// No rule speaks of it.
    Free,
    /// No rule applies while it names nothing but the client's own.
    Glance,
    /// The rules have to be asked.
    Ruled,
}

#[derive(Debug, Clone, Copy)]
struct Quick {
    kind: Kind,
    /// Offsets of ids behind the header; the first stands in for those that are missing.
    ids: [u8; IDS],
    /// Offset of the mask of a list of values, and the bits that must not be in it, as on the wire.
    mask: u8,
    bits: u32,
}

/// One client's table by major opcode.
#[derive(Debug)]
pub(crate) struct QuickTable {
    entries: [Quick; 256],
    base: u32,
    /// The bits of an id that tell whose it is.
    client_bits: u32,
    known: bool,
}

impl QuickTable {
    /// Nothing is let through at a glance before the client's ids are known.
    pub(crate) fn new(order: ByteOrder, policy: &Policy) -> Self {
        let free = Quick { kind: Kind::Free, ids: [0; IDS], mask: 0, bits: 0 };
        let mut entries = [free; 256];
        for (entry, major) in entries.iter_mut().zip(0..EXTENSION_FIRST) {
            if let Some(request) = policy.request(0, major).filter(|request| !request.rules.is_empty()) {
                entry.kind = Kind::Ruled;
                *entry = request.glance.and_then(|glance| Quick::of(order, &glance)).unwrap_or(*entry);
            }
        }
        Self { entries, base: 0, client_bits: 0, known: false }
    }

    /// Notes the client's ids.
    pub(crate) fn know(&mut self, order: ByteOrder, base: u32, mask: u32) {
        let wire = |value| u32::from_ne_bytes(order.u32_bytes(value));
        (self.base, self.client_bits, self.known) = (wire(base), wire(!mask), true);
    }

    /// Lets nothing through at a glance any more.
    pub(crate) fn forget(&mut self) {
        self.known = false;
    }

    /// Notes whether the rules have to be asked about an extension.
    pub(crate) fn learn(&mut self, major: u8, ruled: bool) {
        if let Some(entry) = self.entries.get_mut(usize::from(major)) {
            entry.kind = if ruled { Kind::Ruled } else { Kind::Free };
        }
    }

    /// Whether a request, `bytes` from its header on and maybe others behind it, passes without asking the rules.
    #[inline]
    pub(crate) fn passes(&self, head: RequestHead, bytes: &[u8]) -> bool {
        let Some(entry) = self.entries.get(usize::from(head.major)) else { return false };
        match entry.kind {
            Kind::Free => true,
            Kind::Glance if self.known => self.clears(*entry, bytes.get(head.header..).unwrap_or_default()),
            Kind::Glance | Kind::Ruled => false,
        }
    }

    #[inline]
    fn clears(&self, entry: Quick, fields: &[u8]) -> bool {
        let wire = |at: u8| {
            fields.get(usize::from(at)..).and_then(|rest| rest.first_chunk()).copied().map(u32::from_ne_bytes)
        };
        let [Some(one), Some(two), Some(three)] = entry.ids.map(wire) else { return false };
        let foreign = ((one ^ self.base) | (two ^ self.base) | (three ^ self.base)) & self.client_bits;
        foreign == 0 && (entry.bits == 0 || wire(entry.mask).is_some_and(|mask| mask & entry.bits == 0))
    }
}

impl Quick {
    /// `None` where there is more to compare than fits.
    fn of(order: ByteOrder, glance: &super::Glance) -> Option<Self> {
        let offsets = glance.own.get(..usize::from(glance.ids))?;
        let first = u8::try_from(*offsets.first()?).ok()?;
        let mut ids = [first; IDS];
        for (at, offset) in offsets.iter().enumerate() {
            *ids.get_mut(at)? = u8::try_from(*offset).ok()?;
        }
        let (mask, bits) = match glance.values {
            None => (0, 0),
            Some((Field { at, width: 4 }, bits)) => (u8::try_from(at).ok()?, bits),
            Some(_) => return None,
        };
        Some(Self { kind: Kind::Glance, ids, mask, bits: u32::from_ne_bytes(order.u32_bytes(bits)) })
    }
}
