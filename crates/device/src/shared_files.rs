//! Files of the guest's `/dev/shm` that the SENDs of one context name.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use cross_domain::ExportedFile;

use crate::exports::Exports;
use crate::resources::{FUTEXES_MAX, IMPORTS_MAX};

/// What one context has of them. What the guest's names lead to is looked up once, so a file stays though its name ends.
#[derive(Debug, Default)]
pub(crate) struct SharedFiles {
    exports: Exports,
    /// Each for one SEND.
    items: HashMap<u32, Arc<OwnedFd>>,
    /// Until they are destroyed.
    futexes: HashMap<u32, Arc<OwnedFd>>,
}

impl SharedFiles {
    pub(crate) fn new(exports: Exports) -> Self {
        Self { exports, ..Self::default() }
    }

    /// Makes an item of a file. A name that leads nowhere makes none, and neither does an id that is in use, nor a guest
    /// that imports and sends nothing: the X server says so when a SEND comes without.
    pub(crate) fn import(&mut self, file: ExportedFile, id: u32) {
        if self.items.len() < IMPORTS_MAX
            && !self.items.contains_key(&id)
            && let Some(file) = self.exports.file(file.fs_id, file.handle)
        {
            self.items.insert(id, file);
        }
    }

    /// The item of this id.
    pub(crate) fn item(&self, id: u32) -> Option<BorrowedFd<'_>> {
        self.items.get(&id).map(AsFd::as_fd)
    }

    /// The item has been sent.
    pub(crate) fn used(&mut self, id: u32) {
        self.items.remove(&id);
    }

    /// Notes the file of a futex, if its name leads to one.
    pub(crate) fn add_futex(&mut self, file: ExportedFile, id: u32) {
        if self.futexes.len() < FUTEXES_MAX
            && let Some(file) = self.exports.file(file.fs_id, file.handle)
        {
            self.futexes.insert(id, file);
        }
    }

    /// The file of a futex.
    pub(crate) fn futex(&self, id: u32) -> Option<BorrowedFd<'_>> {
        self.futexes.get(&id).map(AsFd::as_fd)
    }

    /// Forgets a futex.
    pub(crate) fn remove_futex(&mut self, id: u32) {
        self.futexes.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exports::FS_ID;

    #[test]
    fn an_item_is_the_file_of_its_name_and_is_used_once() {
        let exports = Exports::default();
        let [handle, other] = [(); 2].map(|()| exports.add(sys::SharedMap::create(4096).unwrap().1).unwrap());
        let mut files = SharedFiles::new(exports.clone());
        let name = |handle| ExportedFile { fs_id: FS_ID, handle };
        files.import(name(handle), 7);
        let inode = |file: BorrowedFd<'_>| rustix::fs::fstat(file).unwrap().st_ino;
        let found = inode(files.item(7).unwrap());
        files.import(name(other), 7);
        assert_eq!(inode(files.item(7).unwrap()), found, "an id in use");
        exports.remove(handle);
        assert!(files.item(7).is_some(), "it was there when it was named");
        files.used(7);
        files.import(name(handle), 7);
        files.import(ExportedFile { fs_id: FS_ID + 1, handle: other }, 7);
        assert!(files.item(7).is_none(), "names that lead nowhere");
        files.add_futex(name(other), 7);
        assert!(files.item(7).is_none() && files.futex(7).is_some());
        files.remove_futex(7);
        assert!(files.futex(7).is_none());
    }

    #[test]
    fn the_number_of_items_is_limited() {
        let exports = Exports::default();
        let handle = exports.add(sys::SharedMap::create(4096).unwrap().1).unwrap();
        let mut files = SharedFiles::new(exports);
        let ids = 0..=u32::try_from(IMPORTS_MAX).unwrap();
        ids.clone().for_each(|id| files.import(ExportedFile { fs_id: FS_ID, handle }, id));
        assert!(files.item(0).is_some() && files.item(*ids.end()).is_none());
    }
}
