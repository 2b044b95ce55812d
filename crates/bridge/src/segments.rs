//! System V segments of MIT-SHM, each with the file that the X server attaches in its place.

use std::fs;
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use session::{Action, Attach};
use sys::SysvSegment;
use sys::peer::Peer;
use sys::sysv_segment::Permissions;

/// Bytes of all System V segments of a client at once at most. A picture of 8K has 133 MB; a segment's size costs its
/// maker nothing (`SHM_NORESERVE`), while here a request of a few bytes may have all of it copied.
const BYTES_MAX: usize = 1 << 30;

#[derive(Debug)]
struct Shared {
    key: u64,
    segment: SysvSegment,
    file: OwnedFd,
}

/// The segments of one client.
#[derive(Debug, Default)]
pub(crate) struct Segments(Vec<Shared>);

impl Segments {
    /// Attaches a segment for the client at the other end of `socket`, and returns a file of its size; `None` where the
    /// client has no right to it, there is none, or the client's segments together were too large.
    pub(crate) fn attach(&mut self, socket: &OwnedFd, attach: Attach) -> Option<OwnedFd> {
        let client = Peer::of(socket).ok()?;
        if !shares_segments_with(client.pid) {
            return None;
        }
        let (segment, permissions) = SysvSegment::attach(attach.number.cast_signed()).ok()?;
        let held = self.0.iter().map(|shared| shared.segment.len());
        if !may(&client, &permissions, attach.read_only) || !fit(held.chain([segment.len()])) {
            return None;
        }
        let file = memfd_create(c"x11bridge-segment", MemfdFlags::CLOEXEC).ok()?;
        ftruncate(&file, segment.len() as u64).ok()?;
        let theirs = file.try_clone().ok()?;
        self.0.push(Shared { key: attach.key, segment, file });
        Some(theirs)
    }

    /// Carries out what a session asks for. What can't be copied stays as it is, as with memory that somebody has taken
    /// away: the client's picture is wrong, and nobody else's.
    pub(crate) fn carry_out(&mut self, action: &Action) {
        let find = |wanted: &u64| self.0.iter().find(|shared| shared.key == *wanted);
        match action {
            Action::ToServer { key, range } => {
                let copied = find(key).map(|shared| shared.segment.copy_to(&shared.file, range.clone()));
                debug_assert!(copied.is_none_or(|copied| copied.is_ok()));
            }
            Action::ToClient { key, range } => {
                let copied = find(key).map(|shared| shared.segment.copy_from(&shared.file, range.clone()));
                debug_assert!(copied.is_none_or(|copied| copied.is_ok()));
            }
            Action::Forget { key } => self.0.retain(|shared| shared.key != *key),
        }
    }
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
