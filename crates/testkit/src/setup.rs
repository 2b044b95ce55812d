//! The set-up of a connection, both sides: what the client asks and what the server answers.

use std::io;

use crate::{ByteOrder, FdStream};

/// The one authorization protocol in use.
pub const COOKIE_PROTOCOL: &str = "MIT-MAGIC-COOKIE-1";

/// A client's set-up request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupRequest {
    /// Named by the first byte.
    pub order: ByteOrder,
    /// Authorization protocol; empty for none.
    pub auth_name: Vec<u8>,
    /// Authorization data, a cookie.
    pub auth_data: Vec<u8>,
}

impl SetupRequest {
    /// With a cookie, or with no authorization at all.
    pub fn new(order: ByteOrder, cookie: Option<&[u8]>) -> Self {
        let auth_name = cookie.map_or_else(Vec::new, |_| COOKIE_PROTOCOL.into());
        Self { order, auth_name, auth_data: cookie.unwrap_or_default().to_vec() }
    }

    /// Its bytes on the wire, for protocol 11.0.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.order.mark(), 0];
        let lengths = [self.auth_name.len(), self.auth_data.len(), 0];
        for number in [11, 0].into_iter().chain(lengths) {
            bytes.extend(self.order.u16(u16::try_from(number).unwrap_or(u16::MAX)));
        }
        for field in [&self.auth_name, &self.auth_data] {
            bytes.extend(field);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    /// Reads one from a client.
    pub fn receive(stream: &mut FdStream) -> io::Result<Self> {
        let mut header = [0; 12];
        stream.receive_exact(&mut header, &mut Vec::new())?;
        let order = header.first().and_then(|mark| ByteOrder::from_mark(*mark));
        let order = order.ok_or_else(|| io::Error::other("the first byte is neither B nor l"))?;
        let mut field = |at| -> io::Result<Vec<u8>> {
            let length = usize::from(order.u16_at(&header, at));
            let mut bytes = vec![0; length.next_multiple_of(4)];
            stream.receive_exact(&mut bytes, &mut Vec::new())?;
            bytes.truncate(length);
            Ok(bytes)
        };
        Ok(Self { order, auth_name: field(6)?, auth_data: field(8)? })
    }
}

/// A server's answer to the set-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupReply {
    /// The connection is open.
    Accepted(Setup),
    /// Refused, with the server's words.
    Failed(String),
    /// More authorization wanted (status 2), with the server's words.
    Authenticate(String),
}

/// The parts of an accepting set-up reply that the scripts need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// First resource id that the client may use.
    pub resource_base: u32,
    /// Longest request in units of four bytes.
    pub request_units_max: u16,
    /// Root window of the first screen.
    pub root: u32,
    /// Depth of that root.
    pub root_depth: u8,
}

impl SetupReply {
    /// Reads one from a server.
    pub fn receive(stream: &mut FdStream, order: ByteOrder) -> io::Result<Self> {
        let mut header = [0; 8];
        stream.receive_exact(&mut header, &mut Vec::new())?;
        let mut body = vec![0; usize::from(order.u16_at(&header, 6)) * 4];
        stream.receive_exact(&mut body, &mut Vec::new())?;
        let [status, reason_bytes, ..] = header;
        let words = |length: usize| {
            let text = body.get(..length.min(body.len())).unwrap_or_default();
            String::from_utf8_lossy(text).trim_end_matches(['\0', '\n']).to_owned()
        };
        match status {
            0 => Ok(Self::Failed(words(reason_bytes.into()))),
            1 => Ok(Self::Accepted(Setup::parse(order, &body))),
            _ => Ok(Self::Authenticate(words(body.len()))),
        }
    }
}

impl Setup {
    fn parse(order: ByteOrder, body: &[u8]) -> Self {
        let vendor_bytes = usize::from(order.u16_at(body, 16)).next_multiple_of(4);
        let formats = usize::from(body.get(21).copied().unwrap_or_default());
        let screen = 32 + vendor_bytes + 8 * formats;
        Self {
            resource_base: order.u32_at(body, 4),
            request_units_max: order.u16_at(body, 18),
            root: order.u32_at(body, screen),
            root_depth: body.get(screen + 38).copied().unwrap_or_default(),
        }
    }
}

/// A whole accepting set-up reply: one format, one screen of 800×600×24, one visual.
pub fn accepted(order: ByteOrder) -> Vec<u8> {
    const VENDOR: &[u8] = b"testkit!";
    const ROOT: u32 = 0x100;
    const VISUAL: u32 = 0x21;
    let u16s = |numbers: &[u16]| numbers.iter().flat_map(|number| order.u16(*number)).collect::<Vec<_>>();
    let u32s = |numbers: &[u32]| numbers.iter().flat_map(|number| order.u32(*number)).collect::<Vec<_>>();
    let body = [
        u32s(&[1, 0x0020_0000, 0x001f_ffff, 256]),
        u16s(&[8, u16::MAX]),
        vec![1, 1, u8::from(order == ByteOrder::Big), u8::from(order == ByteOrder::Big), 32, 32, 8, 255],
        vec![0; 4],
        VENDOR.to_vec(),
        vec![24, 32, 32, 0, 0, 0, 0, 0],
        u32s(&[ROOT, 0x20, 0x00ff_ffff, 0, 0]),
        u16s(&[800, 600, 211, 158, 1, 1]),
        u32s(&[VISUAL]),
        vec![0, 0, 24, 1],
        vec![24, 0],
        u16s(&[1, 0, 0]),
        u32s(&[VISUAL]),
        vec![4, 8],
        u16s(&[256]),
        u32s(&[0x00ff_0000, 0xff00, 0xff, 0]),
    ]
    .concat();
    let units = u16::try_from(body.len() / 4).unwrap_or(u16::MAX);
    [vec![1, 0], u16s(&[11, 0, units]), body].concat()
}

/// A whole refusing set-up reply with `reason` (at most 255 bytes of it).
pub fn failed(order: ByteOrder, reason: &str) -> Vec<u8> {
    let mut text: Vec<u8> = reason.bytes().take(255).collect();
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    text.resize(text.len().next_multiple_of(4), 0);
    let units = u16::try_from(text.len() / 4).unwrap_or(u16::MAX);
    [&[0, length], order.u16(11).as_slice(), &order.u16(0), &order.u16(units), &text].concat()
}
