//! An X server that answers exactly what a test wants answered.
//!
//! It has no thread of its own: the test accepts, reads and answers in its own order (or in a thread that it
//! starts). To stall, do not read; to die, drop the [`FakeConnection`]; to be absent, drop the [`FakeServer`].

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SocketFlags, accept_with, listen};

use crate::setup::{self, SetupRequest};
use crate::{ByteOrder, FdStream, HANG_GUARD};

/// Listens on `X0` in a directory of the test's, or on a TCP port of this machine alone.
#[derive(Debug)]
pub struct FakeServer {
    listener: OwnedFd,
    path: PathBuf,
}

impl FakeServer {
    /// Starts to listen on `dir/X0`; a socket that a dead server left there is replaced.
    pub fn start(dir: impl AsRef<Path>) -> io::Result<Self> {
        let path = dir.as_ref().join("X0");
        let _left_behind = fs::remove_file(&path);
        Ok(Self { listener: UnixListener::bind(&path)?.into(), path })
    }

    /// Starts to listen on a free TCP port, which is returned; it has no path then.
    pub fn start_tcp() -> io::Result<(Self, u16)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        Ok((Self { listener: listener.into(), path: PathBuf::new() }, port))
    }

    /// Leaves room for one connection that is not accepted; whoever connects then waits. Without it as many have room as the
    /// system allows, which may be more than a process may have descriptors.
    pub fn shorten_queue(&self) -> io::Result<()> {
        Ok(listen(&self.listener, 0)?)
    }

    /// The socket's path: the bridge's host display.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next connection, before its set-up.
    pub fn accept(&self) -> io::Result<FakeConnection> {
        self.accept_within(HANG_GUARD)?.ok_or_else(|| io::ErrorKind::TimedOut.into())
    }

    /// The next connection, or `None` where nobody comes in time.
    pub fn accept_within(&self, limit: Duration) -> io::Result<Option<FakeConnection>> {
        let limit = Timespec { tv_sec: limit.as_secs().cast_signed(), tv_nsec: limit.subsec_nanos().into() };
        if poll(&mut [PollFd::new(&self.listener, PollFlags::IN)], Some(&limit))? == 0 {
            return Ok(None);
        }
        let accepted = accept_with(&self.listener, SocketFlags::CLOEXEC)?;
        let stream = FdStream::new(accepted.into())?;
        Ok(Some(FakeConnection { stream, order: ByteOrder::Little, sequence: 0, big_requests: false }))
    }

    /// The next connection, its set-up answered with [`setup::accepted`].
    pub fn accept_client(&self) -> io::Result<(FakeConnection, SetupRequest)> {
        let mut connection = self.accept()?;
        let request = connection.setup_request()?;
        connection.stream.send(&setup::accepted(request.order))?;
        Ok((connection, request))
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        let _already_gone = fs::remove_file(&self.path);
    }
}

/// One request as the server received it.
#[derive(Debug)]
pub struct Request {
    /// Of this request, in 64 bits; the first is 1.
    pub sequence: u64,
    /// All its bytes, header and padding too.
    pub bytes: Vec<u8>,
    /// Descriptors that came with one of its bytes.
    pub fds: Vec<OwnedFd>,
}

impl Request {
    /// Its major opcode.
    pub fn opcode(&self) -> u8 {
        self.bytes.first().copied().unwrap_or_default()
    }
}

/// One client's connection at the server.
#[derive(Debug)]
pub struct FakeConnection {
    /// The connection itself, for answers that are no packets.
    pub stream: FdStream,
    /// The client's, once its set-up was read.
    pub order: ByteOrder,
    /// Sequence number of the last request read.
    pub sequence: u64,
    /// Whether a length of 0 means that a length of 32 bits follows.
    pub big_requests: bool,
}

impl FakeConnection {
    /// Reads the set-up request and takes over its byte order. Answer with [`setup::accepted`] or [`setup::failed`].
    pub fn setup_request(&mut self) -> io::Result<SetupRequest> {
        let request = SetupRequest::receive(&mut self.stream)?;
        self.order = request.order;
        Ok(request)
    }

    /// Reads the next request; `UnexpectedEof` when the client has gone.
    pub fn request(&mut self) -> io::Result<Request> {
        let mut fds = Vec::new();
        let mut bytes = vec![0; 4];
        self.stream.receive_exact(&mut bytes, &mut fds)?;
        let mut units = u32::from(self.order.u16_at(&bytes, 2));
        if units == 0 && self.big_requests {
            bytes.resize(8, 0);
            self.stream.receive_exact(bytes.get_mut(4..).unwrap_or_default(), &mut fds)?;
            units = self.order.u32_at(&bytes, 4);
        }
        let start = bytes.len();
        bytes.resize(start.max(units as usize * 4), 0);
        self.stream.receive_exact(bytes.get_mut(start..).unwrap_or_default(), &mut fds)?;
        self.sequence += 1;
        Ok(Request { sequence: self.sequence, bytes, fds })
    }

    /// Bytes of a reply to the last request read: `detail`, up to 24 bytes of `fixed`, then `extra`, both padded.
    pub fn reply_bytes(&self, detail: u8, fixed: &[u8], extra: &[u8]) -> Vec<u8> {
        let units = u32::try_from(extra.len().div_ceil(4)).unwrap_or(u32::MAX);
        let header = [&[1, detail], self.wire_sequence().as_slice(), &self.order.u32(units), fixed].concat();
        padded(header, extra)
    }

    /// Bytes of an error that answers the last request read.
    pub fn error_bytes(&self, code: u8) -> Vec<u8> {
        padded([&[0, code], self.wire_sequence().as_slice()].concat(), &[])
    }

    /// Sends [`Self::reply_bytes`].
    pub fn reply(&mut self, detail: u8, fixed: &[u8], extra: &[u8]) -> io::Result<()> {
        let bytes = self.reply_bytes(detail, fixed, extra);
        self.stream.send(&bytes)
    }

    /// Sends [`Self::reply_bytes`] with descriptors on its first byte.
    pub fn reply_with_fds(&mut self, detail: u8, fixed: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = self.reply_bytes(detail, fixed, &[]);
        self.stream.send_with_fds(&bytes, fds)
    }

    /// Answers a `QueryExtension`: present with this major opcode (first event and error 0), or absent.
    pub fn reply_extension(&mut self, opcode: Option<u8>) -> io::Result<()> {
        self.reply(0, &[u8::from(opcode.is_some()), opcode.unwrap_or_default(), 0, 0], &[])
    }

    fn wire_sequence(&self) -> [u8; 2] {
        let [low, high, ..] = self.sequence.to_le_bytes();
        self.order.u16(u16::from_le_bytes([low, high]))
    }
}

/// A packet's first 32 bytes and what follows them.
fn padded(mut head: Vec<u8>, extra: &[u8]) -> Vec<u8> {
    head.resize(32, 0);
    head.extend(extra);
    head.resize(head.len().next_multiple_of(4), 0);
    head
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::thread;

    use super::*;
    use crate::{PacketKind, RawClient, requests};

    fn temp_dir(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("testkit-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn client_and_server_understand_each_other_in_both_byte_orders() {
        let dir = temp_dir("orders");
        let server = FakeServer::start(&dir).unwrap();
        for order in ByteOrder::BOTH {
            thread::scope(|scope| {
                let client = scope.spawn(|| {
                    let mut client =
                        RawClient::connect(server.path(), order, Some(b"0123456789abcdef")).unwrap();
                    assert_eq!((client.setup.root, client.setup.root_depth), (0x100, 24));
                    assert_eq!(client.extension("DRI3").unwrap(), Some(149));
                    client.sync().unwrap();
                });
                let (mut connection, setup) = server.accept_client().unwrap();
                assert_eq!(
                    (setup.order, setup.auth_data.as_slice()),
                    (order, b"0123456789abcdef".as_slice())
                );
                assert_eq!(connection.request().unwrap().bytes, requests::query_extension(order, "DRI3"));
                connection.reply_extension(Some(149)).unwrap();
                assert_eq!(connection.request().unwrap().opcode(), 43);
                connection.reply(0, &[], &[]).unwrap();
                client.join().unwrap();
            });
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn descriptors_come_with_the_first_byte_in_both_directions() {
        let dir = temp_dir("fds");
        let server = FakeServer::start(&dir).unwrap();
        let file = fs::File::open("/dev/null").unwrap();
        thread::scope(|scope| {
            let client = scope.spawn(|| {
                let mut client = RawClient::connect(server.path(), ByteOrder::Little, None).unwrap();
                client.request_with_fds(&requests::no_operation(ByteOrder::Little), &[file.as_fd()]).unwrap();
                let packet = client.packet().unwrap();
                assert_eq!(
                    (packet.kind(), packet.fds.len(), packet.late_fds.len()),
                    (PacketKind::Reply, 2, 0)
                );
            });
            let (mut connection, _) = server.accept_client().unwrap();
            assert_eq!(connection.request().unwrap().fds.len(), 1);
            connection.reply_with_fds(2, &[], &[file.as_fd(), file.as_fd()]).unwrap();
            client.join().unwrap();
        });
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_refusal_reaches_the_client_with_its_words() {
        let dir = temp_dir("refused");
        let server = FakeServer::start(&dir).unwrap();
        thread::scope(|scope| {
            let client = scope.spawn(|| RawClient::connect(server.path(), ByteOrder::Big, None).unwrap_err());
            let mut connection = server.accept().unwrap();
            let order = connection.setup_request().unwrap().order;
            connection.stream.send(&setup::failed(order, "No protocol specified")).unwrap();
            assert_eq!(client.join().unwrap().to_string(), "No protocol specified");
        });
        fs::remove_dir_all(dir).unwrap();
    }
}
