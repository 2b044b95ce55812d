//! The files of a `/dev/shm` shared with the host that a client's SENDs name.
//!
//! A name holds while the file is open, so a file is kept open until the host has carried out the SEND that it is in.

use std::os::fd::{BorrowedFd, OwnedFd};

use cross_domain::dialect::x11bridge::{ID_TYPE_FILE, encode_import_file};
use cross_domain::{ExportedFile, FILE_COMMAND_BYTES, Identifier};
use sys::dev_shm::{self, Export};

use crate::channel::cross_domain::is_done;

/// What one client's SENDs name.
#[derive(Debug, Default)]
pub(super) struct Files {
    uses: Vec<Use>,
    last_id: u32,
}

#[derive(Debug)]
struct Use {
    id: u32,
    /// Kept open.
    _file: OwnedFd,
    /// What makes the host know it, in front of its SEND.
    import: [u8; FILE_COMMAND_BYTES],
    /// The SEND that it is in; `None` while that is being prepared.
    send: Option<u32>,
}

impl Files {
    /// Names a file for the SEND that is being prepared; `None` where it has no name.
    pub(super) fn name(&mut self, descriptor: BorrowedFd<'_>) -> Option<Identifier> {
        self.add(dev_shm::export(descriptor).ok()?, descriptor)
    }

    fn add(&mut self, Export { fs_id, handle }: Export, descriptor: BorrowedFd<'_>) -> Option<Identifier> {
        let file = descriptor.try_clone_to_owned().ok()?;
        self.last_id = self.last_id.wrapping_add(1);
        let id = self.last_id;
        let import = encode_import_file(ExportedFile { fs_id, handle }, id);
        self.uses.push(Use { id, _file: file, import, send: None });
        Some(Identifier { id, id_type: ID_TYPE_FILE, size: 0 })
    }

    /// Whether a name is one of these.
    pub(super) const fn is(identifier: Identifier) -> bool {
        identifier.id_type == ID_TYPE_FILE
    }

    /// Notes that a name is in the SEND with this number, which is submitted; or in none.
    pub(super) fn forget(&mut self, id: u32, send: Option<u32>) {
        match send {
            Some(_) => {
                self.uses.iter_mut().filter(|named| named.id == id).for_each(|named| named.send = send);
            }
            None => self.uses.retain(|named| named.id != id),
        }
    }

    /// Whether the SEND that is being prepared names any.
    pub(super) fn are_named(&self) -> bool {
        self.uses.iter().any(|named| named.send.is_none())
    }

    /// Whether there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.uses.is_empty()
    }

    /// What has to be submitted in front of the SEND that is being prepared, and that SEND.
    pub(super) fn in_front_of(&self, commands: &[u8]) -> Vec<u8> {
        let imports = self.uses.iter().filter(|named| named.send.is_none()).map(|named| named.import);
        imports.flatten().chain(commands.iter().copied()).collect()
    }

    /// Notes that all SENDs up to this number are done.
    pub(super) fn done(&mut self, last: u32) {
        self.uses.retain(|named| !named.send.is_some_and(|send| is_done(send, last)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use sys::SharedMap;

    fn name(files: &mut Files, file: &OwnedFd, handle: u64) -> Identifier {
        files.add(Export { fs_id: 1, handle }, file.as_fd()).unwrap()
    }

    #[test]
    fn a_file_is_imported_in_front_of_its_send_and_open_until_that_is_done() {
        let (mut files, file) = (Files::default(), SharedMap::create(4096).unwrap().1);
        let (one, two) = (name(&mut files, &file, 7), name(&mut files, &file, 8));
        assert!(Files::is(one) && one.id != two.id && files.are_named());
        let import = |handle, id| encode_import_file(ExportedFile { fs_id: 1, handle }, id);
        let expected = [&import(7, one.id)[..], &import(8, two.id), b"send"].concat();
        assert_eq!(files.in_front_of(b"send"), expected);
        files.forget(one.id, Some(u32::MAX));
        files.forget(two.id, Some(0));
        assert!(!files.are_named() && files.in_front_of(b"send") == b"send");
        files.done(u32::MAX - 1);
        assert_eq!(files.uses.len(), 2);
        files.done(u32::MAX);
        assert_eq!(files.uses.len(), 1);
        files.done(0);
        assert!(files.is_empty());
    }

    #[test]
    fn what_is_not_sent_is_not_imported_and_what_is_no_such_file_has_no_name() {
        let (mut files, file) = (Files::default(), SharedMap::create(4096).unwrap().1);
        let one = name(&mut files, &file, 7);
        files.forget(one.id, None);
        assert!(files.is_empty() && files.in_front_of(b"send") == b"send");
        assert_eq!(files.name(file.as_fd()), None);
    }
}
