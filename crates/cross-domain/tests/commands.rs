//! Byte vectors of what a guest submits, written by hand: the encoder makes them, and the host reads them back.

// Helpers of tests may fail loudly; clippy only sees that in the test functions themselves.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use cross_domain::dialect::rutabaga::{AssignSocketUuid, ImportVirtiofsHandle};
use cross_domain::dialect::x11bridge::encode_import_file;
use cross_domain::dialect::x11bridge::fence::FenceCommand;
use cross_domain::dialect::{libkrun, rutabaga};
use cross_domain::{
    Command, Commands, Dialect, ExportedFile, FutexNew, GetImageRequirements, Header, Identifier, Init,
    InitForm, PROTOCOL_VERSION, channel, encode_futex_destroy, encode_futex_signal, encode_poll,
    encode_read_eventfd_new, encode_send_header, encode_write_header,
};

const DIALECTS: [Dialect; 3] = [Dialect::Libkrun, Dialect::Rutabaga, Dialect::X11Bridge];

/// The one command in `bytes`, which has to be the last.
fn only(bytes: &[u8], dialect: Dialect) -> Command<'_> {
    let mut commands = Commands::new(bytes, dialect);
    let command = commands.next().expect("a command").expect("a valid command");
    assert_eq!(commands.next(), None);
    command
}

fn init(form: InitForm) -> Init {
    Init { query_ring_id: 3, channel_ring_id: 4, channel_type: channel::X11, form }
}

#[rustfmt::skip]
#[test]
fn an_init_of_libkrun_has_24_bytes_and_ends_with_the_protocol_version() {
    let bytes = [
        1, 0, 24, 0, 0, 0, 0, 0,   // INIT, ring 0, cmd_size 24, pad
        3, 0, 0, 0,                // query_ring_id
        4, 0, 0, 0,                // channel_ring_id
        0x11, 0, 0, 0,             // channel_type X11
        1, 0, 0, 0,                // protocol_version
    ];
    let init = init(InitForm::Versioned { protocol_version: PROTOCOL_VERSION });
    assert_eq!(init.encode().unwrap(), bytes);
    for dialect in DIALECTS {
        assert_eq!(only(&bytes, dialect), Command::Init(init));
    }
}

#[rustfmt::skip]
#[test]
fn an_init_of_rutabaga_has_20_bytes_or_36_with_a_uuid() {
    let bare = [
        1, 0, 20, 0, 0, 0, 0, 0,   // INIT, cmd_size 20
        3, 0, 0, 0, 4, 0, 0, 0,    // query_ring_id, channel_ring_id
        0x11, 0, 0, 0,             // channel_type X11
    ];
    assert_eq!(init(InitForm::Bare).encode().unwrap(), bare);
    assert_eq!(only(&bare, Dialect::Rutabaga), Command::Init(init(InitForm::Bare)));

    let uuid = [
        1, 0, 36, 0, 0, 0, 0, 0,   // INIT, cmd_size 36
        3, 0, 0, 0, 4, 0, 0, 0,    // query_ring_id, channel_ring_id
        0xff, 0xff, 0xff, 0xff,    // channel_type INTERNAL_SOCKET
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
    ];
    let form = InitForm::SocketUuid([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    let internal = Init { channel_type: channel::INTERNAL_SOCKET, ..init(form) };
    assert_eq!(internal.encode().unwrap(), uuid);
    assert_eq!(only(&uuid, Dialect::Rutabaga), Command::Init(internal));
}

#[rustfmt::skip]
#[test]
fn an_old_init_of_16_bytes_has_one_ring_for_both_uses() {
    let bytes = [
        1, 0, 16, 0, 0, 0, 0, 0,   // INIT, cmd_size 16
        3, 0, 0, 0,                // query_ring_id
        1, 0, 0, 0,                // channel_type Wayland
    ];
    let init =
        Init { query_ring_id: 3, channel_ring_id: 3, channel_type: channel::WAYLAND, form: InitForm::OneRing };
    assert_eq!(init.encode().unwrap(), bytes);
    assert_eq!(only(&bytes, Dialect::Rutabaga), Command::Init(init));
}

#[rustfmt::skip]
#[test]
fn an_init_of_ours_has_32_bytes_and_asks_for_a_ring_size() {
    let bytes = [
        1, 0, 32, 0, 0, 0, 0, 0,   // INIT, cmd_size 32
        3, 0, 0, 0, 4, 0, 0, 0,    // query_ring_id, channel_ring_id
        0x11, 0, 0, 0,             // channel_type X11
        1, 0, 0, 0,                // protocol_version
        0, 0, 4, 0,                // channel_ring_bytes 262,144
        0, 0, 0, 0,                // reserved
    ];
    let form = InitForm::X11Bridge { protocol_version: 1, channel_ring_bytes: 256 << 10 };
    assert_eq!(init(form).encode().unwrap(), bytes);
    assert_eq!(only(&bytes, Dialect::X11Bridge), Command::Init(init(form)));
}

#[test]
fn the_init_for_any_host_is_rutabagas_in_length_and_libkruns_in_its_first_24_bytes() {
    let any = Init::for_any_host(3, 4, channel::X11).encode().unwrap();
    let libkrun = init(InitForm::Versioned { protocol_version: 1 }).encode().unwrap();
    assert_eq!(any.len(), 36);
    assert_eq!(any[8..24], libkrun[8..24]);
    assert!(any[24..].iter().all(|&byte| byte == 0));
}

#[rustfmt::skip]
#[test]
fn get_image_requirements_has_four_words() {
    let bytes = [
        2, 0, 24, 0, 0, 0, 0, 0,           // GET_IMAGE_REQUIREMENTS, cmd_size 24
        0x80, 0x07, 0, 0, 0x38, 0x04, 0, 0, // width 1920, height 1080
        b'X', b'R', b'2', b'4',            // drm_format
        1, 0, 0, 0,                        // flags
    ];
    let get = GetImageRequirements { width: 1920, height: 1080, drm_format: u32::from_le_bytes(*b"XR24"), flags: 1 };
    assert_eq!(get.encode(), bytes);
    assert_eq!(only(&bytes, Dialect::Libkrun), Command::GetImageRequirements(get));
}

#[test]
fn a_poll_is_16_bytes_and_speaks_of_ring_1() {
    let bytes = [3, 1, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(encode_poll(), bytes);
    assert_eq!(only(&bytes, Dialect::X11Bridge), Command::Poll);
}

#[test]
fn a_poll_without_padding_is_a_poll_as_hosts_only_look_at_its_header() {
    assert_eq!(only(&[3, 0, 8, 0, 0, 0, 0, 0], Dialect::Rutabaga), Command::Poll);
}

#[test]
fn a_send_has_three_arrays_of_28_words_before_its_data() {
    let mut bytes = [0; 352 + 4];
    bytes[..16].copy_from_slice(&[4, 0, 100, 1, 0, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0]); // cmd_size 356, 2 ids, 4 bytes
    bytes[16..24].copy_from_slice(&[7, 0, 0, 0, 1, 0, 0, 0x40]); // identifiers
    bytes[128..136].copy_from_slice(&[1, 0, 0, 0, 5, 0, 0, 0]); // identifier_types
    bytes[240..244].copy_from_slice(&[0, 0x10, 0, 0]); // identifier_sizes
    bytes[352..].copy_from_slice(b"data");

    let blob = Identifier { id: 7, id_type: 1, size: 4096 };
    let shm = Identifier { id: 0x4000_0001, id_type: libkrun::ID_TYPE_SHM, size: 0 };
    let mut head = [0xaa; 352]; // headroom with old bytes in it
    encode_send_header(&mut head, 4, 0, &[blob, shm]).unwrap();
    assert_eq!(head, bytes[..352]);

    let Command::Send(send) = only(&bytes, Dialect::Libkrun) else { panic!("a SEND") };
    assert_eq!(send.data, b"data");
    assert_eq!(send.identifiers.iter().collect::<Vec<_>>(), [blob, shm]);
    assert_eq!((send.identifiers.len(), send.identifiers.is_empty()), (2, false));
}

#[rustfmt::skip]
#[test]
fn a_write_names_its_pipe_and_whether_to_hang_up() {
    let bytes = [
        7, 0, 27, 0, 0, 0, 0, 0,   // WRITE, cmd_size 27
        9, 0, 0, 0, 1, 0, 0, 0,    // identifier, hang_up
        3, 0, 0, 0, 0, 0, 0, 0,    // opaque_data_size, pad
        b'x', b'1', b'1',
    ];
    let mut head = [0xaa; 24];
    encode_write_header(&mut head, 9, true, 3, 0).unwrap();
    assert_eq!(head, bytes[..24]);
    let Command::Write(write) = only(&bytes, Dialect::Rutabaga) else { panic!("a WRITE") };
    assert_eq!((write.identifier, write.hang_up, write.data), (9, true, &b"x11"[..]));
}

#[rustfmt::skip]
#[test]
fn a_futex_is_made_of_a_file_on_virtiofs_and_then_goes_by_its_id() {
    let new = [
        8, 0, 32, 0, 0, 0, 0, 0,           // FUTEX_NEW, cmd_size 32
        2, 0, 0, 0, 0, 0, 0, 0,            // fs_id
        0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, // handle
        0, 0, 0, 0x40, 0, 0, 0, 0,         // id, pad
    ];
    let file = ExportedFile { fs_id: 2, handle: 0x1122_3344_5566_7788 };
    assert_eq!(FutexNew { file, id: 0x4000_0000 }.encode(), new);
    let signal = [9, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0];
    assert_eq!(encode_futex_signal(0x4000_0000), signal);
    let destroy = [10, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0];
    assert_eq!(encode_futex_destroy(0x4000_0000), destroy);
    for dialect in DIALECTS {
        assert_eq!(only(&new, dialect), Command::FutexNew(FutexNew { file, id: 0x4000_0000 }));
        assert_eq!(only(&signal, dialect), Command::FutexSignal { id: 0x4000_0000 });
        assert_eq!(only(&destroy, dialect), Command::FutexDestroy { id: 0x4000_0000 });
    }
}

#[rustfmt::skip]
#[test]
fn a_file_on_virtiofs_becomes_an_item_in_our_dialect_alone() {
    let import = [
        244, 0, 32, 0, 0, 0, 0, 0,         // IMPORT_FILE, cmd_size 32
        2, 0, 0, 0, 0, 0, 0, 0,            // fs_id
        0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, // handle
        7, 0, 0, 0, 0, 0, 0, 0,            // id, pad
    ];
    let file = ExportedFile { fs_id: 2, handle: 0x1122_3344_5566_7788 };
    assert_eq!(encode_import_file(file, 7), import);
    let command = Command::ImportVirtiofsHandle(ImportVirtiofsHandle { file, id: 7 });
    assert_eq!(only(&import, Dialect::X11Bridge), command);
    for dialect in [Dialect::Libkrun, Dialect::Rutabaga] {
        let refused = Commands::new(&import, dialect).next();
        assert_eq!(refused, Some(Err(cross_domain::Error::Unsupported { cmd: 244 })));
    }
    let mut short = import[..24].to_vec();
    short[2] = 24;
    assert!(matches!(Commands::new(&short, Dialect::X11Bridge).next(), Some(Err(_))));
}

#[rustfmt::skip]
#[test]
fn a_relayed_fence_is_made_triggered_reset_and_adopted_by_its_id_in_our_dialect_alone() {
    let id = 0x4000_0007;
    for (command, bytes) in [
        (FenceCommand::New { id, triggered: true },         [241, 0, 16, 0, 0, 0, 0, 0, 7, 0, 0, 0x40, 1, 0, 0, 0]),
        (FenceCommand::New { id, triggered: false },        [241, 0, 16, 0, 0, 0, 0, 0, 7, 0, 0, 0x40, 0, 0, 0, 0]),
        (FenceCommand::Trigger { id, epoch: 0x0102_0304 },  [242, 0, 16, 0, 0, 0, 0, 0, 7, 0, 0, 0x40, 4, 3, 2, 1]),
        (FenceCommand::Reset { id, epoch: u32::MAX },       [243, 0, 16, 0, 0, 0, 0, 0, 7, 0, 0, 0x40, 255, 255, 255, 255]),
        (FenceCommand::Adopt { id, resource: 0x0102_0304 }, [245, 0, 16, 0, 0, 0, 0, 0, 7, 0, 0, 0x40, 4, 3, 2, 1]),
    ] {
        assert_eq!(command.encode(), bytes);
        assert_eq!(only(&bytes, Dialect::X11Bridge), Command::Fence(command));
        for dialect in [Dialect::Libkrun, Dialect::Rutabaga] {
            let refused = Commands::new(&bytes, dialect).next();
            assert_eq!(refused, Some(Err(cross_domain::Error::Unsupported { cmd: bytes[0] })));
        }
    }
    let half_triggered = [241, 0, 16, 0, 0, 0, 0, 0, 7, 0, 0, 0x40, 2, 0, 0, 0];
    let refused = Commands::new(&half_triggered, Dialect::X11Bridge).next();
    assert_eq!(refused, Some(Err(cross_domain::Error::GuestMisbehaved { field: "triggered", value: 2 })));
}

#[test]
fn an_eventfd_is_read_from_one_command_on_to_another() {
    let new = [11, 0, 16, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(encode_read_eventfd_new(5), new);
    assert_eq!(only(&new, Dialect::Rutabaga), Command::ReadEventfdNew { id: 5 });
    let destroy = [12, 0, 16, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(libkrun::encode_read_eventfd_destroy(5), destroy);
    assert_eq!(only(&destroy, Dialect::Libkrun), Command::ReadEventfdDestroy { id: 5 });
    assert_eq!(only(&destroy, Dialect::X11Bridge), Command::ReadEventfdDestroy { id: 5 });
}

#[rustfmt::skip]
#[test]
fn command_12_imports_a_file_in_rutabaga_alone() {
    let bytes = [
        12, 0, 32, 0, 0, 0, 0, 0,          // IMPORT_VIRTIOFS_HANDLE, cmd_size 32
        1, 0, 0, 0, 0, 0, 0, 0,            // fs_id
        2, 0, 0, 0, 0, 0, 0, 0,            // handle
        6, 0, 0, 0, 0, 0, 0, 0,            // id, pad
    ];
    let import = ImportVirtiofsHandle { file: ExportedFile { fs_id: 1, handle: 2 }, id: 6 };
    assert_eq!(import.encode(), bytes);
    assert_eq!(only(&bytes, Dialect::Rutabaga), Command::ImportVirtiofsHandle(import));
    assert_eq!(only(&bytes, Dialect::Libkrun), Command::ReadEventfdDestroy { id: 1 });
}

#[rustfmt::skip]
#[test]
fn a_socket_gets_a_uuid_in_rutabaga_alone() {
    let bytes = [
        13, 0, 32, 0, 0, 0, 0, 0,          // ASSIGN_SOCKET_UUID, cmd_size 32
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
        8, 0, 0, 0, 0, 0, 0, 0,            // id, pad
    ];
    let assign = AssignSocketUuid { uuid: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], id: 8 };
    assert_eq!(assign.encode(), bytes);
    assert_eq!(only(&bytes, Dialect::Rutabaga), Command::AssignSocketUuid(assign));
    let refused = Commands::new(&bytes, Dialect::X11Bridge).next();
    assert_eq!(refused, Some(Err(cross_domain::Error::Unsupported { cmd: 13 })));
}

#[test]
fn sentinels_of_rutabaga_are_futexes_by_another_name() {
    assert_eq!(rutabaga::CMD_CREATE_ATOMIC_MEMORY_SENTINEL, 8);
    assert_eq!(rutabaga::CMD_SIGNAL_ATOMIC_MEMORY_SENTINEL, 9);
    assert_eq!(rutabaga::CMD_DESTROY_ATOMIC_MEMORY_SENTINEL, 10);
    assert_eq!(rutabaga::CMD_READ_CREATE_EVENT, 11);
    assert_eq!(rutabaga::ATOMIC_MEMORY_SENTINEL_START, 0x4000_0000);
}

#[test]
fn a_header_keeps_its_fields_and_ignores_padding() {
    let header = Header { cmd: 4, ring_idx: 1, cmd_size: 0x1234 };
    assert_eq!(header.encode(), [4, 1, 0x34, 0x12, 0, 0, 0, 0]);
    assert_eq!(Header::decode(&[4, 1, 0x34, 0x12, 9, 9, 9, 9]), header);
}
