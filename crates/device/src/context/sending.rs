//! What goes to the X server: SENDs, and the descriptors that they name.

use std::os::fd::BorrowedFd;

use cross_domain::dialect::x11bridge::Stage;
use cross_domain::{Dialect, Identifier, IdentifierType, Send};

use super::fences::Fences;
use super::{Context, End, Link, SubmitError, raw};
use crate::channel::Batch;
use crate::resources::Resources;
use crate::shared_files::SharedFiles;

impl Context {
    /// How many SENDs of the batch are done; the others have to be submitted again.
    pub(super) fn send(&mut self, first: &Send<'_>, batch: &Batch<'_>) -> Result<usize, SubmitError> {
        if matches!(self.link, Link::Absent) {
            return Err(SubmitError::OutOfPlace { what: "a SEND before INIT" });
        }
        let descriptors = named(&self.resources, self.fences.as_ref(), &self.shared, first)?;
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
        if done > 0 {
            let ids = |id_type| {
                let is_such = move |identifier: &Identifier| type_of(identifier) == Some(id_type);
                first.identifiers.iter().filter(is_such).map(|identifier| identifier.id)
            };
            ids(IdentifierType::VirtioFsBlob).for_each(|id| self.shared.used(id));
            if let Some(fences) = &mut self.fences {
                fences.handed_over(ids(IdentifierType::Shm));
            }
        }
        Ok(done)
    }
}

/// The descriptors that a SEND names; none where the file of a blob is missing, so that the X server says so instead of
/// taking one for another.
fn named<'a>(
    resources: &'a Resources,
    fences: Option<&'a Fences>,
    shared: &'a SharedFiles,
    send: &Send<'_>,
) -> Result<Vec<BorrowedFd<'a>>, SubmitError> {
    let mut files = vec![];
    let mut is_whole = true;
    for identifier in send.identifiers.iter() {
        let id = identifier.id;
        let file = match type_of(&identifier) {
            Some(IdentifierType::VirtgpuBlob) => resources.file(id),
            Some(IdentifierType::VirtioFsBlob) => shared.item(id),
            Some(IdentifierType::Shm) => {
                let page = fences.and_then(|fences| fences.file(id)).or_else(|| shared.futex(id));
                Some(page.ok_or(SubmitError::NoSuchItem { id })?)
            }
            _ => return Err(SubmitError::Unsupported { what: "identifiers of this type" }),
        };
        is_whole &= file.is_some();
        files.extend(file);
    }
    Ok(if is_whole { files } else { vec![] })
}

fn type_of(identifier: &Identifier) -> Option<IdentifierType> {
    Dialect::X11Bridge.identifier_type(identifier.id_type)
}
