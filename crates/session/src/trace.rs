//! What goes through a session, message by message, for somebody who looks on.
//!
//! The loops over messages are compiled twice, and the one for sessions that nobody traces has nothing of this in it. A
//! record has a head of [`RECORD_HEADER`] bytes, little-endian, and behind it the first bytes of its message:
//!
//! | offset | what |
//! |---|---|
//! | 0 | `u64`: the client's number |
//! | 8 | `u64`: microseconds since 1970 |
//! | 16 | `u64`: length of the message |
//! | 24 | `u32`: low bits of the number of the request, or of the last one so far for what the host says |
//! | 28 | `u16`: how many bytes follow, at most [`CAPTURED_MAX`] |
//! | 30 | `u8`: the kind, see [`Traced`] |
//! | 31 | `u8`: bit 0: the client is big-endian; bit 1: the session made another request of this one |

use x11_wire::ByteOrder;

/// Bytes of a record's head.
pub const RECORD_HEADER: usize = 32;
/// Bytes that are kept of a message: the fields of all but the longest, and a part of what they carry.
pub const CAPTURED_MAX: usize = 512;

const BIG_ENDIAN: u8 = 1;
const CHANGED: u8 = 2;

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Traced {
    /// A request, as it goes on to the host, but with the opcodes that the client gave it.
    Request = 0,
    /// A reply, an event or an error, as the client gets it.
    Message = 1,
    /// The host's answer to the set-up.
    SetUp = 2,
    /// The client is traced from here on; the bytes are its program's name.
    Begins = 3,
    /// The client is gone; the bytes are the reason.
    Ends = 4,
}

/// A record whose message is not all here.
#[derive(Debug, Default)]
struct Partial {
    record: Vec<u8>,
    /// Bytes that are still to be kept.
    wanted: usize,
}

/// The records of one client.
#[derive(Debug)]
pub struct Trace {
    client: u64,
    order: ByteOrder,
    micros: u64,
    finished: Vec<u8>,
    count: u64,
    to_host: Partial,
    to_client: Partial,
}

impl Trace {
    /// No records yet; `micros` as in [`Trace::set_time`].
    pub fn new(client: u64, order: ByteOrder, micros: u64) -> Self {
        Self {
            client,
            order,
            micros,
            finished: vec![],
            count: 0,
            to_host: Partial::default(),
            to_client: Partial::default(),
        }
    }

    /// The time of what comes from now on, in microseconds since 1970.
    pub const fn set_time(&mut self, micros: u64) {
        self.micros = micros;
    }

    /// Adds a record that is no message.
    pub fn note(&mut self, kind: Traced, sequence: u64, text: &[u8]) {
        let text = text.get(..text.len().min(CAPTURED_MAX)).unwrap_or_default();
        let mut record = self.head(kind, sequence, text.len() as u64, false);
        record.extend(text);
        self.finish(record);
    }

    /// Takes the finished records, and how many they are.
    pub fn take(&mut self) -> (Vec<u8>, u64) {
        (std::mem::take(&mut self.finished), std::mem::take(&mut self.count))
    }

    /// A request begins.
    pub(crate) fn request(&mut self, sequence: u64, len: u64, changed: bool) {
        self.cut_request();
        let record = self.head(Traced::Request, sequence, len, changed);
        self.to_host = Partial { record, wanted: wanted(len) };
    }

    /// Its next bytes; `opcodes` are what its first two were.
    pub(crate) fn request_bytes(&mut self, bytes: &[u8], opcodes: [u8; 2]) {
        let begins = self.to_host.record.len() == RECORD_HEADER;
        let whole = self.to_host.take(bytes);
        if let Some(first) = self.to_host.record.get_mut(RECORD_HEADER..RECORD_HEADER + 2).filter(|_| begins)
        {
            first.copy_from_slice(&opcodes);
        }
        if whole {
            self.cut_request();
        }
    }

    /// A message of the host begins.
    pub(crate) fn message(&mut self, kind: Traced, sequence: u64, len: u64) {
        self.cut_message();
        let record = self.head(kind, sequence, len, false);
        self.to_client = Partial { record, wanted: wanted(len) };
    }

    /// Its next bytes.
    pub(crate) fn message_bytes(&mut self, bytes: &[u8]) {
        if self.to_client.take(bytes) {
            self.cut_message();
        }
    }

    /// The rest of the host's current message passes unseen.
    pub(crate) fn cut_message(&mut self) {
        let record = std::mem::take(&mut self.to_client.record);
        self.finish(record);
    }

    fn cut_request(&mut self) {
        let record = std::mem::take(&mut self.to_host.record);
        self.finish(record);
    }

    fn head(&self, kind: Traced, sequence: u64, len: u64, changed: bool) -> Vec<u8> {
        let mut head = Vec::with_capacity(RECORD_HEADER + wanted(len));
        head.extend([self.client, self.micros, len].iter().flat_map(|field| field.to_le_bytes()));
        head.extend_from_slice(sequence.to_le_bytes().first_chunk::<4>().unwrap_or(&[0; 4]));
        let big = if self.order == ByteOrder::Big { BIG_ENDIAN } else { 0 };
        head.extend([0, 0, kind as u8, big | if changed { CHANGED } else { 0 }]);
        head
    }

    /// Adds a record, whose length becomes known by that.
    fn finish(&mut self, mut record: Vec<u8>) {
        let Some(captured) = record.len().checked_sub(RECORD_HEADER) else { return };
        let captured = u16::try_from(captured).unwrap_or(u16::MAX).to_le_bytes();
        if let Some(field) = record.get_mut(28..30) {
            field.copy_from_slice(&captured);
        }
        self.finished.append(&mut record);
        self.count += 1;
    }
}

impl Partial {
    /// Keeps what is wanted of these bytes; whether nothing more is.
    fn take(&mut self, bytes: &[u8]) -> bool {
        let taken = self.wanted.min(bytes.len());
        self.record.extend(bytes.get(..taken).unwrap_or_default());
        self.wanted -= taken;
        self.wanted == 0
    }
}

fn wanted(len: u64) -> usize {
    usize::try_from(len).unwrap_or(CAPTURED_MAX).min(CAPTURED_MAX)
}
