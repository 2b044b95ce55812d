//! What holds for all inputs.

// Helpers of tests may fail loudly; clippy only sees that in the test functions themselves.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use cross_domain::dialect::rutabaga::{AssignSocketUuid, ImportVirtiofsHandle};
use cross_domain::dialect::x11bridge::{Stage, encode_closed};
use cross_domain::{
    Capset, Command, Commands, Dialect, ExportedFile, Extension, FutexNew, GetImageRequirements, Identifier,
    ImageRequirements, Init, InitForm, Message, RING_BYTES, encode_futex_signal, encode_poll,
    encode_read_header, encode_receive_header, encode_send_header, encode_write_header,
};
use proptest::prelude::*;

fn dialect() -> impl Strategy<Value = Dialect> {
    prop_oneof![Just(Dialect::Libkrun), Just(Dialect::Rutabaga), Just(Dialect::X11Bridge)]
}

fn identifiers() -> impl Strategy<Value = Vec<Identifier>> {
    let one = any::<(u32, u32, u32)>().prop_map(|(id, id_type, size)| Identifier { id, id_type, size });
    prop::collection::vec(one, 0..=28)
}

fn init() -> impl Strategy<Value = Init> {
    let form = prop_oneof![
        Just(InitForm::OneRing),
        Just(InitForm::Bare),
        any::<u32>().prop_map(|protocol_version| InitForm::Versioned { protocol_version }),
        any::<[u8; 16]>().prop_map(InitForm::SocketUuid),
        (any::<u32>(), 12u32..=20).prop_map(|(protocol_version, log2)| InitForm::X11Bridge {
            protocol_version,
            channel_ring_bytes: 1 << log2
        }),
    ];
    (any::<(u32, u32, u32)>(), form).prop_map(|((query_ring_id, channel_ring_id, channel_type), form)| {
        let channel_ring_id = if form == InitForm::OneRing { query_ring_id } else { channel_ring_id };
        Init { query_ring_id, channel_ring_id, channel_type, form }
    })
}

/// A SEND with its data and a gap full of 0xff, which would be nonsense if anybody looked at it.
fn send(data: &[u8], gap: usize, identifiers: &[Identifier]) -> Vec<u8> {
    let mut head = [0xaa; 352];
    encode_send_header(&mut head, data.len(), gap, identifiers).expect("within the limits");
    [&head, data, &vec![0xff; gap]].concat()
}

/// Bytes that begin as a real command does, so that the decoders behind the header are reached.
fn command_like() -> impl Strategy<Value = Vec<u8>> {
    let head = (0u8..=16, prop_oneof![0u16..=400, any::<u16>()], prop::collection::vec(0u32..=64, 2));
    let tail = prop::collection::vec(any::<u8>(), 0..800);
    (head, tail).prop_map(|((cmd, cmd_size, words), tail)| {
        let mut bytes = vec![cmd, 0];
        bytes.extend(cmd_size.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(words.into_iter().flat_map(u32::to_le_bytes));
        bytes.extend(tail);
        bytes
    })
}

proptest! {
    #[test]
    fn the_iterator_ends_on_any_bytes_and_data_lies_within_them(
        parts in prop::collection::vec(prop_oneof![command_like(), prop::collection::vec(any::<u8>(), 0..64)], 0..8),
        dialect in dialect(),
    ) {
        let bytes = parts.concat();
        let commands: Vec<_> = Commands::new(&bytes, dialect).collect();
        prop_assert!(commands.len() <= bytes.len() / 8 + 1);
        prop_assert!(commands.iter().rev().skip(1).all(Result::is_ok), "an error is the last item");
        let data: usize = commands.iter().flatten().map(|command| match command {
            Command::Send(send) => 352 + send.data.len(),
            Command::Write(write) => 24 + write.data.len(),
            _ => 8,
        }).sum();
        prop_assert!(data <= bytes.len());
    }

    #[test]
    fn any_head_of_a_ring_gives_an_error_or_a_range_within_the_ring(
        mut head in prop::collection::vec(any::<u8>(), 352),
        cmd in prop_oneof![Just(5u8), Just(6), Just(9), Just(240), any::<u8>()],
        count in 0u32..=32,
        len in prop_oneof![0u32..=5000, any::<u32>()],
        ring_bytes in prop_oneof![Just(4096usize), 352usize..=(1 << 20)],
        dialect in dialect(),
    ) {
        head[0] = cmd;
        head[8..12].copy_from_slice(&count.to_le_bytes());
        let offset = if cmd == 5 { 12 } else { 16 };
        head[offset..offset + 4].copy_from_slice(&len.to_le_bytes());
        let head: [u8; 352] = head.try_into().unwrap();
        if let Ok(message) = Message::decode(&head, ring_bytes, dialect) {
            prop_assert!(message.data_range().end <= ring_bytes);
            if let Message::Receive(receive) = message {
                prop_assert!(receive.identifiers.iter().count() <= 28);
            }
        }
    }

    #[test]
    fn a_send_comes_back_with_its_data_and_identifiers_whatever_its_gap(
        data in prop::collection::vec(any::<u8>(), 0..2000),
        gap in 0usize..2000,
        identifiers in identifiers(),
        dialect in dialect(),
    ) {
        let bytes = send(&data, gap, &identifiers);
        let mut commands = Commands::new(&bytes, dialect);
        let Some(Ok(Command::Send(send))) = commands.next() else { panic!("a SEND") };
        prop_assert_eq!(send.data, &data);
        prop_assert_eq!(send.identifiers.iter().collect::<Vec<_>>(), identifiers);
        prop_assert_eq!(commands.next(), None);
    }

    #[test]
    fn several_sends_with_gaps_and_a_poll_in_one_submission_keep_their_order(
        sends in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), 0usize..40, identifiers()), 0..12),
        dialect in dialect(),
    ) {
        let mut submission: Vec<u8> = sends.iter().flat_map(|(data, gap, ids)| send(data, *gap, ids)).collect();
        submission.extend(encode_poll());
        let mut commands = Commands::new(&submission, dialect);
        for (data, _, ids) in &sends {
            let Some(Ok(Command::Send(send))) = commands.next() else { panic!("a SEND") };
            prop_assert_eq!(send.data, data);
            prop_assert_eq!(send.identifiers.len(), ids.len());
        }
        prop_assert_eq!(commands.next(), Some(Ok(Command::Poll)));
        prop_assert_eq!(commands.next(), None);
    }

    #[test]
    fn a_submission_cut_short_is_never_taken_for_a_whole_one(data in prop::collection::vec(any::<u8>(), 1..100), cut in any::<prop::sample::Index>()) {
        let mut submission = send(&data, 3, &[]);
        submission.extend(encode_poll());
        let len = cut.index(submission.len() - 1) + 1;
        let whole = len == 352 + data.len() + 3;
        let last = Commands::new(&submission[..len], Dialect::X11Bridge).last();
        prop_assert_eq!(last.is_some_and(|last| last.is_ok()), whole);
    }

    #[test]
    fn an_init_of_any_form_comes_back(init in init(), dialect in dialect()) {
        let bytes = init.encode().unwrap();
        prop_assert_eq!(bytes.len(), init.form.bytes());
        let commands: Vec<_> = Commands::new(&bytes, dialect).collect();
        prop_assert_eq!(commands, vec![Ok(Command::Init(init))]);
    }

    #[test]
    fn commands_of_fixed_length_come_back(words in any::<[u32; 4]>(), file in any::<(u64, u64)>(), uuid in any::<[u8; 16]>()) {
        let [width, height, drm_format, flags] = words;
        let id = width;
        let file = ExportedFile { fs_id: file.0, handle: file.1 };
        let image = GetImageRequirements { width, height, drm_format, flags };
        let (futex, import) = (FutexNew { file, id }, ImportVirtiofsHandle { file, id });
        let assign = AssignSocketUuid { uuid, id };
        let submission = [
            &image.encode()[..], &futex.encode(), &import.encode(), &assign.encode(), &encode_futex_signal(id),
        ].concat();
        let commands: Result<Vec<_>, _> = Commands::new(&submission, Dialect::Rutabaga).collect();
        prop_assert_eq!(commands, Ok(vec![
            Command::GetImageRequirements(image),
            Command::FutexNew(futex),
            Command::ImportVirtiofsHandle(import),
            Command::AssignSocketUuid(assign),
            Command::FutexSignal { id },
        ]));
    }

    #[test]
    fn a_receive_comes_back_from_any_ring_that_it_fits(
        data_len in 0usize..=(1 << 20), log2 in 12u32..=20, identifiers in identifiers(), dialect in dialect(),
    ) {
        let ring_bytes = 1usize << log2;
        let mut head = [0xaa; 352];
        let fits = encode_receive_header(&mut head, data_len, ring_bytes, &identifiers).is_ok();
        prop_assert_eq!(fits, data_len + 352 <= ring_bytes);
        if fits {
            let Ok(Message::Receive(receive)) = Message::decode(&head, ring_bytes, dialect) else { panic!("a RECEIVE") };
            prop_assert_eq!(receive.data_len, data_len);
            prop_assert_eq!(receive.identifiers.iter().collect::<Vec<_>>(), identifiers);
        }
    }

    #[test]
    fn pipes_come_back_in_both_directions(id in any::<u32>(), hang_up in any::<bool>(), data in prop::collection::vec(any::<u8>(), 0..300), gap in 0usize..50) {
        let mut head = [0; 24];
        encode_write_header(&mut head, id, hang_up, data.len(), gap).unwrap();
        let submission = [&head[..], &data, &vec![0xff; gap]].concat();
        let Some(Ok(Command::Write(write))) = Commands::new(&submission, Dialect::Libkrun).next() else { panic!("a WRITE") };
        prop_assert_eq!((write.identifier, write.hang_up, write.data), (id, hang_up, &data[..]));

        encode_read_header(&mut head, id, hang_up, data.len(), RING_BYTES).unwrap();
        let mut ring = [0; 352];
        ring[..24].copy_from_slice(&head);
        let Ok(Message::Read(read)) = Message::decode(&ring, RING_BYTES, Dialect::Libkrun) else { panic!("a READ") };
        prop_assert_eq!((read.identifier, read.hang_up, read.data_len), (id, hang_up, data.len()));
    }

    #[test]
    fn any_text_of_closed_comes_back_or_is_cut_to_a_prefix(errno in any::<u32>(), text in "\\PC{0,400}") {
        let bytes = encode_closed(Stage::Send, errno, &text);
        let mut ring = bytes.clone();
        ring.resize(RING_BYTES, 0xee);
        let head: [u8; 352] = ring[..352].try_into().unwrap();
        let message = Message::decode(&head, RING_BYTES, Dialect::X11Bridge).unwrap();
        prop_assert_eq!(message.data_range().end, bytes.len());
        let shown = std::str::from_utf8(&ring[message.data_range()]).unwrap();
        prop_assert!(text.starts_with(shown) && shown.len() <= 512);
        prop_assert!(shown.len() == text.len() || shown.len() > 508);
    }

    #[test]
    fn capsets_and_image_requirements_come_back(words in any::<[u32; 2]>(), flags in any::<(bool, bool)>(), log2 in prop::option::of(12u32..=20), image in any::<[u32; 8]>(), wide in any::<[u64; 2]>(), signed in any::<[i32; 2]>()) {
        let capset = Capset {
            version: words[0], supported_channels: words[1],
            supports_dmabuf: flags.0, supports_external_gpu_memory: flags.1,
            extension: log2.map(|log2| Extension::new(1 << log2)),
        };
        prop_assert_eq!(Capset::decode(&capset.encode()), Ok(capset));
        let requirements = ImageRequirements {
            strides: image[..4].try_into().unwrap(), offsets: image[4..].try_into().unwrap(),
            modifier: wide[0], size: wide[1], blob_id: words[0], map_info: words[1],
            memory_idx: signed[0], physical_device_idx: signed[1],
        };
        prop_assert_eq!(ImageRequirements::decode(&requirements.encode()), requirements);
    }

    #[test]
    fn a_capset_of_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64), ours in any::<bool>()) {
        let mut bytes = bytes;
        if ours && bytes.len() >= 20 {
            bytes[16..20].copy_from_slice(b"X11B");
        }
        let decoded = Capset::decode(&bytes);
        prop_assert!(bytes.len() >= 16 || decoded.is_err());
        let _ = Dialect::detect(&bytes);
    }
}
