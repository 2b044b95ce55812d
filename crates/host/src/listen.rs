//! The socket file that VMMs connect to.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};

use crate::error::Error;

/// VMMs that may wait while another is served.
const BACKLOG: i32 = 8;

/// A listening socket. Its file goes with the value.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    /// Which file it is: by the end another process may have put its own in the place.
    file: (u64, u64),
}

impl Listener {
    /// Listens at a path, for this user alone. A socket that nobody serves any more is replaced.
    pub(crate) fn bind(path: &Path) -> Result<Self, Error> {
        let failed = |errno| Error::Socket { path: path.to_owned(), errno };
        let address = SocketAddrUnix::new(path).map_err(failed)?;
        let socket = stream().map_err(failed)?;
        match bind(&socket, &address) {
            Err(Errno::ADDRINUSE) => {
                remove_stale(path, &address)?;
                bind(&socket, &address).map_err(failed)?;
            }
            other => other.map_err(failed)?,
        }
        // Nobody can connect before `listen`, so nobody else ever can.
        let file = identify(path).map_err(failed);
        let listening =
            rustix::fs::chmod(path, Mode::RUSR | Mode::WUSR).and_then(|()| listen(&socket, BACKLOG));
        let listener = Self { socket, path: path.to_owned(), file: file? };
        listening.map_err(failed)?;
        Ok(listener)
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if identify(&self.path) == Ok(self.file) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn stream() -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
}

fn identify(path: &Path) -> Result<(u64, u64), Errno> {
    rustix::fs::lstat(path).map(|stat| (stat.st_dev, stat.st_ino))
}

/// Removes what lies in the way if it is a socket that nobody listens on.
fn remove_stale(path: &Path, address: &SocketAddrUnix) -> Result<(), Error> {
    let failed = |errno| Error::Socket { path: path.to_owned(), errno };
    let stat = rustix::fs::lstat(path).map_err(failed)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return Err(failed(Errno::EXIST));
    }
    match connect(stream().map_err(failed)?, address) {
        Err(Errno::CONNREFUSED) => rustix::fs::unlink(path).map_err(failed),
        Err(errno @ (Errno::ACCESS | Errno::PERM)) => Err(failed(errno)),
        _ => Err(Error::SocketTaken { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("x11bridge-host-{name}-{}", std::process::id()))
    }

    #[test]
    fn the_file_is_its_owners_alone_and_goes_with_the_listener() {
        let path = path("own");
        let listener = Listener::bind(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Listener::bind(&path).unwrap_err(), Error::SocketTaken { path: path.clone() });
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_that_nobody_serves_is_replaced_and_other_files_are_not() {
        let path = path("stale");
        drop(UnixListener::bind(&path).unwrap());
        let listener = Listener::bind(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "precious").unwrap();
        drop(listener);
        let errno = Errno::EXIST;
        assert_eq!(Listener::bind(&path).unwrap_err(), Error::Socket { path: path.clone(), errno });
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn paths_that_cannot_be_are_named_in_the_error() {
        let long = PathBuf::from(format!("/tmp/{}", "x".repeat(200)));
        assert!(matches!(Listener::bind(&long), Err(Error::Socket { errno: Errno::NAMETOOLONG, .. })));
        let nowhere = PathBuf::from("/nonexistent/gpu.sock");
        assert!(matches!(Listener::bind(&nowhere), Err(Error::Socket { errno: Errno::NOENT, .. })));
    }
}
