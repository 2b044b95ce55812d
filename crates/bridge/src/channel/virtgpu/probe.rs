//! Which host it is, where its capset does not say.
//!
//! libkrun takes an INIT of every size, rutabaga of today only those that it knows: 24 bytes, libkrun's own, are none of
//! them. Hosts report nothing of an INIT, but the answer to a query behind it shows whether there is a channel: so a
//! context without one (channel type 0, which connects to nothing) is opened both ways and thrown away.

use std::time::Duration;

use cross_domain::{
    Dialect, GetImageRequirements, Init, InitForm, PROTOCOL_VERSION, QUERY_RING, RING_BYTES, channel,
};
use rustix::io::Errno;
use rustix::param::page_size;

use super::device::Opener;
use super::fence::is_signalled_within;

/// The smallest image that every allocator knows: one pixel of `XR24`.
pub(in crate::channel) const ONE_PIXEL: GetImageRequirements =
    GetImageRequirements { width: 1, height: 1, drm_format: u32::from_le_bytes(*b"XR24"), flags: 0 };

/// How long a host that has answered once may take for a query.
const ANSWER_MAX: Duration = Duration::from_millis(500);

/// The host's dialect; `None` where it cannot be told, which does no harm as long as only bytes are carried.
pub(super) fn dialect(open: &Opener) -> Option<Dialect> {
    let versioned = InitForm::Versioned { protocol_version: PROTOCOL_VERSION };
    if takes(open, versioned).unwrap_or(false) {
        return Some(Dialect::Libkrun);
    }
    takes(open, InitForm::Bare).unwrap_or(false).then_some(Dialect::Rutabaga)
}

/// Whether the host opens a context by an INIT of this form, and answers queries there.
fn takes(open: &Opener, form: InitForm) -> Result<bool, Errno> {
    let node = open()?;
    let bytes = RING_BYTES.next_multiple_of(page_size());
    let (ring_id, ring) = node.create_guest_blob(bytes)?;
    let init = Init { query_ring_id: ring_id, channel_ring_id: ring_id, channel_type: channel::NONE, form };
    let init = init.encode().map_err(|_| Errno::INVAL)?;
    node.execbuffer(&init, Some(QUERY_RING), false)?;
    let fence = node.execbuffer(&ONE_PIXEL.encode(), Some(QUERY_RING), true)?.ok_or(Errno::PROTO)?;
    let mut answer = [0; 8];
    Ok(is_signalled_within(&fence, ANSWER_MAX)? && ring.read(0, &mut answer) && answer != [0; 8])
}
