//! Non-blocking stream sockets with descriptors (`SCM_RIGHTS`).

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Descriptors that one message can carry: the kernel's `SCM_MAX_FD`.
pub const DESCRIPTORS_MAX: usize = 253;

/// Room for the control message of [`DESCRIPTORS_MAX`] descriptors.
const CONTROL_SPACE: usize = rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX));

/// What one system call on a socket came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// So many bytes, at least one.
    Bytes(usize),
    /// Nothing now: the socket is empty, or full.
    WouldBlock,
    /// The stream is over: the other side has closed it, in order or not.
    Closed,
}

impl Outcome {
    pub(crate) fn of(result: Result<usize, Errno>) -> Result<Self, Errno> {
        match result {
            Ok(0) | Err(Errno::CONNRESET | Errno::PIPE) => Ok(Self::Closed),
            Ok(bytes) => Ok(Self::Bytes(bytes)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(Self::WouldBlock),
            Err(errno) => Err(errno),
        }
    }
}

/// Receives into `buffers`, and appends the descriptors that came along to `descriptors`.
///
/// An end of stream is [`Outcome::Closed`], so `buffers` must have room for a byte. `EMFILE` where the process has no room
/// for all of the descriptors: then the stream is of no use any more, as nobody can tell which are missing.
pub fn receive(
    socket: impl AsFd,
    buffers: &mut [IoSliceMut<'_>],
    descriptors: &mut Vec<OwnedFd>,
) -> Result<Outcome, Errno> {
    let mut space = [MaybeUninit::uninit(); CONTROL_SPACE];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let result = recvmsg(socket, buffers, &mut control, flags);
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    if result.as_ref().is_ok_and(|received| received.flags.contains(ReturnFlags::CTRUNC)) {
        return Err(Errno::MFILE);
    }
    Outcome::of(result.map(|received| received.bytes))
}

/// Sends from `buffers`; `descriptors` go with the first byte, if any byte goes.
///
/// Never raises `SIGPIPE`. At most [`DESCRIPTORS_MAX`] descriptors can go at once; more are an `EINVAL`.
pub fn send(
    socket: impl AsFd,
    buffers: &[IoSlice<'_>],
    descriptors: &[BorrowedFd<'_>],
) -> Result<Outcome, Errno> {
    let mut space = [MaybeUninit::uninit(); CONTROL_SPACE];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::INVAL);
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    Outcome::of(sendmsg(socket, buffers, &mut control, flags))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap()
    }

    fn receive_all(socket: &OwnedFd) -> (Outcome, Vec<OwnedFd>) {
        let (mut bytes, mut descriptors) = ([0; 16], vec![]);
        let outcome = receive(socket, &mut [IoSliceMut::new(&mut bytes)], &mut descriptors).unwrap();
        (outcome, descriptors)
    }

    #[test]
    fn descriptors_travel_with_their_bytes_and_are_closed_on_exec() {
        let (here, there) = pair();
        let sent = send(&here, &[IoSlice::new(b"abc")], &[here.as_fd(), there.as_fd()]).unwrap();
        assert_eq!(sent, Outcome::Bytes(3));
        let (outcome, descriptors) = receive_all(&there);
        assert_eq!((outcome, descriptors.len()), (Outcome::Bytes(3), 2));
        for descriptor in descriptors {
            assert!(rustix::io::fcntl_getfd(descriptor).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        }
    }

    #[test]
    fn the_most_that_the_kernel_passes_arrives_and_one_more_is_refused() {
        let (here, there) = pair();
        for (count, works) in
            [(DESCRIPTORS_MAX - 1, true), (DESCRIPTORS_MAX, true), (DESCRIPTORS_MAX + 1, false)]
        {
            let sent = send(&here, &[IoSlice::new(b"x")], &vec![here.as_fd(); count]);
            assert_eq!(sent.is_ok(), works, "{count}");
            if works {
                assert_eq!(receive_all(&there).1.len(), count);
            }
        }
    }

    #[test]
    fn descriptors_that_do_not_all_arrive_are_an_error() {
        let (here, there) = pair();
        // The sender's credentials take room that was meant for descriptors.
        rustix::net::sockopt::set_socket_passcred(&there, true).unwrap();
        let map = crate::SharedMap::create(4096).unwrap().0;
        for _ in 0..2 {
            send(&here, &[IoSlice::new(b"x")], &[here.as_fd(); DESCRIPTORS_MAX]).unwrap();
        }
        let mut bytes = [0; 16];
        let received = receive(&there, &mut [IoSliceMut::new(&mut bytes)], &mut vec![]);
        assert_eq!(received, Err(Errno::MFILE));
        assert_eq!(map.receive(there.as_fd(), 0, 16, &mut vec![]), Err(Errno::MFILE));
    }

    #[test]
    fn an_empty_socket_would_block_and_a_closed_one_is_over() {
        let (here, there) = pair();
        assert_eq!(receive_all(&there).0, Outcome::WouldBlock);
        drop(here);
        assert_eq!(receive_all(&there).0, Outcome::Closed);
        assert_eq!(send(&there, &[IoSlice::new(b"x")], &[]).unwrap(), Outcome::Closed);
    }

    #[test]
    fn what_was_said_before_a_reset_is_still_heard() {
        let (here, there) = pair();
        send(&there, &[IoSlice::new(b"unread")], &[]).unwrap();
        send(&here, &[IoSlice::new(b"last words")], &[]).unwrap();
        drop(here); // with bytes unread: the other side gets ECONNRESET
        assert_eq!(receive_all(&there).0, Outcome::Bytes(10));
        assert_eq!(receive_all(&there).0, Outcome::Closed);
    }
}
