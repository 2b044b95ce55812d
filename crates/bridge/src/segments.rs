//! Segments of MIT-SHM that the X server can't attach, each with what it attaches in its place.

use std::fs;
use std::ops::Range;
use std::os::fd::OwnedFd;

use rustix::fs::{
    FileType, MemfdFlags, OFlags, SealFlags, fcntl_get_seals, fcntl_getfl, fstat, ftruncate, memfd_create,
};
use rustix::io::Errno;
use session::{Action, Attach};
use sys::peer::Peer;
use sys::sysv_segment::Permissions;
use sys::{SharedMap, SysvSegment};

const WRITE_SEALS: SealFlags = SealFlags::WRITE.union(SealFlags::FUTURE_WRITE);

/// Bytes of all System V segments of a client at once at most. A picture of 8K has 133 MB; a segment's size costs its
/// maker nothing (`SHM_NORESERVE`), while here a request of a few bytes may have all of it copied.
const BYTES_MAX: usize = 1 << 30;

/// A client's memory, and what the server attaches in its place.
#[derive(Debug)]
enum Memory {
    /// A System V segment, and a file.
    SegmentInFile(SysvSegment, OwnedFd),
    /// A System V segment, and memory of the server's machine.
    Segment(SysvSegment, SharedMap),
    /// A file, and memory of the server's machine.
    File(OwnedFd, SharedMap),
}

#[derive(Debug)]
struct Shared {
    key: u64,
    bytes: usize,
    memory: Memory,
}

/// Where the server finds what stands for a client's memory.
pub(crate) enum Place {
    /// In any file of this machine.
    Files,
    /// In this memory of its own machine.
    Memory(OwnedFd, SharedMap),
    /// Nowhere: there is none left.
    Nowhere,
}

/// The client has no right to write to its own file.
#[derive(Debug)]
pub(crate) struct Denied;

/// The segments of one client.
#[derive(Debug, Default)]
pub(crate) struct Segments(Vec<Shared>);

impl Segments {
    /// Attaches a System V segment for the client at the other end of `socket`, and returns a file of its size; `None` where
    /// the client has no right to it, there is none, or the client's segments together were too large. `memory` makes some
    /// of the server's machine, where a file of this one does not do.
    pub(crate) fn attach(
        &mut self,
        socket: &OwnedFd,
        attach: Attach,
        number: u32,
        memory: impl FnOnce(usize) -> Place,
    ) -> Option<OwnedFd> {
        let client = Peer::of(socket).ok()?;
        if !shares_segments_with(client.pid) {
            return None;
        }
        let (segment, permissions) = SysvSegment::attach(number.cast_signed()).ok()?;
        let bytes = segment.len();
        if !may(&client, &permissions, attach.read_only) || !self.has_room(bytes) {
            return None;
        }
        let (theirs, memory) = match memory(bytes) {
            Place::Files => {
                let file = memfd_create(c"x11bridge-segment", MemfdFlags::CLOEXEC).ok()?;
                ftruncate(&file, bytes as u64).ok()?;
                (file.try_clone().ok()?, Memory::SegmentInFile(segment, file))
            }
            Place::Memory(theirs, map) => (theirs, Memory::Segment(segment, map)),
            Place::Nowhere => return None,
        };
        self.0.push(Shared { key: attach.key, bytes, memory });
        Some(theirs)
    }

    /// The same for a file that the client sent. `None` for one without a size as well.
    pub(crate) fn attach_file(
        &mut self,
        file: OwnedFd,
        attach: Attach,
        memory: impl FnOnce(usize) -> Place,
    ) -> Result<Option<OwnedFd>, Denied> {
        let Some(bytes) = size_of(&file) else { return Ok(None) };
        if !may_map(&file, attach.read_only) {
            return Err(Denied);
        }
        if !self.has_room(bytes) {
            return Ok(None);
        }
        let Place::Memory(theirs, map) = memory(bytes) else { return Ok(None) };
        self.0.push(Shared { key: attach.key, bytes, memory: Memory::File(file, map) });
        Ok(Some(theirs))
    }

    fn has_room(&self, bytes: usize) -> bool {
        fit(self.0.iter().map(|shared| shared.bytes).chain([bytes]))
    }

    /// Carries out what a session asks for. What can't be copied stays as it is, as with memory that somebody has taken
    /// away: the client's picture is wrong, and nobody else's.
    pub(crate) fn carry_out(&mut self, action: &Action) {
        let find = |wanted: &u64| self.0.iter().find(|shared| shared.key == *wanted);
        match action {
            Action::ToServer { key, range } => {
                let _ = find(key).map(|shared| shared.memory.to_server(range.clone()));
            }
            Action::ToClient { key, range } => {
                let _ = find(key).map(|shared| shared.memory.to_client(range.clone(), shared.bytes));
            }
            Action::Forget { key } => self.0.retain(|shared| shared.key != *key),
        }
    }
}

impl Memory {
    fn to_server(&self, range: Range<u64>) -> Result<(), Errno> {
        match self {
            Self::SegmentInFile(segment, file) => segment.copy_to(file, range),
            Self::Segment(segment, map) => {
                segment.copy_to_map(map, range);
                Ok(())
            }
            Self::File(file, map) => map.copy_from_file(file, range),
        }
    }

    fn to_client(&self, range: Range<u64>, bytes: usize) -> Result<(), Errno> {
        match self {
            Self::SegmentInFile(segment, file) => segment.copy_from(file, range),
            Self::Segment(segment, map) => segment.copy_from_map(map, range),
            // The file's own end is no later than that, unless the client has cut it off.
            Self::File(file, map) => map.copy_to_file(file, range.start..range.end.min(bytes as u64)),
        }
    }
}

/// Bytes of a file that can be mapped; `None` for what has no size, such as a pipe.
fn size_of(file: &OwnedFd) -> Option<usize> {
    let status = fstat(file).ok()?;
    usize::try_from(status.st_size).ok().filter(|bytes| *bytes > 0)
}

/// Whether a process with this descriptor could map it: it is a file, opened for what is wanted.
fn may_map(file: &OwnedFd, read_only: bool) -> bool {
    let is_file =
        fstat(file).is_ok_and(|status| FileType::from_raw_mode(status.st_mode) == FileType::RegularFile);
    let mode = fcntl_getfl(file).map(|flags| flags & OFlags::RWMODE);
    let sealed = fcntl_get_seals(file).is_ok_and(|seals| seals.intersects(WRITE_SEALS));
    let writable = mode == Ok(OFlags::RDWR) && !sealed;
    is_file && (writable || read_only && mode != Ok(OFlags::WRONLY))
}

/// Whether segments of these sizes are no more than one client may have.
fn fit(mut sizes: impl Iterator<Item = usize>) -> bool {
    sizes.try_fold(BYTES_MAX, usize::checked_sub).is_some()
}

/// Whether a number means the same segment to that process and to this one. Where the system shows only this one's
/// namespace, the other may be any: a number of it could hit somebody else's segment here. Where it shows neither, there
/// are none, and the permissions decide alone, as they do for an X server.
fn shares_segments_with(pid: Option<i32>) -> bool {
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/ipc")).ok();
    match (pid.and_then(|pid| namespace(&pid.to_string())), namespace("self")) {
        (theirs, Some(ours)) => theirs == Some(ours),
        (theirs, None) => theirs.is_none(),
    }
}

/// Whether the client itself could attach the segment: the owner's, the group's or the others' bits, as X servers and
/// the kernel read them.
const fn may(client: &Peer, segment: &Permissions, read_only: bool) -> bool {
    const READ: u32 = 0o4;
    const WRITE: u32 = 0o2;
    if client.uid == 0 {
        return true;
    }
    let wanted = if read_only { READ } else { READ | WRITE };
    let granted = if client.uid == segment.uid || client.uid == segment.creator_uid {
        segment.mode >> 6
    } else if client.gid == segment.gid || client.gid == segment.creator_gid {
        segment.mode >> 3
    } else {
        segment.mode
    };
    granted & wanted == wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: Permissions =
        Permissions { uid: 1000, gid: 100, creator_uid: 1001, creator_gid: 101, mode: 0o640 };

    fn client(uid: u32, gid: u32) -> Peer {
        Peer { pid: None, uid, gid }
    }

    #[test]
    fn rights_are_the_owners_the_groups_or_the_others() {
        for (who, reads, writes) in [
            (client(1000, 9), true, true),
            (client(1001, 9), true, true),
            (client(9, 100), true, false),
            (client(9, 101), true, false),
            (client(9, 9), false, false),
            (client(0, 0), true, true),
        ] {
            assert_eq!((may(&who, &SEGMENT, true), may(&who, &SEGMENT, false)), (reads, writes), "{who:?}");
        }
    }

    #[test]
    fn an_owner_without_rights_gets_none_from_the_others() {
        let segment = Permissions { mode: 0o066, ..SEGMENT };
        assert!(!may(&client(1000, 100), &segment, true));
        assert!(may(&client(9, 100), &segment, false) && may(&client(9, 9), &segment, false));
    }

    #[test]
    fn this_process_shares_segments_with_itself() {
        assert!(shares_segments_with(Some(std::process::id().cast_signed())));
    }

    #[test]
    fn a_process_whose_namespace_is_not_shown_shares_no_segments() {
        assert!(!shares_segments_with(None));
        assert!(!shares_segments_with(Some(i32::MAX)), "no process has that number");
    }

    #[test]
    fn segments_have_a_size_that_they_may_have_together() {
        assert!(fit([].into_iter()) && fit([BYTES_MAX].into_iter()) && fit([1, BYTES_MAX - 1].into_iter()));
        for sizes in [vec![BYTES_MAX + 1], vec![64 << 30], vec![BYTES_MAX, 1], vec![usize::MAX, 1]] {
            assert!(!fit(sizes.clone().into_iter()), "{sizes:?}");
        }
    }
}
