//! Memory of the host in the guest: blobs of files that the X server passed, mapped by the VMM.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

mod lab;

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use device::gpu::MAPS_MAX;
use host::WINDOW_BYTES;
use lab::Lab;
use lab::gpu::{
    Channel, Guest, Header, INVALID_CONTEXT, INVALID_PARAMETER, INVALID_RESOURCE, OK_MAP_INFO, OK_NODATA,
    OUT_OF_MEMORY, UNSPECIFIED, blob_fields, word, words,
};
use rustix::fs::MemfdFlags;
use sys::SharedMap;
use vhost::VhostUserMemoryRegionInfo;
use vhost::vhost_user::message::{VhostUserMMap, VhostUserSharedMsg};
use vhost::vhost_user::{FrontendReqHandler, HandlerResult, VhostUserFrontend, VhostUserFrontendReqHandler};
use x11bridge_testkit::{FakeConnection, HANG_GUARD};

/// What the VMM is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Map(u64, u64),
    Unmap(u64, u64),
}

/// The VMM's ear for requests of the device.
struct Vmm {
    asked: Mutex<Sender<Asked>>,
    refuses: AtomicBool,
    /// Tells the device of the new memory as QEMU does, and waits for its answer.
    tell: Mutex<Option<Tell>>,
    /// What it does behind an answer, before it takes the next request.
    behind: Mutex<Option<Behind>>,
}

type Tell = Box<dyn FnMut(u64, u64) + Send>;
type Behind = Box<dyn FnMut() + Send>;

impl VhostUserFrontendReqHandler for Vmm {
    fn shmem_map(&self, request: &VhostUserMMap, fd: &dyn AsRawFd) -> HandlerResult<u64> {
        let (offset, len) = (request.shm_offset, request.len);
        assert!(fd.as_raw_fd() >= 0 && request.shmid == 1 && request.fd_offset == 0);
        self.asked.lock().unwrap().send(Asked::Map(offset, len)).unwrap();
        if let Some(tell) = &mut *self.tell.lock().unwrap() {
            tell(offset, len);
        }
        if self.refuses.load(SeqCst) { Err(std::io::Error::other("no")) } else { Ok(0) }
    }

    fn shared_object_remove(&self, _uuid: &VhostUserSharedMsg) -> HandlerResult<u64> {
        if let Some(behind) = &mut *self.behind.lock().unwrap() {
            behind();
        }
        Ok(0)
    }

    fn shmem_unmap(&self, request: &VhostUserMMap) -> HandlerResult<u64> {
        self.asked.lock().unwrap().send(Asked::Unmap(request.shm_offset, request.len)).unwrap();
        Ok(0)
    }
}

/// A guest whose VMM maps memory.
fn guest_with_window(lab: &Lab) -> (Guest, Arc<Vmm>, Receiver<Asked>) {
    let mut guest = lab.guest();
    let config = guest.machine.front_end.get_shmem_config().unwrap();
    let (count, sizes) = (config.nregions, config.memory_sizes);
    assert_eq!((count, sizes[0], sizes[1]), (1, 0, WINDOW_BYTES));
    let (asked, questions) = channel();
    let vmm = Arc::new(Vmm {
        asked: Mutex::new(asked),
        refuses: AtomicBool::new(false),
        tell: Mutex::default(),
        behind: Mutex::default(),
    });
    let mut handler = FrontendReqHandler::new(Arc::clone(&vmm)).unwrap();
    handler.set_reply_ack_flag(true);
    let socket = handler.get_tx_raw_fd();
    guest.machine.front_end.set_backend_request_fd(&socket).unwrap();
    // A request that was refused is an error here as well.
    let goes_on = |result| matches!(result, Ok(_) | Err(vhost::vhost_user::Error::ReqHandlerError(_)));
    std::thread::spawn(move || while goes_on(handler.handle_request()) {});
    (guest, vmm, questions)
}

/// A channel whose X server passes files to the guest.
fn channel_and_server(lab: &Lab, guest: &mut Guest) -> (Channel, FakeConnection) {
    let channel = guest.channel(1);
    (channel, lab.server().accept().unwrap())
}

fn file(bytes: usize) -> OwnedFd {
    SharedMap::create(bytes).unwrap().1
}

/// Has the server pass a file; returns the id of its item.
fn pass(guest: &mut Guest, channel: &mut Channel, server: &mut FakeConnection, file: &OwnedFd) -> u32 {
    server.stream.send_with_fds(b"here", &[file.as_fd()]).unwrap();
    let received = channel.receive(guest);
    assert_eq!((received.data.len(), received.identifiers.len()), (4, 1));
    received.identifiers[0].0
}

fn create(guest: &mut Guest, item: u32, bytes: u64) -> Result<u32, u32> {
    let id = guest.next_resource();
    match guest.status(0x10c, 1, &blob_fields(id, 2, 0, item.into(), bytes)) {
        OK_NODATA => Ok(id),
        status => Err(status),
    }
}

fn map(guest: &mut Guest, id: u32, offset: u64) -> u32 {
    let mut fields = words(&[id, 0]);
    fields.extend(offset.to_le_bytes());
    let response = guest.call(0x208, Header::default(), &fields);
    if response.status == OK_MAP_INFO {
        assert_eq!(word(&response.body, 0), 1, "cached as memory is");
    }
    response.status
}

fn map_request(id: u32, offset: u64) -> Vec<u8> {
    let mut request = Header::default().bytes(0x208);
    request.extend(words(&[id, 0]));
    request.extend(offset.to_le_bytes());
    request
}

fn unmap(guest: &mut Guest, id: u32) -> u32 {
    guest.status(0x209, 0, &words(&[id, 0]))
}

#[test]
fn the_guest_hears_of_a_mapping_when_the_vmm_is_done_with_it_and_not_when_it_has_answered() {
    let lab = Lab::new();
    let (mut guest, vmm, _asked) = guest_with_window(&lab);
    let (mut channel, mut server) = channel_and_server(&lab, &mut guest);
    let item = pass(&mut guest, &mut channel, &mut server, &file(8192));
    let id = create(&mut guest, item, 8192).unwrap();
    let (answered, answers) = std::sync::mpsc::channel();
    let (finish, finishes) = std::sync::mpsc::channel();
    *vmm.behind.lock().unwrap() = Some(Box::new(move || {
        answered.send(()).unwrap();
        finishes.recv().unwrap();
    }));
    let ticket = guest.send(&map_request(id, 0));
    answers.recv_timeout(HANG_GUARD).unwrap();
    assert!(guest.machine.wait_for(ticket.head, Duration::from_millis(100)).is_none());
    finish.send(()).unwrap();
    assert_eq!(guest.response(ticket).status, OK_MAP_INFO);
}

#[test]
fn a_file_of_the_server_is_mapped_into_the_guest_and_unmapped() {
    let lab = Lab::new();
    let (mut guest, _vmm, asked) = guest_with_window(&lab);
    let (mut channel, mut server) = channel_and_server(&lab, &mut guest);
    let item = pass(&mut guest, &mut channel, &mut server, &file(8192));
    let id = create(&mut guest, item, 8192).unwrap();
    assert_eq!(map(&mut guest, id, 4096), OK_MAP_INFO);
    assert_eq!(asked.recv().unwrap(), Asked::Map(4096, 8192));
    assert_eq!(map(&mut guest, id, 65_536), INVALID_PARAMETER, "it is mapped already");
    assert_eq!(unmap(&mut guest, id), OK_NODATA);
    assert_eq!(asked.recv().unwrap(), Asked::Unmap(4096, 8192));
    assert_eq!(unmap(&mut guest, id), INVALID_PARAMETER);
    assert_eq!(map(&mut guest, id, 0), OK_MAP_INFO);
    // What is unreferenced while it is mapped is unmapped.
    assert_eq!(guest.status(0x102, 0, &words(&[id, 0])), OK_NODATA);
    assert_eq!((asked.recv().unwrap(), asked.recv().unwrap()), (Asked::Map(0, 8192), Asked::Unmap(0, 8192)));
    assert_eq!(map(&mut guest, id, 0), INVALID_RESOURCE);
}

#[test]
fn the_vmm_may_ask_something_before_it_answers() {
    let lab = Lab::new();
    let (mut guest, vmm, asked) = guest_with_window(&lab);
    let (mut channel, mut server) = channel_and_server(&lab, &mut guest);
    let (mut front_end, memory) = (guest.machine.front_end.clone(), file(4096));
    *vmm.tell.lock().unwrap() = Some(Box::new(move |offset, len| {
        // QEMU shares the window as memory of the guest, and waits for the acknowledgement.
        let region = VhostUserMemoryRegionInfo {
            guest_phys_addr: 0x80_0000_0000 + offset,
            memory_size: len,
            userspace_addr: 0x7800_0000_0000 + offset,
            mmap_offset: 0,
            mmap_handle: memory.as_raw_fd(),
        };
        front_end.add_mem_region(&region).unwrap();
    }));
    for offset in 0..4 {
        let item = pass(&mut guest, &mut channel, &mut server, &file(4096));
        let id = create(&mut guest, item, 4096).unwrap();
        assert_eq!(map(&mut guest, id, offset * 4096), OK_MAP_INFO);
        assert_eq!(asked.recv().unwrap(), Asked::Map(offset * 4096, 4096));
    }
}

#[test]
fn places_that_are_none_or_taken_are_refused_and_never_reach_the_vmm() {
    let lab = Lab::new();
    let (mut guest, vmm, asked) = guest_with_window(&lab);
    let (mut channel, mut server) = channel_and_server(&lab, &mut guest);
    let mut blob = |guest: &mut Guest| {
        let item = pass(guest, &mut channel, &mut server, &file(4096));
        create(guest, item, 4096).unwrap()
    };
    let (one, two) = (blob(&mut guest), blob(&mut guest));
    for offset in [1, WINDOW_BYTES, WINDOW_BYTES - 1, u64::MAX, u64::MAX - 4095] {
        assert_eq!(map(&mut guest, one, offset), INVALID_PARAMETER, "{offset:#x}");
    }
    assert_eq!(map(&mut guest, one, WINDOW_BYTES - 4096), OK_MAP_INFO);
    assert_eq!(map(&mut guest, two, WINDOW_BYTES - 4096), INVALID_PARAMETER);
    assert_eq!(asked.recv().unwrap(), Asked::Map(WINDOW_BYTES - 4096, 4096));
    assert!(asked.try_recv().is_err());
    // What the VMM refuses takes no place.
    vmm.refuses.store(true, SeqCst);
    assert_eq!(map(&mut guest, two, 0), UNSPECIFIED);
    vmm.refuses.store(false, SeqCst);
    assert_eq!(map(&mut guest, two, 0), OK_MAP_INFO);
}

#[test]
fn a_mapping_that_fails_late_takes_nothing_from_the_one_that_came_after_it() {
    let lab = Lab::new();
    let (mut guest, vmm, asked) = guest_with_window(&lab);
    let (mut channel, mut server) = channel_and_server(&lab, &mut guest);
    let item = pass(&mut guest, &mut channel, &mut server, &file(4096));
    let id = create(&mut guest, item, 4096).unwrap();
    let (go_on, gate) = std::sync::mpsc::channel();
    let refuser = Arc::clone(&vmm);
    let mut first = true;
    *vmm.tell.lock().unwrap() = Some(Box::new(move |_, _| {
        if first {
            gate.recv().unwrap();
        }
        refuser.refuses.store(std::mem::take(&mut first), SeqCst);
    }));
    let failing = guest.send(&map_request(id, 0));
    let unmapping = guest.send(&[Header::default().bytes(0x209), words(&[id, 0])].concat());
    let working = guest.send(&map_request(id, 4096));
    assert_eq!(guest.destroy_context(99), INVALID_CONTEXT, "the device has taken all three");
    go_on.send(()).unwrap();
    assert_eq!(guest.response(failing).status, UNSPECIFIED);
    assert_eq!(guest.response(unmapping).status, OK_NODATA);
    assert_eq!(guest.response(working).status, OK_MAP_INFO);
    assert_eq!(unmap(&mut guest, id), OK_NODATA, "it is still mapped");
    let all = [Asked::Map(0, 4096), Asked::Unmap(0, 4096), Asked::Map(4096, 4096), Asked::Unmap(4096, 4096)];
    assert_eq!(all.map(|_| asked.recv().unwrap()), all);
}

#[test]
fn files_that_would_hurt_the_vmm_are_refused() {
    let lab = Lab::new();
    let (mut guest, _vmm, asked) = guest_with_window(&lab);
    let (mut channel, mut server) = channel_and_server(&lab, &mut guest);
    let mut passed = |guest: &mut Guest, file: &OwnedFd| pass(guest, &mut channel, &mut server, file);
    let item = passed(&mut guest, &file(4096));
    assert_eq!(create(&mut guest, item, 4097), Err(INVALID_PARAMETER), "larger than its file");
    assert_eq!(create(&mut guest, item, 4096), Err(INVALID_PARAMETER), "an item is used once");
    let path = lab.folder.0.join("file");
    std::fs::write(&path, [0; 4096]).unwrap();
    let read_only = std::fs::File::open(&path).unwrap().into();
    let item = passed(&mut guest, &read_only);
    assert_eq!(create(&mut guest, item, 4096), Err(INVALID_PARAMETER), "read-only");
    let (pipe, _other_end) = rustix::pipe::pipe().unwrap();
    let item = passed(&mut guest, &pipe);
    assert_eq!(create(&mut guest, item, 4096), Err(INVALID_PARAMETER), "no file at all");
    // A size that is no multiple of pages can be a blob, and can't be mapped.
    let odd = rustix::fs::memfd_create("odd", MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&odd, 5000).unwrap();
    let item = passed(&mut guest, &odd);
    let id = create(&mut guest, item, 5000).unwrap();
    assert_eq!(map(&mut guest, id, 0), INVALID_PARAMETER);
    assert!(asked.try_recv().is_err());
    let (other, own) = (guest.next_resource(), guest.next_resource());
    assert_eq!(guest.status(0x10c, 7, &blob_fields(other, 2, 0, 1, 4096)), INVALID_CONTEXT);
    assert_eq!(guest.create_blob(own, 4096, &[(lab::machine::RAM, 4096)]), OK_NODATA);
    assert_eq!(map(&mut guest, own, 0), INVALID_RESOURCE, "memory of the guest is there already");
}

#[test]
fn the_number_of_maps_is_limited() {
    let lab = Lab::new();
    let (mut guest, _vmm, _asked) = guest_with_window(&lab);
    let (mut channel, mut server) = channel_and_server(&lab, &mut guest);
    let page = file(4096);
    let mut ids = vec![];
    for number in 0..=MAPS_MAX {
        let item = pass(&mut guest, &mut channel, &mut server, &page);
        let id = create(&mut guest, item, 4096).unwrap();
        let status = map(&mut guest, id, number as u64 * 4096);
        assert_eq!(status, if number < MAPS_MAX { OK_MAP_INFO } else { OUT_OF_MEMORY }, "{number}");
        ids.push(id);
    }
    assert_eq!(unmap(&mut guest, ids[7]), OK_NODATA);
    assert_eq!(map(&mut guest, ids[MAPS_MAX], 7 * 4096), OK_MAP_INFO);
}

#[test]
fn without_a_window_nothing_is_mapped_and_all_else_works() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let (mut channel, mut server) = channel_and_server(&lab, &mut guest);
    let item = pass(&mut guest, &mut channel, &mut server, &file(4096));
    let id = create(&mut guest, item, 4096).unwrap();
    assert_eq!(map(&mut guest, id, 0), UNSPECIFIED);
    server.stream.send(b"still here").unwrap();
    assert_eq!(channel.receive(&mut guest).data, b"still here");
}

#[test]
fn a_driver_that_starts_anew_finds_an_empty_window() {
    let lab = Lab::new();
    let (mut guest, _vmm, asked) = guest_with_window(&lab);
    let (mut channel, mut server) = channel_and_server(&lab, &mut guest);
    let item = pass(&mut guest, &mut channel, &mut server, &file(4096));
    let id = create(&mut guest, item, 4096).unwrap();
    assert_eq!(map(&mut guest, id, 0), OK_MAP_INFO);
    assert_eq!(asked.recv().unwrap(), Asked::Map(0, 4096));
    guest.machine.reset();
    assert_eq!(asked.recv().unwrap(), Asked::Unmap(0, 4096));
    assert_eq!(unmap(&mut guest, id), INVALID_RESOURCE);
}
