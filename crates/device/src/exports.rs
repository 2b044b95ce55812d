//! Files that the guest has named, so that messages of its contexts can speak of them.
//!
//! A process of the guest asks for the name of a file that it has open on the shared `/dev/shm`; the name holds until that
//! file is closed. It is a random number, so one process of the guest can't speak of another's file unless it is told how.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Names at once at most: every fence of a client has one.
pub const EXPORTS_MAX: usize = 4096;
/// The file system's number in names. A guest has one.
pub const FS_ID: u64 = 1;

/// The names of one guest's files; a clone is the same table.
#[derive(Debug, Clone, Default)]
pub struct Exports {
    files: Arc<Mutex<HashMap<u64, Arc<OwnedFd>>>>,
}

impl Exports {
    /// Gives a file a name. `ENOSPC` beyond [`EXPORTS_MAX`].
    pub fn add(&self, file: OwnedFd) -> Result<u64, Errno> {
        let mut files = self.lock();
        if files.len() >= EXPORTS_MAX {
            return Err(Errno::NOSPC);
        }
        let handle = random()?;
        // Two equal ones are not to be expected; the first must not lose its file to the second.
        if files.contains_key(&handle) {
            return Err(Errno::AGAIN);
        }
        files.insert(handle, Arc::new(file));
        Ok(handle)
    }

    /// The file of a name, as long as the guest has it open.
    pub fn file(&self, fs_id: u64, handle: u64) -> Option<Arc<OwnedFd>> {
        self.lock().get(&handle).filter(|_| fs_id == FS_ID).cloned()
    }

    /// Forgets a name.
    pub fn remove(&self, handle: u64) {
        self.lock().remove(&handle);
    }

    /// Names that there are.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<OwnedFd>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn random() -> Result<u64, Errno> {
    let source = rustix::fs::open("/dev/urandom", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = [0; 8];
    let read = rustix::io::read(&source, &mut bytes)?;
    if read == bytes.len() { Ok(u64::from_ne_bytes(bytes)) } else { Err(Errno::IO) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sys::SharedMap;

    fn file() -> OwnedFd {
        SharedMap::create(4096).unwrap().1
    }

    #[test]
    fn a_file_is_found_by_its_name_until_that_is_forgotten() {
        let exports = Exports::default();
        let (one, two) = (exports.add(file()).unwrap(), exports.clone().add(file()).unwrap());
        assert_ne!(one, two);
        assert!(exports.file(FS_ID, one).is_some() && exports.file(FS_ID, two).is_some());
        assert!(exports.file(FS_ID + 1, one).is_none(), "of another file system");
        assert!(exports.file(FS_ID, one.wrapping_add(1)).is_none());
        exports.remove(one);
        assert!(exports.file(FS_ID, one).is_none());
        assert_eq!(exports.count(), 1);
    }

    #[test]
    fn the_number_of_names_is_limited() {
        let exports = Exports::default();
        // One descriptor for all, as the system has fewer than names.
        let file = Arc::new(file());
        exports.lock().extend((0..EXPORTS_MAX as u64).map(|handle| (handle, Arc::clone(&file))));
        assert_eq!(exports.add(self::file()).unwrap_err(), Errno::NOSPC);
        exports.remove(7);
        exports.add(self::file()).unwrap();
    }
}
