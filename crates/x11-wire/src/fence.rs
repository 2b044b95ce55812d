//! Fences: the requests that create, name and destroy one (*DRI3*, *Present*, *X Synchronization Extension* 3.1).
//!
//! A fence is *shared* where it is a page that the client has passed by DRI3's `FenceFromFD`; SYNC's own `CreateFence` makes
//! plain ones, which live in the server alone. Requests name both alike.

use crate::ByteOrder;
use crate::extension::Extension;

/// DRI3 FenceFromFD.
pub const FENCE_FROM_FD: u8 = 4;
/// DRI3 FDFromFence.
pub const FD_FROM_FENCE: u8 = 5;
/// Present Pixmap.
pub const PRESENT_PIXMAP: u8 = 1;
/// SYNC TriggerFence.
pub const TRIGGER_FENCE: u8 = 15;
/// SYNC ResetFence.
pub const RESET_FENCE: u8 = 16;
/// SYNC DestroyFence.
pub const DESTROY_FENCE: u8 = 17;
/// SYNC QueryFence.
pub const QUERY_FENCE: u8 = 18;
/// SYNC AwaitFence, the last request of SYNC 3.1.
pub const AWAIT_FENCE: u8 = 19;

/// Offsets behind the header of the fence in DRI3's two requests, and of the two in Present's.
const OF_DRAWABLE: usize = 4;
const WAIT_FENCE: usize = 28;
const IDLE_FENCE: usize = 32;

/// What a request does with fences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FenceUse {
    /// Makes a shared fence of the descriptor that comes with it.
    Create {
        /// The client's name for it.
        fence: u32,
    },
    /// Asks for the page of one.
    Export {
        /// Its name.
        fence: u32,
    },
    /// Looks at these, waits for them or will trigger them; 0 for none.
    Names([u32; 2]),
    /// The same for all in the rest of the request.
    NamesList,
    /// Resets one.
    Reset {
        /// Its name.
        fence: u32,
    },
    /// Destroys one.
    Destroy {
        /// Its name.
        fence: u32,
    },
}

/// What the request at the start of `request`, with a header of `header` bytes, does with fences. `None` for nothing, and
/// for one that is too short, which a server refuses.
pub fn fence_use(
    order: ByteOrder,
    extension: Extension,
    minor: u8,
    request: &[u8],
    header: usize,
) -> Option<FenceUse> {
    let at = |offset: usize| order.u32_at(request, header + offset);
    Some(match (extension, minor) {
        (Extension::Dri3, FENCE_FROM_FD) => FenceUse::Create { fence: at(OF_DRAWABLE)? },
        (Extension::Dri3, FD_FROM_FENCE) => FenceUse::Export { fence: at(OF_DRAWABLE)? },
        (Extension::Present, PRESENT_PIXMAP) => FenceUse::Names([at(WAIT_FENCE)?, at(IDLE_FENCE)?]),
        (Extension::Sync, TRIGGER_FENCE | QUERY_FENCE) => FenceUse::Names([at(0)?, 0]),
        (Extension::Sync, RESET_FENCE) => FenceUse::Reset { fence: at(0)? },
        (Extension::Sync, DESTROY_FENCE) => FenceUse::Destroy { fence: at(0)? },
        (Extension::Sync, AWAIT_FENCE) => FenceUse::NamesList,
        _ => return None,
    })
}

/// The fences of an AwaitFence as far as they are there.
pub fn awaited(order: ByteOrder, request: &[u8], header: usize) -> impl Iterator<Item = u32> {
    let list = request.get(header..).unwrap_or_default();
    list.chunks_exact(4).filter_map(move |name| order.u32_at(name, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

    /// A request whose words behind its header are 100, 101, 102 …
    fn request(order: ByteOrder, header: usize, words: u32) -> Vec<u8> {
        let body = (100..100 + words).flat_map(|word| order.u32_bytes(word));
        [vec![0; header], body.collect()].concat()
    }

    #[test]
    fn each_request_names_its_fences_where_the_protocol_has_them() {
        for (order, header) in ORDERS.into_iter().flat_map(|order| [(order, 4), (order, 8)]) {
            let used =
                |extension, minor| fence_use(order, extension, minor, &request(order, header, 17), header);
            assert_eq!(used(Extension::Dri3, 4), Some(FenceUse::Create { fence: 101 }));
            assert_eq!(used(Extension::Dri3, 5), Some(FenceUse::Export { fence: 101 }));
            assert_eq!(used(Extension::Present, 1), Some(FenceUse::Names([107, 108])));
            assert_eq!(used(Extension::Sync, 15), Some(FenceUse::Names([100, 0])));
            assert_eq!(used(Extension::Sync, 16), Some(FenceUse::Reset { fence: 100 }));
            assert_eq!(used(Extension::Sync, 17), Some(FenceUse::Destroy { fence: 100 }));
            assert_eq!(used(Extension::Sync, 18), Some(FenceUse::Names([100, 0])));
            assert_eq!(used(Extension::Sync, 19), Some(FenceUse::NamesList));
            let list: Vec<_> = awaited(order, &request(order, header, 3), header).collect();
            assert_eq!(list, [100, 101, 102]);
        }
    }

    #[test]
    fn requests_without_fences_and_those_that_are_too_short_have_none() {
        let order = ByteOrder::Little;
        let used = |extension, minor, words| fence_use(order, extension, minor, &request(order, 4, words), 4);
        for (extension, minor) in [(Extension::Dri3, 2), (Extension::Present, 2), (Extension::MitShm, 4)] {
            assert_eq!(used(extension, minor, 17), None);
        }
        assert!((0..14).chain(20..=255).all(|minor| used(Extension::Sync, minor, 17).is_none()));
        for (extension, minor, words) in
            [(Extension::Dri3, 4, 1), (Extension::Present, 1, 8), (Extension::Sync, 17, 0)]
        {
            assert_eq!(used(extension, minor, words), None);
            assert!(used(extension, minor, words + 1).is_some());
        }
    }
}
