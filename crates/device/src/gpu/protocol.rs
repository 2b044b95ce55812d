//! The commands of virtio-gpu (VIRTIO 1.3, section 5.7.6): requests decoded, responses encoded.
//!
//! All integers are little endian. A request was copied out of guest memory before it is looked at.

/// What the device offers besides VIRTIO's own features: `VIRGL` (contexts), `RESOURCE_BLOB`, `CONTEXT_INIT`.
pub const FEATURES: u64 = 1 << 0 | 1 << 3 | 1 << 4;

/// The shared memory region that MAP_BLOB maps into.
pub const HOST_VISIBLE: u8 = 1;

/// Bytes of the header of each request and response.
pub const HEADER_BYTES: usize = 24;

/// Scanouts that GET_DISPLAY_INFO speaks of.
const SCANOUTS: usize = 16;
/// Bytes for each.
const SCANOUT_BYTES: usize = 24;

const FLAG_FENCE: u32 = 1;
const FLAG_RING_IDX: u32 = 2;

/// Numbers of requests.
pub(crate) mod cmd {
    pub(crate) const GET_DISPLAY_INFO: u32 = 0x100;
    pub(crate) const RESOURCE_CREATE_2D: u32 = 0x101;
    pub(crate) const RESOURCE_UNREF: u32 = 0x102;
    pub(crate) const SET_SCANOUT: u32 = 0x103;
    pub(crate) const RESOURCE_FLUSH: u32 = 0x104;
    pub(crate) const TRANSFER_TO_HOST_2D: u32 = 0x105;
    pub(crate) const RESOURCE_ATTACH_BACKING: u32 = 0x106;
    pub(crate) const RESOURCE_DETACH_BACKING: u32 = 0x107;
    pub(crate) const GET_CAPSET_INFO: u32 = 0x108;
    pub(crate) const GET_CAPSET: u32 = 0x109;
    pub(crate) const RESOURCE_CREATE_BLOB: u32 = 0x10c;
    pub(crate) const CTX_CREATE: u32 = 0x200;
    pub(crate) const CTX_DESTROY: u32 = 0x201;
    pub(crate) const CTX_ATTACH_RESOURCE: u32 = 0x202;
    pub(crate) const CTX_DETACH_RESOURCE: u32 = 0x203;
    pub(crate) const SUBMIT_3D: u32 = 0x207;
    pub(crate) const RESOURCE_MAP_BLOB: u32 = 0x208;
    pub(crate) const RESOURCE_UNMAP_BLOB: u32 = 0x209;
}

/// The number of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done; nothing to say.
    NoData = 0x1100,
    /// Display information follows.
    DisplayInfo = 0x1101,
    /// Capset information follows.
    CapsetInfo = 0x1102,
    /// A capset follows.
    Capset = 0x1103,
    /// How a mapping is cached follows.
    MapInfo = 0x1106,
    /// Refused for a reason that has no number.
    Unspecified = 0x1200,
    /// A limit is reached.
    OutOfMemory = 0x1201,
    /// No such resource, or an id that is in use.
    InvalidResource = 0x1203,
    /// No such context, or an id that is in use.
    InvalidContext = 0x1204,
    /// A length, offset or number that can't be.
    InvalidParameter = 0x1205,
}

/// The header of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    pub(crate) cmd: u32,
    flags: u32,
    fence_id: u64,
    pub(crate) context: u32,
    ring: u8,
}

impl Header {
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            cmd: u32_at(bytes, 0)?,
            flags: u32_at(bytes, 4)?,
            fence_id: u64_at(bytes, 8)?,
            context: u32_at(bytes, 16)?,
            ring: *bytes.get(20)?,
        })
    }

    /// The fence ring that the request names, if it wants a fence.
    pub(crate) const fn fence_ring(&self) -> Option<u8> {
        if self.flags & FLAG_FENCE == 0 {
            None
        } else if self.flags & FLAG_RING_IDX == 0 {
            Some(0)
        } else {
            Some(self.ring)
        }
    }
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Its header: what the request's header says of fences is repeated, so that the driver signals them.
    pub header: [u8; HEADER_BYTES],
    /// What follows it; empty for most.
    pub body: Vec<u8>,
}

impl Response {
    /// A response to the request with this header.
    pub(crate) fn new(to: &Header, status: Status, body: Vec<u8>) -> Self {
        let mut header = [0; HEADER_BYTES];
        let flags = to.flags & (FLAG_FENCE | FLAG_RING_IDX);
        let (words, _) = header.as_chunks_mut::<4>();
        let [low, high] = [to.fence_id, to.fence_id >> 32].map(|half| (half & 0xffff_ffff) as u32);
        let fields = [status as u32, flags, low, high, to.context, u32::from(to.ring)];
        for (word, field) in words.iter_mut().zip(fields) {
            *word = field.to_le_bytes();
        }
        Self { header, body }
    }

    /// The response's number.
    pub fn status(&self) -> u32 {
        u32_at(&self.header, 0).unwrap_or(0)
    }

    /// Whether it says that the request was refused.
    pub fn is_error(&self) -> bool {
        self.status() >= Status::Unspecified as u32
    }
}

/// No scanout has anything on it.
pub(crate) fn display_info() -> Vec<u8> {
    vec![0; SCANOUTS * SCANOUT_BYTES]
}

/// The device's configuration space: no events, so many scanouts, one capset.
pub fn config(scanouts: u32) -> [u8; 16] {
    let mut out = [0; 16];
    let (words, _) = out.as_chunks_mut::<4>();
    for (word, field) in words.iter_mut().zip([0, 0, scanouts, 1]) {
        *word = u32::to_le_bytes(field);
    }
    out
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_repeats_the_fence_and_no_other_flag() {
        let mut request = vec![0x07, 2, 0, 0, 0xff, 0, 0, 0];
        request.extend(0x0102_0304_0506_0708_u64.to_le_bytes());
        request.extend([5, 0, 0, 0, 1, 9, 9, 9]);
        let header = Header::decode(&request).unwrap();
        assert_eq!((header.cmd, header.context, header.fence_ring()), (cmd::SUBMIT_3D, 5, Some(1)));
        let response = Response::new(&header, Status::NoData, vec![]);
        let expected = [0, 0x11, 0, 0, 3, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1, 5, 0, 0, 0, 1, 0, 0, 0];
        assert_eq!(response.header, expected);
        assert!(!response.is_error());
        assert_eq!(Header::decode(&request[..23]), Some(header), "the padding does not matter");
        assert_eq!(Header::decode(&request[..20]), None);
    }

    #[test]
    fn only_a_fenced_request_has_a_fence_ring() {
        let ring = |flags| Header { flags, ring: 1, ..Header::default() }.fence_ring();
        assert_eq!([ring(0), ring(1), ring(2), ring(3)], [None, Some(0), None, Some(1)]);
    }
}
