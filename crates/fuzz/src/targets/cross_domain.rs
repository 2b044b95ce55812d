//! Cross-domain: a submission that a host takes apart, and a ring that a guest reads.

use ::cross_domain::dialect::x11bridge::fence::FenceCommand;
use ::cross_domain::dialect::x11bridge::{Stage, encode_closed};
use ::cross_domain::{
    Capset, Command, Commands, Dialect, Error, ExportedFile, FutexNew, Header, Identifier, Init, InitForm,
    Message, RING_BYTES, SEND_HEADER_BYTES, channel, encode_futex_signal, encode_poll,
    encode_read_eventfd_new, encode_receive_header, encode_send_header, encode_write_header,
};

use crate::Rng;
use crate::features::{magnitude, note};

/// The first byte chooses the dialect; the rest is taken for a submission, for a ring and for a capset.
pub fn cross_domain_commands(data: &[u8]) {
    let (&first, bytes) = data.split_first().unwrap_or((&0, &[]));
    let dialect = match first % 3 {
        0 => Dialect::Libkrun,
        1 => Dialect::Rutabaga,
        _ => Dialect::X11Bridge,
    };
    submission(bytes, dialect);
    for ring_bytes in [SEND_HEADER_BYTES, RING_BYTES, 1 << 20] {
        ring(bytes, ring_bytes, dialect);
    }
    capset(bytes);
}

fn submission(bytes: &[u8], dialect: Dialect) {
    let mut at = 0;
    let mut commands = Commands::new(bytes, dialect);
    while let Some(command) = commands.next() {
        let header = bytes.get(at..).and_then(|rest| rest.first_chunk()).map(Header::decode);
        match command {
            Ok(command) => {
                let header = header.unwrap_or_default();
                check_command(&command, &bytes[at..at + usize::from(header.cmd_size)]);
                at += usize::from(header.cmd_size);
            }
            Err(error) => {
                note_error(error);
                assert!(!matches!(error, Error::HostMisbehaved { .. }), "a submission is the guest's");
                assert_eq!(commands.next(), None, "an error is the last item");
                return;
            }
        }
    }
    assert_eq!(at, bytes.len(), "commands cover the submission");
}

/// What was decoded has to be what is encoded again, and to lie within the command.
fn check_command(command: &Command<'_>, bytes: &[u8]) {
    note(("command", std::mem::discriminant(command)));
    match command {
        Command::Send(send) => {
            let identifiers: Vec<_> = send.identifiers.iter().collect();
            let gap = bytes.len() - SEND_HEADER_BYTES - send.data.len();
            let mut head = [0xaa; SEND_HEADER_BYTES];
            let encoded = encode_send_header(&mut head, send.data.len(), gap, &identifiers);
            assert_eq!(encoded, Ok(()), "what fitted fits again");
            let again = [&head, send.data, &vec![0; gap]].concat();
            assert_eq!(Commands::new(&again, Dialect::Libkrun).next(), Some(Ok(*command)));
            note(("send", identifiers.len(), magnitude(send.data.len() as u64), gap > 0));
        }
        Command::Write(write) => {
            let gap = bytes.len() - 24 - write.data.len();
            let mut head = [0xaa; 24];
            let encoded =
                encode_write_header(&mut head, write.identifier, write.hang_up, write.data.len(), gap);
            assert_eq!(encoded, Ok(()));
        }
        Command::Init(init) => {
            let again = init.encode();
            assert_eq!(again.as_ref().map(Vec::len), Ok(bytes.len()), "an INIT has no gap");
            note(("init", bytes.len()));
        }
        _ => {}
    }
}

fn ring(bytes: &[u8], ring_bytes: usize, dialect: Dialect) {
    let mut head = [0; SEND_HEADER_BYTES];
    let len = bytes.len().min(head.len());
    head[..len].copy_from_slice(&bytes[..len]);
    match Message::decode(&head, ring_bytes, dialect) {
        Ok(message) => {
            note(("message", std::mem::discriminant(&message)));
            assert!(message.data_range().end <= ring_bytes, "{message:?} leaves the ring");
            if let Message::Receive(receive) = message {
                let identifiers: Vec<_> = receive.identifiers.iter().collect();
                let mut again = [0xaa; SEND_HEADER_BYTES];
                let encoded = encode_receive_header(&mut again, receive.data_len, ring_bytes, &identifiers);
                assert_eq!(encoded, Ok(()));
                assert_eq!(Message::decode(&again, ring_bytes, dialect), Ok(message));
            }
        }
        Err(error) => {
            note_error(error);
            assert!(!matches!(error, Error::GuestMisbehaved { .. }), "a ring is the host's");
        }
    }
}

fn capset(bytes: &[u8]) {
    if let Ok(capset) = Capset::decode(bytes) {
        assert_eq!(Capset::decode(&capset.encode()), Ok(capset));
        note(("capset", capset.extension.is_some(), format!("{:?}", Dialect::detect(bytes))));
    }
}

fn note_error(error: Error) {
    match error {
        Error::GuestMisbehaved { field, value } | Error::HostMisbehaved { field, value } => {
            note((field, magnitude(value)));
        }
        other => note(std::mem::discriminant(&other)),
    }
}

/// Offsets of the commands behind the first byte.
pub(super) fn cuts(data: &[u8]) -> Vec<usize> {
    let mut cuts = vec![];
    let mut at = 1;
    while let Some(header) = data.get(at..).and_then(|rest| rest.first_chunk()).map(Header::decode) {
        cuts.push(at);
        at += usize::from(header.cmd_size).max(8);
    }
    cuts
}

/// A dialect, then some commands or one message of a ring.
pub(super) fn generate(rng: &mut Rng) -> Vec<u8> {
    let mut out = vec![rng.byte()];
    if rng.one_in(4) {
        out.extend(message(rng));
    } else {
        for _ in 0..=rng.small(6) {
            out.extend(command(rng));
        }
    }
    out
}

fn identifiers(rng: &mut Rng) -> Vec<Identifier> {
    let count = rng.small(28);
    let one = |rng: &mut Rng| Identifier {
        id: 0x4000_0000 | u32::from(rng.byte()),
        id_type: 1 + u32::from(rng.byte() % 7),
        size: 0,
    };
    (0..count).map(|_| one(rng)).collect()
}

fn command(rng: &mut Rng) -> Vec<u8> {
    let id = u32::from(rng.byte());
    match rng.below(8) {
        0..=2 => {
            let (len, gap) = (rng.small(300), rng.small(16));
            let mut head = [0; SEND_HEADER_BYTES];
            let fits = encode_send_header(&mut head, len, gap, &identifiers(rng));
            assert_eq!(fits, Ok(()));
            [&head[..], &rng.bytes(len + gap)].concat()
        }
        3 => {
            let len = rng.small(100);
            let mut head = [0; 24];
            assert_eq!(encode_write_header(&mut head, id, rng.one_in(2), len, 0), Ok(()));
            [&head[..], &rng.bytes(len)].concat()
        }
        4 => encode_poll().to_vec(),
        5 => {
            let file = ExportedFile { fs_id: 1, handle: rng.next_u64() };
            FutexNew { file, id: 0x4000_0000 | id }.encode().to_vec()
        }
        6 => {
            let new = FenceCommand::New { id, triggered: rng.one_in(2) }.encode();
            let adopted = FenceCommand::Adopt { id, resource: id }.encode();
            rng.pick(&[encode_futex_signal(id), encode_read_eventfd_new(id), new, adopted]).to_vec()
        }
        _ => {
            let init = Init::for_any_host(1, 2, channel::X11);
            let ours = InitForm::X11Bridge { protocol_version: 1, channel_ring_bytes: 4096 << rng.below(9) };
            let form = rng.pick(&[init.form, ours, InitForm::Bare, InitForm::OneRing]);
            Init { form, ..init }.encode().unwrap_or_default()
        }
    }
}

fn message(rng: &mut Rng) -> Vec<u8> {
    if rng.one_in(3) {
        return encode_closed(rng.pick(&[Stage::Init, Stage::Send, Stage::Stream]), 111, ":7");
    }
    let mut head = [0; SEND_HEADER_BYTES];
    let len = rng.small(3744);
    assert_eq!(encode_receive_header(&mut head, len, RING_BYTES, &identifiers(rng)), Ok(()));
    head.to_vec()
}
