//! The quickest look at a request, taken at every one: most name nothing but the client's own resources.
//!
//! Everything is compared as it is on the wire, so that the byte order costs nothing, and all at once: a branch for each id would
//! cost more than the ids that a request doesn't have.

use x11_wire::ByteOrder;
use x11_wire::request::{BIG_HEADER, EXTENSION_FIRST, HEADER, RequestHead};

use super::Policy;
use super::test::Field;

/// Ids that are compared; core requests have at most three that rules speak of.
const IDS: usize = 3;
/// Bytes of a request, and of what is behind it, that are looked at together: no place needs a check of its own then. The few
/// requests at the end of a chunk that have fewer are put to the rules.
const SIGHT: usize = 64;
/// Below this is every offset that is compared, counted from behind the header.
const OFFSETS: u8 = 32;

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
    /// Not 0 while the client's ids are not known, or not its own any more.
    unknown: u32,
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
        Self { entries, base: 0, client_bits: 0, unknown: 1 }
    }

    /// Notes the client's ids.
    pub(crate) fn know(&mut self, order: ByteOrder, base: u32, mask: u32) {
        let wire = |value| u32::from_ne_bytes(order.u32_bytes(value));
        (self.base, self.client_bits, self.unknown) = (wire(base), wire(!mask), 0);
    }

    /// Lets nothing through at a glance any more.
    pub(crate) fn forget(&mut self) {
        self.unknown = 1;
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
            Kind::Glance => self.clears(*entry, head.header, bytes),
            Kind::Ruled => false,
        }
    }

    #[inline]
    fn clears(&self, entry: Quick, header: usize, bytes: &[u8]) -> bool {
        let Some(sight) = bytes.first_chunk::<SIGHT>() else { return false };
        // The masks change nothing: they say that every place lies in sight.
        let header = header & (HEADER | BIG_HEADER);
        let wire = |offset: u8| {
            let at = header + usize::from(offset % OFFSETS);
            let word = sight.get(at..).and_then(|rest| rest.first_chunk());
            u32::from_ne_bytes(word.copied().unwrap_or_default())
        };
        let [one, two, three] = entry.ids.map(|at| wire(at) ^ self.base);
        (one | two | three) & self.client_bits | wire(entry.mask) & entry.bits | self.unknown == 0
    }
}

impl Quick {
    /// `None` where there is more to compare than fits.
    fn of(order: ByteOrder, glance: &super::Glance) -> Option<Self> {
        let offsets = glance.own.get(..usize::from(glance.ids))?;
        let in_sight = |offset: u16| u8::try_from(offset).ok().filter(|offset| *offset < OFFSETS);
        let mut ids = [in_sight(*offsets.first()?)?; IDS];
        for (at, offset) in offsets.iter().enumerate() {
            *ids.get_mut(at)? = in_sight(*offset)?;
        }
        let (mask, bits) = match glance.values {
            None => (0, 0),
            Some((Field { at, width: 4 }, bits)) => (in_sight(at)?, bits),
            Some(_) => return None,
        };
        Some(Self { kind: Kind::Glance, ids, mask, bits: u32::from_ne_bytes(order.u32_bytes(bits)) })
    }
}
