//! X11 streams for tests: requests and messages in either byte order, and a session to run them through.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic here is a failed test"
)]

use session::{Action, Carries, FenceAction, Fences, Marks, Next, Offers, Session};
use x11_wire::{ByteOrder, padded};

pub(crate) const BYTES_ONLY: Carries = Carries::BYTES;
pub(crate) const BLOBS: Carries = Carries { fences: Fences::Linked { adopts: false }, ..Carries::BLOBS };
pub(crate) const MEMORY: Carries = Carries::MEMORY;
pub(crate) const EVERYTHING: Carries = Carries::EVERYTHING;
pub(crate) const LINKED: Carries = Carries { fences: Fences::Linked { adopts: true }, ..Carries::MEMORY };

/// Builds requests and messages in one byte order.
#[derive(Clone, Copy)]
pub(crate) struct Wire(pub(crate) ByteOrder);

impl Wire {
    pub(crate) fn u16(self, value: usize) -> [u8; 2] {
        self.0.u16_bytes(u16::try_from(value).unwrap())
    }

    pub(crate) fn u32(self, value: usize) -> [u8; 4] {
        self.0.u32_bytes(u32::try_from(value).unwrap())
    }

    pub(crate) fn request(self, major: u8, minor: u8, body: &[u8]) -> Vec<u8> {
        let len = padded(4 + body.len());
        let mut out = [&[major, minor][..], &self.u16(len / 4), body].concat();
        out.resize(len, 0);
        out
    }

    pub(crate) fn big_request(self, major: u8, minor: u8, body: &[u8]) -> Vec<u8> {
        let len = padded(8 + body.len());
        let mut out = [&[major, minor, 0, 0][..], &self.u32(len / 4), body].concat();
        out.resize(len, 0);
        out
    }

    pub(crate) fn query_extension(self, name: &str) -> Vec<u8> {
        self.request(98, 0, &[&self.u16(name.len())[..], &[0, 0], name.as_bytes()].concat())
    }

    pub(crate) fn message(self, first: u8, second: u8, sequence: usize, body: &[u8]) -> Vec<u8> {
        let len = padded((8 + body.len()).max(32));
        let extra = if first & 0x7f == 35 || first == 1 { (len - 32) / 4 } else { 0 };
        let mut out = [&[first, second][..], &self.u16(sequence & 0xffff), &self.u32(extra), body].concat();
        out.resize(len, 0);
        out
    }

    pub(crate) fn reply(self, sequence: usize, body: &[u8]) -> Vec<u8> {
        self.message(1, 0, sequence, body)
    }

    pub(crate) fn has_extension(self, sequence: usize, major: u8) -> Vec<u8> {
        self.reply(sequence, &[1, major, 64, 128])
    }

    pub(crate) fn error(self, sequence: usize, code: u8, major: u8) -> Vec<u8> {
        let mut out = self.message(0, code, sequence, &[0; 24]);
        out[4..8].fill(0);
        out[10] = major;
        out
    }

    pub(crate) fn set_up_reply(self) -> Vec<u8> {
        let mut out = [&[1, 0][..], &self.u16(11), &self.u16(0), &self.u16(10)].concat();
        out.resize(40, 7);
        // No vendor's name, and one pixmap format.
        out[24..26].fill(0);
        out[29] = 1;
        out.extend([24, 32, 32, 0, 0, 0, 0, 0]);
        out
    }
}

/// A session whose set-up has passed, and what came out of it. Descriptors are numbers.
pub(crate) struct Run {
    pub(crate) wire: Wire,
    pub(crate) session: Session<u32>,
    client_held: Vec<u8>,
    host_held: Vec<u8>,
    pub(crate) to_host: Vec<u8>,
    pub(crate) to_client: Vec<u8>,
    /// (offset in `to_host`, descriptors)
    pub(crate) host_marks: Vec<(usize, Vec<u32>)>,
    pub(crate) client_marks: Vec<(usize, Vec<u32>)>,
    pub(crate) next: Next,
    pub(crate) actions: Vec<Action>,
    pub(crate) fence_actions: Vec<FenceAction>,
    /// Ids of fences by the offsets of their requests in `to_host`.
    pub(crate) fences: Vec<(usize, u32)>,
    /// Those of fences that the server has exported, by the offsets of their replies in `to_client`.
    pub(crate) adopted: Vec<(usize, u32)>,
}

impl Run {
    pub(crate) fn new(order: ByteOrder, carries: Carries) -> Self {
        Self::offering(order, carries, Offers::default())
    }

    pub(crate) fn offering(order: ByteOrder, carries: Carries, offers: Offers) -> Self {
        let mut run = Self::before_the_set_up(order, carries, offers);
        run.host(&run.wire.set_up_reply());
        run.to_client.clear();
        run
    }

    /// A session that the host has not answered yet.
    pub(crate) fn fresh(order: ByteOrder, carries: Carries) -> Self {
        Self::before_the_set_up(order, carries, Offers::default())
    }

    fn before_the_set_up(order: ByteOrder, carries: Carries, offers: Offers) -> Self {
        Self {
            wire: Wire(order),
            session: Session::new(order, carries, offers),
            client_held: vec![],
            host_held: vec![],
            to_host: vec![],
            to_client: vec![],
            host_marks: vec![],
            client_marks: vec![],
            next: Next::Client,
            actions: vec![],
            fence_actions: vec![],
            fences: vec![],
            adopted: vec![],
        }
    }

    pub(crate) fn client(&mut self, bytes: &[u8]) {
        self.client_held.extend(bytes);
        let mut marks = Marks::new();
        let mut left_out = vec![];
        let progress = self.session.client_data(&mut self.client_held, &mut marks);
        for mark in marks {
            assert!(mark.offset < progress.forward, "a mark lies in what is forwarded");
            left_out.extend(mark.offset - mark.skip..mark.offset);
            let kept = self.to_host.len() + mark.offset - left_out.len();
            self.host_marks.push((kept, mark.descriptors));
            self.fences.extend(mark.fence.map(|id| (kept, id)));
        }
        self.next = progress.next;
        let passed = self.client_held.drain(..progress.forward).enumerate();
        self.to_host.extend(passed.filter(|(at, _)| !left_out.contains(at)).map(|(_, byte)| byte));
        self.actions.extend(self.session.take_actions());
        self.fence_actions.extend(self.session.take_fence_actions());
        if progress.next == Next::Client {
            assert!(
                self.client_held.len() <= session::CLIENT_HELD_MAX,
                "{} bytes held",
                self.client_held.len()
            );
        }
    }

    pub(crate) fn client_with(&mut self, bytes: &[u8], descriptors: &[u32]) {
        self.session.client_descriptors(descriptors.iter().copied());
        self.client(bytes);
    }

    pub(crate) fn host(&mut self, bytes: &[u8]) {
        self.host_held.extend(bytes);
        let mut marks = Marks::new();
        let mut left_out = vec![];
        let forward = self.session.host_data(&mut self.host_held, &mut marks).unwrap();
        for mark in marks {
            assert!(mark.offset < forward, "a mark lies in what is forwarded");
            left_out.extend(mark.offset - mark.skip..mark.offset);
            let kept = self.to_client.len() + mark.offset - left_out.len();
            self.client_marks.push((kept, mark.descriptors));
            self.adopted.extend(mark.fence.map(|id| (kept, id)));
        }
        let passed = self.host_held.drain(..forward).enumerate();
        self.to_client.extend(passed.filter(|(at, _)| !left_out.contains(at)).map(|(_, byte)| byte));
        self.actions.extend(self.session.take_actions());
        self.fence_actions.extend(self.session.take_fence_actions());
        assert!(self.host_held.len() <= session::HOST_HELD_MAX, "{} bytes held", self.host_held.len());
    }

    pub(crate) fn host_with(&mut self, bytes: &[u8], descriptors: &[u32]) {
        self.session.host_descriptors(descriptors.iter().copied().map(Some));
        self.host(bytes);
    }

    /// Lets the client learn an extension's opcode; takes one sequence number.
    pub(crate) fn learn(&mut self, name: &str, major: u8) {
        self.client(&self.wire.query_extension(name));
        let sequence = usize::try_from(self.session.counters().requests).unwrap();
        self.host(&self.wire.has_extension(sequence, major));
        self.to_host.clear();
        self.to_client.clear();
    }
}

/// Runs a test body in both byte orders.
pub(crate) fn both_orders(body: impl Fn(ByteOrder)) {
    body(ByteOrder::Little);
    body(ByteOrder::Big);
}
