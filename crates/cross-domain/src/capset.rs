//! The capability set: what a host offers before a channel is opened.

use crate::dialect::x11bridge::{DIALECT_VERSION, MAGIC};
use crate::error::{Error, Sender, widen};
use crate::limits::is_ring_bytes;
use crate::wire::{Reader, Writer};

/// Bytes that all hosts know.
pub const CAPSET_BYTES: usize = 16;

/// Bytes with the `x11bridge` extension. Give `GET_CAPS` a zeroed buffer of this size.
pub const CAPSET_EXTENDED_BYTES: usize = CAPSET_BYTES + 16;

/// What a host offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capset {
    /// 1 with every host.
    pub version: u32,
    /// Bit `1 << type` for each channel type, see [`crate::limits::channel`].
    pub supported_channels: u32,
    /// Whether the host can allocate dma-bufs.
    pub supports_dmabuf: bool,
    /// Whether the host can allocate memory of an external GPU API.
    pub supports_external_gpu_memory: bool,
    /// What follows in the `x11bridge` dialect; `None` from other hosts.
    pub extension: Option<Extension>,
}

/// The capset's extension by the `x11bridge` dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension {
    /// 1 or, from a newer host, more: higher versions keep what version 1 says.
    pub dialect_version: u32,
    /// Largest channel ring in bytes: a power of two in `4096..=1 MiB`.
    pub channel_ring_bytes_max: u32,
    /// What else the host can do: bits such as [`crate::dialect::x11bridge::fence::FEATURE_FENCES`].
    pub features: u32,
}

impl Extension {
    /// The extension of this version, without further features.
    pub fn new(channel_ring_bytes_max: u32) -> Self {
        Self { dialect_version: DIALECT_VERSION, channel_ring_bytes_max, features: 0 }
    }
}

impl Capset {
    /// Whether the host offers channels of `channel_type`. Types above 31 have no bit and are never offered.
    pub fn has_channel(&self, channel_type: u32) -> bool {
        1u32.checked_shl(channel_type).is_some_and(|bit| self.supported_channels & bit != 0)
    }

    /// The bytes for the guest: 16, or 32 with the extension.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = if self.extension.is_some() { CAPSET_EXTENDED_BYTES } else { CAPSET_BYTES };
        let mut out = vec![0; bytes];
        let mut writer = Writer::new(&mut out);
        writer.u32(self.version);
        writer.u32(self.supported_channels);
        writer.u32(self.supports_dmabuf.into());
        writer.u32(self.supports_external_gpu_memory.into());
        if let Some(extension) = self.extension {
            writer.u32(MAGIC);
            writer.u32(extension.dialect_version);
            writer.u32(extension.channel_ring_bytes_max);
            writer.u32(extension.features);
        }
        out
    }

    /// The capset of a buffer of 16 bytes or more. Features that a shorter buffer has no room for are absent.
    ///
    /// `HostMisbehaved` if it is shorter, or if it has our magic and the rest of the extension cannot be.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let short = Sender::Host.blame("capset_bytes", widen(bytes.len()));
        let mut capset = read_known(&mut reader).ok_or(short)?;
        if reader.u32() == Some(MAGIC) {
            let extension = read_extension(&mut reader).ok_or(short)?;
            capset.extension = Some(checked(extension)?);
        }
        Ok(capset)
    }
}

fn read_known(reader: &mut Reader<'_>) -> Option<Capset> {
    Some(Capset {
        version: reader.u32()?,
        supported_channels: reader.u32()?,
        supports_dmabuf: reader.u32()? != 0,
        supports_external_gpu_memory: reader.u32()? != 0,
        extension: None,
    })
}

fn read_extension(reader: &mut Reader<'_>) -> Option<Extension> {
    let (dialect_version, channel_ring_bytes_max) = (reader.u32()?, reader.u32()?);
    Some(Extension { dialect_version, channel_ring_bytes_max, features: reader.u32().unwrap_or(0) })
}

fn checked(extension: Extension) -> Result<Extension, Error> {
    let bytes_max = extension.channel_ring_bytes_max;
    if extension.dialect_version < DIALECT_VERSION {
        return Err(Sender::Host.blame("dialect_version", extension.dialect_version.into()));
    }
    if !usize::try_from(bytes_max).is_ok_and(is_ring_bytes) {
        return Err(Sender::Host.blame("channel_ring_bytes_max", bytes_max.into()));
    }
    Ok(extension)
}

const _: () = assert!(CAPSET_EXTENDED_BYTES == 32);
