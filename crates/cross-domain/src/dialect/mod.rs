//! Where hosts differ. Most of the wire is one; a [`Dialect`] says how to read the rest.

pub mod libkrun;
pub mod rutabaga;
pub mod x11bridge;

use crate::capset::Capset;
use crate::limits::channel;

/// The host's way to speak cross-domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// libkrun, protocol version 1.
    Libkrun,
    /// Upstream `rutabaga_gfx`, as crosvm and QEMU use it.
    Rutabaga,
    /// This project's own host half: libkrun's numbers, and what [`x11bridge`] adds.
    X11Bridge,
}

/// What an identifier stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentifierType {
    /// A resource of the guest in a SEND; in a RECEIVE an item to make a blob of, with its size.
    VirtgpuBlob,
    /// A synchronization resource. No host takes it yet.
    VirtgpuSync,
    /// A pipe that the host is to make and to read; the guest guesses its id, from `0x80000001` on.
    ReadPipe,
    /// A pipe that the guest may WRITE to.
    WritePipe,
    /// Memory on virtiofs with a futex in it: the id of its `FUTEX_NEW` (libkrun, x11bridge).
    Shm,
    /// An eventfd, to be read after `READ_EVENTFD_NEW`.
    Event,
    /// A file on virtiofs: the id of its `IMPORT_VIRTIOFS_HANDLE` (rutabaga), or `IMPORT_FILE` (x11bridge).
    VirtioFsBlob,
    /// A socket, to be named by `ASSIGN_SOCKET_UUID` (rutabaga).
    Socket,
}

/// Types 1 to 4, the same with every host.
const SHARED_TYPES: [(u32, IdentifierType); 4] = [
    (1, IdentifierType::VirtgpuBlob),
    (2, IdentifierType::VirtgpuSync),
    (3, IdentifierType::ReadPipe),
    (4, IdentifierType::WritePipe),
];

impl Dialect {
    /// The dialect that a capset gives away, or `None` if it could be libkrun's or rutabaga's.
    ///
    /// Ours says so. A D-Bus channel is only known to rutabaga. Otherwise libkrun and rutabaga answer with the same
    /// 16 bytes, and a hint is needed: an option of the user, or whether a virtiofs mount answers libkrun's export
    /// ioctl. As long as no descriptor on virtiofs is to be carried, none is needed: [`crate::Init::for_any_host`],
    /// SEND and RECEIVE of bytes, blobs and pipes are the same for both.
    pub fn detect(capset: &[u8]) -> Option<Self> {
        let capset = Capset::decode(capset).ok()?;
        let dbus = capset.has_channel(channel::DBUS_SESSION) || capset.has_channel(channel::DBUS_SYSTEM);
        match capset.extension {
            Some(_) => Some(Self::X11Bridge),
            None if dbus => Some(Self::Rutabaga),
            None => None,
        }
    }

    /// What the raw identifier type `raw` means here; `None` if it means nothing.
    pub fn identifier_type(self, raw: u32) -> Option<IdentifierType> {
        self.types().find(|(number, _)| *number == raw).map(|(_, id_type)| id_type)
    }

    /// The raw identifier type of `id_type` here; `None` if the dialect has none.
    pub fn raw_identifier_type(self, id_type: IdentifierType) -> Option<u32> {
        self.types().find(|(_, known)| *known == id_type).map(|(number, _)| number)
    }

    fn types(self) -> impl Iterator<Item = (u32, IdentifierType)> {
        let (own, more): (&[_], &[_]) = match self {
            Self::Libkrun => (&libkrun::IDENTIFIER_TYPES, &[]),
            Self::X11Bridge => (&libkrun::IDENTIFIER_TYPES, &x11bridge::IDENTIFIER_TYPES),
            Self::Rutabaga => (&rutabaga::IDENTIFIER_TYPES, &[]),
        };
        SHARED_TYPES.iter().chain(own).chain(more).copied()
    }
}
