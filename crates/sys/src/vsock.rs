//! Stream sockets between a virtual machine and its host (`AF_VSOCK`).

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};

/// The host, seen from its virtual machines.
pub const CID_HOST: u32 = libc::VMADDR_CID_HOST;

/// Connects to a port of the machine with this context id; gives up after `limit` with `ETIMEDOUT`. `ECONNRESET` or
/// `ECONNREFUSED` where nobody listens, `ENODEV` or `EAFNOSUPPORT` where the kernel has no way there.
pub fn connect(cid: u32, port: u32, limit: Duration) -> Result<OwnedFd, Errno> {
    let deadline = Instant::now() + limit;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::VSOCK, SocketType::STREAM, flags, None)?;
    match start(&socket, cid, port) {
        Err(Errno::INPROGRESS) => finish(&socket, deadline)?,
        started => started?,
    }
    Ok(socket)
}

fn start(socket: &OwnedFd, cid: u32, port: u32) -> Result<(), Errno> {
    // SAFETY: all zeros is a valid sockaddr_vm.
    let mut address: libc::sockaddr_vm = unsafe { std::mem::zeroed() };
    address.svm_family = libc::sa_family_t::try_from(libc::AF_VSOCK).map_err(|_| Errno::AFNOSUPPORT)?;
    (address.svm_cid, address.svm_port) = (cid, port);
    let len = libc::socklen_t::try_from(size_of_val(&address)).map_err(|_| Errno::INVAL)?;
    // SAFETY: the address is as long as said and outlives the call, which only reads it.
    let connected = unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), len) };
    if connected == 0 {
        return Ok(());
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
}

fn finish(socket: &OwnedFd, deadline: Instant) -> Result<(), Errno> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
        let mut polled = [PollFd::new(socket, PollFlags::OUT)];
        match poll(&mut polled, Some(&timeout)) {
            Ok(0) => return Err(Errno::TIMEDOUT),
            Ok(_) => return sockopt::socket_error(socket)?,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_nobody_listens_on_is_an_error() {
        // This machine's own context id, so nobody else is asked; kernels without that answer differently, but they do.
        assert!(connect(libc::VMADDR_CID_LOCAL, 4_000_000_001, Duration::from_secs(5)).is_err());
    }
}
