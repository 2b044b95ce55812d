//! READ (host → guest, in the channel ring) and WRITE (guest → host): bytes of pipes and eventfds.
//!
//! `{header, u32 identifier, u32 hang_up, u32 opaque_data_size, u32 pad}`, then the data at offset 24.

use crate::error::{Error, Sender, widen, within};
use crate::header::{Header, cmd};
use crate::limits::{READ_WRITE_HEADER_BYTES, WRITE_DATA_MAX};
use crate::send::data_size;
use crate::wire::{Reader, Writer};

/// A WRITE as the host sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write<'a> {
    /// Item id of the pipe's write end, as the host gave it in a RECEIVE.
    pub identifier: u32,
    /// Whether the pipe is to be closed behind these bytes.
    pub hang_up: bool,
    /// Bytes for the pipe, 0..=65,511.
    pub data: &'a [u8],
}

/// A READ as the guest sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// Id of the read pipe or the eventfd.
    pub identifier: u32,
    /// Whether the other end is closed. libkrun and rutabaga say so with an empty READ.
    pub hang_up: bool,
    /// Bytes of data in the ring, from offset 24; checked against the ring's size.
    pub data_len: usize,
}

/// Writes the 24 bytes in front of a WRITE's data that `gap` bytes of padding follow.
///
/// `LimitReached` when 24 + `data_len` + `gap` is above 65,535; `out` is then unchanged.
pub fn encode_write_header(
    out: &mut [u8; READ_WRITE_HEADER_BYTES],
    identifier: u32,
    hang_up: bool,
    data_len: usize,
    gap: usize,
) -> Result<(), Error> {
    let data_len = within("opaque_data_size", data_len, WRITE_DATA_MAX)?;
    let gap = within("gap", gap, WRITE_DATA_MAX - data_len)?;
    let header = Header::new(cmd::WRITE, READ_WRITE_HEADER_BYTES + data_len + gap)?;
    put(out, header, identifier, hang_up, data_len)
}

/// Writes the 24 bytes in front of a READ's data in a channel ring of `ring_bytes` bytes.
///
/// `LimitReached` when the data does not fit behind the header; `out` is then unchanged.
pub fn encode_read_header(
    out: &mut [u8; READ_WRITE_HEADER_BYTES],
    identifier: u32,
    hang_up: bool,
    data_len: usize,
    ring_bytes: usize,
) -> Result<(), Error> {
    within("opaque_data_size", data_len, data_max(ring_bytes))?;
    put(out, Header::in_ring(cmd::READ), identifier, hang_up, data_len)
}

/// A WRITE from the bytes of its command, header and gap included.
pub(crate) fn decode_write(command: &[u8]) -> Result<Write<'_>, Error> {
    let (Read { identifier, hang_up, data_len }, rest) = take(command, Sender::Guest)?;
    let data = rest.get(..data_len).ok_or(Sender::Guest.blame("opaque_data_size", widen(data_len)))?;
    Ok(Write { identifier, hang_up, data })
}

/// A READ from a copy of the ring's first bytes.
pub(crate) fn decode_read(head: &[u8], ring_bytes: usize) -> Result<Read, Error> {
    let (read, _) = take(head, Sender::Host)?;
    if read.data_len > data_max(ring_bytes) {
        return Err(Sender::Host.blame("opaque_data_size", widen(read.data_len)));
    }
    Ok(read)
}

fn data_max(ring_bytes: usize) -> usize {
    ring_bytes.saturating_sub(READ_WRITE_HEADER_BYTES)
}

fn put(
    out: &mut [u8; READ_WRITE_HEADER_BYTES],
    header: Header,
    identifier: u32,
    hang_up: bool,
    data_len: usize,
) -> Result<(), Error> {
    let data_len = data_size(data_len)?;
    let mut writer = Writer::new(out);
    header.write(&mut writer);
    for field in [identifier, u32::from(hang_up), data_len, 0] {
        writer.u32(field);
    }
    Ok(())
}

fn take(bytes: &[u8], sender: Sender) -> Result<(Read, &[u8]), Error> {
    let mut reader = Reader::new(bytes);
    let (identifier, hang_up, len) = fields(&mut reader).ok_or(sender.wrong_size(bytes))?;
    let data_len = usize::try_from(len).map_err(|_| sender.blame("opaque_data_size", len.into()))?;
    Ok((Read { identifier, hang_up: hang_up != 0, data_len }, reader.rest()))
}

fn fields(reader: &mut Reader<'_>) -> Option<(u32, u32, u32)> {
    Header::read(reader)?;
    let fields = (reader.u32()?, reader.u32()?, reader.u32()?);
    reader.u32().map(|_pad| fields)
}
