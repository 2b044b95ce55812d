//! SEND and RECEIVE: one layout for the two directions.
//!
//! ```text
//!   0  header                      16  identifiers[28]       u32 each
//!   8  num_identifiers   u32      128  identifier_types[28]  u32 each
//!  12  opaque_data_size  u32      240  identifier_sizes[28]  u32 each
//!                                 352  data
//! ```
//! The header is written *in place* in front of the data, so data is never copied to be framed: keep 352 bytes of
//! headroom. A SEND may be followed by a *gap*, bytes that only `cmd_size` counts; every host steps by `cmd_size` to
//! the next header and looks at nothing in between. No alignment is asked for.

use crate::error::{Error, Sender, widen, within};
use crate::header::{Header, cmd};
use crate::identifier::{self, Identifier, Identifiers};
use crate::limits::{SEND_DATA_MAX, SEND_HEADER_BYTES, receive_data_max};
use crate::wire::{Reader, Writer};

/// A SEND as the host sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Send<'a> {
    /// What goes along with the first byte of `data`, in the order of the descriptors that it stands for.
    pub identifiers: Identifiers<'a>,
    /// Bytes for the host's socket, 0..=65,183.
    pub data: &'a [u8],
}

/// A RECEIVE as the guest sees it, read from a copy of the ring's first 352 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receive<'a> {
    /// What came along with the first byte of the data.
    pub identifiers: Identifiers<'a>,
    /// Bytes of data in the ring, behind the 352 bytes; checked against the ring's size.
    pub data_len: usize,
}

impl Receive<'_> {
    /// Whether this is how libkrun and rutabaga say that the other end of the socket hung up. They say it again for
    /// each further POLL.
    pub fn is_end_of_stream(&self) -> bool {
        self.data_len == 0 && self.identifiers.is_empty()
    }
}

/// Writes the 352 bytes in front of `data_len` bytes of data that `gap` bytes of padding follow.
///
/// The next command's header starts behind the gap. `LimitReached` when there are more than 28 identifiers, or when
/// 352 + `data_len` + `gap` is above 65,535; `out` is then unchanged.
pub fn encode_send_header(
    out: &mut [u8; SEND_HEADER_BYTES],
    data_len: usize,
    gap: usize,
    identifiers: &[Identifier],
) -> Result<(), Error> {
    let data_len = within("opaque_data_size", data_len, SEND_DATA_MAX)?;
    let gap = within("gap", gap, SEND_DATA_MAX - data_len)?;
    let header = Header::new(cmd::SEND, SEND_HEADER_BYTES + data_len + gap)?;
    write(out, header, data_len, identifiers)
}

/// Writes the 352 bytes in front of `data_len` bytes of data in a channel ring of `ring_bytes` bytes.
///
/// `LimitReached` when there are more than 28 identifiers, or when the data does not fit behind the header; `out` is
/// then unchanged.
pub fn encode_receive_header(
    out: &mut [u8; SEND_HEADER_BYTES],
    data_len: usize,
    ring_bytes: usize,
    identifiers: &[Identifier],
) -> Result<(), Error> {
    within("opaque_data_size", data_len, receive_data_max(ring_bytes))?;
    write(out, Header::in_ring(cmd::RECEIVE), data_len, identifiers)
}

/// A SEND from the bytes of its command, header and gap included.
pub(crate) fn decode_send(command: &[u8]) -> Result<Send<'_>, Error> {
    let (identifiers, data_len, rest) = read(command, Sender::Guest)?;
    let data = rest.get(..data_len).ok_or(Sender::Guest.blame("opaque_data_size", widen(data_len)))?;
    Ok(Send { identifiers, data })
}

/// A RECEIVE from a copy of the ring's first bytes.
pub(crate) fn decode_receive(
    head: &[u8; SEND_HEADER_BYTES],
    ring_bytes: usize,
) -> Result<Receive<'_>, Error> {
    let (identifiers, data_len, _) = read(head, Sender::Host)?;
    if data_len > receive_data_max(ring_bytes) {
        return Err(Sender::Host.blame("opaque_data_size", widen(data_len)));
    }
    Ok(Receive { identifiers, data_len })
}

fn write(
    out: &mut [u8; SEND_HEADER_BYTES],
    header: Header,
    data_len: usize,
    identifiers: &[Identifier],
) -> Result<(), Error> {
    let data_len = data_size(data_len)?;
    let count = identifier::count(identifiers)?;
    let mut writer = Writer::new(out);
    header.write(&mut writer);
    writer.u32(count);
    writer.u32(data_len);
    identifier::write_table(&mut writer, identifiers);
    Ok(())
}

/// The identifiers, the length of the data as stated, and the bytes behind the table.
fn read(bytes: &[u8], sender: Sender) -> Result<(Identifiers<'_>, usize, &[u8]), Error> {
    let mut reader = Reader::new(bytes);
    let (count, data_len, table) = fields(&mut reader).ok_or(sender.wrong_size(bytes))?;
    let identifiers = Identifiers::new(table, count).ok_or(sender.blame("num_identifiers", count.into()))?;
    let data_len =
        usize::try_from(data_len).map_err(|_| sender.blame("opaque_data_size", data_len.into()))?;
    Ok((identifiers, data_len, reader.rest()))
}

type Table<'a> = &'a [u8; crate::limits::IDENTIFIER_TABLE_BYTES];

fn fields<'a>(reader: &mut Reader<'a>) -> Option<(u32, u32, Table<'a>)> {
    Header::read(reader)?;
    Some((reader.u32()?, reader.u32()?, reader.array()?))
}

/// A length of data as it goes on the wire.
pub(crate) fn data_size(data_len: usize) -> Result<u32, Error> {
    let max = u32::MAX.into();
    u32::try_from(data_len).map_err(|_| Error::LimitReached {
        limit: "opaque_data_size",
        value: widen(data_len),
        max,
    })
}
