//! The render node of Linux's `virtio_gpu` driver: the few calls that a cross-domain context needs
//! (`include/uapi/drm/virtgpu_drm.h`).
//!
//! The `drm` crates know the calls that all drivers share, and none of these; what they would save is [`Node::driver`].

mod gem;

use std::ffi::c_char;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

use crate::SharedMap;

pub use self::gem::{BlobMem, Buffer};

/// Where the ioctls of drivers begin.
const DRIVER_BASE: u8 = 0x40;
/// Longest name of a driver that is of interest, in bytes.
const DRIVER_NAME_MAX: usize = 64;

const EXECBUF_FENCE_FD_OUT: u32 = 0x02;
const EXECBUF_RING_IDX: u32 = 0x04;
const BLOB_MEM_GUEST: u32 = 1;
const BLOB_FLAG_USE_MAPPABLE: u32 = 1;
const CONTEXT_PARAM_CAPSET_ID: u64 = 1;
const CONTEXT_PARAM_NUM_RINGS: u64 = 2;
const CONTEXT_PARAM_POLL_RINGS_MASK: u64 = 3;
const EVENT_FENCE_SIGNALED: u32 = 0x9000_0000;
/// Bytes of an event without a payload: type and length.
const EVENT_BYTES: usize = 8;

const DRM_VERSION: Opcode = opcode::read_write::<Version>(b'd', 0x00);
const MAP: Opcode = opcode::read_write::<Map>(b'd', DRIVER_BASE + 0x01);
const EXECBUFFER: Opcode = opcode::read_write::<Execbuffer>(b'd', DRIVER_BASE + 0x02);
const GETPARAM: Opcode = opcode::read_write::<Pair>(b'd', DRIVER_BASE + 0x03);
const GET_CAPS: Opcode = opcode::read_write::<GetCaps>(b'd', DRIVER_BASE + 0x09);
const RESOURCE_CREATE_BLOB: Opcode = opcode::read_write::<CreateBlob>(b'd', DRIVER_BASE + 0x0a);
const CONTEXT_INIT: Opcode = opcode::read_write::<ContextInit>(b'd', DRIVER_BASE + 0x0b);

/// What a driver can be asked for (`VIRTGPU_PARAM_…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Param {
    /// Whether contexts can be made at all: 0 or 1.
    Features3d = 1,
    /// Whether blobs can be made: 0 or 1.
    ResourceBlob = 3,
    /// Whether the host can show its memory to the guest: 0 or 1.
    HostVisible = 4,
    /// Whether a context can be given a capset: 0 or 1.
    ContextInit = 6,
    /// Bit `1 << id` for each capset that the host offers.
    SupportedCapsetIds = 7,
}

/// A blob in guest memory. The driver frees it with the node's descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestBlob {
    handle: u32,
    /// Its name for the host, above zero.
    pub resource_id: u32,
}

/// An open render node: one context, once [`Node::init_context`] has been called.
#[derive(Debug)]
pub struct Node(OwnedFd);

impl AsFd for Node {
    /// Readable when an event waits.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Node {
    /// Opens a render node, of whatever driver.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        rustix::fs::open(path, flags, Mode::empty()).map(Self)
    }

    /// The name of its driver. `ENOTTY` or `EINVAL` where the file is no DRM node.
    pub fn driver(&self) -> Result<String, Errno> {
        let mut name = [0_u8; DRIVER_NAME_MAX];
        let mut version = Version { name_len: name.len(), name: name.as_mut_ptr().cast(), ..Version::BLANK };
        // SAFETY: the driver writes at most `name_len` bytes to `name`, which outlives the call; the other two strings
        // have no room and are not written.
        unsafe { call::<DRM_VERSION, _>(self, &mut version) }?;
        let name = name.get(..version.name_len).unwrap_or(&name);
        Ok(String::from_utf8_lossy(name).into_owned())
    }

    /// The value of a parameter; 0 where the driver does not know it.
    pub fn param(&self, param: Param) -> u32 {
        let mut value = 0_u32;
        let mut pair = Pair { param: param as u64, value: address(&raw mut value) };
        // SAFETY: the driver writes one `int` to `value`, which outlives the call.
        let asked = unsafe { call::<GETPARAM, _>(self, &mut pair) };
        asked.map_or(0, |()| value)
    }

    /// Makes the node's context one of capset `capset_id` with `rings` rings, whose fences are told as events for the
    /// rings in `poll_mask`. `EINVAL` where the driver or the host can't, `EEXIST` the second time.
    pub fn init_context(&self, capset_id: u32, rings: u32, poll_mask: u64) -> Result<(), Errno> {
        let mut params = [
            Pair { param: CONTEXT_PARAM_CAPSET_ID, value: capset_id.into() },
            Pair { param: CONTEXT_PARAM_NUM_RINGS, value: rings.into() },
            Pair { param: CONTEXT_PARAM_POLL_RINGS_MASK, value: poll_mask },
        ];
        let mut init = ContextInit { num_params: 3, pad: 0, ctx_set_params: address(params.as_mut_ptr()) };
        // SAFETY: `ctx_set_params` points to `num_params` parameters, which outlive the call; they are only read.
        unsafe { call::<CONTEXT_INIT, _>(self, &mut init) }
    }

    /// Fills `out` with what the host says of a capset. Bytes beyond what the host has keep their value. Blocks until
    /// the host has answered, 5 s at most (`EBUSY`), the first time that anybody in the machine asks.
    pub fn capset(&self, capset_id: u32, version: u32, out: &mut [u8]) -> Result<(), Errno> {
        let size = u32::try_from(out.len()).map_err(|_| Errno::INVAL)?;
        let mut caps = GetCaps {
            cap_set_id: capset_id,
            cap_set_ver: version,
            addr: address(out.as_mut_ptr()),
            size,
            pad: 0,
        };
        // SAFETY: the driver writes at most `size` bytes to `out`, which outlives the call.
        unsafe { call::<GET_CAPS, _>(self, &mut caps) }
    }

    /// Makes a blob in guest memory: `bytes` is a multiple of the page size, above zero.
    pub fn create_guest_blob(&self, bytes: usize) -> Result<GuestBlob, Errno> {
        let mut blob = CreateBlob {
            blob_mem: BLOB_MEM_GUEST,
            blob_flags: BLOB_FLAG_USE_MAPPABLE,
            size: bytes as u64,
            ..CreateBlob::default()
        };
        // SAFETY: no pointer is set.
        unsafe { call::<RESOURCE_CREATE_BLOB, _>(self, &mut blob) }?;
        if blob.bo_handle == 0 || blob.res_handle == 0 {
            return Err(Errno::PROTO);
        }
        Ok(GuestBlob { handle: blob.bo_handle, resource_id: blob.res_handle })
    }

    /// Maps the first `bytes` of a blob.
    pub fn map(&self, blob: GuestBlob, bytes: usize) -> Result<SharedMap, Errno> {
        let mut map = Map { offset: 0, handle: blob.handle, pad: 0 };
        // SAFETY: no pointer is set.
        unsafe { call::<MAP, _>(self, &mut map) }?;
        SharedMap::map_present(self.as_fd(), map.offset, bytes)
    }

    /// Queues commands for the host, on `ring` if one is named. Waits, uninterruptibly, while the device's queue is full.
    /// With `fence` it returns a descriptor that is readable once the host has carried them out.
    pub fn execbuffer(
        &self,
        commands: &[u8],
        ring: Option<u8>,
        fence: bool,
    ) -> Result<Option<OwnedFd>, Errno> {
        let ring_flag = if ring.is_some() { EXECBUF_RING_IDX } else { 0 };
        let fence_flag = if fence { EXECBUF_FENCE_FD_OUT } else { 0 };
        let mut execbuffer = Execbuffer {
            flags: ring_flag | fence_flag,
            size: u32::try_from(commands.len()).map_err(|_| Errno::MSGSIZE)?,
            command: address(commands.as_ptr().cast_mut()),
            fence_fd: -1,
            ring_idx: ring.unwrap_or(0).into(),
            ..Execbuffer::default()
        };
        // SAFETY: the driver copies `size` bytes from `command` before it returns; no other pointer is set.
        unsafe { call::<EXECBUFFER, _>(self, &mut execbuffer) }?;
        match execbuffer.fence_fd {
            _ if !fence => Ok(None),
            // SAFETY: the driver has just made this descriptor for this call, and nobody else knows it.
            number @ 0.. => Ok(Some(unsafe { OwnedFd::from_raw_fd(number) })),
            _ => Err(Errno::PROTO),
        }
    }

    /// Takes an event, if there is one: whether a fence of a polled ring was signalled.
    pub fn read_event(&self) -> Result<bool, Errno> {
        let mut event = [0; EVENT_BYTES];
        match rustix::io::read(&self.0, &mut event) {
            Ok(EVENT_BYTES) => {
                let [a, b, c, d, ..] = event;
                Ok(u32::from_ne_bytes([a, b, c, d]) == EVENT_FENCE_SIGNALED)
            }
            // The driver hands out whole events, and none that does not fit.
            Ok(_) => Err(Errno::PROTO),
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}

/// Calls, again where a signal came in between, as libdrm does.
///
/// # Safety
/// `T` is the argument that `OPCODE` takes, and its pointers are good for what the call does with them.
unsafe fn call<const OPCODE: Opcode, T>(node: &Node, argument: &mut T) -> Result<(), Errno> {
    loop {
        // SAFETY: the caller's; the argument outlives the call.
        let called = unsafe { ioctl(&node.0, Updater::<OPCODE, T>::new(argument)) };
        if !matches!(called, Err(Errno::INTR | Errno::AGAIN)) {
            return called;
        }
    }
}

fn address<T>(pointer: *mut T) -> u64 {
    pointer.expose_provenance() as u64
}

#[repr(C)]
struct Version {
    major: i32,
    minor: i32,
    patchlevel: i32,
    name_len: usize,
    name: *mut c_char,
    date_len: usize,
    date: *mut c_char,
    desc_len: usize,
    desc: *mut c_char,
}

impl Version {
    const BLANK: Self = Self {
        major: 0,
        minor: 0,
        patchlevel: 0,
        name_len: 0,
        name: std::ptr::null_mut(),
        date_len: 0,
        date: std::ptr::null_mut(),
        desc_len: 0,
        desc: std::ptr::null_mut(),
    };
}

#[repr(C)]
struct Map {
    offset: u64,
    handle: u32,
    pad: u32,
}

/// As Linux 5.16 has it; what newer kernels put behind it, they take for zeros.
#[repr(C)]
#[derive(Default)]
struct Execbuffer {
    flags: u32,
    size: u32,
    command: u64,
    bo_handles: u64,
    num_bo_handles: u32,
    fence_fd: i32,
    ring_idx: u32,
    pad: u32,
}

/// A parameter and its value, or the address of its value.
#[repr(C)]
struct Pair {
    param: u64,
    value: u64,
}

#[repr(C)]
struct GetCaps {
    cap_set_id: u32,
    cap_set_ver: u32,
    addr: u64,
    size: u32,
    pad: u32,
}

#[repr(C)]
#[derive(Default)]
struct CreateBlob {
    blob_mem: u32,
    blob_flags: u32,
    bo_handle: u32,
    res_handle: u32,
    size: u64,
    pad: u32,
    cmd_size: u32,
    cmd: u64,
    blob_id: u64,
}

#[repr(C)]
struct ContextInit {
    num_params: u32,
    pad: u32,
    ctx_set_params: u64,
}

// The numbers of the calls have the sizes in them; these are those of x86-64 and of arm64.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(DRM_VERSION == 0xc040_6400);
    assert!(MAP == 0xc010_6441);
    assert!(EXECBUFFER == 0xc028_6442);
    assert!(GETPARAM == 0xc010_6443);
    assert!(GET_CAPS == 0xc018_6449);
    assert!(RESOURCE_CREATE_BLOB == 0xc030_644a);
    assert!(CONTEXT_INIT == 0xc010_644b);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_render_node_says_so_and_does_no_harm() {
        let node = Node::open(Path::new("/dev/null")).unwrap();
        assert_eq!(node.driver(), Err(Errno::NOTTY));
        assert_eq!(node.param(Param::ContextInit), 0);
        assert_eq!(node.init_context(5, 2, 2), Err(Errno::NOTTY));
        assert_eq!(node.capset(5, 0, &mut [0; 16]), Err(Errno::NOTTY));
        assert_eq!(node.create_guest_blob(4096), Err(Errno::NOTTY));
        assert_eq!(node.execbuffer(b"commands", Some(1), true).unwrap_err(), Errno::NOTTY);
        assert_eq!(node.read_event(), Err(Errno::PROTO));
        assert_eq!(Node::open(Path::new("/nonexistent")).unwrap_err(), Errno::NOENT);
    }
}
