//! Which files a guest can be shown.

use std::os::fd::AsFd;

use rustix::fs::{FileType, OFlags, SeekFrom};
use rustix::io::Errno;

/// The largest page that a guest may have, in bytes.
const GUEST_PAGE_MAX: u64 = 64 << 10;

/// Bytes of a file that can be mapped for a guest: for reading and writing, as a monitor does it, and with a size. `None`
/// for pipes, read-only files, and everything else that can't.
pub(crate) fn mappable_bytes(file: impl AsFd) -> Option<u64> {
    let mode = rustix::fs::fcntl_getfl(&file).ok()? & OFlags::RWMODE;
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&file).ok()?.st_mode);
    if mode != OFlags::RDWR || kind == FileType::Directory {
        return None;
    }
    // Buffers of devices know their size by this alone.
    rustix::fs::seek(&file, SeekFrom::End(0)).ok().filter(|size| *size > 0)
}

/// Makes sure that a file has `bytes` bytes, which is its size rounded up to pages of the guest: whoever touches a mapping
/// behind the end is ended. What is added lies in a page that is mapped already. `EINVAL` where the file has less.
pub(crate) fn fill_last_page(file: impl AsFd, bytes: u64) -> Result<(), Errno> {
    let size = mappable_bytes(&file).ok_or(Errno::INVAL)?;
    if bytes <= size {
        return Ok(());
    }
    let is_file = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) == FileType::RegularFile;
    if !is_file || bytes - size >= GUEST_PAGE_MAX {
        return Err(Errno::INVAL);
    }
    rustix::fs::ftruncate(&file, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create, open};
    use std::os::fd::OwnedFd;

    fn memfd(bytes: u64) -> OwnedFd {
        let file = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&file, bytes).unwrap();
        file
    }

    #[test]
    fn files_with_a_size_that_can_be_written_are_mappable_and_nothing_else_is() {
        assert_eq!(mappable_bytes(memfd(5000)), Some(5000));
        assert_eq!(mappable_bytes(memfd(0)), None);
        let (pipe, _other) = rustix::pipe::pipe().unwrap();
        assert_eq!(mappable_bytes(pipe), None);
        for path in ["/etc/passwd", "/tmp", "/dev/null"] {
            let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, rustix::fs::Mode::empty()).unwrap();
            assert_eq!(mappable_bytes(file), None, "{path}");
        }
    }

    #[test]
    fn the_last_page_is_filled_and_no_further_one_is_made() {
        for (size, bytes, works) in [
            (5000, 4096, true),
            (5000, 5000, true),
            (5000, 8192, true),
            (5000, 65_536, true),
            (5000, 5000 + GUEST_PAGE_MAX - 1, true),
            (5000, 5000 + GUEST_PAGE_MAX, false),
            (4096, u64::MAX, false),
        ] {
            let file = memfd(size);
            assert_eq!(fill_last_page(&file, bytes).is_ok(), works, "{bytes} of {size}");
            let expected = if works { size.max(bytes) } else { size };
            assert_eq!(mappable_bytes(&file), Some(expected), "{bytes} of {size}");
        }
        let sealed = memfd(5000);
        fcntl_add_seals(&sealed, SealFlags::GROW).unwrap();
        assert_eq!(fill_last_page(&sealed, 8192), Err(Errno::PERM));
    }
}
