//! Byte vectors of what a host puts before a guest: capsets, and messages in the rings.

// Helpers of tests may fail loudly; clippy only sees that in the test functions themselves.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use cross_domain::dialect::x11bridge::fence::{FEATURE_FENCES, FenceCommand};
use cross_domain::dialect::x11bridge::{self, Closed, Stage, encode_closed};
use cross_domain::{
    Capset, Dialect, Error, Extension, Identifier, IdentifierType, ImageRequirements, Message, Read, channel,
    encode_futex_signal_in_ring, encode_read_header, encode_receive_header,
};

/// The first 352 bytes of a ring that begins with `bytes`.
fn head(bytes: &[u8]) -> [u8; 352] {
    let mut head = [0xee; 352]; // what an earlier message left behind
    head[..bytes.len()].copy_from_slice(bytes);
    head
}

fn capset(channels: u32, extension: Option<Extension>) -> Capset {
    Capset { version: 1, supported_channels: channels, supports_dmabuf: true, extension, ..Capset::default() }
}

#[test]
fn a_receive_has_the_layout_of_a_send_and_no_cmd_size() {
    let mut bytes = [0; 352];
    bytes[..16].copy_from_slice(&[5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 32, 0, 0, 0]); // RECEIVE, 1 id, 32 bytes
    bytes[16..20].copy_from_slice(&[2, 0, 0, 0]); // identifiers
    bytes[128..132].copy_from_slice(&[1, 0, 0, 0]); // identifier_types
    bytes[240..244].copy_from_slice(&[0, 0, 1, 0]); // identifier_sizes
    let blob = Identifier { id: 2, id_type: 1, size: 65_536 };
    let mut out = [0xaa; 352];
    encode_receive_header(&mut out, 32, 4096, &[blob]).unwrap();
    assert_eq!(out, bytes);

    let message = Message::decode(&bytes, 4096, Dialect::Libkrun).unwrap();
    assert_eq!(message.data_range(), 352..384);
    let Message::Receive(receive) = message else { panic!("a RECEIVE") };
    assert_eq!(receive.identifiers.iter().collect::<Vec<_>>(), [blob]);
    assert!(!receive.is_end_of_stream());
}

#[test]
fn a_receive_of_nothing_is_the_end_of_the_stream() {
    let mut out = [0; 352];
    encode_receive_header(&mut out, 0, 4096, &[]).unwrap();
    let Ok(Message::Receive(receive)) = Message::decode(&out, 4096, Dialect::Rutabaga) else {
        panic!("a RECEIVE")
    };
    assert!(receive.is_end_of_stream());
}

#[rustfmt::skip]
#[test]
fn a_read_brings_the_bytes_of_a_pipe_at_offset_24() {
    let bytes = [
        6, 0, 0, 0, 0, 0, 0, 0,       // READ
        1, 0, 0, 0x80, 0, 0, 0, 0,    // identifier of the first read pipe, hang_up
        8, 0, 0, 0, 0, 0, 0, 0,       // opaque_data_size, pad
    ];
    let mut out = [0xaa; 24];
    encode_read_header(&mut out, 0x8000_0001, false, 8, 4096).unwrap();
    assert_eq!(out, bytes);
    let ring = head(&bytes);
    let message = Message::decode(&ring, 4096, Dialect::Libkrun).unwrap();
    assert_eq!(message, Message::Read(Read { identifier: 0x8000_0001, hang_up: false, data_len: 8 }));
    assert_eq!(message.data_range(), 24..32);
}

#[test]
fn an_empty_read_hangs_up() {
    let mut out = [0; 24];
    encode_read_header(&mut out, 7, true, 0, 4096).unwrap();
    let ring = head(&out);
    let message = Message::decode(&ring, 4096, Dialect::Rutabaga).unwrap();
    assert_eq!(message, Message::Read(Read { identifier: 7, hang_up: true, data_len: 0 }));
}

#[test]
fn a_trigger_in_the_ring_is_the_only_word_of_the_host_about_a_relayed_fence() {
    let trigger = FenceCommand::Trigger { id: 0x4000_0003, epoch: 9 };
    let bytes = [242, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0x40, 9, 0, 0, 0];
    assert_eq!(trigger.encode_in_ring(), bytes);
    let ring = head(&bytes);
    let message = Message::decode(&ring, 4096, Dialect::X11Bridge).unwrap();
    assert_eq!((message, message.data_range()), (Message::Fence(trigger), 0..0));
    assert_eq!(Message::decode(&ring, 4096, Dialect::Libkrun), Err(Error::Unsupported { cmd: 242 }));
    for cmd in [241, 243] {
        let ring = head(&[cmd, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0x40, 1, 0, 0, 0]);
        assert_eq!(Message::decode(&ring, 4096, Dialect::X11Bridge), Err(Error::Unsupported { cmd }));
    }
}

#[test]
fn a_futex_signal_in_the_ring_has_an_id_and_no_bytes() {
    let bytes = [9, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0x40, 0, 0, 0, 0];
    assert_eq!(encode_futex_signal_in_ring(0x4000_0003), bytes);
    let ring = head(&bytes);
    let message = Message::decode(&ring, 4096, Dialect::Libkrun).unwrap();
    assert_eq!(message, Message::FutexSignal { id: 0x4000_0003 });
    assert!(message.data_range().is_empty());
}

#[rustfmt::skip]
#[test]
fn closed_says_at_which_stage_and_why_in_our_dialect_alone() {
    let bytes = [
        240, 0, 0, 0, 0, 0, 0, 0,     // CLOSED
        0, 0, 0, 0,                   // stage init
        111, 0, 0, 0,                 // errno ECONNREFUSED
        3, 0, 0, 0,                   // text_len
        b':', b'4', b'2',
    ];
    assert_eq!(encode_closed(Stage::Init, 111, ":42"), bytes);
    let ring = head(&bytes);
    let message = Message::decode(&ring, 4096, Dialect::X11Bridge).unwrap();
    assert_eq!(message, Message::Closed(Closed { stage: Stage::Init, errno: 111, text_len: 3 }));
    assert_eq!(message.data_range(), 20..23);
    assert_eq!(Message::decode(&ring, 4096, Dialect::Libkrun), Err(Error::Unsupported { cmd: 240 }));
}

#[test]
fn each_stage_of_closed_has_its_number() {
    for (stage, number) in [(Stage::Init, 0), (Stage::Send, 1), (Stage::Stream, 2)] {
        let bytes = encode_closed(stage, 0, "");
        assert_eq!(bytes[8..12], [number, 0, 0, 0]);
        let closed = Closed { stage, errno: 0, text_len: 0 };
        assert_eq!(Message::decode(&head(&bytes), 4096, Dialect::X11Bridge), Ok(Message::Closed(closed)));
    }
    let unknown = head(&[240, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let blame = Error::HostMisbehaved { field: "stage", value: 3 };
    assert_eq!(Message::decode(&unknown, 4096, Dialect::X11Bridge), Err(blame));
}

#[test]
fn a_command_of_guests_in_the_ring_is_no_message() {
    for cmd in [0, 1, 2, 3, 4, 7, 8, 10, 11, 12, 13, 241, 255] {
        let ring = head(&[cmd, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Message::decode(&ring, 4096, Dialect::X11Bridge), Err(Error::Unsupported { cmd }));
    }
}

#[rustfmt::skip]
#[test]
fn image_requirements_are_64_bytes_without_a_header() {
    let bytes: [u8; 64] = [
        0, 30, 0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,      // strides 7680, 3840, 0, 0
        0, 0, 0, 0, 0, 0, 126, 0, 0, 0, 0, 0, 0, 0, 0, 0,      // offsets 0, 8,257,536, 0, 0
        1, 0, 0, 0, 0, 0, 0, 1,                                // modifier
        0, 0, 189, 0, 0, 0, 0, 0,                              // size
        4, 0, 0, 0, 3, 0, 0, 0,                                // blob_id, map_info
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,        // memory_idx, physical_device_idx
    ];
    let requirements = ImageRequirements {
        strides: [7680, 3840, 0, 0],
        offsets: [0, 126 << 16, 0, 0],
        modifier: 1 << 56 | 1,
        size: 189 << 16,
        blob_id: 4,
        map_info: 3,
        memory_idx: -1,
        physical_device_idx: -1,
    };
    assert_eq!(requirements.encode(), bytes);
    assert_eq!(ImageRequirements::decode(&bytes), requirements);
}

#[rustfmt::skip]
#[test]
fn the_capset_that_all_hosts_know_has_16_bytes() {
    let bytes = [
        1, 0, 0, 0,                   // version
        0, 0, 2, 0,                   // supported_channels: bit 17, X11
        1, 0, 0, 0, 0, 0, 0, 0,       // supports_dmabuf, supports_external_gpu_memory
    ];
    let capset = capset(1 << 17, None);
    assert_eq!(capset.encode(), bytes);
    assert_eq!(Capset::decode(&bytes), Ok(capset));
    assert!(capset.has_channel(channel::X11) && !capset.has_channel(channel::WAYLAND));
    assert!(!capset.has_channel(channel::INTERNAL_SOCKET), "types above 31 have no bit");
}

#[rustfmt::skip]
#[test]
fn our_capset_goes_on_with_magic_version_ring_size_and_features() {
    let extension = Extension { features: FEATURE_FENCES, ..Extension::new(1 << 20) };
    let capset = capset(1 << 17, Some(extension));
    let bytes = capset.encode();
    assert_eq!(bytes[16..], [
        b'X', b'1', b'1', b'B',       // magic
        1, 0, 0, 0,                   // dialect_version
        0, 0, 16, 0,                  // channel_ring_bytes_max 1 MiB
        1, 0, 0, 0,                   // features: fences
    ]);
    assert_eq!(Capset::decode(&bytes), Ok(capset));
    let without = Capset { extension: Some(Extension::new(1 << 20)), ..capset };
    assert_eq!(Capset::decode(&bytes[..28]), Ok(without), "there is no room for features");
    assert_eq!(Dialect::detect(&bytes), Some(Dialect::X11Bridge));
}

#[test]
fn a_zeroed_buffer_behind_an_old_hosts_capset_is_no_extension() {
    let mut buffer = [0; 28];
    buffer[..16].copy_from_slice(&capset(1 << 17, None).encode());
    assert_eq!(Capset::decode(&buffer), Ok(capset(1 << 17, None)));
    assert_eq!(Dialect::detect(&buffer), None, "libkrun and rutabaga say the same");
}

#[test]
fn a_dbus_channel_gives_rutabaga_away() {
    let bytes = capset(1 << 17 | 1 << channel::DBUS_SYSTEM, None).encode();
    assert_eq!(Dialect::detect(&bytes), Some(Dialect::Rutabaga));
}

#[test]
fn a_capset_that_cannot_be_is_the_hosts_fault() {
    let short = capset(0, None).encode();
    let blame = |field, value| Err(Error::HostMisbehaved { field, value });
    assert_eq!(Capset::decode(&short[..15]), blame("capset_bytes", 15));
    let ours = capset(0, Some(Extension::new(4096))).encode();
    assert_eq!(Capset::decode(&ours[..27]), blame("capset_bytes", 27));
    let odd = capset(0, Some(Extension::new(4097))).encode();
    assert_eq!(Capset::decode(&odd), blame("channel_ring_bytes_max", 4097));
    let old = capset(0, Some(Extension { dialect_version: 0, ..Extension::new(4096) })).encode();
    assert_eq!(Capset::decode(&old), blame("dialect_version", 0));
    assert_eq!(Dialect::detect(&old), None);
}

#[test]
fn identifier_types_5_to_7_mean_something_else_in_each_dialect() {
    use IdentifierType::{Event, Shm, Socket, VirtgpuBlob, VirtioFsBlob, WritePipe};
    for (raw, libkrun, rutabaga) in [
        (0, None, None),
        (1, Some(VirtgpuBlob), Some(VirtgpuBlob)),
        (4, Some(WritePipe), Some(WritePipe)),
        (5, Some(Shm), Some(Event)),
        (6, Some(Event), Some(VirtioFsBlob)),
        (7, None, Some(Socket)),
        (8, None, None),
    ] {
        assert_eq!(Dialect::Libkrun.identifier_type(raw), libkrun);
        assert_eq!(Dialect::X11Bridge.identifier_type(raw), libkrun);
        assert_eq!(Dialect::Rutabaga.identifier_type(raw), rutabaga);
    }
    assert_eq!(Dialect::X11Bridge.raw_identifier_type(VirtioFsBlob), Some(240));
    assert_eq!(Dialect::Libkrun.raw_identifier_type(VirtioFsBlob), None);
    assert_eq!(Dialect::Rutabaga.raw_identifier_type(Shm), None);
    assert_eq!(Dialect::Libkrun.raw_identifier_type(Event), Some(6));
}

#[test]
fn a_text_of_closed_is_cut_at_the_end_of_a_character() {
    let bytes = encode_closed(Stage::Stream, 0, &"ü".repeat(300));
    assert_eq!(bytes.len(), 20 + 512, "256 characters of two bytes");
    let bytes = encode_closed(Stage::Stream, 0, &format!("x{}", "ü".repeat(300)));
    assert_eq!(bytes.len(), 20 + 511, "the 512th byte would be half a character");
    assert!(std::str::from_utf8(&bytes[20..]).is_ok());
    assert_eq!(x11bridge::CLOSED_TEXT_MAX, 512);
}
