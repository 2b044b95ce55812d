//! Where the memory of a client's fence lies, and so how it is linked.

use std::os::fd::BorrowedFd;
use std::path::Path;

use cross_domain::ExportedFile;
use sys::dev_shm;

/// How fences cross kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FenceChoice {
    /// As descriptors where client and server share a kernel; else shared where the fence lies in memory of both kernels,
    /// and relayed where the host can; where it can do neither, DRI3 is hidden.
    Auto,
    /// Only in memory of both kernels; fences elsewhere are refused. Without such memory DRI3 is hidden.
    Shared,
    /// Relayed wherever the host can; else DRI3 is hidden.
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

    const fn allows_sharing(self) -> bool {
        matches!(self, Self::Auto | Self::Shared)
    }

    const fn allows_relays(self) -> bool {
        matches!(self, Self::Auto | Self::Relay)
    }
}

/// What can be done with a fence, by the memory that it lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FenceMemory {
    /// It is the host's, too: the fence is shared.
    Shared {
        /// `st_dev` of its file system.
        device: u64,
        /// The host's name for the file.
        name: ExportedFile,
    },
    /// It lies on the file system that has such memory, and is relayed all the same.
    Unshared {
        /// `st_dev` of that file system.
        device: u64,
        /// Whether that is because there is no such memory left.
        crowded_out: bool,
    },
    /// This kernel's own: the fence is relayed.
    Own,
    /// It must not be shared, or can't be, and must not be relayed, or can't be.
    Unlinkable,
}

/// The `/dev/shm` of this machine where its memory is the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedDevShm {
    /// `st_dev` of its files.
    pub device: u64,
}

impl SharedDevShm {
    /// Looks whether there is one whose files the host has names for.
    pub fn find(folder: &Path) -> Option<Self> {
        let sharing = dev_shm::examine(folder).ok()?;
        let status = rustix::fs::stat(folder).ok()?;
        (sharing.is_shared && sharing.has_names).then_some(Self { device: status.st_dev })
    }

    /// Where a client's fence lies.
    pub fn memory_of(self, file: BorrowedFd<'_>) -> FenceMemory {
        let Self { device } = self;
        if !rustix::fs::fstat(file).is_ok_and(|status| status.st_dev == device) {
            return FenceMemory::Own;
        }
        let export = if dev_shm::is_shared(file) { dev_shm::export(file).ok() } else { None };
        export.map_or(FenceMemory::Unshared { device, crowded_out: true }, |export| {
            let name = ExportedFile { fs_id: export.fs_id, handle: export.handle };
            FenceMemory::Shared { device, name }
        })
    }
}

impl FenceMemory {
    /// What is left of that where not everything is wished for, and a host may not relay.
    pub(super) const fn within(self, choice: FenceChoice, relays: bool) -> Self {
        match self {
            Self::Shared { .. } if choice.allows_sharing() => self,
            Self::Shared { device, .. } if choice.allows_relays() && relays => {
                Self::Unshared { device, crowded_out: false }
            }
            Self::Unshared { .. } | Self::Own if choice.allows_relays() && relays => self,
            _ => Self::Unlinkable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    const NAME: ExportedFile = ExportedFile { fs_id: 1, handle: 77 };

    #[test]
    fn a_fence_is_shared_where_it_can_be_and_relayed_where_it_may_be() {
        let shared = FenceMemory::Shared { device: 7, name: NAME };
        let crowded = FenceMemory::Unshared { device: 7, crowded_out: true };
        let unshared = FenceMemory::Unshared { device: 7, crowded_out: false };
        let (own, none) = (FenceMemory::Own, FenceMemory::Unlinkable);
        for (choice, relays, expected) in [
            (FenceChoice::Auto, true, [shared, crowded, own]),
            (FenceChoice::Auto, false, [shared, none, none]),
            (FenceChoice::Shared, true, [shared, none, none]),
            (FenceChoice::Relay, true, [unshared, crowded, own]),
            (FenceChoice::Relay, false, [none; 3]),
            (FenceChoice::Off, true, [none; 3]),
        ] {
            let found = [shared, crowded, own].map(|memory| memory.within(choice, relays));
            assert_eq!(found, expected, "{choice:?} {relays}");
        }
    }

    #[test]
    fn a_folder_of_this_machine_alone_shares_nothing_and_its_files_are_told_from_others() {
        let folder = std::env::temp_dir();
        assert_eq!(SharedDevShm::find(&folder), None);
        assert_eq!(SharedDevShm::find(Path::new("/nonexistent")), None);
        let file = shmfence::Fence::create(false).unwrap().1;
        let device = rustix::fs::fstat(&file).unwrap().st_dev;
        let memory = |device| SharedDevShm { device }.memory_of(file.as_fd());
        assert_eq!(memory(device + 1), FenceMemory::Own);
        assert_eq!(memory(device), FenceMemory::Unshared { device, crowded_out: true });
    }
}
