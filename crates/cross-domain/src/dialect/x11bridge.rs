//! This project's own dialect: libkrun's, with a larger channel ring and a word at the end.
//!
//! # Specification, version 1
//!
//! All integers are little endian. Numbers and layouts that are not named here are libkrun's.
//!
//! **Capset.** The 16 bytes that all hosts know are followed by `u32 magic` = `"X11B"` in memory order,
//! `u32 dialect_version` = 1, `u32 channel_ring_bytes_max`, and `u32 features`, of which bits that a guest does not know
//! are ignored. A guest clears its buffer before `GET_CAPS`, so a host
//! that does not speak the dialect shows a magic of 0. The rest of the specification only holds between two ends
//! that both know the magic.
//!
//! **Channel ring.** `channel_ring_bytes_max` is a power of two in `4096..=1 MiB`. INIT has 32 bytes:
//! `{header, u32 query_ring_id, u32 channel_ring_id, u32 channel_type, u32 protocol_version = 1,
//! u32 channel_ring_bytes, u32 reserved = 0}`. `channel_ring_bytes` is a power of two in `4096..=1 MiB`, at most
//! `channel_ring_bytes_max`, and at most the size of the blob `channel_ring_id`; else the host fails the INIT. The
//! host uses no more of the ring than that. The other forms of INIT stay valid and mean 4096.
//!
//! **POLL on the query ring** does nothing, at any time, an INIT being there or not; its fence is signalled at once. So a
//! guest sees that the host is alive.
//!
//! **RECEIVE.** The last four bytes of the header, which are 0 elsewhere, are the number of SENDs of the context that
//! have been carried out, modulo 2³². So a guest knows what no longer waits in the device's queue.
//!
//! **CLOSED**, host → guest, in the channel ring and by the event of a POLL as RECEIVE is:
//! ```text
//!   0  header    cmd = 240, the rest 0
//!   8  stage     u32   0 = init, 1 = send, 2 = stream
//!  12  errno     u32   Linux errno, 0 = none
//!  16  text_len  u32   0..=512
//!  20  text      UTF-8; the guest replaces what is not
//! ```
//! It says why the channel is over, and answers the POLL that is outstanding or the next one. No other message
//! follows; the host answers each further POLL with the same CLOSED. All that the other end of the socket had said
//! comes before it.
//! - *init*: the INIT failed; `errno` is that of `connect`, and the text names the display.
//! - *send*: a SEND or another command could not be carried out, and nothing that followed it was.
//! - *stream*: the other end of the socket hung up (`errno` 0), or reading from it failed.
//!
//! There is no RECEIVE without data and identifiers in this dialect.
//!
//! **Identifiers.** A SEND that names a resource which the host has no file of reaches the socket without any of its
//! descriptors; so the X server answers it with an error of its own. In a RECEIVE the id 0 stands for a descriptor that
//! can't be shown to the guest.
//!
//! **Memory of the host.** With the bit [`FEATURE_MEMORY`] in the capset's features, a RESOURCE_CREATE_BLOB in the memory
//! HOST3D with the blob id [`NEW_MEMORY`] makes zeroed memory that the host has a file of: it can be mapped, and named in a
//! SEND.
//!
//! **Files.** With the bit [`FEATURE_FILES`] in the capset's features, IMPORT_FILE (244, `{header, u64 fs_id, u64 handle, u32 id,
//! u32 pad}`) makes an item of a file that the guest has open on the host's virtiofs, to be named once in a SEND, with the
//! identifier type 240. The file has to be open until IMPORT_FILE is carried out. A name that leads nowhere makes no item,
//! and a SEND without its item is one that names a resource without a file.
//!
//! **Fences** can be relayed, see [`fence`].

pub mod fence;

use crate::dialect::IdentifierType;
use crate::error::{Error, Sender, widen};
use crate::event::{ExportedFile, FILE_COMMAND_BYTES, encode_file};
use crate::header::Header;
use crate::limits::{HEADER_BYTES, RING_BYTES, RING_BYTES_MAX, SEND_HEADER_BYTES, is_ring_bytes};
use crate::wire::{Reader, Writer};

/// `"X11B"` in memory order.
pub const MAGIC: u32 = u32::from_le_bytes(*b"X11B");

/// Version of the dialect.
pub const DIALECT_VERSION: u32 = 1;

/// Bytes of an INIT.
pub const INIT_BYTES: usize = HEADER_BYTES + 24;

/// CLOSED: far above the numbers of other hosts, which grow from 1.
pub const CMD_CLOSED: u8 = 240;

/// The host makes memory for guests. Bit 0 is [`fence::FEATURE_FENCES`], bit 3 [`fence::FEATURE_ADOPTION`].
pub const FEATURE_MEMORY: u32 = 1 << 1;
/// The blob id of new memory of the host. Items have ids of 32 bits.
pub const NEW_MEMORY: u64 = 1 << 63;

/// Files of the guest's `/dev/shm` can be named, if that is this host's.
pub const FEATURE_FILES: u32 = 1 << 2;
/// IMPORT_FILE.
pub const CMD_IMPORT_FILE: u8 = 244;
/// Identifier type of such a file.
pub const ID_TYPE_FILE: u32 = 240;

pub(crate) const IDENTIFIER_TYPES: [(u32, IdentifierType); 1] =
    [(ID_TYPE_FILE, IdentifierType::VirtioFsBlob)];

/// IMPORT_FILE: the host makes an item of a file. The id must not be in use.
pub fn encode_import_file(file: ExportedFile, id: u32) -> [u8; FILE_COMMAND_BYTES] {
    encode_file(CMD_IMPORT_FILE, file, id)
}

/// Bytes before the text of a CLOSED.
pub const CLOSED_HEADER_BYTES: usize = HEADER_BYTES + 12;

/// Most bytes of text in a CLOSED: a sentence with a path in it.
pub const CLOSED_TEXT_MAX: usize = 512;

/// Where in the header of a RECEIVE the number of SENDs is.
const SENDS_DONE: std::ops::Range<usize> = 4..HEADER_BYTES;

/// Notes in the header of a RECEIVE that so many SENDs of the context have been carried out.
pub fn note_sends_done(header: &mut [u8; SEND_HEADER_BYTES], sends: u32) {
    if let Some(field) = header.get_mut(SENDS_DONE) {
        field.copy_from_slice(&sends.to_le_bytes());
    }
}

/// How many SENDs had been carried out, from the copy of a RECEIVE.
pub fn sends_done(head: &[u8; SEND_HEADER_BYTES]) -> u32 {
    let field = head.get(SENDS_DONE).and_then(|field| field.first_chunk());
    field.map_or(0, |field| u32::from_le_bytes(*field))
}

/// Where the channel came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// The host could not open the channel.
    Init,
    /// The host could not carry out a command.
    Send,
    /// The other end hung up, or could not be read.
    Stream,
}

impl Stage {
    const ALL: [Self; 3] = [Self::Init, Self::Send, Self::Stream];

    fn raw(self) -> u32 {
        match self {
            Self::Init => 0,
            Self::Send => 1,
            Self::Stream => 2,
        }
    }
}

/// CLOSED as the guest sees it; its text is in the ring, at [`crate::Message::data_range`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Where the end came.
    pub stage: Stage,
    /// Linux errno; 0 if there is none.
    pub errno: u32,
    /// Bytes of text from offset 20, 0..=512; checked against the ring's size.
    pub text_len: usize,
}

impl Closed {
    pub(crate) fn decode(head: &[u8], ring_bytes: usize) -> Result<Self, Error> {
        let (stage, errno, len) = fields(head).ok_or(Sender::Host.wrong_size(head))?;
        let known = Stage::ALL.into_iter().find(|known| known.raw() == stage);
        let stage = known.ok_or(Sender::Host.blame("stage", stage.into()))?;
        let text_max = CLOSED_TEXT_MAX.min(ring_bytes.saturating_sub(CLOSED_HEADER_BYTES));
        let text_len = usize::try_from(len).ok().filter(|&len| len <= text_max);
        let text_len = text_len.ok_or(Sender::Host.blame("text_len", len.into()))?;
        Ok(Self { stage, errno, text_len })
    }
}

fn fields(head: &[u8]) -> Option<(u32, u32, u32)> {
    let mut reader = Reader::new(head);
    Header::read(&mut reader)?;
    Some((reader.u32()?, reader.u32()?, reader.u32()?))
}

/// A CLOSED with its text, for the host to put in the ring: 20 to 532 bytes. A longer text is cut at the end of a
/// character.
pub fn encode_closed(stage: Stage, errno: u32, text: &str) -> Vec<u8> {
    let text = text.get(..char_boundary(text, CLOSED_TEXT_MAX)).unwrap_or_default();
    let mut out = vec![0; CLOSED_HEADER_BYTES + text.len()];
    let mut writer = Writer::new(&mut out);
    Header::in_ring(CMD_CLOSED).write(&mut writer);
    writer.u32(stage.raw());
    writer.u32(errno);
    writer.u32(u32::try_from(text.len()).unwrap_or(0));
    writer.bytes(text.as_bytes());
    out
}

/// The last end of a character of `text` at or below `max`.
fn char_boundary(text: &str, max: usize) -> usize {
    (0..=max.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0)
}

/// `LimitReached` unless `ring_bytes` is a power of two in `4096..=1 MiB`.
pub fn check_ring_bytes(ring_bytes: u32) -> Result<(), Error> {
    if usize::try_from(ring_bytes).is_ok_and(is_ring_bytes) {
        return Ok(());
    }
    Err(Error::LimitReached {
        limit: "channel_ring_bytes",
        value: ring_bytes.into(),
        max: widen(RING_BYTES_MAX),
    })
}

const _: () = assert!(MAGIC == 0x4231_3158);
const _: () = assert!(INIT_BYTES == 32 && CLOSED_HEADER_BYTES == 20);
const _: () = assert!(CLOSED_HEADER_BYTES + CLOSED_TEXT_MAX <= RING_BYTES);
