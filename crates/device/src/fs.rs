//! A virtio-fs device for one guest's `/dev/shm`: files whose memory guest and host both map.
//!
//! The tree is the guest's own and begins empty. It lies in memory, not in a folder of the host: owners and permissions
//! are the guest's, names lead nowhere else, and nothing is left when it goes. Each file's bytes are a memfd, which the
//! guest maps through the device's window (DAX) and others get by the name that an `ioctl` gives it ([`crate::Exports`]).
//!
//! The guest may send anything. What it says is checked and counted, and nothing here waits for anybody.

mod content;
mod files;
mod handles;
mod names;
mod node;
mod platform;
mod slots;
mod tree;
mod window;
mod wire;

use std::collections::VecDeque;

use rustix::io::Errno;

use self::content::Budget;
use self::handles::Handles;
use self::slots::{Slots, slots_max};
use self::tree::Tree;
use self::window::Waiting;
use self::wire::{Body, Fields, Header, op};
use crate::exports::Exports;

pub use self::handles::HANDLES_MAX;
pub use self::platform::FsPlatform;
pub use self::slots::SLOT_BYTES;
pub use self::tree::NODES_MAX;
pub use self::wire::Reply;

/// Virtio features besides those of all devices: none.
pub const FEATURES: u64 = 0;
/// The shared memory region that is the window.
pub const WINDOW: u8 = 0;
/// The queue of requests; the one before it has what is urgent and needs no answer.
pub const REQUEST_QUEUE: usize = 1;
/// The name to mount the file system by.
pub const TAG: &str = "x11bridge-shm";

/// Bytes of a tag in the configuration space.
const TAG_BYTES: usize = 36;
/// Bytes of a WRITE or READ at most.
const DATA_BYTES_MAX: u32 = 1 << 20;
/// The same in pages of 4096 bytes.
const PAGES_MAX: u16 = 256;
/// Bytes of a request at most.
const REQUEST_BYTES_MAX: usize = DATA_BYTES_MAX as usize + 4096;

/// FUSE's version, whose minor number has TMPFILE.
const MAJOR: u32 = 7;
const MINOR: u32 = 38;
/// `FUSE_BIG_WRITES`, `FUSE_MAX_PAGES`, `FUSE_MAP_ALIGNMENT`, `FUSE_INIT_EXT`.
const INIT_FLAGS: u32 = 1 << 5 | 1 << 22 | 1 << 26 | 1 << 30;
/// `FUSE_HAS_INODE_DAX`, of the upper half.
const INIT_FLAGS_UPPER: u32 = 1 << 1;
/// Bytes of `struct fuse_init_out` behind its last field that is used.
const INIT_REST_BYTES: usize = 28;
/// A part of the window begins at a multiple of a page.
const MAP_ALIGNMENT: u16 = 12;

/// What a guest may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FsLimits {
    /// Bytes of all files, each of which counts as whole pages.
    pub bytes: u64,
    /// Files with bytes in them: each is a descriptor of this process.
    pub files: usize,
    /// Bytes of the window.
    pub window_bytes: u64,
}

/// A file system. `C` is what its platform calls a request.
#[derive(Debug)]
pub struct Fs<C> {
    limits: FsLimits,
    tree: Tree,
    handles: Handles,
    exports: Exports,
    slots: Slots,
    /// Which mapping was the last.
    last_mapping: u64,
    /// What waits for the window, in the order of the calls.
    waiting: VecDeque<Waiting<C>>,
    scratch: Vec<u8>,
}

/// What a request comes to that is answered at once.
type Answer = Result<Vec<u8>, Errno>;

/// The configuration space: the tag, and the number of request queues.
pub fn config() -> Vec<u8> {
    let mut config = TAG.as_bytes().to_vec();
    config.resize(TAG_BYTES, 0);
    Body(config).u32(1).0
}

impl<C> Fs<C> {
    /// An empty one, whose files are named in `exports`.
    pub fn new(limits: FsLimits, exports: Exports) -> Self {
        Self {
            limits,
            tree: Tree::new(budget(limits), slots_max(limits.window_bytes)),
            handles: Handles::default(),
            exports,
            slots: Slots::new(limits.window_bytes),
            last_mapping: 0,
            waiting: VecDeque::new(),
            scratch: vec![],
        }
    }

    /// Files, folders and links that there are, with the root.
    pub fn nodes(&self) -> usize {
        self.tree.count()
    }

    /// Takes a request of either queue.
    pub fn request<P: FsPlatform<Chain = C>>(&mut self, platform: &mut P, chain: C) {
        let mut request = std::mem::take(&mut self.scratch);
        let whole = platform.read(&chain, REQUEST_BYTES_MAX, &mut request);
        match Header::decode(&request) {
            None => {
                platform.refused("a request of the guest for its /dev/shm has no header".into());
                platform.complete(chain, &Reply::default());
            }
            Some((header, _)) if !whole => {
                platform.complete(chain, &Reply::new(header.unique, Err(Errno::TOOBIG)));
            }
            Some((header, fields)) => self.dispatch(platform, chain, header, fields),
        }
        self.scratch = request;
        self.unmap_gone(platform);
    }

    /// Forgets everything, as when the guest's driver starts anew: nobody waits for what was asked for.
    pub fn reset<P: FsPlatform<Chain = C>>(&mut self, platform: &mut P) {
        for waiting in &mut self.waiting {
            waiting.forget();
        }
        self.begin_anew(platform);
        self.scratch = vec![];
    }

    fn dispatch<P: FsPlatform<Chain = C>>(
        &mut self,
        platform: &mut P,
        chain: C,
        header: Header,
        mut fields: Fields<'_>,
    ) {
        let answer = match header.opcode {
            op::FORGET | op::BATCH_FORGET => {
                let _ = self.forget(header, fields);
                return platform.complete(chain, &Reply::default());
            }
            op::INTERRUPT => return platform.complete(chain, &Reply::default()),
            op::SETUPMAPPING => return self.set_up_mapping(platform, chain, header, fields),
            op::REMOVEMAPPING => return self.remove_mapping(platform, chain, header, fields),
            op::INIT => {
                self.begin_anew(platform);
                init(&mut fields)
            }
            op::DESTROY => {
                self.begin_anew(platform);
                Ok(vec![])
            }
            op::LOOKUP
            | op::SYMLINK
            | op::MKNOD
            | op::MKDIR
            | op::UNLINK
            | op::RMDIR
            | op::RENAME
            | op::RENAME2
            | op::LINK
            | op::CREATE
            | op::TMPFILE
            | op::READLINK
            | op::READDIR => self.name_request(header, fields),
            _ => self.file_request(header, fields),
        };
        if answer == Err(Errno::NOSPC) {
            let (mib, files) = (self.limits.bytes >> 20, self.limits.files);
            let message = format!(
                "the guest's /dev/shm is full: it may have {mib} MiB, {files} files with bytes in \
                                   them and {NODES_MAX} names"
            );
            platform.refused(message);
        }
        platform.complete(chain, &Reply::new(header.unique, answer));
    }

    /// An empty tree, with nothing mapped and nothing named.
    fn begin_anew<P: FsPlatform<Chain = C>>(&mut self, platform: &mut P) {
        for export in self.handles.drain() {
            self.exports.remove(export);
        }
        for offset in self.slots.within(0, u64::MAX) {
            self.unmap(platform, offset, None);
        }
        // What is still mapped keeps its memory until the VMM has let go of it.
        self.tree = Tree::new(budget(self.limits), slots_max(self.limits.window_bytes));
    }

    /// Counts are those of what the guest has been told; those that are too high are its own affair.
    fn forget(&mut self, header: Header, mut fields: Fields<'_>) -> Result<(), Errno> {
        if header.opcode == op::FORGET {
            let times = fields.u64()?;
            self.tree.forget(header.node, times);
            return Ok(());
        }
        let count = fields.u32()?;
        fields.u32()?;
        for _ in 0..count {
            let (node, times) = (fields.u64()?, fields.u64()?);
            self.tree.forget(node, times);
        }
        Ok(())
    }
}

const fn budget(limits: FsLimits) -> Budget {
    Budget { bytes: limits.bytes, files: limits.files }
}

/// Agrees upon a version, and upon what the guest knows of what there is.
fn init(fields: &mut Fields<'_>) -> Answer {
    let (major, _minor) = (fields.u32()?, fields.u32()?);
    if major < MAJOR {
        return Err(Errno::PROTO);
    }
    let body = Body::default().u32(MAJOR).u32(MINOR);
    if major > MAJOR {
        // The guest asks again, in this version.
        return Ok(body.zeros(56).0);
    }
    let (read_ahead, flags) = (fields.u32()?, fields.u32()?);
    let upper = fields.u32().unwrap_or(0);
    let body = body.u32(read_ahead).u32(flags & INIT_FLAGS).u16(0).u16(0).u32(DATA_BYTES_MAX);
    // Times are exact to the nanosecond.
    let body = body.u32(1).u16(PAGES_MAX).u16(MAP_ALIGNMENT).u32(upper & INIT_FLAGS_UPPER);
    Ok(body.zeros(INIT_REST_BYTES).0)
}

#[cfg(test)]
mod test;
