//! The device's resources by the ids that the guest gives them.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use sys::{Blob, Piece};

use super::protocol::{Status, u32_at, u64_at};
use crate::mappable::fill_last_page;

/// Resources of a guest at most.
pub const BLOBS_MAX: usize = 16_384;
/// Pieces of all its blobs at most: 4 GiB of single pages, for which some 24 MiB are kept here.
pub const PIECES_TOTAL_MAX: usize = 1 << 20;
/// Bytes of one blob at most.
pub const BLOB_BYTES_MAX: u64 = 1 << 30;

/// Bytes of a RESOURCE_CREATE_BLOB before its list of memory, and of each entry of that list.
const CREATE_BYTES: usize = 56;
const ENTRY_BYTES: usize = 16;

/// `blob_mem`: memory of the guest, or a file of the host.
const MEM_GUEST: u32 = 1;
const MEM_HOST3D: u32 = 2;

/// What an id stands for.
#[derive(Debug)]
pub(crate) enum Resource {
    /// Memory of the guest.
    Guest { blob: Arc<Blob>, pieces: usize },
    /// A file of the host, and where in the window it is mapped.
    Host {
        file: Arc<OwnedFd>,
        bytes: u64,
        /// Whether the file was made for the guest.
        is_new: bool,
        mapped: Option<Mapped>,
    },
    /// A picture for a scanout, where there is none to show it on; or what is left of a blob without memory.
    Picture,
}

impl Resource {
    const fn new_bytes(&self) -> u64 {
        if let Self::Host { bytes, is_new: true, .. } = self { *bytes } else { 0 }
    }
}

/// Where a file is mapped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mapped {
    /// Offset in the window, in bytes.
    pub(crate) offset: u64,
    /// Which mapping it is of all that there were.
    pub(crate) serial: u64,
}

/// All resources of the device.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    by_id: HashMap<u32, Resource>,
    pieces: usize,
    /// Bytes of the files that were made for the guest.
    new_bytes: u64,
}

impl Resources {
    pub(crate) fn get(&mut self, id: u32) -> Option<&mut Resource> {
        self.by_id.get_mut(&id)
    }

    /// Whether a resource without pieces can get this id.
    pub(crate) fn check_room(&self, id: u32) -> Result<(), Status> {
        if id == 0 || self.by_id.contains_key(&id) {
            return Err(Status::InvalidResource);
        }
        if self.by_id.len() >= BLOBS_MAX { Err(Status::OutOfMemory) } else { Ok(()) }
    }

    pub(crate) fn insert(&mut self, id: u32, resource: Resource) -> Result<(), Status> {
        self.check_room(id)?;
        let more = if let Resource::Guest { pieces, .. } = &resource { *pieces } else { 0 };
        if self.pieces + more > PIECES_TOTAL_MAX {
            return Err(Status::OutOfMemory);
        }
        self.pieces += more;
        self.new_bytes += resource.new_bytes();
        self.by_id.insert(id, resource);
        Ok(())
    }

    /// Makes zeroed memory for the guest: of all such resources at most `bytes_max` bytes.
    pub(crate) fn new_memory(&self, bytes: u64, bytes_max: u64) -> Result<Resource, Status> {
        if self.new_bytes.checked_add(bytes).is_none_or(|bytes| bytes > bytes_max) {
            return Err(Status::OutOfMemory);
        }
        let file = memory(bytes).map_err(|_| Status::OutOfMemory)?;
        Ok(Resource::Host { file: Arc::new(file), bytes, is_new: true, mapped: None })
    }

    /// Takes the guest's memory out of a resource.
    pub(crate) fn take_memory(&mut self, id: u32) -> Option<Arc<Blob>> {
        let resource =
            self.by_id.get_mut(&id).filter(|resource| matches!(resource, Resource::Guest { .. }))?;
        let Resource::Guest { blob, pieces } = std::mem::replace(resource, Resource::Picture) else {
            return None;
        };
        self.pieces -= pieces;
        Some(blob)
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<Resource> {
        let resource = self.by_id.remove(&id)?;
        self.new_bytes -= resource.new_bytes();
        if let Resource::Guest { pieces, .. } = &resource {
            self.pieces -= pieces;
        }
        Some(resource)
    }
}

/// Zeroed memory that keeps its size: the X server, QEMU and this process map it, and each would be killed by touching what
/// another has cut off.
fn memory(bytes: u64) -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create(c"x11bridge-memory", flags)?;
    rustix::fs::ftruncate(&file, bytes)?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

/// RESOURCE_CREATE_BLOB, behind its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CreateBlob {
    pub(crate) id: u32,
    pub(crate) kind: Kind,
    pub(crate) bytes: u64,
}

/// Where a blob's memory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// In the guest, in so many entries of the list that follows.
    Guest { entries: usize },
    /// In the file of an item of the context.
    Host { item: u64 },
}

impl CreateBlob {
    pub(crate) fn decode(request: &[u8]) -> Result<Self, Status> {
        let fields = || {
            let (id, mem, entries) = (u32_at(request, 24)?, u32_at(request, 28)?, u32_at(request, 36)?);
            Some((id, mem, usize::try_from(entries).ok()?, u64_at(request, 40)?, u64_at(request, 48)?))
        };
        let (id, mem, entries, item, bytes) = fields().ok_or(Status::InvalidParameter)?;
        if bytes == 0 || bytes > BLOB_BYTES_MAX {
            return Err(Status::InvalidParameter);
        }
        let kind = match mem {
            MEM_GUEST => Kind::Guest { entries },
            MEM_HOST3D => Kind::Host { item },
            _ => return Err(Status::InvalidParameter),
        };
        Ok(Self { id, kind, bytes })
    }
}

/// A blob of the memory that a RESOURCE_CREATE_BLOB lists; `place` finds each entry's address and length.
pub(crate) fn guest_blob(
    request: &[u8],
    entries: usize,
    bytes: u64,
    mut place: impl FnMut(u64, u64, &mut Vec<Piece>) -> bool,
) -> Result<Resource, Status> {
    let list = request.get(CREATE_BYTES..).unwrap_or_default();
    let (list, _) = list.as_chunks::<ENTRY_BYTES>();
    // A list that is shorter than it says is none.
    let list = list.get(..entries).ok_or(Status::InvalidParameter)?;
    let mut pieces = Vec::with_capacity(entries);
    for entry in list {
        let (address, len) = u64_at(entry, 0).zip(u32_at(entry, 8)).ok_or(Status::InvalidParameter)?;
        if len == 0 || !place(address, len.into(), &mut pieces) {
            return Err(Status::InvalidParameter);
        }
    }
    let count = pieces.len();
    let bytes = usize::try_from(bytes).map_err(|_| Status::InvalidParameter)?;
    let blob = Blob::new(pieces, bytes).ok_or(Status::InvalidParameter)?;
    Ok(Resource::Guest { blob: Arc::new(blob), pieces: count })
}

/// A blob of a file, which the guest may have rounded up to its pages.
pub(crate) fn host_blob(file: OwnedFd, bytes: u64) -> Result<Resource, Status> {
    fill_last_page(&file, bytes).map_err(|_| Status::InvalidParameter)?;
    Ok(Resource::Host { file: Arc::new(file), bytes, is_new: false, mapped: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sys::SharedMap;

    fn guest_blob(pieces: usize) -> Resource {
        let map = Arc::new(SharedMap::create(4096).unwrap().0);
        let piece = Piece::new(map, 0, 1).unwrap();
        Resource::Guest { blob: Arc::new(Blob::new(vec![piece], 1).unwrap()), pieces }
    }

    #[test]
    fn memory_of_the_host_keeps_its_size() {
        let file = memory(5000).unwrap();
        for bytes in [0, 4096, 8192] {
            assert_eq!(rustix::fs::ftruncate(&file, bytes), Err(Errno::PERM));
        }
        assert_eq!(rustix::fs::fstat(&file).unwrap().st_size, 5000);
    }

    #[test]
    fn the_number_of_resources_is_limited() {
        let mut resources = Resources::default();
        let ids = (1_u32..).take(BLOBS_MAX);
        ids.for_each(|id| resources.insert(id, Resource::Picture).unwrap());
        assert_eq!(resources.insert(u32::MAX, Resource::Picture), Err(Status::OutOfMemory));
        assert_eq!(resources.insert(1, Resource::Picture), Err(Status::InvalidResource));
        assert_eq!(resources.insert(0, Resource::Picture), Err(Status::InvalidResource));
        assert!(resources.remove(1).is_some() && resources.remove(1).is_none());
        assert_eq!(resources.insert(u32::MAX, Resource::Picture), Ok(()));
    }

    #[test]
    fn the_pieces_of_all_blobs_together_are_limited() {
        let mut resources = Resources::default();
        assert_eq!(resources.insert(1, guest_blob(PIECES_TOTAL_MAX - 1)), Ok(()));
        assert_eq!(resources.insert(2, guest_blob(2)), Err(Status::OutOfMemory));
        assert_eq!(resources.insert(2, guest_blob(1)), Ok(()));
        assert_eq!(resources.insert(3, guest_blob(1)), Err(Status::OutOfMemory));
        resources.remove(1);
        assert_eq!(resources.insert(3, guest_blob(PIECES_TOTAL_MAX - 1)), Ok(()));
    }

    #[test]
    fn the_memory_that_is_made_for_a_guest_is_limited() {
        let mut resources = Resources::default();
        for id in [1, 2] {
            let memory = resources.new_memory(4096, 8192).unwrap();
            resources.insert(id, memory).unwrap();
        }
        assert_eq!(resources.new_memory(4096, 8192).unwrap_err(), Status::OutOfMemory);
        assert_eq!(resources.new_memory(u64::MAX, u64::MAX).unwrap_err(), Status::OutOfMemory);
        resources.remove(1);
        assert!(resources.new_memory(4096, 8192).is_ok());
    }

    #[test]
    fn a_blob_has_at_least_one_byte_and_at_most_a_gibibyte() {
        for (bytes, works) in [(0, false), (1, true), (BLOB_BYTES_MAX, true), (BLOB_BYTES_MAX + 1, false)] {
            let mut request = vec![0; CREATE_BYTES];
            request[28] = 1;
            request[48..].copy_from_slice(&bytes.to_le_bytes());
            assert_eq!(CreateBlob::decode(&request).is_ok(), works, "{bytes}");
        }
    }
}
