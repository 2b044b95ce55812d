//! Nothing hangs: servers that are absent, silent, slow, dying or back again.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed test"
)]

mod lab;

use std::time::Duration;

use display::DisplayName;
use lab::{BY_DISPLAY, CHANNELS, Lab};
use x11bridge_testkit::display::unused_number;
use x11bridge_testkit::{ByteOrder, FakeServer, PacketKind, requests};

#[test]
fn without_a_server_clients_are_told_which_display_is_missing_and_served_once_it_is_there() {
    for channel in &BY_DISPLAY {
        let mut lab = Lab::new(channel);
        let path = lab.server().path().to_owned();
        lab.server = None;
        for order in ByteOrder::BOTH {
            let why = lab.connect(order).unwrap_err().to_string();
            assert!(
                why.contains(path.to_str().unwrap()) && why.contains("no X server is listening"),
                "{why}"
            );
        }
        lab.server = Some(FakeServer::start(&lab.folder.0).unwrap());
        lab.pair(ByteOrder::Little);
    }
}

#[test]
fn a_server_that_never_answers_the_set_up_is_given_up() {
    for channel in &CHANNELS {
        let lab = Lab::with(channel, |options| options.live.host_timeout = Duration::from_millis(100));
        let why = lab.connect(ByteOrder::Little).unwrap_err().to_string();
        assert!(why.contains("did not answer within 0.1 s"), "{why}");
    }
}

#[test]
fn a_server_that_hangs_up_during_the_set_up_is_named() {
    for channel in &CHANNELS {
        let lab = Lab::new(channel);
        std::thread::scope(|scope| {
            scope.spawn(|| drop(lab.server().accept().unwrap()));
            let why = lab.connect(ByteOrder::Little).unwrap_err().to_string();
            assert!(why.contains("closed the connection during the set-up"), "{why}");
        });
    }
}

/// TCP throws away what has not been delivered when the other end dies so.
#[test]
fn a_server_that_dies_with_requests_unread_is_heard_to_its_last_byte() {
    for channel in &BY_DISPLAY {
        let lab = Lab::new(channel);
        let (mut client, mut server) = lab.pair(ByteOrder::Little);
        client.request(&requests::get_input_focus(ByteOrder::Little)).unwrap();
        server.request().unwrap();
        server.reply(3, &[], &vec![7; 300_000]).unwrap_or_else(|error| panic!("{error}"));
        (0..10).for_each(|_| drop(client.request(&requests::no_operation(ByteOrder::Little))));
        server.stream.send(b"half a message").unwrap();
        drop(server);
        assert_eq!(client.packet().unwrap().bytes.len(), 300_032);
        assert_eq!(client.stream.receive_to_end().unwrap(), b"half a message");
        assert_eq!(lab.next_end(), "the X server closed the connection");
    }
}

#[test]
fn a_client_that_leaves_at_once_is_heard_to_its_last_byte() {
    for channel in &CHANNELS {
        let lab = Lab::new(channel);
        let (mut client, mut server) = lab.pair(ByteOrder::Little);
        let image = requests::request(ByteOrder::Little, 72, 2, &vec![1; 200_000]);
        std::thread::scope(|scope| {
            let received = scope.spawn(|| server.stream.receive_to_end().unwrap());
            for _ in 0..5 {
                client.request(&image).unwrap();
            }
            drop(client);
            assert!(received.join().unwrap() == image.repeat(5), "{channel:?}");
        });
    }
}

#[test]
fn a_stopped_server_stalls_only_its_own_client() {
    for channel in &CHANNELS {
        let lab = Lab::new(channel);
        let (mut stalled, mut stopped) = lab.pair(ByteOrder::Little);
        let image = requests::request(ByteOrder::Little, 72, 2, &vec![1; 200_000]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..20 {
                    stalled.request(&image).unwrap();
                }
            });
            for _ in 0..3 {
                let (mut client, mut server) = lab.pair(ByteOrder::Big);
                client.request(&requests::get_input_focus(ByteOrder::Big)).unwrap();
                server.request().unwrap();
                server.reply(0, &[], &[]).unwrap();
                assert_eq!(client.packet().unwrap().kind(), PacketKind::Reply);
            }
            for _ in 0..20 {
                assert_eq!(stopped.request().unwrap().bytes.len(), image.len());
            }
        });
    }
}

#[test]
fn a_request_that_waits_for_its_opcode_goes_on_although_the_server_was_not_reading() {
    let order = ByteOrder::Little;
    for channel in &CHANNELS {
        let lab = Lab::new(channel);
        let (mut client, mut server) = lab.pair(order);
        client.request(&requests::query_extension(order, "RENDER")).unwrap();
        server.request().unwrap();
        // More than the sockets hold, so that some of it is still on its way when the answer comes.
        let image = requests::request(order, 72, 2, &vec![1; 200_000]);
        let render = requests::request(order, 139, 0, &[0; 8]);
        let stream = [image.repeat(3), render.clone()].concat();
        std::thread::scope(|scope| {
            let mut writer = client.stream.try_clone().unwrap();
            scope.spawn(move || writer.send(&stream).unwrap());
            server.reply_extension(Some(139)).unwrap();
            assert_eq!(client.packet().unwrap().kind(), PacketKind::Reply);
            (0..3).for_each(|_| drop(server.request().unwrap()));
            assert_eq!(server.request().unwrap().bytes, render, "{channel:?}");
        });
    }
}

#[test]
fn closing_delivers_what_was_said_and_leaves_no_file() {
    for channel in &CHANNELS {
        let lab = Lab::new(channel);
        let (mut client, mut server) = lab.pair(ByteOrder::Little);
        let image = requests::request(ByteOrder::Little, 72, 2, &vec![1; 100_000]);
        client.request(&image).unwrap();
        let (socket, xauthority) =
            (lab.bridge.socket_path().to_owned(), lab.bridge.xauthority().unwrap().to_owned());
        let lock = format!("/tmp/.X{}-lock", lab.bridge.number().unwrap());
        std::thread::scope(|scope| {
            scope.spawn(|| lab.bridge.close());
            assert!(server.stream.receive_to_end().unwrap() == image);
            server.reply(1, &[], &[]).unwrap();
            drop(server);
            assert_eq!(client.packet().unwrap().detail(), 1);
            assert_eq!(client.stream.receive_to_end().unwrap(), b"");
        });
        lab.bridge.close();
        assert_eq!(lab.next_end(), "the bridge was stopped");
        assert!(!socket.exists() && !xauthority.exists() && !std::path::Path::new(&lock).exists());
        assert!(lab.connect(ByteOrder::Little).is_err());
    }
}

#[test]
fn closing_ends_although_neither_side_of_a_client_does_anything() {
    for channel in &CHANNELS {
        let lab = Lab::new(channel);
        let (_client, _server) = lab.pair(ByteOrder::Little);
        lab.bridge.close();
        assert_eq!(lab.bridge.stats().clients, 0);
    }
}

#[test]
fn closing_ends_clients_that_never_pause() {
    for channel in &CHANNELS {
        let lab = Lab::new(channel);
        let (mut client, mut server) = lab.pair(ByteOrder::Little);
        let flood = requests::no_operation(ByteOrder::Little).repeat(10_000);
        std::thread::scope(|scope| {
            scope.spawn(move || while client.stream.send(&flood).is_ok() {});
            scope.spawn(move || {
                let mut buffer = vec![0; 100_000];
                while server.stream.receive(&mut buffer, &mut vec![]).is_ok_and(|bytes| bytes > 0) {}
            });
            lab.bridge.close();
            assert_eq!(lab.bridge.stats().clients, 0, "{channel:?}");
        });
    }
}

#[test]
fn a_bridge_to_itself_is_refused_and_leaves_nothing() {
    let folder = lab::Folder::new().unwrap();
    let number = unused_number();
    let host = DisplayName::parse(&format!(":{number}")).unwrap();
    let mut options = bridge::Options::new(Some(host), folder.0.clone());
    options.display = Some(number);
    let error = bridge::Bridge::start(options, Box::new(|| {})).unwrap_err();
    assert!(error.to_string().contains("the bridge's own"), "{error}");
    assert!(!std::path::Path::new(&format!("/tmp/.X{number}-lock")).exists());
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0);
}

#[test]
fn options_are_checked_at_below_and_above_their_limits() {
    type Change = fn(&mut bridge::Options, u32);
    let cases: [(Change, &[(u32, bool)]); 4] = [
        (
            |options, value| options.live.spin = Duration::from_micros(value.into()),
            &[(0, true), (1000, true), (1001, false)],
        ),
        (
            |options, value| options.live.clients_max = value as usize,
            &[(0, false), (1, true), (65_536, true), (65_537, false)],
        ),
        (
            |options, value| options.live.host_timeout = Duration::from_secs(value.into()),
            &[(0, false), (600, true), (601, false)],
        ),
        (|options, value| options.display = Some(value), &[(59_536, false)]),
    ];
    for (change, values) in cases {
        for (value, works) in values {
            let folder = lab::Folder::new().unwrap();
            let host = DisplayName::parse("/nowhere/X0").unwrap();
            let mut options = bridge::Options::new(Some(host), folder.0.clone());
            change(&mut options, *value);
            assert_eq!(bridge::Bridge::start(options, Box::new(|| {})).is_ok(), *works, "{value}");
        }
    }
}
