//! What is libkrun's alone.
//!
//! INIT with a protocol version (24 bytes; it reads those bytes whatever `cmd_size` says, so nothing may follow in
//! the submission but the rest of a longer INIT), and identifiers for shared memory and eventfds. A command that
//! fails, such as an INIT that cannot connect or a SEND with an unknown identifier, is dropped without a word, and so
//! is all that follows in its submission. A `cmd_size` of 0 makes the host loop for ever; nothing here encodes one
//! for a submission.

use crate::dialect::IdentifierType;
use crate::event::{ID_COMMAND_BYTES, encode_id};
use crate::header::Header;

/// `READ_EVENTFD_DESTROY`. It has a number, but hosts of today refuse it as an unknown command.
pub const CMD_READ_EVENTFD_DESTROY: u8 = 12;

/// Identifier type of shared memory: the id is that of a `FUTEX_NEW`.
pub const ID_TYPE_SHM: u32 = 5;

/// Identifier type of an eventfd.
pub const ID_TYPE_EVENTFD: u32 = 6;

pub(crate) const IDENTIFIER_TYPES: [(u32, IdentifierType); 2] =
    [(ID_TYPE_SHM, IdentifierType::Shm), (ID_TYPE_EVENTFD, IdentifierType::Event)];

/// `READ_EVENTFD_DESTROY`: the host reads the eventfd `id` no more.
pub fn encode_read_eventfd_destroy(id: u32) -> [u8; ID_COMMAND_BYTES] {
    encode_id(Header::fixed(CMD_READ_EVENTFD_DESTROY, 16), id)
}
