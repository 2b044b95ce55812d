//! Files in the window: SETUPMAPPING and REMOVEMAPPING, and the VMM's answers.

use rustix::io::Errno;

use super::content::PAGE;
use super::slots::{SLOT_BYTES, Slot};
use super::wire::{Fields, Header, Reply};
use super::{Fs, FsPlatform};
use crate::gpu::MapRequest;

/// What waits for the VMM's answer about the window.
#[derive(Debug)]
pub(crate) enum Waiting<C> {
    /// A slot is being mapped.
    SetUp {
        /// The request, and its number; `None` if nobody waits for it.
        request: Option<(C, u64)>,
        offset: u64,
        serial: u64,
    },
    /// A slot is being unmapped that has shown a file.
    Removal { request: Option<(C, u64)>, node: u64 },
}

impl<C> Waiting<C> {
    /// Nobody waits any more.
    pub(crate) fn forget(&mut self) {
        let (Self::SetUp { request, .. } | Self::Removal { request, .. }) = self;
        *request = None;
    }
}

impl<C> Fs<C> {
    /// Takes the VMM's answer to the oldest request about the window that has none yet.
    pub fn mapped<P: FsPlatform<Chain = C>>(&mut self, platform: &mut P, works: bool) {
        let (request, answer) = match self.waiting.pop_front() {
            None => return,
            Some(Waiting::SetUp { request, offset, serial }) => {
                // By now the slot may show something else.
                let fails = !works && self.slots.get(offset).is_some_and(|slot| slot.serial == serial);
                if fails {
                    self.slots.free(offset);
                }
                (request, if works { Ok(vec![]) } else { Err(Errno::NOMEM) })
            }
            Some(Waiting::Removal { request, node }) => {
                self.trim(node);
                // There is nothing that the guest could do about a failure, and nothing that it would lose.
                (request, Ok(vec![]))
            }
        };
        if let Some((chain, unique)) = request {
            if answer.is_err() {
                platform.refused("the virtual machine monitor maps no more of the guest's /dev/shm".into());
            }
            platform.complete(chain, &Reply::new(unique, answer));
        }
    }

    pub(crate) fn set_up_mapping<P: FsPlatform<Chain = C>>(
        &mut self,
        platform: &mut P,
        chain: C,
        header: Header,
        fields: Fields<'_>,
    ) {
        match self.begin_mapping(platform, header.node, fields) {
            Ok(Some((offset, serial))) => {
                let request = Some((chain, header.unique));
                self.waiting.push_back(Waiting::SetUp { request, offset, serial });
            }
            Ok(None) => platform.complete(chain, &Reply::new(header.unique, Ok(vec![]))),
            Err(errno) => {
                platform.refused(format!("a part of the guest's /dev/shm can't be mapped: {errno}"));
                platform.complete(chain, &Reply::new(header.unique, Err(errno)));
            }
        }
    }

    /// Asks the VMM for a slot; where it is and which mapping. `None` where the slot shows that part already, as when the
    /// guest wants to write to what it has only read: all is mapped writable, and the guest's kernel knows who may.
    fn begin_mapping<P: FsPlatform<Chain = C>>(
        &mut self,
        platform: &mut P,
        node: u64,
        mut fields: Fields<'_>,
    ) -> Result<Option<(u64, u64)>, Errno> {
        let _handle = fields.u64()?;
        let (from, len, _flags, offset) = (fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?);
        if !self.slots.has(offset) || len != SLOT_BYTES || !from.is_multiple_of(SLOT_BYTES) {
            return Err(Errno::INVAL);
        }
        let (content, budget) = self.tree.content(node)?;
        if from >= content.charged() {
            return Err(Errno::INVAL);
        }
        let shown = self.slots.get(offset);
        if shown.is_some_and(|slot| slot.node == node && slot.from == from) {
            return Ok(None);
        }
        content.provide(from + SLOT_BYTES, budget)?;
        let file = content.descriptor(true)?;
        if shown.is_some() {
            self.unmap(platform, offset, None);
        }
        if !platform.map(MapRequest::Map { file, from, offset, len }) {
            return Err(Errno::NODEV);
        }
        self.last_mapping += 1;
        self.slots.set(offset, Slot { node, from, serial: self.last_mapping });
        Ok(Some((offset, self.last_mapping)))
    }

    pub(crate) fn remove_mapping<P: FsPlatform<Chain = C>>(
        &mut self,
        platform: &mut P,
        chain: C,
        header: Header,
        fields: Fields<'_>,
    ) {
        let reply = |result| Reply::new(header.unique, result);
        let mut offsets = match self.to_remove(fields) {
            Ok(offsets) => offsets,
            Err(errno) => return platform.complete(chain, &reply(Err(errno))),
        };
        let last = offsets.pop();
        for offset in offsets {
            self.unmap(platform, offset, None);
        }
        // The answers come in order, so the last one says that all is done.
        let rest = match last {
            Some(offset) => self.unmap(platform, offset, Some((chain, header.unique))),
            None => Some((chain, header.unique)),
        };
        if let Some((chain, _)) = rest {
            platform.complete(chain, &reply(Ok(vec![])));
        }
    }

    /// Offsets of the slots that a request names, each once.
    fn to_remove(&self, mut fields: Fields<'_>) -> Result<Vec<u64>, Errno> {
        let count = fields.u32()?;
        let mut offsets = vec![];
        for _ in 0..count {
            let (offset, len) = (fields.u64()?, fields.u64()?);
            offsets.extend(self.slots.within(offset, len));
            // A request may name the same slots many times: what it has named so far is no more than what there is.
            offsets.sort_unstable();
            offsets.dedup();
        }
        Ok(offsets)
    }

    /// Frees a slot and asks the VMM to unmap it. Gives the request back if nobody will answer.
    pub(crate) fn unmap<P: FsPlatform<Chain = C>>(
        &mut self,
        platform: &mut P,
        offset: u64,
        request: Option<(C, u64)>,
    ) -> Option<(C, u64)> {
        let Some(slot) = self.slots.free(offset) else { return request };
        if !platform.map(MapRequest::Unmap { offset, len: SLOT_BYTES }) {
            return request;
        }
        self.waiting.push_back(Waiting::Removal { request, node: slot.node });
        None
    }

    /// Unmaps what is left of files that are gone.
    pub(crate) fn unmap_gone<P: FsPlatform<Chain = C>>(&mut self, platform: &mut P) {
        for node in std::mem::take(&mut self.tree.gone) {
            for offset in self.slots.of(node) {
                self.unmap(platform, offset, None);
            }
        }
    }

    /// A guest may have written behind the end of a file as long as a slot showed that. Slots of one file that lies in
    /// several are trimmed when the last one goes.
    fn trim(&mut self, node: u64) {
        if self.slots.of(node).is_empty()
            && let Ok((content, _)) = self.tree.content(node)
        {
            content.trim();
        }
    }
}

const _: () = assert!(SLOT_BYTES.is_multiple_of(PAGE));
