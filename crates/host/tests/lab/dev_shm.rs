//! A guest that has mounted the file system of its `/dev/shm`, in front of a VMM that maps as QEMU does.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use cross_domain::{ExportedFile, Identifier, SEND_HEADER_BYTES, encode_send_header};
use host::DevShm;
use rustix::io::Errno;
use sys::SharedMap;
use vhost::VhostUserMemoryRegionInfo;
use vhost::vhost_user::message::{VhostUserMMap, VhostUserSharedMsg};
use vhost::vhost_user::{
    Frontend, FrontendReqHandler, HandlerResult, VhostUserFrontend, VhostUserFrontendReqHandler,
};
use x11bridge_testkit::HANG_GUARD;

use super::Lab;
use super::machine::Machine;

pub(crate) const SLOT: u64 = 2 << 20;
pub(crate) const ROOT: u64 = 1;
pub(crate) const SETATTR: u32 = 4;
pub(crate) const UNLINK: u32 = 10;
pub(crate) const READ: u32 = 15;
pub(crate) const INIT: u32 = 26;
pub(crate) const CREATE: u32 = 35;
pub(crate) const SETUPMAPPING: u32 = 48;
pub(crate) const REMOVEMAPPING: u32 = 49;

/// A VMM that maps as QEMU does: it shares what it maps with the device, and waits for its answer.
struct Vmm {
    front_end: Mutex<Option<Frontend>>,
    mapped: Mutex<Sender<(u64, Option<SharedMap>)>>,
}

impl VhostUserFrontendReqHandler for Vmm {
    fn shared_object_remove(&self, _uuid: &VhostUserSharedMsg) -> HandlerResult<u64> {
        Ok(0)
    }

    fn shmem_map(&self, request: &VhostUserMMap, fd: &dyn AsRawFd) -> HandlerResult<u64> {
        let VhostUserMMap { shmid, fd_offset, shm_offset, len, .. } = *request;
        assert_eq!(shmid, 0);
        let file = fd.as_raw_fd();
        let region = VhostUserMemoryRegionInfo {
            guest_phys_addr: 0x80_0000_0000 + shm_offset,
            memory_size: len,
            userspace_addr: 0x7800_0000_0000 + shm_offset,
            mmap_offset: fd_offset,
            mmap_handle: file,
        };
        self.front_end.lock().unwrap().as_mut().unwrap().add_mem_region(&region).unwrap();
        let path = format!("/proc/self/fd/{file}");
        let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
        let borrowed: BorrowedFd<'_> = std::os::fd::AsFd::as_fd(&file);
        let map = SharedMap::map_at(borrowed, fd_offset, usize::try_from(len).unwrap()).unwrap();
        self.mapped.lock().unwrap().send((shm_offset, Some(map))).unwrap();
        Ok(0)
    }

    fn shmem_unmap(&self, request: &VhostUserMMap) -> HandlerResult<u64> {
        self.mapped.lock().unwrap().send((request.shm_offset, None)).unwrap();
        Ok(0)
    }
}

/// A guest whose driver has mounted the file system.
pub(crate) struct Guest {
    pub(crate) machine: Machine,
    vmm: Arc<Vmm>,
    pub(crate) mapped: Receiver<(u64, Option<SharedMap>)>,
}

impl Drop for Guest {
    fn drop(&mut self) {
        // The last but the machine's own: the connection ends with that.
        *self.vmm.front_end.lock().unwrap() = None;
    }
}

pub(crate) fn lab() -> Lab {
    Lab::with(|options| {
        let socket = options.socket.with_extension("shm");
        options.dev_shm = Some(DevShm { socket, bytes: 64 << 20 });
    })
}

pub(crate) fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

pub(crate) fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

impl Guest {
    pub(crate) fn new(lab: &Lab) -> Self {
        let machine = Machine::connect_by(&lab.host.socket().with_extension("shm"), 1);
        let (sender, mapped) = channel();
        let front_end = Mutex::new(Some(machine.front_end.clone()));
        let vmm = Arc::new(Vmm { front_end, mapped: Mutex::new(sender) });
        let mut handler = FrontendReqHandler::new(Arc::clone(&vmm)).unwrap();
        handler.set_reply_ack_flag(true);
        let mut guest = Self { machine, vmm, mapped };
        guest.machine.front_end.set_backend_request_fd(&handler.get_tx_raw_fd()).unwrap();
        std::thread::spawn(move || while handler.handle_request().is_ok() {});
        guest.mount();
        guest
    }

    pub(crate) fn mount(&mut self) {
        let reply = self.call(INIT, 0, &bytes(&[7 | 41 << 32, u64::MAX, u64::MAX])).unwrap();
        assert_eq!(word(&reply, 0), 7 | 38 << 32);
    }

    pub(crate) fn call(&mut self, opcode: u32, node: u64, body: &[u8]) -> Result<Vec<u8>, Errno> {
        let mut request =
            [u32::try_from(40 + body.len()).unwrap().to_le_bytes(), opcode.to_le_bytes()].concat();
        request.extend(bytes(&[1, node, 0, 0]));
        request.extend(body);
        let (at, reply) = (self.machine.allocate(request.len()), self.machine.allocate(8192));
        self.machine.write(at, &request);
        let head = self.machine.submit(&[
            (at, u32::try_from(request.len()).unwrap(), false),
            (reply, 16, true),
            (reply + 16, 8192 - 16, true),
        ]);
        let written = usize::try_from(self.machine.wait(head)).unwrap();
        let reply = self.machine.read(reply, written);
        let error = u32::from_le_bytes(reply[4..8].try_into().unwrap()).cast_signed();
        if error == 0 { Ok(reply[16..].to_vec()) } else { Err(Errno::from_raw_os_error(-error)) }
    }

    /// A file of so many bytes; its node.
    pub(crate) fn file(&mut self, name: &str, size: u64) -> u64 {
        let body = [bytes(&[2 | 0o600 << 32, 0]), name.as_bytes().to_vec(), vec![0]].concat();
        let node = word(&self.call(CREATE, ROOT, &body).unwrap(), 0);
        let mut body = bytes(&[1 << 3, 0, size]);
        body.resize(88, 0);
        self.call(SETATTR, node, &body).unwrap();
        node
    }

    pub(crate) fn map(&mut self, node: u64, offset: u64) -> Result<SharedMap, Errno> {
        self.call(SETUPMAPPING, node, &bytes(&[u64::MAX, 0, SLOT, 3, offset]))?;
        let (at, map) = self.mapped.recv_timeout(HANG_GUARD).unwrap();
        assert_eq!(at, offset);
        Ok(map.unwrap())
    }
}

/// A file with words in it, and its name for contexts.
pub(crate) fn named(guest: &mut Guest, name: &str, words: &[u8]) -> (u64, u64, ExportedFile) {
    let body = [bytes(&[2 | 0o600 << 32, 0]), name.as_bytes().to_vec(), vec![0]].concat();
    let reply = guest.call(CREATE, ROOT, &body).unwrap();
    let (node, handle) = (word(&reply, 0), word(&reply, 128));
    let len = u64::try_from(words.len()).unwrap();
    guest.call(16, node, &[bytes(&[handle, 0, len, 0, 0]), words.to_vec()].concat()).unwrap();
    let reply = guest.call(39, node, &bytes(&[handle, 0x8010_7601 << 32, 0, 16 << 32])).unwrap();
    (node, handle, ExportedFile { fs_id: word(&reply, 16), handle: word(&reply, 24) })
}

/// A SEND that names one thing.
pub(crate) fn send_naming(id: u32, id_type: u32) -> Vec<u8> {
    let mut header = [0; SEND_HEADER_BYTES];
    encode_send_header(&mut header, 4, 0, &[Identifier { id, id_type, size: 0 }]).unwrap();
    [&header[..], b"here"].concat()
}
