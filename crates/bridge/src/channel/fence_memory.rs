//! Where the memory of a client's fence lies, and so how it is linked.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use cross_domain::ExportedFile;
use sys::dev_shm;
use x11_wire::message::{BAD_ALLOC, BAD_MATCH};

/// How fences cross kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FenceChoice {
    /// As descriptors where client and server share a kernel; else shared where the fence lies in memory of both kernels,
    /// and relayed where not; where the host can do neither, DRI3 is hidden.
    Auto,
    /// Only in memory of both kernels; fences elsewhere are refused. Without such memory DRI3 is hidden.
    Shared,
    /// Relayed in any case, over memory of both kernels where there is some; where the host can't, DRI3 is hidden.
    Relay,
    /// Not at all: DRI3 is hidden.
    Off,
}

impl FenceChoice {
    /// Understands a name as users write it.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "shared" => Some(Self::Shared),
            "relay" => Some(Self::Relay),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// Where a client's fence lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FenceMemory {
    /// In memory that is the host's, too.
    Shared {
        /// `st_dev` of its file system.
        device: u64,
        /// The host's name for the file.
        name: ExportedFile,
    },
    /// On the file system that has such memory, of which there was none left.
    CrowdedOut {
        /// `st_dev` of that file system.
        device: u64,
    },
    /// In this kernel's own.
    Own,
}

/// A file in memory of both kernels that only the bridge has.
#[derive(Debug)]
pub struct SharedPage {
    /// The file, of one page.
    pub file: OwnedFd,
    /// `st_dev` of its file system.
    pub device: u64,
    /// The host's name for it.
    pub name: ExportedFile,
}

/// How a fence is linked.
#[derive(Debug)]
pub(super) enum FenceLink {
    /// The two kernels map the same page, and only wake-ups travel.
    Shared {
        /// `st_dev` of its file system.
        device: u64,
        /// The host's name for its file.
        name: ExportedFile,
    },
    /// The client keeps its page, and the server gets another.
    Relayed {
        /// `st_dev` of the file system that the client's file lies on, where that has memory of both kernels.
        device: Option<u64>,
        /// Whether it is only relayed because there is no such memory left.
        crowded_out: bool,
        /// The server's page where it is the guest half that keeps the two alike; else the host half makes one, and messages
        /// do.
        page: Option<SharedPage>,
    },
}

/// The `/dev/shm` of this machine where its memory is the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedDevShm {
    folder: PathBuf,
    /// `st_dev` of its files.
    device: u64,
}

impl SharedDevShm {
    /// Looks whether there is one whose files the host has names for.
    pub fn find(folder: &Path) -> Option<Self> {
        let sharing = dev_shm::examine(folder).ok()?;
        let device = rustix::fs::stat(folder).ok()?.st_dev;
        (sharing.is_shared && sharing.has_names).then(|| Self { folder: folder.into(), device })
    }

    /// Where a client's fence lies.
    pub fn memory_of(&self, file: BorrowedFd<'_>) -> FenceMemory {
        let device = self.device;
        if !rustix::fs::fstat(file).is_ok_and(|status| status.st_dev == device) {
            return FenceMemory::Own;
        }
        name_of(file).map_or(FenceMemory::CrowdedOut { device }, |name| FenceMemory::Shared { device, name })
    }

    /// A new page for a fence; `None` where there is no room left.
    pub fn page(&self) -> Option<SharedPage> {
        let file = dev_shm::unnamed(&self.folder, rustix::param::page_size() as u64).ok()?;
        let name = name_of(file.as_fd())?;
        Some(SharedPage { file, device: self.device, name })
    }
}

/// The host's name for a file whose memory is its.
fn name_of(file: BorrowedFd<'_>) -> Option<ExportedFile> {
    let export = dev_shm::is_shared(file).then(|| dev_shm::export(file).ok()).flatten()?;
    Some(ExportedFile { fs_id: export.fs_id, handle: export.handle })
}

impl FenceMemory {
    /// How a fence is linked, by what is wished for; else the error for the client. `by_messages`: whether the host half
    /// relays fences; `page` makes a page in memory of both kernels.
    ///
    /// Messages cost less to begin with, and there is always room for them; a page works with any host that carries the
    /// wake-ups of futexes. So a page is what is taken where messages are not to be had, or relays are asked for.
    pub(super) fn link(
        self,
        choice: FenceChoice,
        by_messages: bool,
        page: impl FnOnce() -> Option<SharedPage>,
    ) -> Result<FenceLink, u8> {
        let (device, crowded_out) = match (self, choice) {
            (Self::Shared { device, name }, FenceChoice::Auto | FenceChoice::Shared) => {
                return Ok(FenceLink::Shared { device, name });
            }
            (_, FenceChoice::Shared | FenceChoice::Off) => return Err(BAD_MATCH),
            (Self::Shared { device, .. }, _) => (Some(device), false),
            (Self::CrowdedOut { device }, _) => (Some(device), true),
            (Self::Own, _) => (None, false),
        };
        let page = if by_messages && choice == FenceChoice::Auto { None } else { page() };
        if page.is_none() && !by_messages {
            return Err(BAD_ALLOC);
        }
        Ok(FenceLink::Relayed { device, crowded_out, page })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: ExportedFile = ExportedFile { fs_id: 1, handle: 77 };

    /// How a fence is linked, in a word. What is relayed is said to lie where it does.
    fn linked(memory: FenceMemory, choice: FenceChoice, by_messages: bool, has_pages: bool) -> &'static str {
        let page = || {
            let file = shmfence::Fence::create(false).unwrap().1;
            has_pages.then_some(SharedPage { file, device: 7, name: NAME })
        };
        match memory.link(choice, by_messages, page) {
            Ok(FenceLink::Shared { device: 7, name: NAME }) => "shared",
            Ok(FenceLink::Relayed { device, crowded_out, page }) => {
                assert_eq!(device, (memory != FenceMemory::Own).then_some(7));
                assert_eq!(crowded_out, memory == FenceMemory::CrowdedOut { device: 7 });
                if page.is_some() { "page" } else { "messages" }
            }
            Ok(_) => "otherwise",
            Err(BAD_ALLOC) => "alloc",
            Err(_) => "match",
        }
    }

    #[test]
    fn a_fence_is_shared_where_it_can_be_and_relayed_where_it_may_be() {
        let memories = [
            FenceMemory::Shared { device: 7, name: NAME },
            FenceMemory::CrowdedOut { device: 7 },
            FenceMemory::Own,
        ];
        for (choice, by_messages, has_pages, expected) in [
            (FenceChoice::Auto, true, true, ["shared", "messages", "messages"]),
            (FenceChoice::Auto, false, true, ["shared", "page", "page"]),
            (FenceChoice::Auto, false, false, ["shared", "alloc", "alloc"]),
            (FenceChoice::Shared, true, true, ["shared", "match", "match"]),
            (FenceChoice::Relay, true, true, ["page"; 3]),
            (FenceChoice::Relay, true, false, ["messages"; 3]),
            (FenceChoice::Relay, false, true, ["page"; 3]),
            (FenceChoice::Relay, false, false, ["alloc"; 3]),
            (FenceChoice::Off, true, true, ["match"; 3]),
        ] {
            let found = memories.map(|memory| linked(memory, choice, by_messages, has_pages));
            assert_eq!(found, expected, "{choice:?} {by_messages} {has_pages}");
        }
    }

    #[test]
    fn a_folder_of_this_machine_alone_shares_nothing_and_its_files_are_told_from_others() {
        let folder = std::env::temp_dir();
        assert_eq!(SharedDevShm::find(&folder), None);
        assert_eq!(SharedDevShm::find(Path::new("/nonexistent")), None);
        let file = shmfence::Fence::create(false).unwrap().1;
        let device = rustix::fs::fstat(&file).unwrap().st_dev;
        let dev_shm = |device| SharedDevShm { folder: folder.clone(), device };
        assert_eq!(dev_shm(device + 1).memory_of(file.as_fd()), FenceMemory::Own);
        assert_eq!(dev_shm(device).memory_of(file.as_fd()), FenceMemory::CrowdedOut { device });
        assert!(dev_shm(device).page().is_none(), "its files have no names for a host");
    }
}
