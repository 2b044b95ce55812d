//! Well-formed X11 messages in either byte order, to generate streams of.

use x11_wire::{ByteOrder, padded};

/// Builds messages in one byte order. Lengths that a field can't hold are cut; that is only one more odd input.
#[derive(Debug, Clone, Copy)]
pub struct Wire(pub ByteOrder);

impl Wire {
    fn u16(self, value: usize) -> [u8; 2] {
        self.0.u16_bytes(u16::try_from(value & 0xffff).unwrap_or(0))
    }

    fn u32(self, value: usize) -> [u8; 4] {
        self.0.u32_bytes(u32::try_from(value).unwrap_or(u32::MAX))
    }

    /// A request with its length in 16 bits.
    pub fn request(self, major: u8, minor: u8, body: &[u8]) -> Vec<u8> {
        let len = padded(4 + body.len());
        let mut out = [&[major, minor][..], &self.u16(len / 4), body].concat();
        out.resize(len, 0);
        out
    }

    /// A request in the form of BIG-REQUESTS.
    pub fn big_request(self, major: u8, minor: u8, body: &[u8]) -> Vec<u8> {
        let len = padded(8 + body.len());
        let mut out = [&[major, minor, 0, 0][..], &self.u32(len / 4), body].concat();
        out.resize(len, 0);
        out
    }

    /// The body of a `QueryExtension`.
    pub fn name(self, name: &str) -> Vec<u8> {
        [&self.u16(name.len())[..], &[0, 0], name.as_bytes()].concat()
    }

    /// Any message of a server; `body` begins at its ninth byte.
    pub fn message(self, first: u8, second: u8, sequence: usize, body: &[u8]) -> Vec<u8> {
        let len = padded((8 + body.len()).max(32));
        let units = if first & 0x7f == 35 || first == 1 { (len - 32) / 4 } else { 0 };
        let mut out = [&[first, second][..], &self.u16(sequence), &self.u32(units), body].concat();
        out.resize(len, 0);
        out
    }

    /// An error that names a request's major opcode.
    pub fn error(self, sequence: usize, code: u8, major: u8) -> Vec<u8> {
        self.message(0, code, sequence, &[0, 0, major])
    }

    /// A reply to `ListExtensions`.
    pub fn list(self, sequence: usize, names: &[&str]) -> Vec<u8> {
        let count = u8::try_from(names.len()).unwrap_or(u8::MAX);
        let mut body = vec![0; 24];
        for name in names {
            body.push(u8::try_from(name.len()).unwrap_or(0));
            body.extend(name.as_bytes());
        }
        self.message(1, count, sequence, &body)
    }

    /// A set-up reply that lets the client in.
    pub fn set_up_reply(self) -> Vec<u8> {
        let mut out = [&[1, 0][..], &self.u16(11), &self.u16(0), &self.u16(8)].concat();
        out.resize(40, 7);
        out
    }
}
