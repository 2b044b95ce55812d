//! A `/dev/shm` whose memory a host has too: a virtiofs with DAX, whose open files have names for the host.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use rustix::ioctl::{Getter, Opcode, ioctl, opcode};

/// File systems in user space, and virtiofs.
const FUSE_SUPER_MAGIC: i64 = 0x6573_5546;
const EXPORT: Opcode = opcode::read::<Export>(b'v', 1);

/// The host's name for an open file; it holds until the file is closed, and is no secret from whoever has the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Export {
    /// Which file system.
    pub fs_id: u64,
    /// Which open file in it.
    pub handle: u64,
}

/// Whether a file's memory is the host's: what is written here is there.
pub fn is_shared(file: BorrowedFd<'_>) -> bool {
    let kind = rustix::fs::fstatfs(file).map(|stat| stat.f_type);
    #[allow(clippy::unnecessary_cast, reason = "its width is not the same on every processor")]
    let is_fuse = kind.is_ok_and(|kind| kind as i64 == FUSE_SUPER_MAGIC);
    is_fuse && is_dax(file)
}

/// Asks the file's file system for its name. `ENOTTY` where files have none.
pub fn export(file: BorrowedFd<'_>) -> Result<Export, Errno> {
    // SAFETY: the call writes an `Export` and nothing else, which any bytes are.
    unsafe { ioctl(file, Getter::<EXPORT, Export>::new()) }
}

/// What can be done with the files of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharing {
    /// Whether their memory is the host's.
    pub is_shared: bool,
    /// Whether they have names there.
    pub has_names: bool,
}

/// Finds that out by a file without a name. Fails where none can be made.
pub fn examine(folder: &Path) -> Result<Sharing, Errno> {
    let file = unnamed(folder, 0)?;
    let has_names = export(file.as_fd()).is_ok();
    Ok(Sharing { is_shared: is_shared(file.as_fd()), has_names })
}

/// A new file of `bytes` zeros in a folder, without a name.
///
/// libkrun's file system has no `O_TMPFILE`: there the file has a name for a moment.
pub fn unnamed(folder: &Path, bytes: u64) -> Result<OwnedFd, Errno> {
    let made = tempfile::tempfile_in(folder).and_then(|file| file.set_len(bytes).map(|()| file));
    made.map(OwnedFd::from).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

fn is_dax(file: BorrowedFd<'_>) -> bool {
    let stat = rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS);
    stat.is_ok_and(|stat| stat.stx_attributes.contains(StatxAttributes::DAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SharedMap;

    #[test]
    fn files_of_this_kernel_are_not_the_hosts() {
        let (_map, memfd) = SharedMap::create(4096).unwrap();
        assert!(!is_shared(memfd.as_fd()));
        assert!(export(memfd.as_fd()).is_err());
        let folder = std::env::temp_dir();
        assert_eq!(examine(&folder), Ok(Sharing { is_shared: false, has_names: false }));
        assert!(examine(Path::new("/nonexistent")).is_err());
    }

    #[test]
    fn a_file_without_a_name_has_its_size() {
        let stat = rustix::fs::fstat(unnamed(&std::env::temp_dir(), 4096).unwrap()).unwrap();
        assert_eq!((stat.st_size, stat.st_nlink), (4096, 0));
    }
}
