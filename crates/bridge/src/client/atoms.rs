//! The atoms that a policy speaks of, asked for on a connection of the bridge's own: what a client says of them is no
//! proof, and their numbers are another server's other ones.

use std::time::Instant;

use session::Policy;
use x11_wire::message::HEADER;
use x11_wire::setup::encode_intern_atoms;

use super::inquiry::{self, ORDER};
use crate::bridge::Shared;
use crate::live::LiveOptions;

/// Offset of the atom in the reply to `InternAtom`.
const ATOM: usize = 8;

/// The numbers of the policy's atoms. To be called while the client is connected already, so that a server which starts
/// anew when its last client leaves doesn't.
pub(crate) fn look_up(
    shared: &Shared,
    live: &LiveOptions,
    policy: &Policy,
    deadline: Instant,
) -> Result<Vec<u32>, String> {
    if policy.atoms().is_empty() {
        return Ok(vec![]);
    }
    let names: Vec<String> = policy.atoms().iter().map(|name| name.replace('%', &shared.token)).collect();
    let asked = encode_intern_atoms(ORDER, names.iter().map(String::as_bytes));
    let answers = inquiry::ask(shared, live, &asked, names.len(), deadline)?;
    let atoms = answers.and_then(|answers| answers.iter().map(atom_in).collect());
    atoms.ok_or_else(|| format!("{} does not say which atoms the policy means", shared.route))
}

/// `None` for an error.
fn atom_in(answer: &[u8; HEADER]) -> Option<u32> {
    ORDER.u32_at(answer, ATOM).filter(|atom| answer[0] == 1 && *atom != 0)
}
