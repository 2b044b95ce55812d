//! One connection of the test client: its extensions, its requests in either form, and what became of them.

use std::io;
use std::os::fd::BorrowedFd;

use serde_json::{Value, json};
use x11bridge_testkit::requests::{self, Area};
use x11bridge_testkit::{ByteOrder, Packet, PacketKind, RawClient};

use crate::memory::SIDE;

/// A request's body under construction.
#[derive(Clone)]
pub(crate) struct Body {
    order: ByteOrder,
    bytes: Vec<u8>,
}

impl Body {
    pub(crate) fn u8(mut self, value: u8) -> Self {
        self.bytes.push(value);
        self
    }

    pub(crate) fn u16(mut self, value: u16) -> Self {
        self.bytes.extend(self.order.u16(value));
        self
    }

    pub(crate) fn u32(mut self, value: u32) -> Self {
        self.bytes.extend(self.order.u32(value));
        self
    }

    pub(crate) fn u64(mut self, value: u64) -> Self {
        self.bytes.extend(self.order.u64(value));
        self
    }

    pub(crate) fn pad(mut self, bytes: usize) -> Self {
        self.bytes.resize(self.bytes.len() + bytes, 0);
        self
    }
}

/// A connection.
pub(crate) struct Talk {
    pub(crate) client: RawClient,
    pub(crate) order: ByteOrder,
    big: bool,
    last_id: u32,
    /// The last packets that were neither replies nor errors.
    pub(crate) events: Vec<Packet>,
}

impl Talk {
    /// `big` sends every extension's request in the BIG-REQUESTS form.
    pub(crate) fn new(mut client: RawClient, big: bool) -> io::Result<Self> {
        if big {
            client.enable_big_requests()?;
        }
        let (order, last_id) = (client.order, client.setup.resource_base);
        Ok(Self { client, order, big, last_id, events: vec![] })
    }

    pub(crate) fn root(&self) -> u32 {
        self.client.setup.root
    }

    pub(crate) fn depth(&self) -> u8 {
        self.client.setup.root_depth
    }

    /// The opcode of an extension that must be there.
    pub(crate) fn extension(&mut self, name: &str) -> io::Result<u8> {
        self.client.extension(name)?.ok_or_else(|| io::Error::other(format!("there is no {name}")))
    }

    pub(crate) fn id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    pub(crate) fn body(&self) -> Body {
        Body { order: self.order, bytes: vec![] }
    }

    pub(crate) fn request(&self, major: u8, minor: u8, body: &Body) -> Vec<u8> {
        if self.big {
            requests::big_request(self.order, major, minor, &body.bytes)
        } else {
            requests::request(self.order, major, minor, &body.bytes)
        }
    }

    /// Sends a request with descriptors, and says what became of it: `"ok"`, or the error's code and request.
    pub(crate) fn outcome(&mut self, request: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<Value> {
        self.client.request_with_fds(request, fds)?;
        let outcomes = self.settle()?;
        Ok(outcomes.into_iter().next().unwrap_or(json!("ok")))
    }

    /// Waits until the server has carried out everything; the errors that came.
    pub(crate) fn settle(&mut self) -> io::Result<Vec<Value>> {
        let last = self.client.request(&requests::get_input_focus(self.order))?;
        let mut errors = vec![];
        loop {
            let packet = self.client.packet()?;
            match packet.kind() {
                PacketKind::Reply if u64::from(packet.sequence()) == last & 0xffff => return Ok(errors),
                PacketKind::Reply => return Err(io::Error::other("a reply that nobody asked for")),
                PacketKind::Event => self.events.push(packet),
                PacketKind::Error => errors.push(error(&packet)),
            }
        }
    }

    /// The reply to a request.
    pub(crate) fn reply(&mut self, request: &[u8]) -> io::Result<Packet> {
        self.client.request(request)?;
        self.next_reply()
    }

    /// The reply to the oldest request that awaits one.
    pub(crate) fn next_reply(&mut self) -> io::Result<Packet> {
        loop {
            let packet = self.client.packet()?;
            match packet.kind() {
                PacketKind::Reply => return Ok(packet),
                PacketKind::Event => self.events.push(packet),
                PacketKind::Error => return Err(io::Error::other(error(&packet).to_string())),
            }
        }
    }

    /// The pixels of a pixmap of the size that all have here.
    pub(crate) fn pixels_of(&mut self, pixmap: u32) -> io::Result<Vec<u8>> {
        let area = Area { drawable: pixmap, width: SIDE, height: SIDE };
        let reply = self.reply(&requests::get_image(self.order, area))?;
        Ok(reply.bytes.get(32..).unwrap_or_default().to_vec())
    }
}

fn error(packet: &Packet) -> Value {
    let major = packet.bytes.get(10).copied();
    json!({ "code": packet.detail(), "major": major, "minor": packet.u16_at(8), "sequence": packet.sequence() })
}

/// How many descriptors came with a reply's first byte and behind it, and how many it says that there are.
pub(crate) fn counts(reply: &Packet) -> Value {
    json!({ "said": reply.detail(), "first": reply.fds.len(), "late": reply.late_fds.len() })
}
