//! INIT: opens the one channel of a context. Five forms are in use, told apart by `cmd_size` alone.
//!
//! | bytes | form | who |
//! |---|---|---|
//! | 16 | query ring, channel type (both rings are one) | old rutabaga guests |
//! | 20 | query ring, channel ring, channel type | rutabaga; libkrun's protocol version 0, with 4 identifiers only |
//! | 24 | … and protocol version | libkrun |
//! | 32 | … and protocol version, channel ring bytes, reserved | x11bridge, see [`crate::dialect::x11bridge`] |
//! | 36 | … and 16-byte socket uuid | rutabaga |
//!
//! rutabaga takes exactly the sizes 16, 20 and 36 and refuses all others, so an INIT has no gap. libkrun looks at the
//! bytes that follow and not at `cmd_size`, so an INIT must be alone in its submission.
//! [`Init::for_any_host`] is a form that both understand the same way.

use crate::dialect::x11bridge;
use crate::error::{Error, Sender};
use crate::header::{Header, cmd};
use crate::limits::is_ring_bytes;
use crate::wire::{Reader, Writer};

/// The protocol version to ask for. Version 0 of libkrun has SEND and RECEIVE with 4 identifiers, which this crate
/// does not speak.
pub const PROTOCOL_VERSION: u32 = 1;

/// Opens a channel, guest → host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Init {
    /// Resource id of the query ring's blob.
    pub query_ring_id: u32,
    /// Resource id of the channel ring's blob.
    pub channel_ring_id: u32,
    /// What the channel leads to, see [`crate::limits::channel`].
    pub channel_type: u32,
    /// What follows, by dialect.
    pub form: InitForm,
}

/// The part of an INIT that dialects do not share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InitForm {
    /// 16 bytes: one ring for both uses. Decoded, `channel_ring_id` is the query ring's; encoded, it is left out.
    OneRing,
    /// 20 bytes: nothing follows.
    Bare,
    /// 24 bytes: libkrun's.
    Versioned {
        /// [`PROTOCOL_VERSION`], or 0 for 4 identifiers.
        protocol_version: u32,
    },
    /// 32 bytes: ours.
    X11Bridge {
        /// [`PROTOCOL_VERSION`].
        protocol_version: u32,
        /// Bytes of the channel ring that the host may use: a power of two in `4096..=1 MiB`, at most what the
        /// capset offers and what the blob holds.
        channel_ring_bytes: u32,
    },
    /// 36 bytes: rutabaga's. The uuid counts with channel type `INTERNAL_SOCKET` alone.
    SocketUuid(
        /// The name that the socket got by `ASSIGN_SOCKET_UUID`, little endian.
        [u8; 16],
    ),
}

impl InitForm {
    /// Bytes of the whole command.
    pub fn bytes(self) -> usize {
        match self {
            Self::OneRing => 16,
            Self::Bare => 20,
            Self::Versioned { .. } => 24,
            Self::X11Bridge { .. } => x11bridge::INIT_BYTES,
            Self::SocketUuid(_) => 36,
        }
    }
}

impl Init {
    /// A channel on a host that does not speak our dialect, be it libkrun or rutabaga.
    ///
    /// It has rutabaga's 36 bytes with a uuid that begins with `01 00 00 00`. libkrun takes those four bytes for its
    /// protocol version and steps over the rest by `cmd_size`; rutabaga ignores the uuid for a channel with a path.
    pub fn for_any_host(query_ring_id: u32, channel_ring_id: u32, channel_type: u32) -> Self {
        let mut uuid = [0; 16];
        Writer::new(&mut uuid).u32(PROTOCOL_VERSION);
        Self { query_ring_id, channel_ring_id, channel_type, form: InitForm::SocketUuid(uuid) }
    }

    /// The command on the wire, 16 to 36 bytes. `LimitReached` for a channel ring size that cannot be.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let bytes = self.form.bytes();
        let header = Header::new(cmd::INIT, bytes)?;
        let mut out = vec![0; bytes];
        let mut writer = Writer::new(&mut out);
        header.write(&mut writer);
        writer.u32(self.query_ring_id);
        if self.form != InitForm::OneRing {
            writer.u32(self.channel_ring_id);
        }
        writer.u32(self.channel_type);
        self.write_form(&mut writer)?;
        Ok(out)
    }

    fn write_form(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        match self.form {
            InitForm::OneRing | InitForm::Bare => {}
            InitForm::Versioned { protocol_version } => writer.u32(protocol_version),
            InitForm::SocketUuid(uuid) => writer.bytes(&uuid),
            InitForm::X11Bridge { protocol_version, channel_ring_bytes } => {
                x11bridge::check_ring_bytes(channel_ring_bytes)?;
                writer.u32(protocol_version);
                writer.u32(channel_ring_bytes);
                writer.u32(0);
            }
        }
        Ok(())
    }

    /// An INIT from exactly the bytes of its command.
    pub(crate) fn decode(command: &[u8]) -> Result<Self, Error> {
        let init = read(&mut Reader::new(command), command.len()).ok_or(Sender::Guest.wrong_size(command))?;
        match init.form {
            InitForm::X11Bridge { channel_ring_bytes, .. } if !fits(channel_ring_bytes) => {
                Err(Sender::Guest.blame("channel_ring_bytes", channel_ring_bytes.into()))
            }
            _ => Ok(init),
        }
    }
}

fn fits(ring_bytes: u32) -> bool {
    usize::try_from(ring_bytes).is_ok_and(is_ring_bytes)
}

fn read(reader: &mut Reader<'_>, bytes: usize) -> Option<Init> {
    Header::read(reader)?;
    let query_ring_id = reader.u32()?;
    let channel_ring_id = if bytes == 16 { query_ring_id } else { reader.u32()? };
    let channel_type = reader.u32()?;
    let form = read_form(reader, bytes)?;
    Some(Init { query_ring_id, channel_ring_id, channel_type, form })
}

fn read_form(reader: &mut Reader<'_>, bytes: usize) -> Option<InitForm> {
    Some(match bytes {
        16 => InitForm::OneRing,
        20 => InitForm::Bare,
        24 => InitForm::Versioned { protocol_version: reader.u32()? },
        x11bridge::INIT_BYTES => {
            InitForm::X11Bridge { protocol_version: reader.u32()?, channel_ring_bytes: reader.u32()? }
        }
        36 => InitForm::SocketUuid(*reader.array()?),
        _ => return None,
    })
}
