//! Buffers of a render node: descriptors of them that others pass, and blobs of what the host passes.
//!
//! A node has one handle for a buffer, however many descriptors there are of it, and closing it once closes it for all.
//! Who hands out names has to count.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::ioctl::{Opcode, opcode};

use super::{BLOB_FLAG_USE_MAPPABLE, CreateBlob, DRIVER_BASE, Node, RESOURCE_CREATE_BLOB, call};

const BLOB_MEM_HOST3D: u32 = 2;
const BLOB_FLAG_USE_SHAREABLE: u32 = 2;

const GEM_CLOSE: Opcode = opcode::write::<GemClose>(b'd', 0x09);
const PRIME_HANDLE_TO_FD: Opcode = opcode::read_write::<PrimeHandle>(b'd', 0x2d);
const PRIME_FD_TO_HANDLE: Opcode = opcode::read_write::<PrimeHandle>(b'd', 0x2e);
const RESOURCE_INFO: Opcode = opcode::read_write::<ResourceInfo>(b'd', DRIVER_BASE + 0x05);

/// Where a buffer's memory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobMem {
    /// It is no blob, but a resource that the host renders to.
    None,
    /// In the guest: the host has no file of it.
    Guest,
    /// On the host.
    Host,
    /// On both.
    HostAndGuest,
}

/// A buffer that a node has a handle for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffer {
    /// The node's name for it, above zero.
    pub handle: u32,
    /// The host's name for it, above zero.
    pub resource_id: u32,
    /// Bytes.
    pub size: u32,
    /// Where its memory is.
    pub mem: BlobMem,
}

impl Node {
    /// The buffer that a descriptor is of. Its handle is the same each time, until [`Node::close`].
    ///
    /// An error for what is no buffer (`EINVAL`), or one of a device that this one can't share with (`ENODEV`).
    pub fn import(&self, descriptor: BorrowedFd<'_>) -> Result<Buffer, Errno> {
        let mut prime = PrimeHandle { handle: 0, flags: 0, fd: descriptor.as_raw_fd() };
        // SAFETY: no pointer is set; the descriptor outlives the call.
        unsafe { call::<PRIME_FD_TO_HANDLE, _>(self, &mut prime) }?;
        let mut info = ResourceInfo { bo_handle: prime.handle, ..ResourceInfo::default() };
        // SAFETY: no pointer is set.
        unsafe { call::<RESOURCE_INFO, _>(self, &mut info) }?;
        let mem = match info.blob_mem {
            0 => BlobMem::None,
            1 => BlobMem::Guest,
            2 => BlobMem::Host,
            3 => BlobMem::HostAndGuest,
            _ => return Err(Errno::PROTO),
        };
        Ok(Buffer { handle: prime.handle, resource_id: info.res_handle, size: info.size, mem })
    }

    /// Gives a handle up. What else refers to the buffer, descriptors and mappings, keeps it.
    pub fn close(&self, handle: u32) {
        let mut close = GemClose { handle, pad: 0 };
        // SAFETY: no pointer is set. An error means that there is no such handle.
        let _ = unsafe { call::<GEM_CLOSE, _>(self, &mut close) };
    }

    /// Makes a blob of the host's item `blob_id`, of `bytes` bytes, which are rounded up to pages; returns its handle.
    ///
    /// Whether the host has such an item shows when the blob is mapped. `ENOSPC` where the host's window has no room.
    pub fn create_host_blob(&self, blob_id: u64, bytes: u64) -> Result<u32, Errno> {
        let mut blob = CreateBlob {
            blob_mem: BLOB_MEM_HOST3D,
            blob_flags: BLOB_FLAG_USE_MAPPABLE | BLOB_FLAG_USE_SHAREABLE,
            size: bytes,
            blob_id,
            ..CreateBlob::default()
        };
        // SAFETY: no pointer is set.
        unsafe { call::<RESOURCE_CREATE_BLOB, _>(self, &mut blob) }?;
        if blob.bo_handle == 0 { Err(Errno::PROTO) } else { Ok(blob.bo_handle) }
    }

    /// A descriptor of a buffer, for reading and writing.
    pub fn export(&self, handle: u32) -> Result<OwnedFd, Errno> {
        let mut prime = PrimeHandle { handle, flags: (OFlags::CLOEXEC | OFlags::RDWR).bits(), fd: -1 };
        // SAFETY: no pointer is set.
        unsafe { call::<PRIME_HANDLE_TO_FD, _>(self, &mut prime) }?;
        if prime.fd < 0 {
            return Err(Errno::PROTO);
        }
        // SAFETY: the driver has just made this descriptor for this call, and nobody else knows it.
        Ok(unsafe { OwnedFd::from_raw_fd(prime.fd) })
    }
}

#[repr(C)]
struct PrimeHandle {
    handle: u32,
    flags: u32,
    fd: i32,
}

#[repr(C)]
#[derive(Default)]
struct ResourceInfo {
    bo_handle: u32,
    res_handle: u32,
    size: u32,
    blob_mem: u32,
}

#[repr(C)]
struct GemClose {
    handle: u32,
    pad: u32,
}

const _: () = {
    assert!(GEM_CLOSE == 0x4008_6409);
    assert!(PRIME_HANDLE_TO_FD == 0xc00c_642d);
    assert!(PRIME_FD_TO_HANDLE == 0xc00c_642e);
    assert!(RESOURCE_INFO == 0xc010_6445);
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::path::Path;

    #[test]
    fn a_file_that_is_no_render_node_has_no_buffers() {
        let node = Node::open(Path::new("/dev/null")).unwrap();
        assert_eq!(node.import(node.as_fd()), Err(Errno::NOTTY));
        assert_eq!(node.create_host_blob(1, 4096), Err(Errno::NOTTY));
        assert_eq!(node.export(1).unwrap_err(), Errno::NOTTY);
        node.close(1);
    }
}
