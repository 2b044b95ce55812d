//! Who is at the other end of a socket.

use std::os::fd::{AsFd, AsRawFd, RawFd};

use rustix::io::Errno;

use crate::last_errno;

/// Who was at the other end of a Unix socket when it connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Process; `None` for one that this process's namespace does not show.
    pub pid: Option<i32>,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
}

impl Peer {
    /// Of a Unix socket; `NOTSOCK` and the like for anything else.
    pub fn of(socket: impl AsFd) -> Result<Self, Errno> {
        credentials(socket.as_fd().as_raw_fd())
    }
}

/// The user at the other end of a Unix socket whose descriptor is known by its number alone, as it was when it connected.
/// `BADF` and `NOTSOCK` where the number is none of a socket.
pub fn peer_user(socket: RawFd) -> Result<u32, Errno> {
    credentials(socket).map(|peer| peer.uid)
}

/// `rustix` has this call too, but takes the process number for one that is never 0, which the kernel gives for processes
/// of other namespaces.
fn credentials(socket: RawFd) -> Result<Peer, Errno> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let wanted = libc::socklen_t::try_from(size_of_val(&peer)).map_err(|_| Errno::INVAL)?;
    let mut len = wanted;
    // SAFETY: the kernel writes at most `len` bytes, all of whose values are numbers. It neither reads, writes nor closes
    // the socket, and refuses what is none.
    let done = unsafe {
        libc::getsockopt(socket, libc::SOL_SOCKET, libc::SO_PEERCRED, (&raw mut peer).cast(), &raw mut len)
    };
    match done {
        0 if len == wanted => {
            Ok(Peer { pid: Some(peer.pid).filter(|pid| *pid > 0), uid: peer.uid, gid: peer.gid })
        }
        0 => Err(Errno::INVAL),
        _ => Err(last_errno()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_peer_of_a_pair_is_this_process() {
        let (one, _other) = UnixStream::pair().unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        assert_eq!(Peer::of(&one), Ok(Peer { pid: Some(pid), uid, gid }));
        assert_eq!(Peer::of(std::fs::File::open("/dev/null").unwrap()), Err(Errno::NOTSOCK));
    }

    #[test]
    fn a_socket_of_this_process_has_its_user_and_other_numbers_have_none() {
        let (one, _other) = UnixStream::pair().unwrap();
        assert_eq!(peer_user(one.as_raw_fd()), Ok(rustix::process::getuid().as_raw()));
        assert_eq!(peer_user(-1), Err(Errno::BADF));
        assert_eq!(peer_user(i32::MAX), Err(Errno::BADF));
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(peer_user(file.as_raw_fd()), Err(Errno::NOTSOCK));
    }
}
