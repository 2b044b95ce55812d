//! Virtual machines that come, pause, start anew and go.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is a failed test")]

mod lab;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use host::{Event, Host, Options};
use lab::gpu::{Guest, Header, INVALID_CONTEXT, OK_NODATA};
use lab::machine::Machine;
use lab::{Folder, Lab};
use vhost::vhost_user::VhostUserFrontend;
use vhost::vhost_user::message::{VhostUserConfigFlags, VhostUserProtocolFeatures};
use vhost::{VhostBackend, VhostUserMemoryRegionInfo};

#[test]
fn a_guest_that_was_paused_goes_on_where_it_was() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let mut channel = guest.channel(1);
    let mut server = lab.server().accept().unwrap();
    channel.poll(&mut guest);
    let base = guest.machine.stop();
    server.stream.send(b"said while it was paused").unwrap();
    assert!(channel.is_silent(&mut guest));
    guest.machine.start(base);
    assert_eq!(channel.receive(&mut guest).data, b"said while it was paused");
    channel.send(&mut guest, b"heard");
    server.stream.receive_exact(&mut [0; 5], &mut vec![]).unwrap();
}

#[test]
fn nothing_is_written_into_a_guest_whose_queue_stands_still() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let mut channel = guest.channel(1);
    let mut server = lab.server().accept().unwrap();
    server.stream.send(b"before").unwrap();
    assert_eq!(channel.receive(&mut guest).data, b"before");
    let ticket = channel.poll(&mut guest);
    guest.machine.front_end.get_features().unwrap();
    let base = guest.machine.stop();
    server.stream.send(b"behind").unwrap();
    // The device has had the bytes before it could have heard this.
    guest.machine.front_end.get_features().unwrap();
    assert!(!guest.machine.is_returned(ticket.head));
    assert_eq!(channel.message(&guest).data, b"before");
    guest.machine.start(base);
    assert_eq!(channel.receive(&mut guest).data, b"behind");
}

#[test]
fn a_channel_that_opens_while_its_guest_is_paused_is_there_when_it_goes_on() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let mut channel = guest.channel(1);
    let base = guest.machine.stop();
    let mut server = lab.server().accept().unwrap();
    server.stream.send(b"said early").unwrap();
    guest.machine.front_end.get_features().unwrap();
    guest.machine.start(base);
    assert_eq!(channel.receive(&mut guest).data, b"said early");
    channel.send(&mut guest, b"heard");
    server.stream.receive_exact(&mut [0; 5], &mut vec![]).unwrap();
}

#[test]
fn a_queue_that_is_not_enabled_keeps_its_requests_and_holds_up_nobody() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    guest.machine.front_end.set_vring_enable(0, false).unwrap();
    let ticket = guest.send(&Header::default().bytes(0x100));
    guest.machine.front_end.get_features().unwrap();
    assert!(!guest.machine.is_returned(ticket.head));
    guest.machine.front_end.set_vring_enable(0, true).unwrap();
    assert_eq!(guest.response(ticket).status, 0x1101);
}

#[test]
fn the_cursors_queue_asks_for_the_next_kick() {
    let lab = Lab::new();
    let mut machine = Machine::attach(lab.host.socket());
    machine.negotiate_without(0);
    machine.share_memory();
    machine.start(0);
    machine.offer_cursor();
    while machine.cursor_indices().0 == 0 {
        std::thread::yield_now();
    }
    // The device is done with the queue before it hears this.
    machine.front_end.get_features().unwrap();
    assert_eq!(machine.cursor_indices(), (1, 1));
}

#[test]
fn a_driver_that_starts_anew_finds_an_empty_device() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let mut channel = guest.channel(1);
    channel.poll(&mut guest);
    let mut server = lab.server().accept().unwrap();
    guest.machine.reset();
    assert!(server.stream.receive_to_end().unwrap().is_empty(), "its program is gone");
    let reason = lab.event(|event| match event {
        Event::ContextClosed { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason, "the guest's driver started anew");
    assert_eq!(guest.destroy_context(1), INVALID_CONTEXT);
    let mut fresh = Guest::new(guest.machine);
    assert_eq!(fresh.create_context(1, ""), OK_NODATA);
}

#[test]
fn one_machine_follows_another_and_a_second_at_once_is_turned_away() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let _channel = guest.channel(1);
    let mut server = lab.server().accept().unwrap();
    let second = Machine::attach(lab.host.socket());
    assert!(second.front_end.get_features().is_err());
    lab.event(|event| match event {
        Event::Log { message, .. } if message.contains("turned away") => Some(()),
        _ => None,
    });
    drop(guest);
    assert!(server.stream.receive_to_end().unwrap().is_empty(), "its programs are gone with it");
    lab.event(|event| matches!(event, Event::GuestDisconnected { .. }).then_some(()));
    let mut third = lab.guest();
    assert_eq!(third.create_context(1, ""), OK_NODATA);
}

#[test]
fn a_machine_is_told_apart_by_its_process_and_its_end_by_a_reason() {
    let lab = Lab::new();
    let guest = lab.guest();
    let pid = lab.event(|event| match event {
        Event::GuestConnected { pid } => Some(*pid),
        _ => None,
    });
    assert_eq!(pid, i32::try_from(std::process::id()).ok());
    drop(guest);
    let reason = lab.event(|event| match event {
        Event::GuestDisconnected { reason } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason, "the virtual machine monitor closed the connection");
}

#[test]
fn closing_ends_every_stream_and_removes_the_socket() {
    let lab = Lab::new();
    let mut guest = lab.guest();
    let _channel = guest.channel(1);
    let mut server = lab.server().accept().unwrap();
    lab.host.close();
    lab.host.close();
    assert!(!lab.host.socket().exists());
    assert!(server.stream.receive_to_end().unwrap().is_empty());
    assert!(guest.machine.front_end.get_features().is_err());
}

#[test]
fn closing_waits_for_no_machine_that_stopped_in_the_middle_of_a_request() {
    let lab = Lab::new();
    let mut half = UnixStream::connect(lab.host.socket()).unwrap();
    half.write_all(&[1, 0, 0, 0, 1]).unwrap();
    lab.event(|event| matches!(event, Event::GuestConnected { .. }).then_some(()));
    lab.host.close();
}

type Wrong = fn(&mut Machine) -> bool;

#[test]
fn requests_of_a_machine_that_can_not_be_end_its_connection_alone() {
    let lab = Lab::new();
    let wrong: [(&str, Wrong); 6] = [
        ("a queue that is none", |machine| machine.front_end.set_vring_enable(1, true).is_err()),
        ("memory beyond its file", |machine| {
            let region = VhostUserMemoryRegionInfo { memory_size: 1 << 40, ..machine.region() };
            machine.front_end.set_mem_table(&[region]).is_err()
        }),
        ("memory that overlaps", |machine| machine.front_end.add_mem_region(&machine.region()).is_err()),
        ("memory that is not there", |machine| {
            let region = VhostUserMemoryRegionInfo { guest_phys_addr: 0, ..machine.region() };
            machine.front_end.remove_mem_region(&region).is_err()
        }),
        ("a queue that is too large", |machine| {
            machine.front_end.set_vring_num(0, 1024).unwrap();
            machine.front_end.set_vring_num(0, 2048).is_err()
        }),
        ("a queue of an odd size", |machine| machine.front_end.set_vring_num(0, 1000).is_err()),
    ];
    for (what, request) in wrong {
        let mut machine = Machine::attach(lab.host.socket());
        if what == "a queue that is none" {
            // Before features are agreed upon.
            assert!(request(&mut machine), "{what}");
            drop(machine);
            lab.event(|event| matches!(event, Event::GuestDisconnected { .. }).then_some(()));
            continue;
        }
        machine.negotiate();
        machine.share_memory();
        assert!(request(&mut machine), "{what}");
        drop(machine);
        lab.event(|event| matches!(event, Event::GuestDisconnected { .. }).then_some(()));
    }
    assert_eq!(lab.guest().create_context(1, ""), OK_NODATA);
}

#[test]
fn the_configuration_says_one_capset_and_the_scanouts_asked_for() {
    for scanouts in [0, 1, 16] {
        let lab = Lab::with(|options| options.scanouts = scanouts);
        let mut machine = lab.machine();
        let (_, config) =
            machine.front_end.get_config(0, 16, VhostUserConfigFlags::empty(), &[0; 16]).unwrap();
        let words: Vec<u32> = config.chunks(4).map(|word| lab::gpu::word(word, 0)).collect();
        assert_eq!(words, [0, 0, scanouts, 1]);
    }
}

#[test]
fn a_machine_without_a_window_is_served_and_told_of() {
    let lab = Lab::new();
    let mut machine = Machine::attach(lab.host.socket());
    machine.front_end.set_owner().unwrap();
    let features = machine.front_end.get_features().unwrap();
    machine.front_end.set_features(features & !(1 << 29)).unwrap();
    let protocol = machine.front_end.get_protocol_features().unwrap();
    machine.front_end.set_protocol_features(protocol - VhostUserProtocolFeatures::SHMEM).unwrap();
    lab.event(|event| match event {
        Event::Log { message, .. } if message.contains("QEMU 11.1") => Some(()),
        _ => None,
    });
    machine.share_memory();
    machine.start(0);
    assert_eq!(Guest::new(machine).create_context(1, ""), OK_NODATA);
}

#[test]
fn options_are_checked_at_their_limits() {
    let folder = Folder::new().unwrap();
    let display = || display::DisplayName::parse(":0").unwrap();
    let start = |change: &dyn Fn(&mut Options)| {
        let mut options = Options::new(folder.0.join("gpu.sock"), display());
        change(&mut options);
        Host::start(options, Box::new(|| {})).map(drop).is_ok()
    };
    for (contexts, works) in [(0, false), (1, true), (65_536, true), (65_537, false)] {
        assert_eq!(start(&|options| options.contexts_max = contexts), works, "{contexts}");
    }
    for (scanouts, works) in [(0, true), (16, true), (17, false)] {
        assert_eq!(start(&|options| options.scanouts = scanouts), works, "{scanouts}");
    }
    for (millis, works) in [(0, false), (1, true), (600_000, true), (600_001, false)] {
        let timeout = std::time::Duration::from_millis(millis);
        assert_eq!(start(&|options| options.host_timeout = timeout), works, "{millis}");
    }
}

#[test]
fn the_owner_is_notified_when_something_happens() {
    let folder = Folder::new().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let options = Options::new(folder.0.join("gpu.sock"), display::DisplayName::parse(":0").unwrap());
    let notify = Box::new(move || {
        counted.fetch_add(1, SeqCst);
    });
    let host = Host::start(options, notify).unwrap();
    drop(Machine::connect(host.socket()));
    while calls.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    assert!(matches!(host.take_events()[0], Event::GuestConnected { .. }));
}
