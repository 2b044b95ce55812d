//! What a service manager is told (`sd_notify(3)`).

use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sendto, socket_with};

/// Tells the service manager behind `socket`, the value of `$NOTIFY_SOCKET`, the assignments in `state`, a line each.
/// Never blocks.
pub fn notify(socket: &str, state: &str) -> Result<(), Errno> {
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes())?,
        None => SocketAddrUnix::new(socket)?,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let from = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    sendto(&from, state.as_bytes(), SendFlags::NOSIGNAL, &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn the_state_arrives_whole() {
        let path = std::env::temp_dir().join(format!("x11bridge-notify-{}", std::process::id()));
        let manager = UnixDatagram::bind(&path).unwrap();
        notify(path.to_str().unwrap(), "READY=1\nSTATUS=well").unwrap();
        let mut heard = [0; 64];
        let length = manager.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"READY=1\nSTATUS=well");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(notify(path.to_str().unwrap(), "READY=1"), Err(Errno::NOENT));
        assert_eq!(notify(&"x".repeat(200), "READY=1"), Err(Errno::NAMETOOLONG));
    }
}
