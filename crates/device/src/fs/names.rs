//! Requests about names: what they mean, what is made, moved and removed.

use rustix::io::Errno;

use super::content::Content;
use super::node::{Folder, Kind, Owner, PERMISSIONS};
use super::tree::Taken;
use super::wire::{Body, Fields, Header, op};
use super::{Answer, Fs};

const TYPE: u32 = 0o170_000;
const TYPE_FILE: u32 = 0o100_000;
const TYPE_FOLDER: u32 = 4;
/// `O_EXCL`.
const EXCLUSIVE: u32 = 0o200;
/// The guest may go on using what it has cached: nobody else writes behind its back but through the same memory.
const OPEN_KEEP_CACHE: u32 = 2;
/// `RENAME_NOREPLACE`, `RENAME_EXCHANGE`.
const NO_REPLACE: u32 = 1;
const EXCHANGE: u32 = 2;

impl<C> Fs<C> {
    pub(crate) fn name_request(&mut self, header: Header, mut fields: Fields<'_>) -> Answer {
        let folder = header.node;
        match header.opcode {
            op::LOOKUP => {
                let node = self.tree.find(folder, fields.name()?)?;
                self.entry(node)
            }
            op::UNLINK | op::RMDIR => {
                self.tree.unlink(folder, fields.name()?, header.opcode == op::RMDIR)?;
                Ok(vec![])
            }
            op::RENAME | op::RENAME2 => self.rename(header, fields),
            op::LINK => {
                let node = fields.u64()?;
                self.tree.link(node, folder, fields.name()?)?;
                self.entry(node)
            }
            op::SYMLINK => {
                let (name, target) = (fields.name()?, fields.target()?);
                self.make(header, name, Kind::Link(target.to_vec()), 0o777)
            }
            op::MKDIR => {
                let mode = fields.u32()?;
                fields.u32()?;
                self.make(header, fields.name()?, Kind::Folder(Folder::new(folder)), mode)
            }
            op::MKNOD => self.make_node(header, fields),
            op::CREATE | op::TMPFILE => self.create(header, fields),
            op::READLINK => match &self.tree.node(folder)?.kind {
                Kind::Link(target) => Ok(target.clone()),
                _ => Err(Errno::INVAL),
            },
            op::READDIR => self.list(folder, fields),
            _ => Err(Errno::NOSYS),
        }
    }

    /// Tells the guest of a node.
    fn entry(&mut self, id: u64) -> Answer {
        let node = self.tree.node_mut(id)?;
        node.lookups = node.lookups.saturating_add(1);
        Ok(node.entry_reply(id).0)
    }

    fn make(&mut self, header: Header, name: &[u8], kind: Kind, mode: u32) -> Answer {
        let node = self.tree.make(header.node, Some(name), kind, owner(header, mode))?;
        self.entry(node)
    }

    /// Files alone: sockets, pipes and devices have no business in shared memory.
    fn make_node(&mut self, header: Header, mut fields: Fields<'_>) -> Answer {
        let mode = fields.u32()?;
        fields.skip(12)?;
        let name = fields.name()?;
        match mode & TYPE {
            0 | TYPE_FILE => self.make(header, name, Kind::File(Content::default()), mode),
            _ => Err(Errno::PERM),
        }
    }

    /// Makes a file, with a name or without, and opens it.
    fn create(&mut self, header: Header, mut fields: Fields<'_>) -> Answer {
        let (flags, mode) = (fields.u32()?, fields.u32()?);
        fields.skip(8)?;
        let name = if header.opcode == op::CREATE { Some(fields.name()?) } else { None };
        let old = name.and_then(|name| self.tree.find(header.node, name).ok());
        if old.is_some() && flags & EXCLUSIVE != 0 {
            return Err(Errno::EXIST);
        }
        let node = if let Some(old) = old {
            self.tree.content(old)?;
            old
        } else {
            let kind = Kind::File(Content::default());
            self.tree.make(header.node, name, kind, owner(header, mode))?
        };
        let mut reply = self.entry(node)?;
        match self.open(node, flags) {
            Ok(opened) => reply.extend(opened),
            Err(errno) => {
                // The guest hears of an error alone, so it knows of no node.
                self.tree.forget(node, 1);
                return Err(errno);
            }
        }
        Ok(reply)
    }

    /// Opens a file: `struct fuse_open_out`.
    pub(crate) fn open(&mut self, node: u64, flags: u32) -> Answer {
        self.tree.content(node)?;
        let handle = self.handles.open(node, flags)?;
        self.tree.opened(node)?;
        Ok(Body::default().u64(handle).u32(OPEN_KEEP_CACHE).u32(0).0)
    }

    fn rename(&mut self, header: Header, mut fields: Fields<'_>) -> Answer {
        let to = fields.u64()?;
        let flags = if header.opcode == op::RENAME2 {
            let flags = fields.u32()?;
            fields.u32()?;
            flags
        } else {
            0
        };
        let taken = match flags {
            0 => Taken::Replace,
            NO_REPLACE => Taken::Refuse,
            EXCHANGE => Taken::Exchange,
            _ => return Err(Errno::INVAL),
        };
        let (name, new_name) = (fields.name()?, fields.name()?);
        self.tree.rename((header.node, name), (to, new_name), taken)?;
        Ok(vec![])
    }

    /// What is in a folder behind a place in its order: as many `struct fuse_dirent` as fit.
    fn list(&self, id: u64, mut fields: Fields<'_>) -> Answer {
        let _handle = fields.u64()?;
        let (place, room) = (fields.u64()?, fields.u32()?);
        let room = usize::try_from(room.min(super::DATA_BYTES_MAX)).unwrap_or(0);
        let folder = self.tree.folder(id)?;
        let own = [(Folder::SELF, &b"."[..], id), (Folder::PARENT, &b".."[..], folder.parent)];
        let own =
            own.into_iter().filter(|(at, ..)| *at > place).map(|(at, name, id)| (at, name, id, TYPE_FOLDER));
        let others = folder.behind(place).map(|(at, name, id)| {
            let kind = self.tree.node(id).map_or(0, super::node::Node::list_type);
            (at, name, id, kind)
        });
        let mut body = Body::default();
        for (at, name, id, kind) in own.chain(others) {
            let len = (24 + name.len()).next_multiple_of(8);
            if body.0.len() + len > room {
                break;
            }
            let end = body.0.len() + len;
            body = body.u64(id).u64(at).u32(u32::try_from(name.len()).unwrap_or(0)).u32(kind);
            body.0.extend_from_slice(name);
            body.0.resize(end, 0);
        }
        Ok(body.0)
    }
}

/// Whoever makes something owns it; the guest's kernel has taken the mask off.
const fn owner(header: Header, mode: u32) -> Owner {
    Owner { mode: mode & PERMISSIONS, uid: header.uid, gid: header.gid }
}
