//! The tests that a rule makes on a request.

use x11_wire::ByteOrder;

use super::side::Member;

/// Offset that stands for the second byte of a core request, which lies in front of its fields.
pub(crate) const DETAIL: u16 = u16::MAX;

/// Offset and size of a field: 1, 2 or 4 bytes, counted from behind the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) at: u16,
    pub(crate) width: u8,
}

/// Where a request's list of values is: a mask says which are there, each takes four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Values {
    pub(crate) mask: Field,
    /// Offset of the first value.
    pub(crate) at: u16,
    /// The value's bit in the mask, 0 to 31.
    pub(crate) bit: u8,
}

/// What a test looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Field(Field),
    Value(Values),
    /// The event masks of an `XISelectEvents`, from this offset on; before them stands their number.
    Xi2(u16),
    /// Whether the other side asked for this property of this window: the window's and the property's offset.
    Requested {
        window: u16,
        property: Option<u16>,
    },
}

/// What the test asks of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The class of a resource is in this set.
    Class(u32),
    /// It shares a bit with this mask.
    Bits(u32),
    /// Its low seven bits, a number below 64, are in this set.
    OneOf(u64),
    /// It equals one of the policy's atoms: from this place on, so many.
    Atom { first: u16, count: u16 },
    /// It is more than this.
    Above(u32),
}

/// One test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Test {
    pub(crate) subject: Subject,
    pub(crate) ask: Ask,
    pub(crate) negate: bool,
}

/// A request as tests see it.
pub(crate) struct Sight<'a> {
    pub(crate) order: ByteOrder,
    /// From the header on, as far as it is there.
    pub(crate) bytes: &'a mut [u8],
    pub(crate) header: usize,
    /// Bytes of the whole request.
    pub(crate) len: u64,
    pub(crate) member: &'a Member,
    pub(crate) atoms: &'a [u32],
    pub(crate) requested: &'a super::Requested,
}

impl Sight<'_> {
    pub(crate) const fn is_whole(&self) -> bool {
        self.bytes.len() as u64 >= self.len
    }
}

impl Field {
    /// Its offset from the request's first byte.
    pub(crate) fn position(self, header: usize) -> usize {
        if self.at == DETAIL { 1 } else { header + usize::from(self.at) }
    }

    /// Bytes behind the header that have to be there.
    pub(crate) fn need(self) -> u16 {
        if self.at == DETAIL { 0 } else { self.at.saturating_add(self.width.into()) }
    }

    pub(crate) fn read(self, order: ByteOrder, bytes: &[u8], header: usize) -> Option<u32> {
        let at = self.position(header);
        match self.width {
            1 => bytes.get(at).copied().map(u32::from),
            2 => order.u16_at(bytes, at).map(u32::from),
            _ => order.u32_at(bytes, at),
        }
    }

    /// Overwrites it with as much of `value` as it takes.
    pub(crate) fn write(self, order: ByteOrder, bytes: &mut [u8], header: usize, value: u32) {
        let at = self.position(header);
        let [low, high, ..] = value.to_le_bytes();
        match self.width {
            1 => bytes.get_mut(at..=at).unwrap_or_default().fill(low),
            2 => {
                if let Some(field) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
                    *field = order.u16_bytes(u16::from_le_bytes([low, high]));
                }
            }
            _ => order.put_u32(bytes, at, value),
        }
    }
}

impl Values {
    /// The value's place, where the mask says that it is there.
    pub(crate) fn field(self, order: ByteOrder, bytes: &[u8], header: usize) -> Option<Field> {
        let mask = self.mask.read(order, bytes, header)?;
        let bit = 1_u32.checked_shl(self.bit.into())?;
        let before = (mask & (bit - 1)).count_ones();
        let at = u32::from(self.at) + 4 * before;
        (mask & bit != 0).then(|| Field { at: u16::try_from(at).unwrap_or(u16::MAX - 1), width: 4 })
    }

    fn need(self) -> u16 {
        self.mask.need().max(self.at + 4 * (u16::from(self.bit) + 1))
    }
}

impl Subject {
    /// Bytes behind the header that have to be there, at most.
    pub(crate) fn need(self) -> u16 {
        match self {
            Self::Field(field) => field.need(),
            Self::Value(values) => values.need(),
            Self::Xi2(_) => u16::MAX,
            Self::Requested { window, property } => window.max(property.unwrap_or(0)) + 4,
        }
    }
}

impl Test {
    pub(crate) fn holds(&self, sight: &Sight<'_>) -> bool {
        self.asked(sight) != self.negate
    }

    /// A field that a request is too short for is not there: the server refuses such a request.
    fn asked(&self, sight: &Sight<'_>) -> bool {
        match self.subject {
            Subject::Field(field) => self.asks(sight, field),
            Subject::Value(values) => values
                .field(sight.order, sight.bytes, sight.header)
                .is_some_and(|field| self.asks(sight, field)),
            Subject::Xi2(at) => {
                let Ask::Bits(bits) = self.ask else { return false };
                let mut masks = Xi2::new(sight, at);
                let mut found = !sight.is_whole();
                while let Some((_, word)) = masks.next(sight.bytes) {
                    found |= word & bits != 0;
                }
                found
            }
            Subject::Requested { window, property } => {
                let read = |at: u16| sight.order.u32_at(sight.bytes, sight.header + usize::from(at));
                read(window).is_some_and(|window| sight.requested.has(window, property.and_then(read)))
            }
        }
    }

    fn asks(&self, sight: &Sight<'_>, field: Field) -> bool {
        let Some(value) = field.read(sight.order, sight.bytes, sight.header) else { return false };
        match self.ask {
            Ask::Class(set) => set & sight.member.class(value) != 0,
            Ask::Bits(mask) => value & mask != 0,
            Ask::OneOf(set) => set.checked_shr(value & 0x7f).is_some_and(|rest| rest & 1 != 0),
            Ask::Above(limit) => value > limit,
            Ask::Atom { first, count } => {
                let atoms = sight.atoms.get(usize::from(first)..).unwrap_or_default();
                atoms.iter().take(count.into()).any(|atom| *atom == value)
            }
        }
    }
}

/// The first words of an `XISelectEvents`' masks, with their offsets. A mask has a device (2 bytes), a number of words
/// (2 bytes), and the words; every event that has a number is in the first.
pub(crate) struct Xi2 {
    order: ByteOrder,
    at: usize,
    left: u16,
}

impl Xi2 {
    pub(crate) fn new(sight: &Sight<'_>, at: u16) -> Self {
        let at = sight.header + usize::from(at);
        let left = sight.order.u16_at(sight.bytes, at).unwrap_or(0);
        Self { order: sight.order, at: at + 4, left }
    }

    /// The next mask's first word and its offset in `bytes`, the request.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Option<(usize, u32)> {
        loop {
            self.left = self.left.checked_sub(1)?;
            let words = usize::from(self.order.u16_at(bytes, self.at + 2)?);
            let first = self.at + 4;
            self.at = first + 4 * words;
            if words > 0 {
                // XI2 numbers the bits from the first byte's lowest on, whatever the byte order.
                return ByteOrder::Little.u32_at(bytes, first).map(|word| (first, word));
            }
        }
    }
}
