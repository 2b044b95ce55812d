//! Byte pipes to a listener of the host that leads to an X server: vsock and TCP.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use sys::vsock;

/// Longest host name that is accepted, in bytes: DNS has none that is longer.
const HOST_MAX: usize = 253;

/// The vsock port that `auto` tries at the host: the number of display 0's TCP port.
pub const VSOCK_PORT_DEFAULT: u32 = display::name::TCP_PORT_BASE;

/// Where the listener is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PipeAddress {
    /// A port of the machine with a context id; 2 is the host.
    Vsock {
        /// The context id.
        cid: u32,
        /// The port.
        port: u32,
    },
    /// A TCP port.
    Tcp {
        /// A host name or an address; an IPv6 one without brackets.
        host: String,
        /// The port, above zero.
        port: u16,
    },
}

impl fmt::Display for PipeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vsock { cid, port } => write!(f, "vsock:{cid}:{port}"),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
        }
    }
}

impl PipeAddress {
    /// What `auto` tries: the host's listener on [`VSOCK_PORT_DEFAULT`].
    pub const HOST: Self = Self::Vsock { cid: vsock::CID_HOST, port: VSOCK_PORT_DEFAULT };

    /// Understands `vsock:CID:PORT`, and `tcp:HOST:PORT` with an IPv6 address in brackets.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix("vsock:") {
            let (cid, port) = rest.split_once(':')?;
            return Some(Self::Vsock { cid: number(cid)?, port: number(port)? });
        }
        let (host, port) = text.strip_prefix("tcp:")?.rsplit_once(':')?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bare.or_else(|| (!host.contains(':')).then_some(host))?;
        let odd = |byte: char| byte.is_control() || byte.is_whitespace() || "/[]".contains(byte);
        if host.is_empty() || host.len() > HOST_MAX || host.contains(odd) {
            return None;
        }
        let port = u16::try_from(number(port)?).ok().filter(|port| *port > 0)?;
        Some(Self::Tcp { host: host.to_owned(), port })
    }

    /// Connects; gives up after `limit`.
    pub fn connect(&self, limit: Duration) -> Result<(OwnedFd, Option<SocketAddr>), PipeError> {
        let failed = |errno| PipeError { address: self.clone(), errno };
        match self {
            Self::Vsock { cid, port } => {
                let socket = vsock::connect(*cid, *port, limit).map_err(|errno| failed(Some(errno)))?;
                Ok((socket, None))
            }
            Self::Tcp { host, port } => {
                let connected = display::connect::connect_tcp(host, *port, limit).map_err(failed)?;
                Ok((connected.socket, connected.peer))
            }
        }
    }
}

/// Digits only, up to 4,294,967,294: the highest number stands for "any" where a listener is meant.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number != u32::MAX)
}

/// Why the listener was not reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipeError {
    address: PipeAddress,
    /// What the system said; `None` where a host name could not be resolved.
    errno: Option<Errno>,
}

impl fmt::Display for PipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vsock = matches!(self.address, PipeAddress::Vsock { .. });
        let why = match self.errno {
            None => "its host name can't be resolved; check it",
            Some(Errno::CONNREFUSED | Errno::CONNRESET) => {
                "nothing listens there; start a listener on the host that leads to its X server"
            }
            Some(Errno::TIMEDOUT | Errno::AGAIN | Errno::INPROGRESS) => {
                "nothing answered in time; check the address, and the firewall between here and there"
            }
            Some(Errno::NODEV | Errno::AFNOSUPPORT | Errno::NETUNREACH) if vsock => {
                "this machine has no vsock device; give the virtual machine one"
            }
            Some(Errno::NETUNREACH | Errno::HOSTUNREACH) => "no network leads there; check the address",
            Some(Errno::MFILE | Errno::NFILE) => "too many files are open; close some",
            Some(errno) => {
                let text = std::io::Error::from(errno).to_string();
                return write!(f, "can't connect to {}: {text}", self.address);
            }
        };
        write!(f, "can't connect to {}: {why}", self.address)
    }
}

impl std::error::Error for PipeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood_and_shown_as_they_are_written() {
        for text in [
            "vsock:2:6000",
            "vsock:0:0",
            "vsock:4294967294:4294967294",
            "tcp:localhost:6000",
            "tcp:192.0.2.7:1",
            "tcp:[::1]:65535",
        ] {
            assert_eq!(PipeAddress::parse(text).map(|address| address.to_string()).as_deref(), Some(text));
        }
        for text in [
            "vsock:2",
            "vsock:2:",
            "vsock::1",
            "vsock:-1:1",
            "vsock:+1:1",
            "vsock:4294967295:1",
            "vsock:2:1:1",
            "tcp:6000",
            "tcp::6000",
            "tcp:host:0",
            "tcp:host:65536",
            "tcp:::1:6000",
            "tcp:a b:1",
            "tcp:a/b:1",
            "udp:host:1",
        ] {
            assert_eq!(PipeAddress::parse(text), None, "{text}");
        }
        assert!(PipeAddress::parse(&format!("tcp:{}:1", "x".repeat(HOST_MAX))).is_some());
        assert!(PipeAddress::parse(&format!("tcp:{}:1", "x".repeat(HOST_MAX + 1))).is_none());
    }

    #[test]
    fn a_failure_is_one_sentence_with_the_address_the_cause_and_the_remedy() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let address = PipeAddress::Tcp { host: "127.0.0.1".into(), port };
        assert_eq!(
            address.connect(Duration::from_secs(5)).unwrap_err().to_string(),
            format!(
                "can't connect to tcp:127.0.0.1:{port}: nothing listens there; start a listener on the host that leads \
                 to its X server"
            )
        );
    }
}
