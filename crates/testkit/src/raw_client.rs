//! A client that says exactly what a test wants said.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use crate::setup::{Setup, SetupReply, SetupRequest};
use crate::{ByteOrder, FdStream, Packet, PacketKind, requests};

/// A raw X11 connection. It counts the requests it sent, and checks nothing that it is not asked to check.
#[derive(Debug)]
pub struct RawClient {
    /// The connection itself, for scripts that send bytes which are no requests.
    pub stream: FdStream,
    /// Chosen by the caller, announced by the first byte.
    pub order: ByteOrder,
    /// Sequence number of the last request, in 64 bits.
    pub sequence: u64,
    /// What the server's set-up said; all zero before the set-up.
    pub setup: Setup,
}

impl RawClient {
    /// Connects and says nothing. A path with a leading `@` is an abstract socket.
    pub fn open(path: impl AsRef<Path>, order: ByteOrder) -> io::Result<Self> {
        Ok(Self { stream: FdStream::connect(path.as_ref())?, order, sequence: 0, setup: Setup::default() })
    }

    /// Connects and sets up; a refusal is an error with the server's words.
    pub fn connect(path: impl AsRef<Path>, order: ByteOrder, cookie: Option<&[u8]>) -> io::Result<Self> {
        let mut client = Self::open(path, order)?;
        client.stream.send(&SetupRequest::new(order, cookie).encode())?;
        match client.setup_reply()? {
            SetupReply::Accepted(_) => Ok(client),
            SetupReply::Failed(reason) | SetupReply::Authenticate(reason) => Err(io::Error::other(reason)),
        }
    }

    /// Reads the answer to a set-up that was sent through `stream`, and keeps what it says.
    pub fn setup_reply(&mut self) -> io::Result<SetupReply> {
        let reply = SetupReply::receive(&mut self.stream, self.order)?;
        if let SetupReply::Accepted(setup) = &reply {
            self.setup = setup.clone();
        }
        Ok(reply)
    }

    /// Sends one request and counts it; returns its sequence number.
    pub fn request(&mut self, bytes: &[u8]) -> io::Result<u64> {
        self.request_with_fds(bytes, &[])
    }

    /// Sends one request, `fds` with its first byte; returns its sequence number.
    pub fn request_with_fds(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<u64> {
        self.stream.send_with_fds(bytes, fds)?;
        self.sequence += 1;
        Ok(self.sequence)
    }

    /// Sends `bytes` in writes of at most `chunk` bytes; counts nothing (add to `sequence` what they hold).
    pub fn send_in_chunks(&mut self, bytes: &[u8], chunk: usize) -> io::Result<()> {
        bytes.chunks(chunk).try_for_each(|piece| self.stream.send(piece))
    }

    /// The next reply, error or event.
    pub fn packet(&mut self) -> io::Result<Packet> {
        Packet::receive(&mut self.stream, self.order)
    }

    /// Sends `bytes` and returns its reply; an error, or another request's reply, is an `Err`. Events are skipped.
    pub fn reply_to(&mut self, bytes: &[u8]) -> io::Result<Packet> {
        let sequence = self.request(bytes)?;
        loop {
            let packet = self.packet()?;
            match packet.kind() {
                PacketKind::Event => {}
                PacketKind::Reply if u64::from(packet.sequence()) == sequence & 0xffff => return Ok(packet),
                kind => {
                    let (got, code) = (packet.sequence(), packet.detail());
                    return Err(io::Error::other(format!(
                        "{kind:?} {code} of {got}, awaited reply {sequence}"
                    )));
                }
            }
        }
    }

    /// A round trip: when it returns the server has carried out all requests before it.
    pub fn sync(&mut self) -> io::Result<()> {
        self.reply_to(&requests::get_input_focus(self.order)).map(drop)
    }

    /// The major opcode of an extension, or `None` where it is absent.
    pub fn extension(&mut self, name: &str) -> io::Result<Option<u8>> {
        let reply = self.reply_to(&requests::query_extension(self.order, name))?;
        let (present, opcode) = (reply.bytes.get(8), reply.bytes.get(9));
        Ok(opcode.copied().filter(|_| present == Some(&1)))
    }

    /// Enables BIG-REQUESTS; returns the longest request in units of four bytes.
    pub fn enable_big_requests(&mut self) -> io::Result<u32> {
        let opcode = self.extension("BIG-REQUESTS")?.ok_or_else(|| io::Error::other("no BIG-REQUESTS"))?;
        Ok(self.reply_to(&requests::enable_big_requests(self.order, opcode))?.u32_at(8))
    }
}
