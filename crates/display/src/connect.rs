//! Connecting to a display, within a time limit.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_send_buffer_size, set_socket_timeout, set_tcp_nodelay};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};

use crate::name::{DisplayName, SOCKET_DIR, TCP_PORT_BASE, Target};

/// Bytes that the kernel may hold for whoever reads slowly, where the system's limit (`net.core.wmem_max`) allows it:
/// half of a large image, so that two processes can copy one at the same time.
pub const SEND_BUFFER_BYTES: usize = 512 << 10;

/// A connection to an X server.
#[derive(Debug)]
pub struct Connected {
    /// The stream socket.
    pub socket: OwnedFd,
    /// The server's address where it is not on this machine's Unix sockets.
    pub peer: Option<SocketAddr>,
}

/// Why no server was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectError {
    /// The display's name.
    pub display: String,
    /// What the system said; `None` where a host name could not be resolved.
    pub errno: Option<Errno>,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.errno {
            None => "its host name can't be resolved".to_owned(),
            Some(Errno::NOENT | Errno::CONNREFUSED) => "no X server is listening there".to_owned(),
            Some(Errno::ACCESS | Errno::PERM) => "permission to its socket is denied".to_owned(),
            Some(Errno::AGAIN | Errno::TIMEDOUT | Errno::INPROGRESS) => {
                "it did not answer in time".to_owned()
            }
            Some(Errno::MFILE | Errno::NFILE) => "too many open files".to_owned(),
            Some(errno) => std::io::Error::from(errno).to_string(),
        };
        write!(f, "can't connect to X display {}: {why}", self.display)
    }
}

impl std::error::Error for ConnectError {}

impl DisplayName {
    /// Connects; gives up after `limit`.
    pub fn connect(&self, limit: Duration) -> Result<Connected, ConnectError> {
        let failed = |errno| ConnectError { display: self.to_string(), errno };
        let number = self.number.unwrap_or(0);
        let unix = |address: Result<SocketAddrUnix, Errno>| {
            let socket = address.and_then(|address| connect(AddressFamily::UNIX, &address, limit));
            socket.map(|socket| Connected { socket, peer: None })
        };
        match &self.target {
            Target::Path(path) => unix(SocketAddrUnix::new(path)).map_err(|errno| failed(Some(errno))),
            Target::Abstract(name) => {
                unix(SocketAddrUnix::new_abstract_name(name.as_bytes())).map_err(|errno| failed(Some(errno)))
            }
            Target::Local => {
                let path = format!("{SOCKET_DIR}/X{number}");
                let by_path = unix(SocketAddrUnix::new(&path));
                let absent = matches!(by_path, Err(Errno::NOENT | Errno::CONNREFUSED));
                let by_name = absent.then(|| unix(SocketAddrUnix::new_abstract_name(path.as_bytes())));
                by_name.and_then(Result::ok).map_or(by_path, Ok).map_err(|errno| failed(Some(errno)))
            }
            Target::Tcp(host) => {
                let port = u16::try_from(TCP_PORT_BASE + number).map_err(|_| failed(Some(Errno::INVAL)))?;
                connect_tcp(host, port, limit).map_err(failed)
            }
        }
    }
}

/// Connects to a TCP port; gives up after `limit`. The error is `None` where the host name can't be resolved.
pub fn connect_tcp(host: &str, port: u16, limit: Duration) -> Result<Connected, Option<Errno>> {
    let deadline = Instant::now() + limit;
    let mut last = None;
    for address in (host, port).to_socket_addrs().map_err(|_| None)? {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match connect(family, &address, left) {
            Ok(socket) => {
                // Requests are small and answered: waiting for more to send would only cost time.
                let _ = set_tcp_nodelay(&socket, true);
                return Ok(Connected { socket, peer: Some(address) });
            }
            Err(errno) => last = Some(errno),
        }
    }
    Err(last.or(Some(Errno::TIMEDOUT)))
}

/// A blocking connect with the socket's send time limit, which Linux applies to Unix sockets too: a server whose
/// queue of connections is full would block it for ever.
fn connect(
    family: AddressFamily,
    address: &impl rustix::net::addr::SocketAddrArg,
    limit: Duration,
) -> Result<OwnedFd, Errno> {
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Send, Some(limit.max(Duration::from_millis(1))))?;
    // A larger buffer only saves wake-ups: a system that allows less is as good.
    let _ = set_socket_send_buffer_size(&socket, SEND_BUFFER_BYTES);
    rustix::net::connect(&socket, address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_display_without_a_server_is_named_in_the_error() {
        let name = DisplayName::parse("/nonexistent/X9").unwrap();
        let error = name.connect(Duration::from_secs(1)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "can't connect to X display /nonexistent/X9: no X server is listening there"
        );
    }

    #[test]
    fn a_socket_is_reached_by_its_path() {
        let path = std::env::temp_dir().join(format!("x11bridge-connect-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let name = DisplayName::parse(path.to_str().unwrap()).unwrap();
        assert!(name.connect(Duration::from_secs(1)).is_ok());
        drop(listener);
        assert_eq!(name.connect(Duration::from_secs(1)).unwrap_err().errno, Some(Errno::CONNREFUSED));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_server_that_accepts_nobody_ends_the_wait() {
        let path = std::env::temp_dir().join(format!("x11bridge-full-{}", std::process::id()));
        let listener =
            socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let name = DisplayName::parse(path.to_str().unwrap()).unwrap();
        let mut taken = vec![];
        let error = loop {
            match name.connect(Duration::from_millis(20)) {
                Ok(connected) => taken.push(connected),
                Err(error) => break error,
            }
            assert!(taken.len() < 10, "the queue of connections has an end");
        };
        assert_eq!(error.errno, Some(Errno::AGAIN));
        std::fs::remove_file(path).unwrap();
    }
}
