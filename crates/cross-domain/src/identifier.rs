//! Identifiers: what a SEND or a RECEIVE carries besides bytes, in place of file descriptors.

use std::fmt;

use crate::error::{Error, within};
use crate::limits::{IDENTIFIER_TABLE_BYTES, IDENTIFIERS_MAX};
use crate::wire::Writer;

/// One entry of the identifier table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Identifier {
    /// Resource id, item id, pipe id or futex id, by the type.
    pub id: u32,
    /// Raw identifier type; what it means is for [`crate::Dialect::identifier_type`] to say.
    pub id_type: u32,
    /// Size in bytes for blobs, else 0. A host that cannot say it in 32 bits gives up the channel.
    pub size: u32,
}

/// The identifiers of a decoded message, at most 28, still in the bytes that they came in.
#[derive(Clone, Copy)]
pub struct Identifiers<'a> {
    table: &'a [u8; IDENTIFIER_TABLE_BYTES],
    len: usize,
}

impl<'a> Identifiers<'a> {
    /// The first `len` entries of `table`; `None` if there cannot be as many.
    pub(crate) fn new(table: &'a [u8; IDENTIFIER_TABLE_BYTES], len: u32) -> Option<Self> {
        let len = usize::try_from(len).ok().filter(|&len| len <= IDENTIFIERS_MAX)?;
        Some(Self { table, len })
    }

    /// How many there are, 0..=28.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the message carries bytes alone.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The identifiers in the order of the message.
    pub fn iter(&self) -> impl Iterator<Item = Identifier> + use<'a> {
        let (words, _) = self.table.as_chunks::<4>();
        let column = |n: usize| words.iter().skip(n * IDENTIFIERS_MAX).map(|word| u32::from_le_bytes(*word));
        column(0).zip(column(1)).zip(column(2)).take(self.len).map(|((id, id_type), size)| Identifier {
            id,
            id_type,
            size,
        })
    }
}

impl PartialEq for Identifiers<'_> {
    /// Entries beyond the count do not matter.
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Identifiers<'_> {}

impl fmt::Debug for Identifiers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The count of `identifiers` as it goes on the wire, or `LimitReached` above 28.
pub(crate) fn count(identifiers: &[Identifier]) -> Result<u32, Error> {
    let count = within("num_identifiers", identifiers.len(), IDENTIFIERS_MAX)?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Writes the three arrays; the caller has checked the count.
pub(crate) fn write_table(writer: &mut Writer<'_>, identifiers: &[Identifier]) {
    let fields: [fn(&Identifier) -> u32; 3] = [|i| i.id, |i| i.id_type, |i| i.size];
    for field in fields {
        for identifier in identifiers {
            writer.u32(field(identifier));
        }
        writer.zeros(IDENTIFIERS_MAX.saturating_sub(identifiers.len()) * 4);
    }
}
