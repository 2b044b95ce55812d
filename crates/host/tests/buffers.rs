//! Buffers that a guest names to the X server: blobs of files that the host has.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed test"
)]

mod lab;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use cross_domain::dialect::x11bridge::NEW_MEMORY;
use cross_domain::{Identifier, SEND_HEADER_BYTES, encode_send_header};
use host::WINDOW_BYTES;
use lab::Lab;
use lab::gpu::{
    Channel, Guest, INVALID_RESOURCE, OK_NODATA, OUT_OF_MEMORY, blob_fields, send_command, words,
};
use sys::SharedMap;
use x11bridge_testkit::FakeConnection;

const ATTACH: u32 = 0x202;
const DETACH: u32 = 0x203;
const UNREF: u32 = 0x102;

struct Scene {
    _lab: Lab,
    guest: Guest,
    channel: Channel,
    server: FakeConnection,
}

fn scene() -> Scene {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let channel = guest.channel(1);
    let server = lab.server().accept().unwrap();
    Scene { _lab: lab, guest, channel, server }
}

impl Scene {
    /// The id of what a file that the server passes becomes.
    fn pass(&mut self, file: impl AsFd) -> (u32, u32) {
        self.server.stream.send_with_fds(b"here", &[file.as_fd()]).unwrap();
        self.channel.receive(&mut self.guest).identifiers[0]
    }

    fn create(&mut self, item: u64, bytes: u64) -> Result<u32, u32> {
        let id = self.guest.next_resource();
        match self.guest.status(0x10c, 1, &blob_fields(id, 2, 0, item, bytes)) {
            OK_NODATA => Ok(id),
            status => Err(status),
        }
    }

    fn of_resource(&mut self, request: u32, id: u32) -> u32 {
        self.guest.status(request, 1, &words(&[id, 0]))
    }

    /// What arrives with 4 bytes that name these resources.
    fn name(&mut self, ids: &[u32]) -> Vec<OwnedFd> {
        assert_eq!(self.guest.execute(1, &naming(b"here", ids)), OK_NODATA);
        self.arrived()
    }

    fn arrived(&mut self) -> Vec<OwnedFd> {
        let mut descriptors = vec![];
        self.server.stream.receive_exact(&mut [0; 4], &mut descriptors).unwrap();
        descriptors
    }
}

fn naming(data: &[u8], ids: &[u32]) -> Vec<u8> {
    let identifiers: Vec<_> = ids.iter().map(|&id| Identifier { id, id_type: 1, size: 0 }).collect();
    let mut header = [0; SEND_HEADER_BYTES];
    encode_send_header(&mut header, data.len(), 0, &identifiers).unwrap();
    [&header[..], data].concat()
}

fn file(bytes: usize) -> OwnedFd {
    SharedMap::create(bytes).unwrap().1
}

fn same(one: &OwnedFd, other: &OwnedFd) -> bool {
    let (one, other) = (rustix::fs::fstat(one).unwrap(), rustix::fs::fstat(other).unwrap());
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

#[test]
fn a_file_of_the_server_goes_back_by_its_name_as_often_as_it_is_named() {
    let mut scene = scene();
    let (one, other) = (file(4096), file(8192));
    let ids = [&one, &other].map(|file| {
        let (item, bytes) = scene.pass(file);
        let id = scene.create(item.into(), bytes.into()).unwrap();
        assert_eq!(scene.of_resource(ATTACH, id), OK_NODATA);
        id
    });
    let arrived = scene.name(&[ids[0], ids[1], ids[0]]);
    assert_eq!(arrived.len(), 3);
    assert!(same(&arrived[0], &one) && same(&arrived[1], &other) && same(&arrived[2], &one));
    // Another context's are not this one's, and what is gone is nobody's.
    assert_eq!(scene.of_resource(DETACH, ids[0]), OK_NODATA);
    assert_eq!(scene.name(&[ids[0]]).len(), 0);
    assert_eq!(scene.name(&[ids[1], ids[0]]).len(), 0, "one that is missing takes the others with it");
    assert_eq!(scene.of_resource(UNREF, ids[1]), OK_NODATA);
    assert_eq!(scene.name(&[ids[1]]).len(), 0);
    assert_eq!(scene.of_resource(ATTACH, ids[1]), INVALID_RESOURCE);
}

#[test]
fn a_name_that_is_given_up_behind_a_full_socket_holds_until_its_send_is_done() {
    let mut scene = scene();
    let file = file(4096);
    let (item, _) = scene.pass(&file);
    let id = scene.create(item.into(), 4096).unwrap();
    assert_eq!(scene.of_resource(ATTACH, id), OK_NODATA);
    let filler = vec![7; 60_000];
    let held: Vec<_> = (0..30).map(|_| scene.guest.submit(1, &send_command(&filler), None)).collect();
    let named = scene.guest.submit(1, &naming(b"here", &[id]), None);
    assert_eq!(scene.of_resource(DETACH, id), OK_NODATA);
    assert_eq!(scene.of_resource(UNREF, id), OK_NODATA);
    scene.server.stream.receive_exact(&mut vec![0; 30 * filler.len()], &mut vec![]).unwrap();
    let arrived = scene.arrived();
    assert!(arrived.len() == 1 && same(&arrived[0], &file));
    for ticket in held.into_iter().chain([named]) {
        assert_eq!(scene.guest.response(ticket).status, OK_NODATA);
    }
    assert_eq!(scene.name(&[id]).len(), 0);
}

#[test]
fn memory_that_the_host_makes_can_be_named_and_there_is_a_windows_worth_of_it() {
    let mut scene = scene();
    let id = scene.create(NEW_MEMORY, 1 << 20).unwrap();
    assert_eq!(scene.of_resource(ATTACH, id), OK_NODATA);
    let arrived = scene.name(&[id, id]);
    assert_eq!(rustix::fs::fstat(&arrived[0]).unwrap().st_size, 1 << 20);
    let files: Vec<File> = arrived.into_iter().map(File::from).collect();
    files[0].write_all_at(b"seen", 100).unwrap();
    let mut seen = [0; 4];
    files[1].read_exact_at(&mut seen, 100).unwrap();
    assert_eq!(&seen, b"seen");
    assert_eq!(scene.create(NEW_MEMORY, WINDOW_BYTES), Err(OUT_OF_MEMORY));
    assert_eq!(scene.of_resource(UNREF, id), OK_NODATA);
    assert!(scene.create(NEW_MEMORY, WINDOW_BYTES).is_ok());
}

#[test]
fn what_can_not_be_mapped_for_a_guest_is_told_as_missing_in_its_place() {
    let mut scene = scene();
    let (pipe, _writer) = rustix::pipe::pipe().unwrap();
    let (folder, passwords) = (File::open("/").unwrap(), File::open("/etc/passwd").unwrap());
    for unfit in [pipe.as_fd(), folder.as_fd(), passwords.as_fd()] {
        let good = file(4096);
        let fds = [good.as_fd(), unfit, good.as_fd()];
        scene.server.stream.send_with_fds(b"here", &fds).unwrap();
        let [(first, size), missing, (last, _)] = *scene.channel.receive(&mut scene.guest).identifiers else {
            panic!("not three");
        };
        assert!(first > 0 && last > first && size == 4096);
        assert_eq!(missing, (0, 0));
    }
}

#[test]
fn a_file_that_ends_within_a_page_is_shown_up_to_the_pages_end() {
    let mut scene = scene();
    for (size, blob, works) in [(5000, 8192, true), (5000, 65_536, true), (5000, 1 << 20, false)] {
        let file = rustix::fs::memfd_create("segment", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&file, size).unwrap();
        let (item, bytes) = scene.pass(&file);
        assert_eq!(u64::from(bytes), size);
        assert_eq!(scene.create(item.into(), blob).is_ok(), works, "{blob}");
    }
}
