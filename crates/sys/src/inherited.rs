//! Descriptors that this process was started with, known by their numbers alone.

use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::net::sockopt::{socket_acceptconn, socket_domain, socket_type};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, getsockname};

/// A listening Unix stream socket that was passed by whoever started this process, ready for use: it does not block, and
/// programs that are started from here do not get it. `BADF` or `NOTSOCK` where the number is none of a socket, `INVAL`
/// where it is one of another kind.
pub fn listening_socket(descriptor: RawFd) -> Result<(OwnedFd, SocketAddrUnix), Errno> {
    if descriptor < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: the number is not -1. The descriptor is borrowed for calls that neither read, write nor close, and that the
    // kernel refuses if it is none that is open; what is kept is a duplicate.
    let passed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let listens = socket_acceptconn(passed)? && socket_type(passed)? == SocketType::STREAM;
    if !listens || socket_domain(passed)? != AddressFamily::UNIX {
        return Err(Errno::INVAL);
    }
    let address = SocketAddrUnix::try_from(getsockname(passed)?).map_err(|_| Errno::INVAL)?;
    fcntl_setfd(passed, FdFlags::CLOEXEC)?;
    let socket = fcntl_dupfd_cloexec(passed, 0)?;
    fcntl_setfl(&socket, fcntl_getfl(&socket)? | OFlags::NONBLOCK)?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn only_a_listening_unix_socket_is_taken() {
        let path = std::env::temp_dir().join(format!("x11bridge-inherited-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let (taken, address) = listening_socket(listener.as_raw_fd()).unwrap();
        assert_eq!(address.path_bytes(), Some(path.as_os_str().as_encoded_bytes()));
        assert!(fcntl_getfl(&taken).unwrap().contains(OFlags::NONBLOCK));
        std::fs::remove_file(path).unwrap();
        let (stream, _other) = UnixStream::pair().unwrap();
        assert_eq!(listening_socket(stream.as_raw_fd()).unwrap_err(), Errno::INVAL);
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(listening_socket(tcp.as_raw_fd()).unwrap_err(), Errno::INVAL);
        assert_eq!(listening_socket(-1).unwrap_err(), Errno::BADF);
        assert_eq!(listening_socket(i32::MAX).unwrap_err(), Errno::BADF);
    }
}
