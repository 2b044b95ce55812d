//! A Unix stream whose reads and writes can carry descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;

use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

use crate::HANG_GUARD;

/// The kernel's `SCM_MAX_FD`: no message carries more.
const FDS_PER_MESSAGE_MAX: usize = 253;
const CONTROL_BYTES: usize = rustix::cmsg_space!(ScmRights(FDS_PER_MESSAGE_MAX));

/// A blocking Unix stream with descriptors and a time limit on every call.
#[derive(Debug)]
pub struct FdStream {
    socket: UnixStream,
}

impl FdStream {
    /// Connects to a socket path; a leading `@` names an abstract socket.
    pub fn connect(path: &Path) -> io::Result<Self> {
        Self::new(match path.as_os_str().as_bytes() {
            [b'@', name @ ..] => UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?,
            _ => UnixStream::connect(path)?,
        })
    }

    /// Takes over a connected socket; one of another family than Unix's does too, without descriptors.
    pub fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_read_timeout(Some(HANG_GUARD))?;
        socket.set_write_timeout(Some(HANG_GUARD))?;
        Ok(Self { socket })
    }

    /// A second handle, so that one thread can write while another reads.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { socket: self.socket.try_clone()? })
    }

    /// The socket itself, for what this type has no method for (shutdown, other time limits).
    pub fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Writes all of `bytes`.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(&mut self.socket, bytes)
    }

    /// Writes all of `bytes`, `fds` with its first byte.
    pub fn send_with_fds(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); CONTROL_BYTES];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "more descriptors than a message carries",
            ));
        }
        let slices = [IoSlice::new(bytes)];
        let sent = retry_on_intr(|| sendmsg(&self.socket, &slices, &mut control, SendFlags::NOSIGNAL))?;
        self.send(bytes.get(sent..).unwrap_or_default())
    }

    /// One read of at most `buffer.len()` bytes; descriptors that came with it are appended to `fds`. 0 = end.
    pub fn receive(&mut self, buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); CONTROL_BYTES];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(buffer)];
        // A socket with a time limit is interrupted by signals that are not even handled, such as SIGCONT.
        let got =
            retry_on_intr(|| recvmsg(&self.socket, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC))?
                .bytes;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                fds.extend(received);
            }
        }
        Ok(got)
    }

    /// Fills `buffer`; an end of stream before that is an error.
    pub fn receive_exact(&mut self, buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<()> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.receive(rest, fds)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                got => filled += got,
            }
        }
        Ok(())
    }

    /// All that comes until the peer ends the stream. A reset counts as its end: Unix sockets report one
    /// when the peer closed with bytes unread, and have delivered all that it had said before.
    pub fn receive_to_end(&mut self) -> io::Result<Vec<u8>> {
        let (mut all, mut fds) = (Vec::new(), Vec::new());
        let mut buffer = vec![0; 1 << 16];
        loop {
            match self.receive(&mut buffer, &mut fds) {
                Ok(0) => return Ok(all),
                Ok(got) => all.extend_from_slice(buffer.get(..got).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(all),
                Err(error) => return Err(error),
            }
        }
    }
}
