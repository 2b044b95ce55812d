//! Requests about one file: its bytes, its attributes, its name for others.

use rustix::io::Errno;

use super::node::PERMISSIONS;
use super::wire::{Body, Fields, Header, Time, op};
use super::{Answer, DATA_BYTES_MAX, Fs, NODES_MAX};
use crate::exports::FS_ID;

/// `_IOR('v', 1, {u64 fs_id, u64 handle})`: the name of an open file.
const EXPORT: u32 = 0x8010_7601;
/// Bytes of what it returns.
const EXPORT_BYTES: u32 = 16;

/// What SETATTR changes, by the bits of its first field.
mod set {
    pub(super) const MODE: u32 = 1 << 0;
    pub(super) const UID: u32 = 1 << 1;
    pub(super) const GID: u32 = 1 << 2;
    pub(super) const SIZE: u32 = 1 << 3;
    pub(super) const ACCESSED: u32 = 1 << 4;
    pub(super) const MODIFIED: u32 = 1 << 5;
    pub(super) const ACCESSED_NOW: u32 = 1 << 7;
    pub(super) const MODIFIED_NOW: u32 = 1 << 8;
}

/// `FALLOC_FL_PUNCH_HOLE`, with the `FALLOC_FL_KEEP_SIZE` that it needs.
const PUNCH_HOLE: u32 = 3;
/// Bytes of `struct fuse_kstatfs` behind its last field that is used.
const STATFS_REST_BYTES: usize = 28;
const PAGE: u64 = super::content::PAGE;

impl<C> Fs<C> {
    pub(crate) fn file_request(&mut self, header: Header, mut fields: Fields<'_>) -> Answer {
        let node = header.node;
        match header.opcode {
            op::GETATTR => Ok(self.tree.node(node)?.attributes_reply(node)),
            op::SETATTR => self.set_attributes(node, fields),
            op::OPEN => self.open(node, fields.u32()?),
            op::READ => self.read(node, fields),
            op::WRITE => self.write(node, fields),
            op::FALLOCATE => self.allocate(node, fields),
            op::RELEASE => {
                let handle = self.handles.close(fields.u64()?, node)?;
                if let Some(export) = handle.export {
                    self.exports.remove(export);
                }
                self.tree.closed(node);
                Ok(vec![])
            }
            op::OPENDIR => {
                self.tree.folder(node)?;
                Ok(Body::default().zeros(16).0)
            }
            op::RELEASEDIR => Ok(vec![]),
            op::STATFS => Ok(self.statfs()),
            op::IOCTL => self.export(node, fields),
            // The guest's kernel does without, and does not ask again.
            _ => Err(Errno::NOSYS),
        }
    }

    fn set_attributes(&mut self, id: u64, mut fields: Fields<'_>) -> Answer {
        let valid = fields.u32()?;
        fields.skip(12)?;
        let size = fields.u64()?;
        fields.skip(8)?;
        let (accessed, modified, _changed) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let (accessed_part, modified_part, _) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let mode = fields.u32()?;
        fields.skip(4)?;
        let (uid, gid) = (fields.u32()?, fields.u32()?);
        let has = |bit| valid & bit != 0;
        let now = Time::now();
        if has(set::SIZE) {
            let (content, budget) = self.tree.content(id)?;
            content.resize(size, budget)?;
        }
        let node = self.tree.node_mut(id)?;
        if has(set::SIZE) {
            node.modified = now;
        }
        if has(set::MODE) {
            node.owner.mode = mode & PERMISSIONS;
        }
        if has(set::UID) {
            node.owner.uid = uid;
        }
        if has(set::GID) {
            node.owner.gid = gid;
        }
        let time = |seconds, nanoseconds, is_now| if is_now { now } else { Time { seconds, nanoseconds } };
        if has(set::ACCESSED) {
            node.accessed = time(accessed, accessed_part, has(set::ACCESSED_NOW));
        }
        if has(set::MODIFIED) {
            node.modified = time(modified, modified_part, has(set::MODIFIED_NOW));
        }
        node.changed = now;
        Ok(node.attributes_reply(id))
    }

    fn read(&mut self, node: u64, mut fields: Fields<'_>) -> Answer {
        let _handle = fields.u64()?;
        let (offset, len) = (fields.u64()?, fields.u32()?.min(DATA_BYTES_MAX));
        let mut out = vec![];
        let (content, _) = self.tree.content(node)?;
        content.read(offset, usize::try_from(len).unwrap_or(0), &mut out)?;
        Ok(out)
    }

    fn write(&mut self, node: u64, mut fields: Fields<'_>) -> Answer {
        let _handle = fields.u64()?;
        let (offset, len) = (fields.u64()?, fields.u32()?);
        fields.skip(20)?;
        let len = usize::try_from(len).map_err(|_| Errno::INVAL)?;
        let bytes = fields.0.get(..len).ok_or(Errno::INVAL)?;
        let (content, budget) = self.tree.content(node)?;
        let written = content.write(offset, bytes, budget)?;
        self.touch(node)?;
        Ok(Body::default().u32(u32::try_from(written).unwrap_or(0)).u32(0).0)
    }

    fn allocate(&mut self, node: u64, mut fields: Fields<'_>) -> Answer {
        let _handle = fields.u64()?;
        let (offset, len, mode) = (fields.u64()?, fields.u64()?, fields.u32()?);
        let (content, budget) = self.tree.content(node)?;
        match mode {
            0 => content.allocate(offset, len, budget)?,
            PUNCH_HOLE => content.empty(offset, len)?,
            _ => return Err(Errno::OPNOTSUPP),
        }
        self.touch(node)?;
        Ok(vec![])
    }

    fn touch(&mut self, id: u64) -> Result<(), Errno> {
        let node = self.tree.node_mut(id)?;
        (node.modified, node.changed) = (Time::now(), Time::now());
        Ok(())
    }

    /// `struct fuse_statfs_out`.
    fn statfs(&self) -> Vec<u8> {
        let (all, free) = (self.limits.bytes / PAGE, self.tree.budget.bytes / PAGE);
        let (nodes, left) = (NODES_MAX as u64, NODES_MAX.saturating_sub(self.tree.count()) as u64);
        let body = Body::default().u64(all).u64(free).u64(free).u64(nodes).u64(left);
        body.u32(4096).u32(255).u32(4096).zeros(STATFS_REST_BYTES).0
    }

    /// Names an open file, until it is closed: `struct fuse_ioctl_out`, and what the call returns. Whoever could only read
    /// hands on no more than that.
    fn export(&mut self, node: u64, mut fields: Fields<'_>) -> Answer {
        let id = fields.u64()?;
        fields.u32()?;
        let cmd = fields.u32()?;
        fields.skip(12)?;
        if cmd != EXPORT {
            return Err(Errno::NOTTY);
        }
        if fields.u32()? < EXPORT_BYTES {
            return Err(Errno::INVAL);
        }
        let handle = self.handles.get(id, node)?;
        let export = if let Some(export) = handle.export {
            export
        } else {
            let writable = handle.rights()?;
            let (content, budget) = self.tree.content(node)?;
            content.provide(0, budget)?;
            let export = self.exports.add(content.descriptor(writable)?)?;
            handle.export = Some(export);
            export
        };
        Ok(Body::default().zeros(16).u64(FS_ID).u64(export).0)
    }
}
