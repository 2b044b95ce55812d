//! Commands of fixed length that carry ids alone: POLL, `FUTEX_*`, `READ_EVENTFD_*`.

use crate::error::{Error, Sender};
use crate::header::{Header, cmd};
use crate::limits::{CHANNEL_RING, HEADER_BYTES};
use crate::wire::{Reader, Writer};

/// Bytes of a POLL: header and 8 bytes of padding.
pub const POLL_BYTES: usize = HEADER_BYTES + 8;

/// Bytes of a command that carries one id and 4 bytes of padding.
pub const ID_COMMAND_BYTES: usize = HEADER_BYTES + 8;

/// Bytes of a command that carries the name of a file on virtiofs, an id and 4 bytes of padding.
pub const FILE_COMMAND_BYTES: usize = HEADER_BYTES + 24;

/// A POLL. Submit it on ring 1 with a fence, and never a second one before that fence is signalled: the answer
/// overwrites the channel ring.
pub fn encode_poll() -> [u8; POLL_BYTES] {
    let mut out = [0; POLL_BYTES];
    let header = Header { ring_idx: CHANNEL_RING, ..Header::fixed(cmd::POLL, 16) };
    header.write(&mut Writer::new(&mut out));
    out
}

/// `FUTEX_SIGNAL` for the host: the futex `id` was woken in the guest.
pub fn encode_futex_signal(id: u32) -> [u8; ID_COMMAND_BYTES] {
    encode_id(Header::fixed(cmd::FUTEX_SIGNAL, 16), id)
}

/// `FUTEX_SIGNAL` for the channel ring: the futex `id` was woken on the host.
pub fn encode_futex_signal_in_ring(id: u32) -> [u8; ID_COMMAND_BYTES] {
    encode_id(Header::in_ring(cmd::FUTEX_SIGNAL), id)
}

/// `FUTEX_DESTROY`: the host stops to watch the futex `id`. The id must not be used again.
pub fn encode_futex_destroy(id: u32) -> [u8; ID_COMMAND_BYTES] {
    encode_id(Header::fixed(cmd::FUTEX_DESTROY, 16), id)
}

/// `READ_EVENTFD_NEW`: the host begins to read the eventfd `id` of a RECEIVE, and answers POLLs by READ.
pub fn encode_read_eventfd_new(id: u32) -> [u8; ID_COMMAND_BYTES] {
    encode_id(Header::fixed(cmd::READ_EVENTFD_NEW, 16), id)
}

/// `FUTEX_NEW`: the host begins to watch a futex in the first page of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FutexNew {
    /// The file.
    pub file: ExportedFile,
    /// Id of the futex: in `0x40000000..0x80000000` and never used before, see [`crate::limits::is_futex_id`].
    pub id: u32,
}

impl FutexNew {
    /// The command on the wire.
    pub fn encode(&self) -> [u8; FILE_COMMAND_BYTES] {
        encode_file(cmd::FUTEX_NEW, self.file, self.id)
    }

    pub(crate) fn decode(command: &[u8]) -> Result<Self, Error> {
        decode_file(command).map(|(file, id)| Self { file, id })
    }
}

/// The host's name of a file that the guest has open on a virtiofs mount; valid as long as it stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportedFile {
    /// Which virtiofs device.
    pub fs_id: u64,
    /// Which open file of it.
    pub handle: u64,
}

pub(crate) fn encode_id(header: Header, id: u32) -> [u8; ID_COMMAND_BYTES] {
    let mut out = [0; ID_COMMAND_BYTES];
    let mut writer = Writer::new(&mut out);
    header.write(&mut writer);
    writer.u32(id);
    out
}

pub(crate) fn encode_file(cmd: u8, file: ExportedFile, id: u32) -> [u8; FILE_COMMAND_BYTES] {
    let mut out = [0; FILE_COMMAND_BYTES];
    let mut writer = Writer::new(&mut out);
    Header::fixed(cmd, 32).write(&mut writer);
    writer.u64(file.fs_id);
    writer.u64(file.handle);
    writer.u32(id);
    out
}

/// The id of a command of 16 bytes; the padding has to be there, as hosts ask for it.
pub(crate) fn decode_id(command: &[u8], sender: Sender) -> Result<u32, Error> {
    let read = |reader: &mut Reader<'_>| {
        Header::read(reader)?;
        let id = reader.u32()?;
        reader.u32().map(|_pad| id)
    };
    read(&mut Reader::new(command)).ok_or(sender.wrong_size(command))
}

pub(crate) fn decode_file(command: &[u8]) -> Result<(ExportedFile, u32), Error> {
    let read = |reader: &mut Reader<'_>| {
        Header::read(reader)?;
        let file = ExportedFile { fs_id: reader.u64()?, handle: reader.u64()? };
        let id = reader.u32()?;
        reader.u32().map(|_pad| (file, id))
    };
    read(&mut Reader::new(command)).ok_or(Sender::Guest.wrong_size(command))
}

const _: () = assert!(POLL_BYTES == 16 && ID_COMMAND_BYTES == 16 && FILE_COMMAND_BYTES == 32);
