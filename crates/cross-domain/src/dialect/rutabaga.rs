//! What is rutabaga's alone.
//!
//! INIT of exactly 16, 20 or 36 bytes; files on virtiofs as identifiers of their own; sockets that get a name; and
//! *atomic memory sentinels*, which are libkrun's futexes under another name and with the same layout.

use crate::dialect::IdentifierType;
use crate::error::{Error, Sender};
use crate::event::{ExportedFile, FILE_COMMAND_BYTES, decode_file, encode_file};
use crate::header::{Header, cmd};
use crate::limits::{FUTEX_ID_START, HEADER_BYTES};
use crate::wire::{Reader, Writer};

/// `CREATE_ATOMIC_MEMORY_SENTINEL` is `FUTEX_NEW`.
pub const CMD_CREATE_ATOMIC_MEMORY_SENTINEL: u8 = cmd::FUTEX_NEW;
/// `SIGNAL_ATOMIC_MEMORY_SENTINEL` is `FUTEX_SIGNAL`.
pub const CMD_SIGNAL_ATOMIC_MEMORY_SENTINEL: u8 = cmd::FUTEX_SIGNAL;
/// `DESTROY_ATOMIC_MEMORY_SENTINEL` is `FUTEX_DESTROY`.
pub const CMD_DESTROY_ATOMIC_MEMORY_SENTINEL: u8 = cmd::FUTEX_DESTROY;
/// `READ_CREATE_EVENT` is `READ_EVENTFD_NEW`.
pub const CMD_READ_CREATE_EVENT: u8 = cmd::READ_EVENTFD_NEW;
/// `IMPORT_VIRTIOFS_HANDLE`; libkrun has `READ_EVENTFD_DESTROY` under this number.
pub const CMD_IMPORT_VIRTIOFS_HANDLE: u8 = 12;
/// `ASSIGN_SOCKET_UUID`.
pub const CMD_ASSIGN_SOCKET_UUID: u8 = 13;

/// First id of a sentinel: the host tells events apart by ranges of ids, sentinels up to `0x7fffffff`.
pub const ATOMIC_MEMORY_SENTINEL_START: u32 = FUTEX_ID_START;

/// Identifier type of an eventfd.
pub const ID_TYPE_EVENT: u32 = 5;
/// Identifier type of a file on virtiofs.
pub const ID_TYPE_VIRTIO_FS_BLOB: u32 = 6;
/// Identifier type of a socket.
pub const ID_TYPE_SOCKET: u32 = 7;

pub(crate) const IDENTIFIER_TYPES: [(u32, IdentifierType); 3] = [
    (ID_TYPE_EVENT, IdentifierType::Event),
    (ID_TYPE_VIRTIO_FS_BLOB, IdentifierType::VirtioFsBlob),
    (ID_TYPE_SOCKET, IdentifierType::Socket),
];

/// Makes an item of a file on virtiofs, to be named once in a SEND as `VIRTIO_FS_BLOB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportVirtiofsHandle {
    /// The file.
    pub file: ExportedFile,
    /// Id of the item; an id that is in use is refused.
    pub id: u32,
}

impl ImportVirtiofsHandle {
    /// The command on the wire.
    pub fn encode(&self) -> [u8; FILE_COMMAND_BYTES] {
        encode_file(CMD_IMPORT_VIRTIOFS_HANDLE, self.file, self.id)
    }

    pub(crate) fn decode(command: &[u8]) -> Result<Self, Error> {
        decode_file(command).map(|(file, id)| Self { file, id })
    }
}

/// Names a socket that a RECEIVE brought, so that another context can open it by INIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssignSocketUuid {
    /// The name, little endian.
    pub uuid: [u8; 16],
    /// Item id of the socket; gone afterwards.
    pub id: u32,
}

impl AssignSocketUuid {
    /// Bytes of the command.
    pub const BYTES: usize = HEADER_BYTES + 24;

    /// The command on the wire.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        let mut writer = Writer::new(&mut out);
        Header::fixed(CMD_ASSIGN_SOCKET_UUID, 32).write(&mut writer);
        writer.bytes(&self.uuid);
        writer.u32(self.id);
        out
    }

    pub(crate) fn decode(command: &[u8]) -> Result<Self, Error> {
        Self::read(&mut Reader::new(command)).ok_or(Sender::Guest.wrong_size(command))
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Header::read(reader)?;
        let (uuid, id) = (*reader.array()?, reader.u32()?);
        reader.u32().map(|_pad| Self { uuid, id })
    }
}

const _: () = assert!(AssignSocketUuid::BYTES == 32);
