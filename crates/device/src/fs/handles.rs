//! What the guest has open.

use std::collections::HashMap;

use rustix::io::Errno;

/// Open files at once at most.
pub const HANDLES_MAX: usize = 16_384;

/// What `open` may be asked for, in its two lowest bits.
const ACCESS: u32 = 3;
const READ_ONLY: u32 = 0;
const READ_WRITE: u32 = 2;

/// An open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handle {
    pub(crate) node: u64,
    access: u32,
    /// Its name for contexts, once somebody has asked for one.
    pub(crate) export: Option<u64>,
}

impl Handle {
    /// Whether it may be handed on, which takes the right to read, and whether to write as well.
    pub(crate) fn rights(self) -> Result<bool, Errno> {
        match self.access {
            READ_ONLY => Ok(false),
            READ_WRITE => Ok(true),
            _ => Err(Errno::ACCESS),
        }
    }
}

/// All open files.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    open: HashMap<u64, Handle>,
    last_id: u64,
}

impl Handles {
    /// `ENFILE` beyond [`HANDLES_MAX`].
    pub(crate) fn open(&mut self, node: u64, flags: u32) -> Result<u64, Errno> {
        if self.open.len() >= HANDLES_MAX {
            return Err(Errno::NFILE);
        }
        self.last_id += 1;
        self.open.insert(self.last_id, Handle { node, access: flags & ACCESS, export: None });
        Ok(self.last_id)
    }

    /// An open file of a node.
    pub(crate) fn get(&mut self, id: u64, node: u64) -> Result<&mut Handle, Errno> {
        self.open.get_mut(&id).filter(|handle| handle.node == node).ok_or(Errno::BADF)
    }

    pub(crate) fn close(&mut self, id: u64, node: u64) -> Result<Handle, Errno> {
        self.get(id, node)?;
        self.open.remove(&id).ok_or(Errno::BADF)
    }

    /// The names of all that are open, which are closed.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = u64> {
        std::mem::take(&mut self.open).into_values().filter_map(|handle| handle.export)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_open_files_is_limited() {
        let mut handles = Handles::default();
        let opened: Vec<_> = (0..HANDLES_MAX).map(|_| handles.open(7, READ_WRITE).unwrap()).collect();
        assert_eq!(handles.open(7, READ_ONLY), Err(Errno::NFILE));
        assert_eq!(handles.close(opened[0], 8), Err(Errno::BADF));
        assert_eq!(handles.close(opened[0], 7).map(|handle| handle.node), Ok(7));
        assert!(handles.open(7, READ_ONLY).is_ok_and(|id| !opened.contains(&id)));
        assert_eq!(handles.open(7, READ_ONLY), Err(Errno::NFILE));
    }
}
