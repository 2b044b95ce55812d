//! Blob resources by id: the memory that guest and host share.

use std::collections::HashMap;
use std::sync::Arc;

use rustix::io::Errno;
use sys::SharedMap;

/// Blobs of one context at most. A client has two rings.
pub const RESOURCES_MAX: usize = 64;
/// Bytes of one blob at most.
const BLOB_BYTES_MAX: usize = 16 << 20;

/// The blobs of one context.
#[derive(Debug, Default)]
pub struct Resources {
    blobs: HashMap<u32, Arc<SharedMap>>,
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
        self.last_id = self.last_id.checked_add(1).ok_or(Errno::NOSPC)?;
        self.blobs.insert(self.last_id, Arc::clone(&map));
        Ok((self.last_id, map))
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
