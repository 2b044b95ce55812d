//! The guest's `/dev/shm`: files of a device of its own, mapped by the VMM.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

mod lab;

use std::os::fd::OwnedFd;

use cross_domain::dialect::x11bridge::{ID_TYPE_FILE, encode_import_file};
use cross_domain::{ExportedFile, FutexNew};
use host::{Event, SHM_WINDOW_BYTES};
use lab::dev_shm::{
    Guest, READ, REMOVEMAPPING, ROOT, SETATTR, SLOT, UNLINK, bytes, lab, named, send_naming, word,
};
use lab::gpu::OK_NODATA;
use rustix::io::Errno;
use vhost::vhost_user::VhostUserFrontend;
use vhost::vhost_user::message::VhostUserConfigFlags;
use x11bridge_testkit::{FakeConnection, HANG_GUARD};

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
