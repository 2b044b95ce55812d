//! Who is at the other end of a socket.

use std::os::fd::{BorrowedFd, RawFd};

use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;

/// The user at the other end of a Unix socket whose descriptor is known by its number alone, as it was when it connected.
/// `BADF` and `NOTSOCK` where the number is none of a socket.
pub fn peer_user(socket: RawFd) -> Result<u32, Errno> {
    if socket < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: the number is not -1. The descriptor is borrowed for one call that neither reads, writes nor closes, and
    // that the kernel refuses if it is none of an open socket.
    let socket = unsafe { BorrowedFd::borrow_raw(socket) };
    socket_peercred(socket).map(|credentials| credentials.uid.as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

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
