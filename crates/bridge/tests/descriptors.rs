//! Descriptors travel with their messages, both ways, to the right message, over every channel.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic here is a failed test"
)]

mod lab;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use lab::{BY_DISPLAY, Lab};
use x11bridge_testkit::{ByteOrder, FakeConnection, RawClient, requests};

const DRI3: u8 = 149;

fn pair_with_dri3(lab: &Lab, order: ByteOrder) -> (RawClient, FakeConnection) {
    let (mut client, mut server) = lab.pair(order);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            server.request().unwrap();
            server.reply_extension(Some(DRI3)).unwrap();
        });
        assert_eq!(client.extension("DRI3").unwrap(), Some(DRI3));
    });
    (client, server)
}

/// Files that can be told apart by their size.
fn file(size: u64) -> File {
    let memfd = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&memfd, size).unwrap();
    File::from(memfd)
}

fn sizes(fds: &[OwnedFd]) -> Vec<i64> {
    fds.iter().map(|fd| rustix::fs::fstat(fd).unwrap().st_size).collect()
}

#[test]
fn each_request_gets_its_own_descriptors_however_they_were_written() {
    for channel in &BY_DISPLAY {
        for order in ByteOrder::BOTH {
            let lab = Lab::new(channel);
            let (mut client, mut server) = pair_with_dri3(&lab, order);
            let files = [file(1), file(2), file(3), file(4)];
            let fds: Vec<_> = files.iter().map(AsFd::as_fd).collect();
            let fence = requests::request(order, DRI3, 4, &[0; 12]);
            let image = requests::request(order, 72, 2, &[0; 10_000]);
            // One message that begins with requests without descriptors and carries those of three behind them.
            client
                .stream
                .send_with_fds(&[&image[..], &fence, &image, &fence, &fence].concat(), &fds[..3])
                .unwrap();
            client.stream.send_with_fds(&fence, &fds[3..]).unwrap();
            let received: Vec<_> = (0..6).map(|_| sizes(&server.request().unwrap().fds)).collect();
            assert_eq!(received, [vec![], vec![1], vec![], vec![2], vec![3], vec![4]], "{order:?}");
        }
    }
}

#[test]
fn four_planes_of_one_buffer_arrive_as_four_descriptors() {
    for channel in &BY_DISPLAY {
        let lab = Lab::new(channel);
        let (mut client, mut server) = pair_with_dri3(&lab, ByteOrder::Little);
        let buffer = file(9);
        let mut body = [0; 60];
        body[8] = 4;
        let request = requests::request(ByteOrder::Little, DRI3, 7, &body);
        for _ in 0..2 {
            client.request_with_fds(&request, &[buffer.as_fd(); 4]).unwrap();
        }
        for _ in 0..2 {
            assert_eq!(sizes(&server.request().unwrap().fds), [9; 4]);
        }
    }
}

#[test]
fn a_reply_brings_its_descriptors_in_a_message_of_its_own() {
    for channel in &BY_DISPLAY {
        for order in ByteOrder::BOTH {
            let lab = Lab::new(channel);
            let (mut client, mut server) = pair_with_dri3(&lab, order);
            let (one, two) = (file(1), file(2));
            client.request(&requests::get_input_focus(order)).unwrap();
            server.request().unwrap();
            let focus = server.reply_bytes(0, &[], &[]);
            client.request(&requests::request(order, DRI3, 8, &[0; 4])).unwrap();
            server.request().unwrap();
            let buffers = server.reply_bytes(2, &[], &[]);
            // The descriptors come with the first byte of what the server flushes, ahead of their reply.
            server
                .stream
                .send_with_fds(&[focus.clone(), buffers.clone()].concat(), &[one.as_fd(), two.as_fd()])
                .unwrap();
            let mut fds = vec![];
            let mut bytes = vec![0; 200];
            // A read stops in front of a message with descriptors only if it is one of its own.
            let first = client.stream.receive(&mut bytes[..focus.len()], &mut fds).unwrap();
            assert_eq!((&bytes[..first], fds.len()), (&focus[..], 0), "{order:?}");
            let second = client.stream.receive(&mut bytes, &mut fds).unwrap();
            assert_eq!((&bytes[..second], sizes(&fds)), (&buffers[..], vec![1, 2]));
        }
    }
}

#[test]
fn descriptors_that_nothing_claims_are_closed_and_no_request_takes_them() {
    for channel in &BY_DISPLAY {
        let lab = Lab::new(channel);
        let (mut client, mut server) = pair_with_dri3(&lab, ByteOrder::Little);
        let (stray, own) = (file(1), file(2));
        client.request_with_fds(&requests::no_operation(ByteOrder::Little), &[stray.as_fd(); 30]).unwrap();
        let image = requests::request(ByteOrder::Little, 72, 2, &vec![0; 200_000]);
        std::thread::scope(|scope| {
            scope.spawn(|| (0..7).for_each(|_| drop(server.request().unwrap())));
            for _ in 0..6 {
                client.request(&image).unwrap();
            }
        });
        client
            .request_with_fds(&requests::request(ByteOrder::Little, DRI3, 4, &[0; 12]), &[own.as_fd()])
            .unwrap();
        assert_eq!(sizes(&server.request().unwrap().fds), [2]);
        drop((client, server));
        lab.next_end();
        assert_eq!(lab.bridge.stats().totals.session.descriptors_dropped, 30);
    }
}

#[test]
fn more_descriptors_than_one_message_of_the_wire_names_reach_their_reply() {
    for channel in &BY_DISPLAY {
        for count in [27, 28, 29, 57, 200] {
            let lab = Lab::new(channel);
            let (mut client, mut server) = pair_with_dri3(&lab, ByteOrder::Little);
            client.request(&requests::request(ByteOrder::Little, DRI3, 8, &[0; 4])).unwrap();
            server.request().unwrap();
            let files: Vec<_> = (1..=u64::from(count)).map(file).collect();
            let fds: Vec<_> = files.iter().map(AsFd::as_fd).collect();
            server.reply_with_fds(count, &[], &fds).unwrap();
            let reply = client.packet().unwrap();
            assert_eq!(sizes(&reply.fds), (1..=i64::from(count)).collect::<Vec<_>>(), "{channel:?}");
            assert!(reply.late_fds.is_empty());
        }
    }
}

#[test]
fn a_request_may_own_as_many_descriptors_as_one_message_of_the_wire_names() {
    for channel in &BY_DISPLAY {
        for count in [27_u8, 28] {
            let lab = Lab::new(channel);
            let (mut client, mut server) = pair_with_dri3(&lab, ByteOrder::Big);
            let mut body = [0; 60];
            body[8] = count;
            let buffer = file(9);
            let request = requests::request(ByteOrder::Big, DRI3, 7, &body);
            client.request_with_fds(&request, &vec![buffer.as_fd(); usize::from(count)]).unwrap();
            assert_eq!(sizes(&server.request().unwrap().fds), vec![9; usize::from(count)], "{channel:?}");
        }
    }
}

#[test]
fn descriptors_of_a_request_that_the_server_takes_late_travel_once() {
    for channel in &BY_DISPLAY {
        let lab = Lab::new(channel);
        let (mut client, mut server) = pair_with_dri3(&lab, ByteOrder::Little);
        let image = requests::request(ByteOrder::Little, 72, 2, &vec![7; 200_000]);
        let fence = requests::request(ByteOrder::Little, DRI3, 4, &[0; 12]);
        let files: Vec<_> = (1..=20).map(file).collect();
        std::thread::scope(|scope| {
            // Blocks until the server reads: images fill every buffer on the way, and each has a fence behind it.
            scope.spawn(|| {
                for file in &files {
                    client.request_with_fds(&[&image[..], &fence].concat(), &[file.as_fd()]).unwrap();
                }
            });
            while lab.bridge.stats().clients == 0 {
                std::thread::yield_now();
            }
            for at in 1..=20 {
                assert!(server.request().unwrap().fds.is_empty());
                assert_eq!(sizes(&server.request().unwrap().fds), [at], "{channel:?}");
            }
        });
    }
}
