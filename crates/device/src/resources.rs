//! What guest and host name by a number: rings, buffers of the guest, items of the host.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use sys::SharedMap;

/// Blobs of one context at most. A client has two rings.
pub const RESOURCES_MAX: usize = 64;
/// Descriptors of the guest at once at most: those of the SENDs that are under way.
pub(crate) const IMPORTS_MAX: usize = 128;
/// Items at once at most that the guest has not taken: it takes those of a RECEIVE before it asks for the next.
pub(crate) const ITEMS_MAX: usize = 256;
/// Bytes of one blob at most.
const BLOB_BYTES_MAX: usize = 16 << 20;

/// What one context knows by a number.
#[derive(Debug, Default)]
pub struct Resources {
    blobs: HashMap<u32, Arc<SharedMap>>,
    imports: HashMap<u32, OwnedFd>,
    items: HashMap<u32, OwnedFd>,
    last_id: u32,
}

impl Resources {
    /// Makes a blob in guest memory, zeroed; returns its resource id, which is never used again, and the memory.
    ///
    /// `ENOSPC` beyond [`RESOURCES_MAX`] blobs, `EINVAL` for a size of 0 or above 16 MiB.
    pub fn create_blob(&mut self, bytes: usize) -> Result<(u32, Arc<SharedMap>), Errno> {
        if self.blobs.len() >= RESOURCES_MAX {
            return Err(Errno::NOSPC);
        }
        if bytes == 0 || bytes > BLOB_BYTES_MAX {
            return Err(Errno::INVAL);
        }
        let (map, _memfd) = SharedMap::create(bytes)?;
        let map = Arc::new(map);
        let id = self.next_id()?;
        self.blobs.insert(id, Arc::clone(&map));
        Ok((id, map))
    }

    /// Makes a resource of a descriptor of the guest's, to be named in SENDs until it is released; returns its id.
    ///
    /// `ENOSPC` beyond 128.
    pub fn import(&mut self, descriptor: OwnedFd) -> Result<u32, Errno> {
        if self.imports.len() >= IMPORTS_MAX {
            return Err(Errno::NOSPC);
        }
        let id = self.next_id()?;
        self.imports.insert(id, descriptor);
        Ok(id)
    }

    /// Forgets what [`Resources::import`] made.
    pub fn release(&mut self, id: u32) {
        self.imports.remove(&id);
    }

    /// The descriptor that was imported under that id.
    pub fn imported(&self, id: u32) -> Option<BorrowedFd<'_>> {
        self.imports.get(&id).map(AsFd::as_fd)
    }

    /// Makes an item of a descriptor of the host's; returns the id to be named in a RECEIVE.
    ///
    /// `ENOSPC` beyond 256 that nobody has taken.
    pub fn add_item(&mut self, descriptor: OwnedFd) -> Result<u32, Errno> {
        if self.items.len() >= ITEMS_MAX {
            return Err(Errno::NOSPC);
        }
        let id = self.next_id()?;
        self.items.insert(id, descriptor);
        Ok(id)
    }

    /// Takes an item, as the creation of a blob of it does: once.
    pub fn take_item(&mut self, id: u32) -> Option<OwnedFd> {
        self.items.remove(&id)
    }

    /// Numbers are never used again.
    fn next_id(&mut self) -> Result<u32, Errno> {
        self.last_id = self.last_id.checked_add(1).ok_or(Errno::NOSPC)?;
        Ok(self.last_id)
    }

    /// The memory of a blob.
    pub fn blob(&self, id: u32) -> Option<Arc<SharedMap>> {
        self.blobs.get(&id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_are_found_by_the_id_that_they_got() {
        let mut resources = Resources::default();
        let (first, map) = resources.create_blob(4096).unwrap();
        let (second, _) = resources.create_blob(8192).unwrap();
        assert_ne!(first, second);
        assert!(Arc::ptr_eq(&resources.blob(first).unwrap(), &map));
        assert_eq!(resources.blob(second).unwrap().len(), 8192);
        assert!(resources.blob(second + 1).is_none() && resources.blob(0).is_none());
    }

    fn descriptor() -> OwnedFd {
        rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap()
    }

    #[test]
    fn imports_last_until_they_are_released_and_items_are_taken_once() {
        let mut resources = Resources::default();
        let import = resources.import(descriptor()).unwrap();
        let item = resources.add_item(descriptor()).unwrap();
        assert!(resources.imported(import).is_some() && resources.imported(item).is_none());
        assert!(resources.take_item(import).is_none() && resources.take_item(item).is_some());
        resources.release(import);
        assert!(resources.imported(import).is_none() && resources.take_item(item).is_none());
    }

    #[test]
    fn the_number_of_imports_and_items_is_limited() {
        let mut resources = Resources::default();
        let one = descriptor();
        let copy = || one.try_clone().unwrap();
        assert!((0..IMPORTS_MAX).all(|_| resources.import(copy()).is_ok()));
        assert!((0..ITEMS_MAX).all(|_| resources.add_item(copy()).is_ok()));
        assert_eq!(resources.import(copy()), Err(Errno::NOSPC));
        assert_eq!(resources.add_item(copy()), Err(Errno::NOSPC));
    }

    #[test]
    fn the_number_and_the_size_of_blobs_are_limited() {
        let mut resources = Resources::default();
        for (bytes, works) in [(0, false), (BLOB_BYTES_MAX, true), (BLOB_BYTES_MAX + 1, false)] {
            assert_eq!(resources.create_blob(bytes).is_ok(), works, "{bytes}");
        }
        (1..RESOURCES_MAX).for_each(|_| drop(resources.create_blob(4096).unwrap()));
        assert_eq!(resources.create_blob(4096).unwrap_err(), Errno::NOSPC);
    }
}
