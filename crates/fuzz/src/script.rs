//! Inputs of the session target: what either side says, in turn.
//!
//! ```text
//! u8 flags    bit 0: big endian   bit 1: the path carries descriptors   bit 2: no set-up reply before
//!             bit 3: of descriptors, it carries only those of memory
//! records     u8 tag, u16 length (little endian), that many bytes
//!             tag bit 0: 0 = the client, 1 = the host   bits 1..=5: descriptors that come with the record
//! ```
//! A record that breaks off ends there; all bytes are an input.

use x11_wire::ByteOrder;
use x11_wire::extension::Extension;

use crate::Rng;
use crate::wire::Wire;

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Byte order of the connection.
    pub order: ByteOrder,
    /// Whether the path carries descriptors.
    pub descriptors: bool,
    /// Whether those of timelines and devices too.
    pub timelines: bool,
    /// Whether the host's set-up reply comes before the records.
    pub set_up: bool,
    /// What is said.
    pub records: Vec<Record>,
}

/// What one side says at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whether the host says it.
    pub host: bool,
    /// Descriptors that come with the first byte, 0..=31.
    pub descriptors: u8,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Script {
    /// The script that `input` is.
    pub fn decode(input: &[u8]) -> Self {
        let (&flags, mut rest) = input.split_first().unwrap_or((&0, &[]));
        let mut records = vec![];
        while let Some((&[tag, low, high], body)) = rest.split_first_chunk() {
            let len = usize::from(u16::from_le_bytes([low, high])).min(body.len());
            let (bytes, next) = body.split_at(len);
            records.push(Record { host: tag & 1 != 0, descriptors: tag >> 1 & 31, bytes: bytes.to_vec() });
            rest = next;
        }
        let order = if flags & 1 == 0 { ByteOrder::Little } else { ByteOrder::Big };
        Self {
            order,
            descriptors: flags & 2 != 0,
            timelines: flags & 8 == 0,
            set_up: flags & 4 == 0,
            records,
        }
    }

    /// The input that the script is.
    pub fn encode(&self) -> Vec<u8> {
        let big = u8::from(self.order == ByteOrder::Big);
        let flags =
            u8::from(self.descriptors) << 1 | u8::from(!self.set_up) << 2 | u8::from(!self.timelines) << 3;
        let mut out = vec![big | flags];
        for record in &self.records {
            let len = u16::try_from(record.bytes.len()).unwrap_or(u16::MAX);
            out.push(u8::from(record.host) | record.descriptors << 1);
            out.extend(len.to_le_bytes());
            out.extend(&record.bytes[..usize::from(len)]);
        }
        out
    }
}

/// Offsets of the records, and of the units of four bytes in them.
pub fn cuts(input: &[u8]) -> Vec<usize> {
    let mut at = 1;
    let mut cuts = vec![];
    for record in Script::decode(input).records {
        cuts.push(at);
        at += 3 + record.bytes.len();
    }
    cuts
}

/// Generates conversations in which the server answers, mostly.
#[derive(Debug)]
struct Author<'a> {
    rng: &'a mut Rng,
    wire: Wire,
    /// Requests sent so far.
    sequence: usize,
    records: Vec<Record>,
}

const NAMES: [&str; 12] = [
    "BIG-REQUESTS",
    "DRI3",
    "Present",
    "MIT-SHM",
    "RANDR",
    "DRI2",
    "XFree86-DRI",
    "XFree86-DGA",
    "RENDER",
    "SYNC",
    "X",
    "",
];

/// A new conversation.
pub fn generate(rng: &mut Rng) -> Vec<u8> {
    let order = if rng.one_in(2) { ByteOrder::Little } else { ByteOrder::Big };
    let (descriptors, timelines, set_up) = (rng.one_in(2), rng.one_in(2), !rng.one_in(32));
    let turns = 1 + rng.small(40);
    let mut author = Author { rng, wire: Wire(order), sequence: 0, records: vec![] };
    for _ in 0..turns {
        author.turn();
    }
    Script { order, descriptors, timelines, set_up, records: author.records }.encode()
}

impl Author<'_> {
    fn turn(&mut self) {
        match self.rng.below(16) {
            0..=3 => self.query(),
            4..=8 => self.extension_request(),
            9..=10 => self.core_request(),
            11 => self.list(),
            12 => self.event(),
            13 => self.reply(),
            14 => self.error(),
            _ => self.garbage(),
        }
    }

    /// Each side's bytes follow its last ones in the same record, or begin a new one.
    fn say(&mut self, host: bool, bytes: Vec<u8>) {
        let descriptors = if self.rng.one_in(4) { u8::try_from(self.rng.small(6)).unwrap_or(0) } else { 0 };
        let join = descriptors == 0 && !self.rng.one_in(3);
        match self.records.last_mut() {
            Some(last) if join && last.host == host => last.bytes.extend(bytes),
            _ => self.records.push(Record { host, descriptors, bytes }),
        }
    }

    fn request(&mut self, major: u8, minor: u8, body: &[u8]) {
        self.sequence += 1;
        let big = self.rng.one_in(8);
        let bytes = if big {
            self.wire.big_request(major, minor, body)
        } else {
            self.wire.request(major, minor, body)
        };
        self.say(false, bytes);
    }

    /// The opcode that this server gives to the extension `index`.
    fn opcode(index: usize) -> u8 {
        130 + u8::try_from(index).unwrap_or(0)
    }

    fn query(&mut self) {
        let index = self.rng.below(NAMES.len());
        let name = self.wire.name(NAMES[index]);
        self.request(98, 0, &name);
        let present = u8::from(!self.rng.one_in(8));
        match self.rng.below(8) {
            0 => {}
            1 => self.say(true, self.wire.error(self.sequence, 16, 98)),
            _ => self
                .say(true, self.wire.message(1, 0, self.sequence, &[present, Self::opcode(index), 64, 128])),
        }
    }

    fn extension_request(&mut self) {
        let major = Self::opcode(self.rng.below(NAMES.len()));
        let minor = self.rng.pick(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 45, 99]);
        let len = self.rng.small(96);
        let body = self.rng.bytes(len);
        self.request(major, minor, &body);
        if self.rng.one_in(3) {
            self.reply();
        }
    }

    fn core_request(&mut self) {
        let major = self.rng.pick(&[1, 3, 8, 14, 16, 20, 43, 50, 53, 72, 73, 99, 127]);
        let len = self.rng.small(400);
        let body = self.rng.bytes(len);
        self.request(major, 0, &body);
        if x11_wire::request::has_reply(major) {
            self.reply();
        }
    }

    fn list(&mut self) {
        self.request(99, 0, &[]);
        let count = self.rng.small(40);
        let names: Vec<_> = (0..count).map(|_| self.rng.pick(&NAMES)).collect();
        self.say(true, self.wire.list(self.sequence, &names));
    }

    fn event(&mut self) {
        let first = self.rng.pick(&[2, 11, 12, 33, 35, 35 + 0x80, 12 + 0x80]);
        let len = self.rng.small(64);
        let body = self.rng.bytes(len);
        self.say(true, self.wire.message(first, 0, self.sequence, &body));
    }

    fn reply(&mut self) {
        let sequence = self.sequence.saturating_sub(self.rng.small(2));
        let (count, len) = (u8::try_from(self.rng.small(4)).unwrap_or(0), self.rng.small(300));
        let body = self.rng.bytes(len);
        self.say(true, self.wire.message(1, count, sequence, &body));
    }

    fn error(&mut self) {
        let major = self.rng.pick(&[98, 99, 126, 131, 133]);
        self.say(true, self.wire.error(self.sequence, 1, major));
    }

    fn garbage(&mut self) {
        let (host, len) = (self.rng.one_in(2), self.rng.small(80));
        let bytes = self.rng.bytes(len);
        if self.rng.one_in(4) {
            self.say(host, bytes);
        }
    }
}

/// The names that no path shows to a client, or only one with descriptors.
pub fn extension_names() -> impl Iterator<Item = &'static str> {
    Extension::ALL.into_iter().map(Extension::name)
}
