//! `GET_IMAGE_REQUIREMENTS` and its answer in the query ring.

use crate::error::{Error, Sender};
use crate::header::{Header, cmd};
use crate::limits::HEADER_BYTES;
use crate::wire::{Reader, Writer};

/// Asks how an image would lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetImageRequirements {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// A fourcc of `drm_fourcc.h`.
    pub drm_format: u32,
    /// What the image is for: gralloc flags of rutabaga.
    pub flags: u32,
}

impl GetImageRequirements {
    /// Bytes of the command.
    pub const BYTES: usize = HEADER_BYTES + 16;

    /// The command on the wire.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        let mut writer = Writer::new(&mut out);
        Header::fixed(cmd::GET_IMAGE_REQUIREMENTS, 24).write(&mut writer);
        for field in [self.width, self.height, self.drm_format, self.flags] {
            writer.u32(field);
        }
        out
    }

    pub(crate) fn decode(command: &[u8]) -> Result<Self, Error> {
        Self::read(&mut Reader::new(command)).ok_or(Sender::Guest.wrong_size(command))
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Header::read(reader)?;
        let (width, height) = (reader.u32()?, reader.u32()?);
        Some(Self { width, height, drm_format: reader.u32()?, flags: reader.u32()? })
    }
}

/// How an image lies in memory: the 64 bytes at the start of the query ring, without a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImageRequirements {
    /// Bytes from one row to the next, for each plane.
    pub strides: [u32; 4],
    /// Bytes from the start of the buffer, for each plane.
    pub offsets: [u32; 4],
    /// A modifier of `drm_fourcc.h`.
    pub modifier: u64,
    /// Bytes of the whole buffer.
    pub size: u64,
    /// `blob_id` with which `RESOURCE_CREATE_BLOB` makes such an image.
    pub blob_id: u32,
    /// Caching of a mapping, as in `VIRTIO_GPU_RESP_OK_MAP_INFO`.
    pub map_info: u32,
    /// Vulkan memory index, or -1.
    pub memory_idx: i32,
    /// Deprecated; hosts say -1.
    pub physical_device_idx: i32,
}

impl ImageRequirements {
    /// Bytes of the answer.
    pub const BYTES: usize = 64;

    /// The answer as it lies in the query ring.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        let mut writer = Writer::new(&mut out);
        self.strides.iter().chain(&self.offsets).for_each(|&word| writer.u32(word));
        writer.u64(self.modifier);
        writer.u64(self.size);
        writer.u32(self.blob_id);
        writer.u32(self.map_info);
        writer.bytes(&self.memory_idx.to_le_bytes());
        writer.bytes(&self.physical_device_idx.to_le_bytes());
        out
    }

    /// The answer from a copy of the query ring's first 64 bytes. Any value can be; the caller judges the sizes.
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Self {
        let read = Self::read(&mut Reader::new(bytes));
        debug_assert!(read.is_some(), "64 bytes are enough");
        read.unwrap_or_default()
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            strides: planes(reader)?,
            offsets: planes(reader)?,
            modifier: reader.u64()?,
            size: reader.u64()?,
            blob_id: reader.u32()?,
            map_info: reader.u32()?,
            memory_idx: i32::from_le_bytes(*reader.array()?),
            physical_device_idx: i32::from_le_bytes(*reader.array()?),
        })
    }
}

fn planes(reader: &mut Reader<'_>) -> Option<[u32; 4]> {
    Some([reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?])
}

const _: () = assert!(GetImageRequirements::BYTES == 24);
const _: () = assert!(ImageRequirements::BYTES == 16 + 16 + 8 + 8 + 4 * 4);
