//! The extensions that a proxy has to know, and every message of the protocol that carries file descriptors.

use crate::ByteOrder;

/// An extension that is more than bytes to a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extension {
    /// Changes how lengths are read.
    BigRequests,
    /// Buffers and fences as descriptors.
    Dri3,
    /// Names DRI3's objects; its capabilities speak of them.
    Present,
    /// Names DRI3's fences.
    Sync,
    /// Segments as descriptors or as System V numbers.
    MitShm,
    /// One request answers with a descriptor (leases).
    RandR,
    /// Authenticates against the server's device.
    Dri2,
    /// Maps the server's device.
    XFree86Dri,
    /// Maps the server's framebuffer.
    XFree86Dga,
}

impl Extension {
    /// Every extension of this table.
    pub const ALL: [Self; 9] = [
        Self::BigRequests,
        Self::Dri3,
        Self::Present,
        Self::Sync,
        Self::MitShm,
        Self::RandR,
        Self::Dri2,
        Self::XFree86Dri,
        Self::XFree86Dga,
    ];
    /// Bytes of the longest name in this table.
    pub const NAME_MAX: usize = 12;

    /// The name that `QueryExtension` and `ListExtensions` use; servers compare it byte for byte.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BigRequests => "BIG-REQUESTS",
            Self::Dri3 => "DRI3",
            Self::Present => "Present",
            Self::Sync => "SYNC",
            Self::MitShm => "MIT-SHM",
            Self::RandR => "RANDR",
            Self::Dri2 => "DRI2",
            Self::XFree86Dri => "XFree86-DRI",
            Self::XFree86Dga => "XFree86-DGA",
        }
    }

    /// The extension of that name, if it is in this table.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|extension| extension.name().as_bytes() == name)
    }
}

/// `BIG-REQUESTS` Enable.
pub const BIG_REQUESTS_ENABLE: u8 = 0;
/// `DRI3` QueryVersion; the version is at [`DRI3_VERSION`] of its reply, two `u32`.
pub const DRI3_QUERY_VERSION: u8 = 0;
/// Offset of the version in that reply.
pub const DRI3_VERSION: usize = 8;
/// `DRI3` Open.
pub const DRI3_OPEN: u8 = 1;
/// `DRI3` 1.3 SetDRMDeviceInUse: names a device of the client's machine by its numbers.
pub const DRI3_SET_DRM_DEVICE_IN_USE: u8 = 9;
/// `DRI3` 1.4 ImportSyncobj: a timeline of the kernel's as a descriptor.
pub const DRI3_IMPORT_SYNCOBJ: u8 = 10;
/// `DRI3` 1.4 FreeSyncobj.
pub const DRI3_FREE_SYNCOBJ: u8 = 11;
/// `Present` 1.4 PixmapSynced: waits for points of timelines.
pub const PRESENT_PIXMAP_SYNCED: u8 = 5;
/// `Present` QueryCapabilities.
pub const PRESENT_QUERY_CAPABILITIES: u8 = 4;
/// Offset of the capabilities in that request's reply.
pub const PRESENT_CAPABILITIES: usize = 8;
/// Capability bit of Present 1.4: explicit synchronization by DRI3's timelines.
pub const PRESENT_CAPABILITY_SYNCOBJ: u32 = 1 << 4;
/// `RANDR` CreateLease.
pub const RANDR_CREATE_LEASE: u8 = 45;

/// What an extension's request does with descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Descriptors {
    /// The request owns this many.
    Request(RequestFds),
    /// The reply owns as many as its second byte says.
    Reply,
}

/// How many descriptors a request owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestFds {
    /// Always one.
    One,
    /// As many as the byte at this offset behind the header says.
    CountAt(usize),
}

/// Bytes of the longest well-formed request in this table, big header included.
pub const DESCRIPTOR_REQUEST_MAX: usize = 68;

/// The protocol's whole table of messages with descriptors (xcb-proto 1.17): eleven of them.
pub fn descriptors(extension: Extension, minor: u8) -> Option<Descriptors> {
    use Extension::{Dri3, MitShm, RandR};
    match (extension, minor) {
        // PixmapFromBuffer, FenceFromFD, ImportSyncobj; AttachFd
        (Dri3, 2 | 4 | 10) | (MitShm, 6) => Some(Descriptors::Request(RequestFds::One)),
        // PixmapFromBuffers: num_buffers behind pixmap and window
        (Dri3, 7) => Some(Descriptors::Request(RequestFds::CountAt(8))),
        // Open, BufferFromPixmap, FDFromFence, BuffersFromPixmap; CreateSegment; CreateLease
        (Dri3, 1 | 3 | 5 | 8) | (MitShm, 7) | (RandR, RANDR_CREATE_LEASE) => Some(Descriptors::Reply),
        _ => None,
    }
}

impl RequestFds {
    /// The number for one request; `request` starts at its header of `header` bytes.
    pub fn count(self, request: &[u8], header: usize) -> usize {
        match self {
            Self::One => 1,
            Self::CountAt(at) => request.get(header + at).copied().map_or(0, usize::from),
        }
    }
}

/// The answer to `QueryExtension`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryExtensionReply {
    /// Whether the server has the extension.
    pub present: bool,
    /// Its major opcode, 128 to 255.
    pub major: u8,
    /// The code of its first event, 0 for none.
    pub first_event: u8,
    /// The code of its first error, 0 for none.
    pub first_error: u8,
}

impl QueryExtensionReply {
    /// Reads the 32 bytes of the reply.
    pub fn parse(reply: &[u8]) -> Option<Self> {
        let [present, major, first_event, first_error] = *reply.get(8..)?.first_chunk()?;
        Some(Self { present: present != 0, major, first_event, first_error })
    }

    /// Turns the reply, in place, into that of a server without the extension.
    pub fn hide(reply: &mut [u8]) {
        if let Some(fields) = reply.get_mut(8..12) {
            fields.fill(0);
        }
    }
}

/// Takes the names for which `hidden` is true out of a `ListExtensions` reply, in place. The reply keeps its length;
/// what becomes free is zero padding at its end, which clients skip. A list that breaks off ends there.
pub fn hide_in_list(order: ByteOrder, reply: &mut [u8], hidden: impl Fn(&[u8]) -> bool) {
    let Some(count) = reply.get(1).copied() else { return };
    let body = 4 * order.u32_at(reply, 4).unwrap_or(0) as usize;
    let end = reply.len().min(crate::message::HEADER.saturating_add(body));
    let (mut from, mut to, mut left) = (crate::message::HEADER, crate::message::HEADER, 0_u8);
    for _ in 0..count {
        let Some(&len) = reply.get(from) else { break };
        let next = from + 1 + usize::from(len);
        let Some(name) = reply.get(from + 1..next).filter(|_| next <= end) else { break };
        if !hidden(name) {
            reply.copy_within(from..next, to);
            to += next - from;
            left += 1;
        }
        from = next;
    }
    if let Some(rest) = reply.get_mut(to..end) {
        rest.fill(0);
    }
    if let Some(field) = reply.get_mut(1) {
        *field = left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_byte_for_byte_and_none_is_longer_than_the_limit() {
        for extension in Extension::ALL {
            assert_eq!(Extension::from_name(extension.name().as_bytes()), Some(extension));
            assert!(extension.name().len() <= Extension::NAME_MAX);
        }
        assert_eq!(Extension::from_name(b"mit-shm"), None);
        assert_eq!(Extension::from_name(b"MIT-SHM\0"), None);
    }

    #[test]
    fn eleven_messages_carry_descriptors() {
        let all = |wanted: fn(Descriptors) -> bool| {
            let each =
                Extension::ALL.into_iter().flat_map(|e| (0..=u8::MAX).filter_map(move |m| descriptors(e, m)));
            each.filter(|d| wanted(*d)).count()
        };
        assert_eq!(all(|d| matches!(d, Descriptors::Request(_))), 5);
        assert_eq!(all(|d| d == Descriptors::Reply), 6);
    }

    #[test]
    fn pixmap_from_buffers_says_how_many_planes_it_has() {
        let mut request = [0; 68];
        request[12] = 4;
        request[16] = 3;
        let Some(Descriptors::Request(fds)) = descriptors(Extension::Dri3, 7) else { panic!("in the table") };
        assert_eq!((fds.count(&request, 4), fds.count(&request, 8), fds.count(&request[..12], 4)), (4, 3, 0));
    }

    fn list(order: ByteOrder, names: &[&str]) -> Vec<u8> {
        let mut reply = vec![0; 32];
        for name in names {
            reply.push(u8::try_from(name.len()).unwrap());
            reply.extend(name.as_bytes());
        }
        reply.resize(crate::padded(reply.len()), 0);
        reply[0] = 1;
        reply[1] = u8::try_from(names.len()).unwrap();
        let units = u32::try_from(reply.len() / 4 - 8).unwrap();
        order.put_u32(&mut reply, 4, units);
        reply
    }

    fn names(reply: &[u8]) -> Vec<String> {
        let mut at = 32;
        let mut found = Vec::new();
        for _ in 0..reply[1] {
            let len = usize::from(reply[at]);
            found.push(String::from_utf8(reply[at + 1..=at + len].to_vec()).unwrap());
            at += len + 1;
        }
        assert!(reply[at..].iter().all(|byte| *byte == 0), "padding is zero");
        found
    }

    #[test]
    fn hidden_names_leave_the_list_and_its_length_stays() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let mut reply = list(order, &["MIT-SHM", "RENDER", "DRI3", "DRI2", "SYNC"]);
            let len = reply.len();
            hide_in_list(order, &mut reply, |name| matches!(name, b"MIT-SHM" | b"DRI3"));
            assert_eq!(names(&reply), ["RENDER", "DRI2", "SYNC"]);
            assert_eq!(
                (reply.len(), order.u32_at(&reply, 4)),
                (len, Some(u32::try_from(len / 4 - 8).unwrap()))
            );
        }
    }

    #[test]
    fn a_list_that_lies_about_its_length_is_cut_where_it_breaks_off() {
        let mut reply = list(ByteOrder::Little, &["RENDER", "SYNC"]);
        reply[1] = 200;
        reply[39] = 250; // the second name's length
        hide_in_list(ByteOrder::Little, &mut reply, |_| false);
        assert_eq!(names(&reply), ["RENDER"]);
    }

    #[test]
    fn hiding_an_extension_clears_opcode_and_codes() {
        let mut reply = [9; 32];
        assert_eq!(
            QueryExtensionReply::parse(&reply),
            Some(QueryExtensionReply { present: true, major: 9, first_event: 9, first_error: 9 })
        );
        QueryExtensionReply::hide(&mut reply);
        assert_eq!(&reply[8..12], [0; 4]);
    }
}
