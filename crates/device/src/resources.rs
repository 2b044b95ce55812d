//! What guest and host name by a number: rings, buffers of the guest, items of the host.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use sys::{Blob, SharedMap};

/// Blobs of one context at most: two rings, and the buffers of one client.
pub const RESOURCES_MAX: usize = 1024;
/// Descriptors of the guest at once at most: those of the SENDs that are under way.
pub(crate) const IMPORTS_MAX: usize = 128;
/// Items at once at most that the guest has not taken: it takes those of a RECEIVE before it asks for the next.
pub(crate) const ITEMS_MAX: usize = 256;
/// Futexes of one context at most: each window of a client has some.
pub(crate) const FUTEXES_MAX: usize = 1024;
/// Bytes at most of a blob that is made here.
const BLOB_BYTES_MAX: usize = 16 << 20;

/// What one context knows by a number.
#[derive(Debug, Default)]
pub struct Resources {
    blobs: HashMap<u32, Arc<Blob>>,
    files: HashMap<u32, Arc<OwnedFd>>,
    imports: HashMap<u32, OwnedFd>,
    items: HashMap<u32, OwnedFd>,
    futexes: HashSet<u32>,
    last_id: u32,
}

impl Resources {
    /// Makes a blob, zeroed; returns its resource id, which is never used again, and the memory.
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
        self.blobs.insert(id, Arc::new(Blob::from(Arc::clone(&map))));
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

    /// What a SEND that names this id has for the X server: what was imported under it, or the file of a blob.
    pub fn file(&self, id: u32) -> Option<BorrowedFd<'_>> {
        let imported = self.imports.get(&id).map(AsFd::as_fd);
        imported.or_else(|| self.files.get(&id).map(AsFd::as_fd))
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

    /// Lets the context use a blob that has an id already. `ENOSPC` beyond [`RESOURCES_MAX`].
    pub fn attach(&mut self, id: u32, blob: Arc<Blob>) -> Result<(), Errno> {
        if self.blobs.len() >= RESOURCES_MAX && !self.blobs.contains_key(&id) {
            return Err(Errno::NOSPC);
        }
        self.blobs.insert(id, blob);
        Ok(())
    }

    /// Lets the context name the file of a blob. `ENOSPC` beyond [`RESOURCES_MAX`].
    pub fn attach_file(&mut self, id: u32, file: Arc<OwnedFd>) -> Result<(), Errno> {
        if self.files.len() >= RESOURCES_MAX && !self.files.contains_key(&id) {
            return Err(Errno::NOSPC);
        }
        self.files.insert(id, file);
        Ok(())
    }

    /// Takes a blob, or its file, from the context. A ring in use stays in use, until the guest takes its memory back.
    pub fn detach(&mut self, id: u32) {
        self.blobs.remove(&id);
        self.files.remove(&id);
    }

    /// The memory of a blob.
    pub fn blob(&self, id: u32) -> Option<Arc<Blob>> {
        self.blobs.get(&id).cloned()
    }

    /// Notes a futex. `EEXIST` for an id that is in use, `ENOSPC` beyond 1024.
    pub(crate) fn add_futex(&mut self, id: u32) -> Result<(), Errno> {
        if self.futexes.len() >= FUTEXES_MAX {
            return Err(Errno::NOSPC);
        }
        if self.futexes.insert(id) { Ok(()) } else { Err(Errno::EXIST) }
    }

    /// Forgets a futex; whether there was one.
    pub(crate) fn remove_futex(&mut self, id: u32) -> bool {
        self.futexes.remove(&id)
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
        assert!(map.write(0, b"seen"));
        let mut seen = [0; 4];
        assert!(resources.blob(first).unwrap().read(0, &mut seen));
        assert_eq!(&seen, b"seen");
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
        assert!(resources.file(import).is_some() && resources.file(item).is_none());
        assert!(resources.take_item(import).is_none() && resources.take_item(item).is_some());
        resources.release(import);
        assert!(resources.file(import).is_none() && resources.take_item(item).is_none());
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

    #[test]
    fn blobs_that_have_an_id_are_attached_up_to_the_limit_and_detached() {
        let mut resources = Resources::default();
        let blob = Arc::new(Blob::from(Arc::new(SharedMap::create(4096).unwrap().0)));
        let ids = (0_u32..).take(RESOURCES_MAX);
        ids.for_each(|id| resources.attach(id, Arc::clone(&blob)).unwrap());
        assert_eq!(resources.attach(9999, Arc::clone(&blob)), Err(Errno::NOSPC));
        assert_eq!(resources.attach(1, Arc::clone(&blob)), Ok(()), "again is not one more");
        resources.detach(1);
        assert!(resources.blob(1).is_none());
        assert_eq!(resources.attach(9999, blob), Ok(()));
    }

    #[test]
    fn files_of_blobs_can_be_named_until_they_are_detached() {
        let mut resources = Resources::default();
        let file = Arc::new(descriptor());
        let ids = (0_u32..).take(RESOURCES_MAX);
        ids.for_each(|id| resources.attach_file(id, Arc::clone(&file)).unwrap());
        assert_eq!(resources.attach_file(9999, Arc::clone(&file)), Err(Errno::NOSPC));
        assert_eq!(resources.attach_file(1, Arc::clone(&file)), Ok(()), "again is not one more");
        assert!(resources.file(1).is_some());
        resources.detach(1);
        assert!(resources.file(1).is_none());
    }

    #[test]
    fn futexes_are_limited_and_have_one_id_each() {
        let mut resources = Resources::default();
        (1_u32..).take(FUTEXES_MAX - 1).for_each(|id| resources.add_futex(id).unwrap());
        assert_eq!(resources.add_futex(1), Err(Errno::EXIST));
        assert_eq!(resources.add_futex(0), Ok(()));
        assert_eq!(resources.add_futex(5000), Err(Errno::NOSPC));
        assert!(resources.remove_futex(7));
        assert!(!resources.remove_futex(7));
    }
}
