//! A fence in a file.

use std::num::NonZeroU32;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use sys::FutexPage;
use sys::futex_page::WORD_BYTES;

use crate::error::Error;
use crate::word::{RESET, TRIGGERED, Word};

/// `TMPFS_MAGIC`: memfds and files in /dev/shm.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// A fence as libxshmfence has it, in a file that other processes map: the first 32 bits of the file.
///
/// Operations are those of [`Word`]. Each is sound whatever others do to the file: one that was truncated gives
/// [`Error::Truncated`].
#[derive(Debug)]
pub struct Fence {
    page: Arc<FutexPage>,
}

impl Fence {
    /// A new fence in a memfd of one page, triggered or not, and its descriptor for others. The file is sealed: nobody
    /// can change its size.
    pub fn create(triggered: bool) -> Result<(Self, OwnedFd), Error> {
        let value = if triggered { TRIGGERED } else { RESET };
        let (page, file) =
            FutexPage::create(value).map_err(|errno| Error::Os { op: "making a file for a fence", errno })?;
        Ok((Self { page: Arc::new(page) }, file))
    }

    /// The fence in a client's file, which must be in memory (a memfd, or a file on tmpfs such as /dev/shm), at least
    /// 4 bytes long and open for reading and writing; else [`Error::NotAFence`].
    ///
    /// A file on another file system is refused, because whoever provides that could let every access to the word take
    /// for ever. The file is sealed against shrinking if it can be.
    pub fn open(file: BorrowedFd<'_>) -> Result<Self, Error> {
        check(file)?;
        let system = rustix::fs::fstatfs(file).map_err(refused)?;
        if u64::try_from(system.f_type).ok() != Some(TMPFS_MAGIC) {
            return Err(Error::NotAFence { what: "a file on a disk or a network" });
        }
        Self::map(file)
    }

    /// The fence in a file of one file system that the caller trusts, by its `st_dev`: a virtiofs mount that both a guest
    /// and its host map.
    pub fn open_on(file: BorrowedFd<'_>, device: u64) -> Result<Self, Error> {
        check(file)?;
        if rustix::fs::fstat(file).map_err(refused)?.st_dev != device {
            return Err(Error::NotAFence { what: "a file on another file system" });
        }
        Self::map(file)
    }

    /// Whether the file can't be truncated any more. If it can, [`Word::reset`], [`Word::expect_wake`] and [`Word::wait`]
    /// are not to be had: they need an exchange that the kernel does not offer, and a direct access could be the end of
    /// the process.
    pub fn is_sealed(&self) -> bool {
        self.page.is_sealed()
    }

    pub(crate) fn page(&self) -> &Arc<FutexPage> {
        &self.page
    }

    fn map(file: BorrowedFd<'_>) -> Result<Self, Error> {
        match FutexPage::map(file) {
            Ok(page) => Ok(Self { page: Arc::new(page) }),
            Err(Errno::INVAL) => Err(Error::NotAFence { what: "a file that is too short" }),
            // Sealed against writing, or on a mount without it.
            Err(Errno::PERM | Errno::ACCESS) => {
                Err(Error::NotAFence { what: "a file that can't be written to" })
            }
            Err(errno) => Err(Error::Os { op: "mapping a fence", errno }),
        }
    }
}

impl Word for Fence {
    fn is(&self, value: u32) -> Result<bool, Error> {
        self.page.is(value).map_err(Error::of_word("reading a fence"))
    }

    fn compare_exchange(&self, current: u32, new: u32) -> Result<u32, Error> {
        self.page.compare_exchange(current, new).map_err(Error::of_word("writing a fence"))
    }

    fn force(&self) -> Result<(), Error> {
        self.page.store_and_wake(1).map_err(Error::of_word("triggering a fence"))
    }

    fn sleep(&self, expected: u32, mask: NonZeroU32, timeout: Option<Duration>) -> Result<(), Error> {
        match self.page.wait(expected, mask, timeout) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => Ok(()),
            Err(errno) => Err(Error::of_word("sleeping on a fence")(errno)),
        }
    }

    fn wake(&self, mask: NonZeroU32) -> Result<(), Error> {
        self.page.wake(mask).map(drop).map_err(Error::of_word("waking the sleepers of a fence"))
    }
}

/// Refuses what can't be a fence wherever it lies.
fn check(file: BorrowedFd<'_>) -> Result<(), Error> {
    let stat = rustix::fs::fstat(file).map_err(refused)?;
    let what = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => None,
        FileType::Directory => Some("a directory"),
        FileType::Fifo => Some("a pipe"),
        FileType::Socket => Some("a socket"),
        FileType::CharacterDevice | FileType::BlockDevice => Some("a device"),
        _ => Some("something that is no file"),
    };
    if let Some(what) = what {
        return Err(Error::NotAFence { what });
    }
    if u64::try_from(stat.st_size).is_ok_and(|size| size < WORD_BYTES as u64) {
        return Err(Error::NotAFence { what: "a file that is too short" });
    }
    let flags = rustix::fs::fcntl_getfl(file).map_err(refused)?;
    if flags.contains(OFlags::PATH) || flags & OFlags::ACCMODE != OFlags::RDWR {
        return Err(Error::NotAFence { what: "a file that is not open for reading and writing" });
    }
    Ok(())
}

fn refused(errno: Errno) -> Error {
    Error::Os { op: "looking at the file of a fence", errno }
}
