//! A policy's table and requests under it: whatever the words say, requests keep their lengths, and where writes are split
//! does not matter.
//!
//! ```text
//! u8 flags    bit 0: big endian
//! u8 words    that many words of 32 bits follow, little endian: the table, with two extensions, labels and atoms
//! bytes       what the client says
//! ```

use std::sync::Arc;

use ::session::{CLIENT_HELD_MAX, Carries, Marks, Next, Offers, Policy, Session, Side};
use ::x11_wire::ByteOrder;

use crate::Rng;
use crate::features::{magnitude, note};
use crate::wire::Wire;

/// The core requests that generated tables and conversations have most to do with.
const OPCODES: [u8; 8] = [2, 18, 20, 22, 25, 44, 56, 62];

/// Runs the requests under the policy that `data` is, at once and byte by byte.
pub fn policy(data: &[u8]) {
    let Some((&[flags, words], rest)) = data.split_first_chunk() else { return };
    let (table, said) = rest.split_at(rest.len().min(4 * usize::from(words)));
    let words: Vec<u32> =
        table.chunks_exact(4).map(|word| ByteOrder::Little.u32_at(word, 0).unwrap_or(0)).collect();
    let names = || vec!["XFIXES".to_owned(), "RENDER".to_owned()];
    let policy = Policy::from_table(&words, names(), names(), names(), "(guest)".into());
    note(("table", policy.as_ref().map_err(|error| format!("{error}").len()).err()));
    let Ok(policy) = policy.map(Arc::new) else { return };
    let order = if flags & 1 == 0 { ByteOrder::Little } else { ByteOrder::Big };
    let whole = run(order, &policy, &[said]);
    let cut = run(order, &policy, &said.chunks(1).collect::<Vec<_>>());
    assert_eq!(whole.0, cut.0, "what goes to the host depends on where writes are split");
    assert_eq!(whole.1, cut.1, "so does what is held");
    assert!(whole.1.is_none_or(|held| whole.0.len() + held == said.len()), "nothing is lost or inserted");
    let changed = whole.0.iter().zip(said).filter(|(out, said)| out != said).count();
    note(("changed", magnitude(changed as u64)));
}

/// What went to the host, and how many bytes are held; `None` for a client that broke the protocol.
fn run(order: ByteOrder, policy: &Arc<Policy>, pieces: &[&[u8]]) -> (Vec<u8>, Option<usize>) {
    let mut session = Session::<u32>::new(order, Carries::BYTES, Offers::default());
    session.stand_on(&Arc::new(Side::default()));
    session.obey(policy, vec![11, 12]);
    let mut reply = Wire(order).set_up_reply();
    reply[12..16].copy_from_slice(&order.u32_bytes(0x20_0000));
    reply[16..20].copy_from_slice(&order.u32_bytes(0x1f_ffff));
    assert_eq!(session.host_data(&mut reply.clone(), &mut Marks::new()), Ok(reply.len()));
    let (mut held, mut out) = (vec![], vec![]);
    for piece in pieces {
        held.extend_from_slice(piece);
        let progress = session.client_data(&mut held, &mut Marks::new());
        out.extend(held.drain(..progress.forward));
        match progress.next {
            Next::Client => assert!(held.len() <= CLIENT_HELD_MAX, "{} bytes are held", held.len()),
            Next::Nothing(_) => return (out, None),
            _ => {}
        }
    }
    session.take_hits(|_, hits| assert!(hits > 0));
    (out, Some(held.len()))
}

/// A table of a few rules, and requests that they speak of.
pub(super) fn generate(rng: &mut Rng) -> Vec<u8> {
    let mut words: Vec<u32> = vec![0, 0, 0];
    let mut opcodes = OPCODES.to_vec();
    for _ in 0..rng.below(4) {
        let opcode = opcodes.swap_remove(rng.below(opcodes.len()));
        let action = rng.pick(&[0, 1, 2, 3, 4, 5, 6, 7, 8]);
        words.extend([0, opcode.into(), action, 10, 0, 1]);
        let at = rng.pick(&[0_u32, 4, 8, 12, 16]);
        words.extend([0, at | 4 << 16]);
        let set = rng.pick(&[1, 2, 4, 8, 12, 15]);
        words.extend([rng.pick(&[0, 1, 2, 4]), u32::from(rng.one_in(4)), set, 0]);
    }
    let mut out = vec![u8::from(rng.one_in(2)), u8::try_from(words.len()).unwrap_or(0)];
    let order = if out[0] == 0 { ByteOrder::Little } else { ByteOrder::Big };
    out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    for _ in 0..=rng.below(6) {
        let body: Vec<u8> = (0..rng.below(8))
            .flat_map(|_| order.u32_bytes(rng.pick(&[0, 1, 0x123, 0x20_0001, 0x40_0001, 0xffff])))
            .collect();
        out.extend(Wire(order).request(rng.pick(&OPCODES), 0, &body));
    }
    out
}

/// Offsets of the words, and of what the client says.
pub(super) fn cuts(input: &[u8]) -> Vec<usize> {
    (2..input.len()).step_by(4).collect()
}
