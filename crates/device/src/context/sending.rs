//! What goes to the X server: SENDs, and the descriptors that they name.

use std::os::fd::BorrowedFd;

use cross_domain::dialect::x11bridge::Stage;
use cross_domain::{Dialect, Identifier, IdentifierType, Send};

use super::fences::Fences;
use super::{Context, End, Link, SubmitError, raw};
use crate::channel::Batch;
use crate::resources::Resources;

impl Context {
    /// How many SENDs of the batch are done; the others have to be submitted again.
    pub(super) fn send(&mut self, first: &Send<'_>, batch: &Batch<'_>) -> Result<usize, SubmitError> {
        if matches!(self.link, Link::Absent) {
            return Err(SubmitError::OutOfPlace { what: "a SEND before INIT" });
        }
        let descriptors = named(&self.resources, self.fences.as_ref(), first)?;
        let done = match &mut self.link {
            Link::Opening => 0,
            // A channel that never opened, or that is over, swallows what the guest sent before it could know.
            Link::Absent | Link::Failed => batch.len(),
            Link::Open(_) if self.end.as_ref().is_some_and(|end| end.stage == Stage::Send) => batch.len(),
            Link::Open(channel) => channel.send(batch, &descriptors).unwrap_or_else(|errno| {
                let end = End { stage: Stage::Send, errno: raw(errno), text: String::new() };
                self.end.get_or_insert(end);
                batch.len()
            }),
        };
        if done > 0
            && let Some(fences) = &mut self.fences
        {
            fences.handed_over(first.identifiers.iter().filter(is_fence).map(|identifier| identifier.id));
        }
        Ok(done)
    }
}

/// The descriptors that a SEND names; none where the file of a blob is missing, so that the X server says so instead of
/// taking one for another.
fn named<'a>(
    resources: &'a Resources,
    fences: Option<&'a Fences>,
    send: &Send<'_>,
) -> Result<Vec<BorrowedFd<'a>>, SubmitError> {
    let mut files = vec![];
    let mut is_whole = true;
    for Identifier { id, id_type, .. } in send.identifiers.iter() {
        let file = match Dialect::X11Bridge.identifier_type(id_type) {
            Some(IdentifierType::VirtgpuBlob) => resources.file(id),
            Some(IdentifierType::Shm) => {
                let page = fences.and_then(|fences| fences.file(id));
                Some(page.ok_or(SubmitError::NoSuchItem { id })?)
            }
            _ => return Err(SubmitError::Unsupported { what: "identifiers of this type" }),
        };
        is_whole &= file.is_some();
        files.extend(file);
    }
    Ok(if is_whole { files } else { vec![] })
}

/// Whether an identifier names the page of a fence.
fn is_fence(identifier: &Identifier) -> bool {
    Dialect::X11Bridge.identifier_type(identifier.id_type) == Some(IdentifierType::Shm)
}
