//! The guest half over upstream's host half: a scripted X server, and a real one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed test"
)]

mod lab;

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use lab::{Lab, WAYLAND, X11, Xvfb};
use x11bridge_testkit::requests::{self, Area};
use x11bridge_testkit::{ByteOrder, FakeConnection, PacketKind, RawClient};

const ORDER: ByteOrder = ByteOrder::Little;

#[test]
fn the_host_is_told_from_libkrun_and_said_to_be_rutabaga() {
    let lab = Lab::new(&[X11]);
    let (route, why) = lab.bridge.channel();
    assert_eq!(route.name(), "virtgpu");
    assert!(why.contains("the X11 channel of rutabaga"), "{why}");
}

#[test]
fn a_wayland_channel_leads_to_an_x_server_where_there_is_no_other() {
    let lab = Lab::new(&[WAYLAND]);
    assert!(lab.bridge.channel().1.contains("the Wayland channel of rutabaga"));
    lab.pair(ORDER);
}

#[test]
fn a_host_without_a_channel_is_refused_with_what_to_do() {
    let error = lab::examine(&[(0x10, "/nowhere".into()), (0x12, "/nowhere".into())]).unwrap_err();
    assert!(error.to_string().contains("neither an X11 nor a Wayland channel"), "{error}");
}

#[test]
fn requests_and_replies_of_all_sizes_pass_both_ways() {
    let lab = Lab::new(&[X11]);
    let (mut client, mut server) = lab.pair(ORDER);
    for bytes in [0, 4, 3700, 3744, 3748, 65_000, 200_000] {
        let request = requests::request(ORDER, 72, 2, &vec![7; bytes]);
        std::thread::scope(|scope| {
            scope.spawn(|| client.request(&request).unwrap());
            assert!(server.request().unwrap().bytes == request, "{bytes}");
        });
        client.request(&requests::get_input_focus(ORDER)).unwrap();
        server.request().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| server.reply(9, &[], &vec![8; bytes]).unwrap());
            assert_eq!(client.packet().unwrap().bytes.len(), 32 + bytes);
        });
    }
}

#[test]
fn sixteen_mebibytes_pass_each_way_while_the_other_way_is_busy() {
    let lab = Lab::new(&[X11]);
    let (mut client, mut server) = lab.pair(ORDER);
    let image = requests::request(ORDER, 72, 2, &vec![1; 200_000]);
    let event = [vec![34], vec![0; 31]].concat().repeat(6250);
    let mut says = client.stream.try_clone().unwrap();
    let mut answers = server.stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| (0..84).for_each(|_| says.send(&image).unwrap()));
        scope.spawn(|| (0..84).for_each(|_| answers.send(&event).unwrap()));
        scope.spawn(|| (0..84).for_each(|_| assert!(server.request().unwrap().bytes == image)));
        for _ in 0..84 * 6250 {
            assert_eq!(client.packet().unwrap().kind(), PacketKind::Event);
        }
    });
}

#[test]
fn a_server_that_hangs_up_is_heard_to_its_last_byte() {
    let lab = Lab::new(&[X11]);
    let (mut client, mut server) = lab.pair(ORDER);
    client.request(&requests::get_input_focus(ORDER)).unwrap();
    server.request().unwrap();
    server.reply(3, &[], &vec![7; 300_000]).unwrap();
    drop(server);
    assert_eq!(client.packet().unwrap().bytes.len(), 300_032);
    assert_eq!(client.stream.receive_to_end().unwrap(), b"");
    assert_eq!(lab.next_end(), "the X server closed the connection");
}

/// Rutabaga has no half-close, so the context's end has to be the stream's.
#[test]
fn a_client_that_leaves_is_gone_from_the_server_at_once() {
    let lab = Lab::new(&[X11]);
    let (mut client, mut server) = lab.pair(ORDER);
    let image = requests::request(ORDER, 72, 2, &vec![1; 100_000]);
    client.request(&image).unwrap();
    drop(client);
    // Much less than the bridge waits for a server that has something to say.
    server.stream.socket().set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert!(server.stream.receive_to_end().unwrap() == image);
    assert_eq!(lab.next_end(), "the client closed its connection");
}

#[test]
fn a_client_that_says_no_more_still_hears_the_answers() {
    let lab = Lab::new(&[X11]);
    let (mut client, mut server) = lab.pair(ORDER);
    client.request(&requests::get_input_focus(ORDER)).unwrap();
    client.stream.socket().shutdown(std::net::Shutdown::Write).unwrap();
    server.request().unwrap();
    server.reply(5, &[], &vec![1; 50_000]).unwrap();
    assert_eq!(client.packet().unwrap().bytes.len(), 50_032);
}

/// Rutabaga's worker halts then without a word.
#[test]
fn a_server_that_dies_with_requests_unread_ends_its_clients_all_the_same() {
    let lab = Lab::new(&[X11]);
    let (mut client, mut server) = lab.pair(ORDER);
    client.request(&requests::no_operation(ORDER).repeat(100)).unwrap();
    server.stream.receive(&mut [0; 4], &mut vec![]).unwrap();
    drop(server);
    assert_eq!(client.stream.receive_to_end().unwrap(), b"");
    assert_eq!(lab.next_end(), "the host has no connection to its X server");
}

/// Nothing tells the guest that the host could not connect.
#[test]
fn a_server_that_is_not_there_is_told_of_before_time_is_up() {
    let mut lab = Lab::new(&[X11]);
    lab.server = None;
    let why = lab.connect(ORDER).unwrap_err().to_string();
    assert!(why.contains("the host has no connection to its X server"), "{why}");
}

#[test]
fn a_stopped_server_is_not_taken_for_a_dead_one() {
    let lab = Lab::new(&[X11]);
    let (mut client, mut server) = lab.pair(ORDER);
    client.request(&requests::get_input_focus(ORDER)).unwrap();
    // Longer than the bridge waits before it asks, and then for the answer.
    std::thread::sleep(Duration::from_secs(4));
    server.request().unwrap();
    server.reply(0, &[], &[]).unwrap();
    assert_eq!(client.packet().unwrap().kind(), PacketKind::Reply);
}

#[test]
fn clients_come_and_go_at_once() {
    let lab = Lab::new(&[X11]);
    let mut pairs: Vec<_> = (0..50).map(|_| lab.pair(ORDER)).collect();
    for (client, server) in &mut pairs {
        client.request(&requests::get_input_focus(ORDER)).unwrap();
        server.request().unwrap();
        server.reply(0, &[], &[]).unwrap();
        assert_eq!(client.packet().unwrap().kind(), PacketKind::Reply);
    }
    drop(pairs);
    lab.ends(50);
}

#[test]
fn a_real_server_answers_and_draws() {
    let Some(server) = Xvfb::start() else { panic!("Xvfb is needed: npm test installs it") };
    let lab = Lab::in_front_of(Path::new(&server.socket()));
    let mut client = RawClient::connect(lab.bridge.socket_path(), ORDER, Some(&lab.cookie)).unwrap();
    client.enable_big_requests().unwrap();
    let names = client.reply_to(&requests::list_extensions(ORDER)).unwrap();
    assert!(names.bytes.windows(6).any(|name| name == b"RENDER"));
    assert!(names.bytes.windows(7).any(|name| name == b"MIT-SHM"));
    client.reply_to(&requests::list_fonts(ORDER)).unwrap();
    let (root, depth, pixmap) = (client.setup.root, client.setup.root_depth, client.setup.resource_base);
    let area = Area { drawable: pixmap, width: 500, height: 500 };
    client.request(&requests::create_pixmap(ORDER, depth, pixmap, root, 500, 500)).unwrap();
    client.request(&requests::create_gc(ORDER, pixmap + 1, pixmap)).unwrap();
    let pixels: Vec<u8> = (0..250_000_u32).flat_map(|pixel| (pixel * 31 % 0xff_ffff).to_le_bytes()).collect();
    // 16 MiB each way.
    for _ in 0..17 {
        client.request(&requests::put_image(ORDER, area, pixmap + 1, depth, &pixels)).unwrap();
        let got = client.reply_to(&requests::get_image(ORDER, area)).unwrap();
        assert!(got.bytes[32..] == pixels);
    }
}

const SHM: u8 = 130;

/// A client that knows an extension, and its connection at the server.
fn pair_with(lab: &Lab, name: &str, major: u8) -> (RawClient, FakeConnection) {
    let (mut client, mut server) = lab.pair(ORDER);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            server.request().unwrap();
            server.reply_extension(Some(major)).unwrap();
        });
        assert_eq!(client.extension(name).unwrap(), Some(major));
    });
    (client, server)
}

fn memfd(bytes: u64) -> File {
    let file = rustix::fs::memfd_create("buffer", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&file, bytes).unwrap();
    file.into()
}

fn at(file: impl AsFd, offset: u64) -> [u8; 4] {
    let mut bytes = [0; 4];
    let file = File::from(file.as_fd().try_clone_to_owned().unwrap());
    file.read_exact_at(&mut bytes, offset).unwrap();
    bytes
}

#[test]
fn memory_of_the_server_reaches_the_client_and_is_one_memory() {
    let lab = Lab::new(&[X11]);
    let (mut client, mut server) = pair_with(&lab, "MIT-SHM", SHM);
    for round in 0..100_u8 {
        let segment = memfd(8192);
        client.request(&requests::request(ORDER, SHM, 7, &[0; 12])).unwrap();
        server.request().unwrap();
        server.reply_with_fds(1, &[0; 24], &[segment.as_fd()]).unwrap();
        let fds = client.packet().unwrap().fds;
        segment.write_all_at(&[round; 4], 100).unwrap();
        assert_eq!(at(fds.first().unwrap(), 100), [round; 4]);
    }
}

#[test]
fn a_descriptor_that_is_no_memory_is_left_out_or_refused_and_hurts_nobody() {
    let lab = Lab::new(&[X11]);
    let (mut client, mut server) = pair_with(&lab, "MIT-SHM", SHM);
    let (pipe, _writer) = rustix::pipe::pipe().unwrap();
    let folder = File::open("/").unwrap();
    let attach = requests::request(ORDER, SHM, 6, &[1, 0, 0, 0, 0, 0, 0, 0]);
    client.request_with_fds(&attach, &[pipe.as_fd()]).unwrap();
    let unfit = server.request().unwrap();
    assert!(unfit.bytes == attach && unfit.fds.is_empty());
    client.request_with_fds(&attach, &[folder.as_fd()]).unwrap();
    let refused = server.request().unwrap();
    assert!(refused.opcode() != SHM && refused.fds.is_empty());
    client.request_with_fds(&attach, &[memfd(4096).as_fd()]).unwrap();
    let attached = server.request().unwrap();
    assert_eq!((attached.bytes == attach, attached.fds.len()), (true, 1));
}

#[test]
fn a_segment_of_the_client_is_copied_to_memory_that_the_host_allocates() {
    let lab = Lab::new(&[X11]);
    let (mut client, mut server) = pair_with(&lab, "MIT-SHM", SHM);
    for bytes in [5000_u64, 1 << 20] {
        let own = memfd(bytes);
        let attach = requests::request(ORDER, SHM, 6, &[1, 0, 0, 0, 0, 0, 0, 0]);
        client.request_with_fds(&attach, &[own.as_fd()]).unwrap();
        let attached = server.request().unwrap();
        assert!(attached.bytes == attach);
        let theirs = attached.fds.first().unwrap();
        let size = u64::try_from(rustix::fs::fstat(theirs).unwrap().st_size).unwrap();
        assert_eq!(size, bytes.next_multiple_of(4096));
        own.write_all_at(b"seen", 4096).unwrap();
        // An image of 32 by 36 pixels of depth 24, which the scripted server's screen has.
        let sizes = [32, 36, 0, 0, 32, 36, 0, 0].map(|number: u16| ORDER.u16(number)).concat();
        let rest = [[24, 2, 0, 0], ORDER.u32(1), ORDER.u32(0)].concat();
        let put = requests::request(ORDER, SHM, 3, &[&[0; 8], &sizes[..], &rest].concat());
        client.request(&put).unwrap();
        assert!(server.request().unwrap().bytes == put);
        assert_eq!(&at(theirs, 4096), b"seen");
        client.request(&requests::request(ORDER, SHM, 2, &ORDER.u32(1))).unwrap();
        server.request().unwrap();
    }
}
