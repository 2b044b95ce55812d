//! The guest's `/dev/shm`: files of a device of its own, mapped by the VMM.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

mod lab;

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use cross_domain::dialect::x11bridge::{ID_TYPE_FILE, encode_import_file};
use cross_domain::{ExportedFile, FutexNew, Identifier, SEND_HEADER_BYTES, encode_send_header};
use host::{DevShm, Event, SHM_WINDOW_BYTES};
use lab::Lab;
use lab::gpu::OK_NODATA;
use lab::machine::Machine;
use rustix::io::Errno;
use sys::SharedMap;
use vhost::VhostUserMemoryRegionInfo;
use vhost::vhost_user::message::{VhostUserConfigFlags, VhostUserMMap, VhostUserSharedMsg};
use vhost::vhost_user::{
    Frontend, FrontendReqHandler, HandlerResult, VhostUserFrontend, VhostUserFrontendReqHandler,
};
use x11bridge_testkit::{FakeConnection, HANG_GUARD};

const SLOT: u64 = 2 << 20;
const ROOT: u64 = 1;
const SETATTR: u32 = 4;
const UNLINK: u32 = 10;
const READ: u32 = 15;
const INIT: u32 = 26;
const CREATE: u32 = 35;
const SETUPMAPPING: u32 = 48;
const REMOVEMAPPING: u32 = 49;

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
struct Guest {
    machine: Machine,
    vmm: Arc<Vmm>,
    mapped: Receiver<(u64, Option<SharedMap>)>,
}

impl Drop for Guest {
    fn drop(&mut self) {
        // The last but the machine's own: the connection ends with that.
        *self.vmm.front_end.lock().unwrap() = None;
    }
}

fn lab() -> Lab {
    Lab::with(|options| {
        let socket = options.socket.with_extension("shm");
        options.dev_shm = Some(DevShm { socket, bytes: 64 << 20 });
    })
}

fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

impl Guest {
    fn new(lab: &Lab) -> Self {
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

    fn mount(&mut self) {
        let reply = self.call(INIT, 0, &bytes(&[7 | 41 << 32, u64::MAX, u64::MAX])).unwrap();
        assert_eq!(word(&reply, 0), 7 | 38 << 32);
    }

    fn call(&mut self, opcode: u32, node: u64, body: &[u8]) -> Result<Vec<u8>, Errno> {
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
    fn file(&mut self, name: &str, size: u64) -> u64 {
        let body = [bytes(&[2 | 0o600 << 32, 0]), name.as_bytes().to_vec(), vec![0]].concat();
        let node = word(&self.call(CREATE, ROOT, &body).unwrap(), 0);
        let mut body = bytes(&[1 << 3, 0, size]);
        body.resize(88, 0);
        self.call(SETATTR, node, &body).unwrap();
        node
    }

    fn map(&mut self, node: u64, offset: u64) -> Result<SharedMap, Errno> {
        self.call(SETUPMAPPING, node, &bytes(&[u64::MAX, 0, SLOT, 3, offset]))?;
        let (at, map) = self.mapped.recv_timeout(HANG_GUARD).unwrap();
        assert_eq!(at, offset);
        Ok(map.unwrap())
    }
}

#[test]
fn guest_and_host_have_one_memory() {
    let lab = lab();
    let mut guest = Guest::new(&lab);
    let (_, config) =
        guest.machine.front_end.get_config(0, 40, VhostUserConfigFlags::empty(), &[0; 40]).unwrap();
    assert!(config.starts_with(b"x11bridge-shm\0") && config[36..] == [1, 0, 0, 0]);
    let windows = guest.machine.front_end.get_shmem_config().unwrap();
    let (count, sizes) = (windows.nregions, windows.memory_sizes);
    assert_eq!((count, sizes[0]), (1, SHM_WINDOW_BYTES));
    let node = guest.file("file", 4096);
    for number in 0..8 {
        let map = guest.map(node, number * SLOT).unwrap();
        assert!(map.write(usize::try_from(number).unwrap(), b"x"));
    }
    assert_eq!(guest.call(READ, node, &bytes(&[0, 0, 16, 0, 0])).unwrap(), b"xxxxxxxx\0\0\0\0\0\0\0\0");
    let body = [&1_u32.to_le_bytes()[..], &bytes(&[SLOT, 3 * SLOT])].concat();
    guest.call(REMOVEMAPPING, node, &body).unwrap();
    for number in 1..4 {
        assert!(matches!(guest.mapped.recv_timeout(HANG_GUARD).unwrap(), (at, None) if at == number * SLOT));
    }
}

#[test]
fn what_the_guest_cuts_off_can_still_be_touched() {
    let lab = lab();
    let mut guest = Guest::new(&lab);
    let node = guest.file("file", 3 << 20);
    let map = guest.map(node, 0).unwrap();
    let mut body = bytes(&[1 << 3, 0, 0]);
    body.resize(88, 0);
    guest.call(SETATTR, node, &body).unwrap();
    assert!(map.write(1 << 20, b"no signal came"));
    guest.call(UNLINK, ROOT, b"file\0").unwrap();
    assert!(map.write(0, b"nor now"));
    // The device itself sees the window as memory of the guest: a request may lie there.
    let reply = guest.machine.allocate(8192);
    let request = [&40_u32.to_le_bytes()[..], &3_u32.to_le_bytes(), &bytes(&[1, ROOT, 0, 0])].concat();
    assert!(map.write(0, &request));
    let head = guest.machine.submit(&[(0x80_0000_0000, 40, false), (reply, 4096, true)]);
    assert_eq!(guest.machine.wait(head), 16 + 104);
}

#[test]
fn a_driver_that_starts_anew_or_another_guest_finds_nothing() {
    let lab = lab();
    let mut guest = Guest::new(&lab);
    let lookup = |guest: &mut Guest| guest.call(1, ROOT, b"file\0").map(|entry| word(&entry, 0));
    let node = guest.file("file", 4096);
    guest.map(node, 0).unwrap();
    assert_eq!(lookup(&mut guest), Ok(node));
    guest.machine.reset();
    assert!(matches!(guest.mapped.recv_timeout(HANG_GUARD).unwrap(), (0, None)));
    guest.mount();
    assert_eq!(lookup(&mut guest), Err(Errno::NOENT));
    guest.file("file", 4096);
    drop(guest);
    lab.event(|event| {
        matches!(event, Event::Log { message, .. } if message.contains("is gone")).then_some(())
    });
    let mut guest = Guest::new(&lab);
    assert_eq!(lookup(&mut guest), Err(Errno::NOENT));
}

#[test]
fn a_paused_guest_goes_on_with_its_files() {
    let lab = lab();
    let mut guest = Guest::new(&lab);
    let node = guest.file("file", 4096);
    let base = guest.machine.stop();
    guest.machine.start(base);
    assert!(guest.call(3, node, &[]).is_ok());
}

/// A file with words in it, and its name for contexts.
fn named(guest: &mut Guest, name: &str, words: &[u8]) -> (u64, u64, ExportedFile) {
    let body = [bytes(&[2 | 0o600 << 32, 0]), name.as_bytes().to_vec(), vec![0]].concat();
    let reply = guest.call(CREATE, ROOT, &body).unwrap();
    let (node, handle) = (word(&reply, 0), word(&reply, 128));
    let len = u64::try_from(words.len()).unwrap();
    guest.call(16, node, &[bytes(&[handle, 0, len, 0, 0]), words.to_vec()].concat()).unwrap();
    let reply = guest.call(39, node, &bytes(&[handle, 0x8010_7601 << 32, 0, 16 << 32])).unwrap();
    (node, handle, ExportedFile { fs_id: word(&reply, 16), handle: word(&reply, 24) })
}

/// A SEND that names one thing.
fn send_naming(id: u32, id_type: u32) -> Vec<u8> {
    let mut header = [0; SEND_HEADER_BYTES];
    encode_send_header(&mut header, 4, 0, &[Identifier { id, id_type, size: 0 }]).unwrap();
    [&header[..], b"here"].concat()
}

/// What comes with such a SEND.
fn files_of(server: &mut FakeConnection) -> Vec<OwnedFd> {
    let (mut data, mut files) = ([0; 4], vec![]);
    server.stream.receive_exact(&mut data, &mut files).unwrap();
    assert_eq!(&data, b"here");
    files
}

#[test]
fn the_x_server_gets_the_files_that_a_context_names() {
    let lab = lab();
    let (mut guest, mut gpu) = (Guest::new(&lab), lab.guest());
    gpu.channel(1);
    let mut server = lab.server().accept().unwrap();
    let (node, handle, file) = named(&mut guest, "file", b"words of the guest");
    let futex = FutexNew { file, id: 0x4000_0000 }.encode();
    let shm = 5;
    for (first, id, id_type) in
        [(encode_import_file(file, 9).to_vec(), 9, ID_TYPE_FILE), (futex.to_vec(), 0x4000_0000, shm)]
    {
        let commands = [first, send_naming(id, id_type)].concat();
        assert_eq!(gpu.execute(1, &commands), OK_NODATA);
        let files = files_of(&mut server);
        assert_eq!(files.len(), 1);
        let mut words = [0; 5];
        rustix::io::pread(&files[0], &mut words, 0).unwrap();
        assert_eq!(&words, b"words");
    }
    // The item is used up; the futex stays.
    for (id, id_type, count) in [(9, ID_TYPE_FILE, 0), (0x4000_0000, shm, 1)] {
        assert_eq!(gpu.execute(1, &send_naming(id, id_type)), OK_NODATA);
        assert_eq!(files_of(&mut server).len(), count, "{id:#x}");
    }
    // Nobody can name what is closed, or guess a name.
    guest.call(18, node, &bytes(&[handle, 0, 0])).unwrap();
    for file in [file, ExportedFile { handle: file.handle ^ 1, ..file }, ExportedFile { fs_id: 0, handle: 0 }]
    {
        let commands = [&encode_import_file(file, 10)[..], &send_naming(10, ID_TYPE_FILE)].concat();
        assert_eq!(gpu.execute(1, &commands), OK_NODATA);
        assert!(files_of(&mut server).is_empty());
    }
}

#[test]
fn a_guest_of_another_host_half_has_names_of_its_own() {
    let (mine, other) = (lab(), lab());
    let (mut guest, mut gpu) = (Guest::new(&mine), other.guest());
    let (_, _, file) = named(&mut guest, "file", b"words");
    gpu.channel(1);
    let mut server = other.server().accept().unwrap();
    let commands = [&encode_import_file(file, 9)[..], &send_naming(9, ID_TYPE_FILE)].concat();
    assert_eq!(gpu.execute(1, &commands), OK_NODATA);
    assert!(files_of(&mut server).is_empty());
}

#[test]
fn both_devices_serve_one_guest_and_go_together() {
    let lab = lab();
    let (mut guest, mut gpu) = (Guest::new(&lab), lab.guest());
    guest.file("file", 4096);
    let mut channel = gpu.channel(1);
    let mut server = lab.server().accept().unwrap();
    server.stream.send(b"hello").unwrap();
    assert_eq!(channel.receive(&mut gpu).data, b"hello");
    let socket = lab.host.socket().with_extension("shm");
    assert!(socket.exists());
    lab.host.close();
    assert!(!socket.exists() && !lab.host.socket().exists());
}
