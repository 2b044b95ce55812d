//! All nodes, and what their names mean.
//!
//! It is the guest's own tree, from its root on, and lies in no folder of the host: no name of the guest's is ever a path
//! here.

use std::collections::HashMap;

use rustix::io::Errno;

use super::content::{Budget, Content};
use super::node::{Folder, Kind, Node, Owner, SET_GROUP};
use super::wire::Time;

/// The number of the root.
pub(crate) const ROOT: u64 = 1;
/// Nodes at once at most, and as many names.
pub const NODES_MAX: usize = 16_384;

/// What to do when a name is taken already, in a renaming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Replace,
    Refuse,
    Exchange,
}

/// The tree.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: HashMap<u64, Node>,
    last_id: u64,
    names: usize,
    /// Slots that files together may take.
    slots_max: u64,
    pub(crate) budget: Budget,
    /// Nodes that are gone since somebody looked.
    pub(crate) gone: Vec<u64>,
}

impl Tree {
    /// Nothing but a root that everybody may write to, as `/dev/shm` is.
    pub(crate) fn new(budget: Budget, slots_max: u64) -> Self {
        let owner = Owner { mode: 0o1777, uid: 0, gid: 0 };
        let root = Node::new(Kind::Folder(Folder::new(ROOT)), owner, 1);
        let nodes = HashMap::from([(ROOT, root)]);
        Self { nodes, last_id: ROOT, names: 0, slots_max, budget, gone: vec![] }
    }

    /// Nodes that there are.
    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn node(&self, id: u64) -> Result<&Node, Errno> {
        self.nodes.get(&id).ok_or(Errno::NOENT)
    }

    pub(crate) fn node_mut(&mut self, id: u64) -> Result<&mut Node, Errno> {
        self.nodes.get_mut(&id).ok_or(Errno::NOENT)
    }

    pub(crate) fn folder(&self, id: u64) -> Result<&Folder, Errno> {
        match &self.node(id)?.kind {
            Kind::Folder(folder) => Ok(folder),
            _ => Err(Errno::NOTDIR),
        }
    }

    /// The bytes of a file, and the budget that they count in.
    pub(crate) fn content(&mut self, id: u64) -> Result<(&mut Content, &mut Budget), Errno> {
        match &mut self.nodes.get_mut(&id).ok_or(Errno::NOENT)?.kind {
            Kind::File(content) => Ok((content, &mut self.budget)),
            Kind::Folder(_) => Err(Errno::ISDIR),
            Kind::Link(_) => Err(Errno::INVAL),
        }
    }

    pub(crate) fn find(&self, folder: u64, name: &[u8]) -> Result<u64, Errno> {
        self.folder(folder)?.find(name).ok_or(Errno::NOENT)
    }

    /// Makes a node in a folder; without a name, one that only the guest knows of.
    pub(crate) fn make(
        &mut self,
        folder: u64,
        name: Option<&[u8]>,
        kind: Kind,
        mut owner: Owner,
    ) -> Result<u64, Errno> {
        let parent = self.check_place(folder, name)?;
        if self.nodes.len() >= NODES_MAX {
            return Err(Errno::NOSPC);
        }
        if parent.mode & SET_GROUP != 0 {
            owner.gid = parent.gid;
            owner.mode |= if matches!(kind, Kind::Folder(_)) { SET_GROUP } else { 0 };
        }
        self.last_id += 1;
        let id = self.last_id;
        let mut node = Node::new(kind, owner, u32::from(name.is_some()));
        node.is_mappable = self.has_slot();
        self.nodes.insert(id, node);
        if let Some(name) = name {
            self.set(folder, name, id)?;
        }
        Ok(id)
    }

    /// Whether the window has room for another file. One for which it has none stays in the guest's own memory: if more were
    /// mapped than fit, each would take another's slot whenever it is touched.
    fn has_slot(&self) -> bool {
        self.nodes.values().map(Node::slots).fold(0, u64::saturating_add) < self.slots_max
    }

    /// Gives a file another name.
    pub(crate) fn link(&mut self, id: u64, folder: u64, name: &[u8]) -> Result<(), Errno> {
        self.check_place(folder, Some(name))?;
        let node = self.node_mut(id)?;
        if matches!(node.kind, Kind::Folder(_)) {
            return Err(Errno::PERM);
        }
        node.links += 1;
        node.changed = Time::now();
        self.set(folder, name, id)
    }

    /// Takes a name away: that of a folder, or that of anything else.
    pub(crate) fn unlink(&mut self, folder: u64, name: &[u8], is_folder: bool) -> Result<(), Errno> {
        let id = self.find(folder, name)?;
        match &self.node(id)?.kind {
            Kind::Folder(_) if !is_folder => return Err(Errno::ISDIR),
            Kind::Folder(inner) if !inner.is_empty() => return Err(Errno::NOTEMPTY),
            Kind::Folder(_) => {}
            _ if is_folder => return Err(Errno::NOTDIR),
            _ => {}
        }
        self.clear(folder, name)?;
        self.lose_link(id);
        Ok(())
    }

    /// Moves a name, and what it means.
    pub(crate) fn rename(
        &mut self,
        (from, name): (u64, &[u8]),
        (to, new_name): (u64, &[u8]),
        taken: Taken,
    ) -> Result<(), Errno> {
        let id = self.find(from, name)?;
        let old = self.folder(to)?.find(new_name);
        if self.node(to)?.links == 0 {
            return Err(Errno::NOENT);
        }
        self.check_not_inside(id, to)?;
        match (taken, old) {
            (Taken::Exchange, None) => return Err(Errno::NOENT),
            (Taken::Refuse, Some(_)) => return Err(Errno::EXIST),
            (_, Some(old)) if old == id => return Ok(()),
            (Taken::Exchange, Some(old)) => {
                self.check_not_inside(old, from)?;
                self.set(from, name, old)?;
                self.adopt(old, from);
            }
            (Taken::Replace, Some(old)) => {
                self.check_replaceable(id, old)?;
                self.clear(from, name)?;
                self.lose_link(old);
            }
            (_, None) => self.clear(from, name)?,
        }
        self.set(to, new_name, id)?;
        self.adopt(id, to);
        self.node_mut(id)?.changed = Time::now();
        Ok(())
    }

    /// The guest forgets that it was told of a node, so many times.
    pub(crate) fn forget(&mut self, id: u64, times: u64) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.lookups = node.lookups.saturating_sub(times);
        }
        self.settle(id);
    }

    /// A node is open once more, or once less.
    pub(crate) fn opened(&mut self, id: u64) -> Result<(), Errno> {
        self.node_mut(id)?.opens += 1;
        Ok(())
    }

    pub(crate) fn closed(&mut self, id: u64) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.opens = node.opens.saturating_sub(1);
        }
        self.settle(id);
    }

    /// Whether a new name can be put there; whose the folder is.
    fn check_place(&self, folder: u64, name: Option<&[u8]>) -> Result<Owner, Errno> {
        let node = self.node(folder)?;
        let inner = self.folder(folder)?;
        if node.links == 0 {
            return Err(Errno::NOENT);
        }
        if name.is_some_and(|name| inner.find(name).is_some()) {
            return Err(Errno::EXIST);
        }
        if name.is_some() && self.names >= NODES_MAX {
            return Err(Errno::NOSPC);
        }
        Ok(node.owner)
    }

    /// Whether a node is not the folder, nor one that the folder lies in.
    fn check_not_inside(&self, id: u64, folder: u64) -> Result<(), Errno> {
        let mut at = folder;
        while at != ROOT {
            if at == id {
                return Err(Errno::INVAL);
            }
            at = self.folder(at)?.parent;
        }
        if id == ROOT { Err(Errno::INVAL) } else { Ok(()) }
    }

    fn check_replaceable(&self, id: u64, old: u64) -> Result<(), Errno> {
        match (&self.node(id)?.kind, &self.node(old)?.kind) {
            (Kind::Folder(_), Kind::Folder(inner)) if inner.is_empty() => Ok(()),
            (Kind::Folder(_), Kind::Folder(_)) => Err(Errno::NOTEMPTY),
            (Kind::Folder(_), _) => Err(Errno::NOTDIR),
            (_, Kind::Folder(_)) => Err(Errno::ISDIR),
            _ => Ok(()),
        }
    }

    /// Has a name mean a node.
    fn set(&mut self, folder: u64, name: &[u8], id: u64) -> Result<(), Errno> {
        let old = self.touch(folder)?.insert(name, id);
        self.names += usize::from(old.is_none());
        Ok(())
    }

    fn clear(&mut self, folder: u64, name: &[u8]) -> Result<(), Errno> {
        let old = self.touch(folder)?.remove(name);
        self.names -= usize::from(old.is_some());
        Ok(())
    }

    /// A folder whose names change.
    fn touch(&mut self, folder: u64) -> Result<&mut Folder, Errno> {
        let node = self.node_mut(folder)?;
        (node.modified, node.changed) = (Time::now(), Time::now());
        match &mut node.kind {
            Kind::Folder(folder) => Ok(folder),
            _ => Err(Errno::NOTDIR),
        }
    }

    fn adopt(&mut self, id: u64, folder: u64) {
        if let Some(Node { kind: Kind::Folder(inner), .. }) = self.nodes.get_mut(&id) {
            inner.parent = folder;
        }
    }

    fn lose_link(&mut self, id: u64) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.links = node.links.saturating_sub(1);
            node.changed = Time::now();
        }
        self.settle(id);
    }

    /// Removes a node that nobody knows of any more.
    fn settle(&mut self, id: u64) {
        if id == ROOT || !self.nodes.get(&id).is_some_and(Node::is_unused) {
            return;
        }
        if let Some(Node { kind: Kind::File(mut content), .. }) = self.nodes.remove(&id) {
            content.clear(&mut self.budget);
        }
        self.gone.push(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner = Owner { mode: 0o644, uid: 1000, gid: 1000 };
    const BUDGET: Budget = Budget { bytes: 1 << 20, files: 8 };

    fn file(tree: &mut Tree, folder: u64, name: &str) -> Result<u64, Errno> {
        tree.make(folder, Some(name.as_bytes()), Kind::File(Content::default()), OWNER)
    }

    fn folder(tree: &mut Tree, parent: u64, name: &str) -> u64 {
        tree.make(parent, Some(name.as_bytes()), Kind::Folder(Folder::new(parent)), OWNER).unwrap()
    }

    #[test]
    fn a_file_lives_as_long_as_a_name_or_the_guest_knows_of_it() {
        let mut tree = Tree::new(BUDGET, 8);
        let id = file(&mut tree, ROOT, "file").unwrap();
        let (content, budget) = tree.content(id).unwrap();
        content.resize(5000, budget).unwrap();
        tree.link(id, ROOT, b"other").unwrap();
        tree.opened(id).unwrap();
        tree.node_mut(id).unwrap().lookups = 3;
        for name in [&b"file"[..], b"other"] {
            tree.unlink(ROOT, name, false).unwrap();
        }
        tree.forget(id, 2);
        tree.closed(id);
        assert_eq!((tree.count(), tree.node(id).unwrap().links), (2, 0));
        assert!(tree.gone.is_empty());
        tree.forget(id, u64::MAX);
        assert_eq!((tree.gone.as_slice(), tree.budget, tree.count()), (&[id][..], BUDGET, 1));
        tree.forget(id, 1);
        tree.forget(ROOT, u64::MAX);
        assert!(tree.folder(ROOT).is_ok());
    }

    #[test]
    fn names_mean_one_thing_and_folders_go_when_they_are_empty() {
        let mut tree = Tree::new(BUDGET, 8);
        let inner = folder(&mut tree, ROOT, "folder");
        file(&mut tree, inner, "file").unwrap();
        assert_eq!(file(&mut tree, inner, "file"), Err(Errno::EXIST));
        assert_eq!(tree.unlink(ROOT, b"folder", true), Err(Errno::NOTEMPTY));
        assert_eq!(tree.unlink(ROOT, b"folder", false), Err(Errno::ISDIR));
        assert_eq!(tree.unlink(inner, b"file", true), Err(Errno::NOTDIR));
        assert_eq!(tree.unlink(inner, b"nothing", true), Err(Errno::NOENT));
        tree.node_mut(inner).unwrap().lookups = 1;
        tree.unlink(inner, b"file", false).unwrap();
        tree.unlink(ROOT, b"folder", true).unwrap();
        assert_eq!(file(&mut tree, inner, "late"), Err(Errno::NOENT), "the guest still knows of it");
        assert_eq!(tree.link(inner, ROOT, b"again"), Err(Errno::PERM));
        assert_eq!(file(&mut tree, 99, "nowhere"), Err(Errno::NOENT));
    }

    #[test]
    fn renaming_replaces_refuses_and_exchanges() {
        let mut tree = Tree::new(BUDGET, 8);
        let (one, two) = (file(&mut tree, ROOT, "one").unwrap(), file(&mut tree, ROOT, "two").unwrap());
        let rename = |tree: &mut Tree, from: &str, to: &str, taken| {
            tree.rename((ROOT, from.as_bytes()), (ROOT, to.as_bytes()), taken)
        };
        assert_eq!(rename(&mut tree, "one", "two", Taken::Refuse), Err(Errno::EXIST));
        assert_eq!(rename(&mut tree, "one", "none", Taken::Exchange), Err(Errno::NOENT));
        rename(&mut tree, "one", "two", Taken::Exchange).unwrap();
        assert_eq!((tree.find(ROOT, b"one"), tree.find(ROOT, b"two")), (Ok(two), Ok(one)));
        rename(&mut tree, "one", "one", Taken::Replace).unwrap();
        rename(&mut tree, "one", "two", Taken::Replace).unwrap();
        assert_eq!((tree.find(ROOT, b"one"), tree.find(ROOT, b"two")), (Err(Errno::NOENT), Ok(two)));
        assert_eq!(tree.gone, [one]);
        let inner = folder(&mut tree, ROOT, "folder");
        assert_eq!(rename(&mut tree, "folder", "two", Taken::Replace), Err(Errno::NOTDIR));
        assert_eq!(rename(&mut tree, "two", "folder", Taken::Replace), Err(Errno::ISDIR));
        tree.rename((ROOT, b"two"), (inner, b"two"), Taken::Refuse).unwrap();
        folder(&mut tree, ROOT, "empty");
        assert_eq!(rename(&mut tree, "empty", "folder", Taken::Replace), Err(Errno::NOTEMPTY));
        rename(&mut tree, "folder", "empty", Taken::Replace).unwrap();
        assert_eq!(tree.find(ROOT, b"empty"), Ok(inner));
        assert_eq!(tree.names, 2);
    }

    #[test]
    fn no_folder_gets_into_itself() {
        let mut tree = Tree::new(BUDGET, 8);
        let outer = folder(&mut tree, ROOT, "outer");
        let inner = folder(&mut tree, outer, "inner");
        for taken in [Taken::Replace, Taken::Refuse] {
            assert_eq!(tree.rename((ROOT, b"outer"), (inner, b"loop"), taken), Err(Errno::INVAL));
            assert_eq!(tree.rename((ROOT, b"outer"), (outer, b"loop"), taken), Err(Errno::INVAL));
        }
        let exchanged = tree.rename((outer, b"inner"), (ROOT, b"outer"), Taken::Exchange);
        assert_eq!(exchanged, Err(Errno::INVAL), "outer would lie in itself");
        tree.rename((outer, b"inner"), (ROOT, b"inner"), Taken::Refuse).unwrap();
        tree.rename((ROOT, b"outer"), (inner, b"outer"), Taken::Refuse).unwrap();
        assert_eq!(tree.folder(outer).unwrap().parent, inner);
    }

    #[test]
    fn the_number_of_nodes_and_names_is_limited() {
        let mut tree = Tree::new(BUDGET, 8);
        for number in 1..NODES_MAX {
            file(&mut tree, ROOT, &number.to_string()).unwrap();
        }
        assert_eq!(file(&mut tree, ROOT, "more"), Err(Errno::NOSPC));
        let one = tree.find(ROOT, b"1").unwrap();
        tree.link(one, ROOT, b"another name").unwrap();
        assert_eq!(tree.link(one, ROOT, b"one too many"), Err(Errno::NOSPC));
        tree.unlink(ROOT, b"2", false).unwrap();
        file(&mut tree, ROOT, "more").unwrap();
    }

    #[test]
    fn what_is_made_in_a_group_folder_is_the_groups() {
        let mut tree = Tree::new(BUDGET, 8);
        let shared = folder(&mut tree, ROOT, "shared");
        tree.node_mut(shared).unwrap().owner = Owner { mode: 0o2775, uid: 0, gid: 7 };
        let (inner, id) = (folder(&mut tree, shared, "inner"), file(&mut tree, shared, "file").unwrap());
        assert_eq!(tree.node(inner).unwrap().owner, Owner { mode: 0o2644, uid: 1000, gid: 7 });
        assert_eq!(tree.node(id).unwrap().owner, Owner { gid: 7, ..OWNER });
    }
}
