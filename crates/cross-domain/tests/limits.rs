//! Each limit at, below and above.

// Helpers of tests may fail loudly; clippy only sees that in the test functions themselves.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use cross_domain::dialect::x11bridge::check_ring_bytes;
use cross_domain::{
    CMD_BYTES_MAX, Command, Commands, Dialect, Error, IDENTIFIERS_MAX, Identifier, Init, InitForm, Message,
    RING_BYTES_MAX, SEND_DATA_MAX, WRITE_DATA_MAX, encode_poll, encode_read_header, encode_receive_header,
    encode_send_header, encode_write_header, is_futex_id, receive_data_max,
};

fn limit(limit: &'static str, value: u64, max: u64) -> Result<(), Error> {
    Err(Error::LimitReached { limit, value, max })
}

fn guest(field: &'static str, value: u64) -> Error {
    Error::GuestMisbehaved { field, value }
}

/// A submission of one command whose header says `cmd_size`, with `len` bytes in all.
fn command(cmd: u8, cmd_size: u16, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let [low, high] = cmd_size.to_le_bytes();
    bytes[..4].copy_from_slice(&[cmd, 0, low, high]);
    bytes
}

fn first(bytes: &[u8]) -> Option<Result<Command<'_>, Error>> {
    let mut commands = Commands::new(bytes, Dialect::X11Bridge);
    let first = commands.next();
    if first.as_ref().is_some_and(Result::is_err) {
        assert_eq!(commands.next(), None, "an error is the last item");
    }
    first
}

/// A ring's head with `word` at `offset` behind the command number.
fn ring(cmd: u8, offset: usize, word: u32) -> [u8; 352] {
    let mut head = [0; 352];
    head[0] = cmd;
    head[offset..offset + 4].copy_from_slice(&word.to_le_bytes());
    head
}

fn host(field: &'static str, value: u64) -> Result<Message<'static>, Error> {
    Err(Error::HostMisbehaved { field, value })
}

#[test]
fn a_send_holds_65183_bytes_and_not_one_more() {
    let mut out = [0xaa; 352];
    let max = SEND_DATA_MAX as u64;
    assert_eq!(
        encode_send_header(&mut out, SEND_DATA_MAX + 1, 0, &[]),
        limit("opaque_data_size", max + 1, max)
    );
    assert_eq!(
        encode_send_header(&mut out, usize::MAX, usize::MAX, &[]),
        limit("opaque_data_size", u64::MAX, max)
    );
    assert_eq!(out, [0xaa; 352], "a refused SEND leaves the buffer alone");
    for data_len in [0, 1, SEND_DATA_MAX - 1, SEND_DATA_MAX] {
        assert_eq!(encode_send_header(&mut out, data_len, 0, &[]), Ok(()));
        let mut submission = out.to_vec();
        submission.resize(352 + data_len, 7);
        let Some(Ok(Command::Send(send))) = first(&submission) else { panic!("a SEND of {data_len} bytes") };
        assert_eq!(send.data.len(), data_len);
    }
}

#[test]
fn a_gap_takes_what_the_data_leaves_of_64_kib_and_not_one_more() {
    let mut out = [0; 352];
    assert_eq!(encode_send_header(&mut out, SEND_DATA_MAX - 3, 2, &[]), Ok(()));
    assert_eq!(encode_send_header(&mut out, SEND_DATA_MAX - 3, 3, &[]), Ok(()));
    assert_eq!(u16::from_le_bytes([out[2], out[3]]), u16::MAX);
    assert_eq!(encode_send_header(&mut out, SEND_DATA_MAX - 3, 4, &[]), limit("gap", 4, 3));
    assert_eq!(encode_send_header(&mut out, 1, usize::MAX, &[]), limit("gap", u64::MAX, 65_182));
}

#[test]
fn a_message_holds_28_identifiers_and_not_one_more() {
    let mut out = [0; 352];
    for count in [0, 1, IDENTIFIERS_MAX - 1, IDENTIFIERS_MAX] {
        let identifiers = vec![Identifier { id: 1, id_type: 1, size: 1 }; count];
        assert_eq!(encode_send_header(&mut out, 0, 0, &identifiers), Ok(()));
        let Some(Ok(Command::Send(send))) = first(&out) else { panic!("a SEND with {count} identifiers") };
        assert_eq!(send.identifiers.iter().collect::<Vec<_>>(), identifiers);
        assert_eq!(encode_receive_header(&mut out, 0, 4096, &identifiers), Ok(()));
    }
    let identifiers = [Identifier::default(); IDENTIFIERS_MAX + 1];
    assert_eq!(encode_send_header(&mut out, 0, 0, &identifiers), limit("num_identifiers", 29, 28));
    assert_eq!(encode_receive_header(&mut out, 0, 4096, &identifiers), limit("num_identifiers", 29, 28));
}

#[test]
fn a_guest_that_claims_29_identifiers_is_refused_and_so_is_a_host() {
    let mut bytes = command(4, 352, 352);
    bytes[8] = 28;
    assert!(matches!(first(&bytes), Some(Ok(Command::Send(_)))));
    bytes[8] = 29;
    assert_eq!(first(&bytes), Some(Err(guest("num_identifiers", 29))));
    assert_eq!(
        Message::decode(&ring(5, 8, u32::MAX), 4096, Dialect::Libkrun),
        host("num_identifiers", u64::from(u32::MAX))
    );
}

#[test]
fn data_of_a_send_ends_within_its_cmd_size_though_the_submission_goes_on() {
    let mut bytes = command(4, 352 + 4, 352 + 4 + 16);
    bytes[12] = 4;
    bytes[356..].copy_from_slice(&encode_poll());
    let commands: Vec<_> = Commands::new(&bytes, Dialect::X11Bridge).collect();
    assert!(matches!(commands[..], [Ok(Command::Send(_)), Ok(Command::Poll)]));
    bytes[12] = 5;
    assert_eq!(first(&bytes), Some(Err(guest("opaque_data_size", 5))));
    bytes[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(first(&bytes), Some(Err(guest("opaque_data_size", u64::from(u32::MAX)))));
}

#[test]
fn a_cmd_size_below_a_header_or_beyond_the_submission_is_refused() {
    assert_eq!(first(&[]), None);
    assert_eq!(first(&[3; 7]), Some(Err(guest("submission_bytes", 7))));
    assert_eq!(first(&command(3, 0, 16)), Some(Err(guest("cmd_size", 0))), "hosts loop for ever on this");
    assert_eq!(first(&command(3, 7, 16)), Some(Err(guest("cmd_size", 7))));
    assert_eq!(first(&command(3, 8, 16)), Some(Ok(Command::Poll)));
    assert_eq!(first(&command(3, 16, 16)), Some(Ok(Command::Poll)));
    assert_eq!(first(&command(3, 17, 16)), Some(Err(guest("cmd_size", 17))));
    assert_eq!(first(&command(3, u16::MAX, CMD_BYTES_MAX)), Some(Ok(Command::Poll)));
}

#[test]
fn each_command_is_refused_when_one_byte_is_missing() {
    let sizes = [(2, 24), (4, 352), (7, 24), (8, 32), (9, 16), (10, 16), (11, 16), (12, 16)];
    for (cmd, size) in sizes {
        let full = command(cmd, size, size.into());
        assert!(matches!(first(&full), Some(Ok(_))), "command {cmd} of {size} bytes");
        let short = command(cmd, size - 1, size.into());
        assert_eq!(first(&short), Some(Err(guest("cmd_size", u64::from(size - 1)))), "command {cmd}");
    }
}

#[test]
fn an_init_has_one_of_five_sizes_and_no_other() {
    for size in 8..=48 {
        let mut bytes = command(1, size, size.into());
        if size == 32 {
            bytes[25] = 0x10; // channel_ring_bytes 4096
        }
        let init = first(&bytes);
        if [16, 20, 24, 32, 36].contains(&size) {
            assert!(matches!(init, Some(Ok(Command::Init(_)))), "{size} bytes");
        } else {
            assert_eq!(init, Some(Err(guest("cmd_size", size.into()))));
        }
    }
}

#[test]
fn a_ring_of_ours_is_a_power_of_two_from_4096_to_1_mib() {
    let init = |channel_ring_bytes| {
        let form = InitForm::X11Bridge { protocol_version: 1, channel_ring_bytes };
        Init { query_ring_id: 1, channel_ring_id: 2, channel_type: 17, form }
    };
    let mut submission = init(4096).encode().unwrap();
    for bytes in [4096, 8192, 1 << 20] {
        assert_eq!(check_ring_bytes(bytes), Ok(()));
        assert_eq!(first(&init(bytes).encode().unwrap()), Some(Ok(Command::Init(init(bytes)))));
    }
    for bytes in [0, 1, 2048, 4095, 4097, 12_288, (1 << 20) + 1, 1 << 21, u32::MAX] {
        assert_eq!(check_ring_bytes(bytes), limit("channel_ring_bytes", bytes.into(), RING_BYTES_MAX as u64));
        assert!(init(bytes).encode().is_err());
        submission[24..28].copy_from_slice(&bytes.to_le_bytes());
        assert_eq!(first(&submission), Some(Err(guest("channel_ring_bytes", bytes.into()))));
    }
}

#[test]
fn a_write_holds_65511_bytes_and_its_gap_the_rest() {
    let mut out = [0xaa; 24];
    let max = WRITE_DATA_MAX as u64;
    assert_eq!(
        encode_write_header(&mut out, 1, false, WRITE_DATA_MAX + 1, 0),
        limit("opaque_data_size", max + 1, max)
    );
    assert_eq!(encode_write_header(&mut out, 1, false, WRITE_DATA_MAX, 1), limit("gap", 1, 0));
    assert_eq!(out, [0xaa; 24]);
    assert_eq!(encode_write_header(&mut out, 1, false, WRITE_DATA_MAX, 0), Ok(()));
    assert_eq!(encode_write_header(&mut out, 1, false, WRITE_DATA_MAX - 1, 1), Ok(()));
    let mut submission = out.to_vec();
    submission.resize(CMD_BYTES_MAX, 0);
    let Some(Ok(Command::Write(write))) = first(&submission) else { panic!("a WRITE") };
    assert_eq!(write.data.len(), WRITE_DATA_MAX - 1);
    submission[16] = 0xff;
    submission[17] = 0xff;
    assert_eq!(first(&submission), Some(Err(guest("opaque_data_size", 65_535))));
}

#[test]
fn a_receive_fills_the_ring_and_not_one_byte_more() {
    let mut out = [0; 352];
    for ring_bytes in [352, 4096, 65_536, RING_BYTES_MAX] {
        let max = receive_data_max(ring_bytes);
        let beyond = limit("opaque_data_size", max as u64 + 1, max as u64);
        assert_eq!(encode_receive_header(&mut out, max + 1, ring_bytes, &[]), beyond);
        assert_eq!(encode_receive_header(&mut out, max, ring_bytes, &[]), Ok(()));
        let message = Message::decode(&out, ring_bytes, Dialect::X11Bridge).unwrap();
        assert_eq!(message.data_range(), 352..ring_bytes);
        if ring_bytes > 352 {
            let smaller = Message::decode(&out, ring_bytes - 1, Dialect::X11Bridge);
            assert_eq!(smaller, host("opaque_data_size", max as u64));
        }
    }
}

#[test]
fn a_read_fills_the_ring_and_not_one_byte_more() {
    let mut out = [0; 24];
    assert_eq!(encode_read_header(&mut out, 1, false, 4073, 4096), limit("opaque_data_size", 4073, 4072));
    assert_eq!(encode_read_header(&mut out, 1, false, 4072, 4096), Ok(()));
    let head = ring(6, 16, 4072);
    let message = Message::decode(&head, 4096, Dialect::Libkrun).unwrap();
    assert_eq!(message.data_range(), 24..4096);
    assert_eq!(Message::decode(&ring(6, 16, 4073), 4096, Dialect::Libkrun), host("opaque_data_size", 4073));
}

#[test]
fn a_text_of_closed_has_at_most_512_bytes_and_lies_within_the_ring() {
    let decode = |len, ring_bytes| {
        Message::decode(&ring(240, 16, len), ring_bytes, Dialect::X11Bridge).map(|m| m.data_range())
    };
    assert_eq!(decode(0, 4096), Ok(20..20));
    assert_eq!(decode(512, 4096), Ok(20..532));
    assert_eq!(decode(513, 4096), Err(Error::HostMisbehaved { field: "text_len", value: 513 }));
    assert_eq!(decode(380, 400), Ok(20..400));
    assert_eq!(decode(381, 400), Err(Error::HostMisbehaved { field: "text_len", value: 381 }));
}

#[test]
fn futex_ids_lie_between_0x40000000_and_0x80000000() {
    assert!(!is_futex_id(0) && !is_futex_id(0x3fff_ffff));
    assert!(is_futex_id(0x4000_0000) && is_futex_id(0x7fff_ffff));
    assert!(!is_futex_id(0x8000_0000) && !is_futex_id(u32::MAX));
}

#[test]
fn errors_name_who_the_field_and_the_value() {
    let text = |error: Error| error.to_string();
    let guest = Error::GuestMisbehaved { field: "cmd_size", value: 7 };
    assert_eq!(text(guest), "the guest sent cmd_size = 7, which cannot be");
    let host = Error::HostMisbehaved { field: "text_len", value: 513 };
    assert_eq!(text(host), "the host sent text_len = 513, which cannot be");
    assert_eq!(text(Error::Unsupported { cmd: 99 }), "cross-domain command 99 is not part of this dialect");
    let limit = Error::LimitReached { limit: "gap", value: 4, max: 3 };
    assert_eq!(text(limit), "gap is 4, and at most 3 can be");
}
