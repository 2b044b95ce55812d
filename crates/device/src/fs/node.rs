//! A file, folder or symbolic link.

use std::collections::{BTreeMap, HashMap};

use super::content::{Content, PAGE};
use super::slots::SLOT_BYTES;
use super::wire::{Body, Time};

const TYPE_FILE: u32 = 0o100_000;
const TYPE_FOLDER: u32 = 0o040_000;
const TYPE_LINK: u32 = 0o120_000;
/// What `mode` has besides the type.
pub(crate) const PERMISSIONS: u32 = 0o7777;
/// What is made in a folder with this has the folder's group.
pub(crate) const SET_GROUP: u32 = 0o2000;

/// The guest may map the file's memory.
const ATTRIBUTE_DAX: u32 = 2;
/// Nobody but the guest changes anything here, so it may remember for as long as it likes: a day, in seconds.
const VALID_SECONDS: u64 = 86_400;

/// What a node is.
#[derive(Debug)]
pub(crate) enum Kind {
    File(Content),
    Folder(Folder),
    /// With its target.
    Link(Vec<u8>),
}

/// The names in a folder.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) parent: u64,
    /// Each name's node, and its place in the order.
    entries: HashMap<Vec<u8>, (u64, u64)>,
    /// Names in the order in which they came: whoever reads on finds the rest, whatever came and went.
    order: BTreeMap<u64, Vec<u8>>,
    last_place: u64,
}

impl Folder {
    /// The places of `.` and `..` in the order.
    pub(crate) const SELF: u64 = 1;
    pub(crate) const PARENT: u64 = 2;

    pub(crate) fn new(parent: u64) -> Self {
        Self { parent, entries: HashMap::new(), order: BTreeMap::new(), last_place: Self::PARENT }
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<u64> {
        self.entries.get(name).map(|(node, _)| *node)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a name, or has it mean something else; what it meant.
    pub(crate) fn insert(&mut self, name: &[u8], node: u64) -> Option<u64> {
        if let Some((old, _)) = self.entries.get_mut(name) {
            return Some(std::mem::replace(old, node));
        }
        self.last_place += 1;
        self.entries.insert(name.to_vec(), (node, self.last_place));
        self.order.insert(self.last_place, name.to_vec());
        None
    }

    pub(crate) fn remove(&mut self, name: &[u8]) -> Option<u64> {
        let (node, place) = self.entries.remove(name)?;
        self.order.remove(&place);
        Some(node)
    }

    /// Names behind a place, with their places and nodes.
    pub(crate) fn behind(&self, place: u64) -> impl Iterator<Item = (u64, &[u8], u64)> {
        let rest = self.order.range(place.max(Self::PARENT).saturating_add(1)..);
        rest.filter_map(|(place, name)| self.find(name).map(|node| (*place, name.as_slice(), node)))
    }
}

/// Whose a node is, and who may do what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Permissions, without a type.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) owner: Owner,
    /// Names that it has.
    pub(crate) links: u32,
    /// How often the guest was told of it and has not forgotten it.
    pub(crate) lookups: u64,
    /// How often it is open.
    pub(crate) opens: u64,
    /// Whether the guest may map a file's memory.
    pub(crate) is_mappable: bool,
    pub(crate) accessed: Time,
    pub(crate) modified: Time,
    pub(crate) changed: Time,
}

impl Node {
    pub(crate) fn new(kind: Kind, owner: Owner, links: u32) -> Self {
        let now = Time::now();
        let (lookups, opens, is_mappable) = (0, 0, true);
        Self { kind, owner, links, lookups, opens, is_mappable, accessed: now, modified: now, changed: now }
    }

    /// Slots of the window that it takes when the guest has touched all of it; none where nobody can have it mapped.
    pub(crate) fn slots(&self) -> u64 {
        match &self.kind {
            Kind::File(content) if self.is_mappable && self.opens > 0 => {
                content.size().div_ceil(SLOT_BYTES).max(1)
            }
            _ => 0,
        }
    }

    /// Whether neither names nor the guest know of it.
    pub(crate) const fn is_unused(&self) -> bool {
        self.links == 0 && self.lookups == 0 && self.opens == 0
    }

    /// The number of its kind as folders list it.
    pub(crate) const fn list_type(&self) -> u32 {
        self.file_type() >> 12
    }

    const fn file_type(&self) -> u32 {
        match self.kind {
            Kind::File(_) => TYPE_FILE,
            Kind::Folder(_) => TYPE_FOLDER,
            Kind::Link(_) => TYPE_LINK,
        }
    }

    const fn size(&self) -> u64 {
        match &self.kind {
            Kind::File(content) => content.size(),
            Kind::Folder(_) => 0,
            Kind::Link(target) => target.len() as u64,
        }
    }

    /// `struct fuse_attr`.
    fn attributes(&self, body: Body, id: u64) -> Body {
        let blocks = self.size().div_ceil(512);
        let is_mappable = self.is_mappable && matches!(self.kind, Kind::File(_));
        let flags = if is_mappable { ATTRIBUTE_DAX } else { 0 };
        let times = [self.accessed, self.modified, self.changed];
        let mut body = body.u64(id).u64(self.size()).u64(blocks);
        for time in times {
            body = body.u64(time.seconds);
        }
        for time in times {
            body = body.u32(time.nanoseconds);
        }
        let Owner { mode, uid, gid } = self.owner;
        let body = body.u32(self.file_type() | mode).u32(self.links).u32(uid).u32(gid);
        body.u32(0).u32(u32::try_from(PAGE).unwrap_or(0)).u32(flags)
    }

    /// `struct fuse_attr_out`.
    pub(crate) fn attributes_reply(&self, id: u64) -> Vec<u8> {
        self.attributes(Body::default().u64(VALID_SECONDS).u32(0).u32(0), id).0
    }

    /// `struct fuse_entry_out`. A number of a node is never used again, so each is of the first generation.
    pub(crate) fn entry_reply(&self, id: u64) -> Body {
        let head = Body::default().u64(id).u64(0).u64(VALID_SECONDS).u64(VALID_SECONDS);
        self.attributes(head.u32(0).u32(0), id)
    }
}
