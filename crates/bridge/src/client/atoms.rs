//! The atoms that a policy speaks of, asked for on a connection of the bridge's own: what a client says of them is no
//! proof, and their numbers are another server's other ones.

use std::time::Instant;

use session::Policy;
use x11_wire::message::HEADER;
use x11_wire::setup::encode_intern_atoms;

use super::inquiry::{self, Answered, ORDER};
use crate::bridge::Shared;
use crate::channel::Channel;
use crate::live::LiveOptions;

/// Offset of the atom in the reply to `InternAtom`.
const ATOM: usize = 8;

/// The numbers of the policy's atoms.
pub(crate) struct Found {
    pub(crate) atoms: Vec<u32>,
    /// The connection that asked for them. It has to outlive the client's set-up: servers that start anew when their last
    /// client leaves count those alone whom they have let in, and drop the others.
    pub(crate) channel: Box<dyn Channel>,
}

/// Asks for the policy's atoms; `None` where it speaks of none.
pub(crate) fn look_up(
    shared: &Shared,
    live: &LiveOptions,
    policy: &Policy,
    deadline: Instant,
) -> Result<Option<Found>, String> {
    if policy.atoms().is_empty() {
        return Ok(None);
    }
    let names: Vec<String> = policy.atoms().iter().map(|name| name.replace('%', &shared.token)).collect();
    let asked = encode_intern_atoms(ORDER, names.iter().map(String::as_bytes));
    let answered = inquiry::ask(shared, live, &asked, names.len(), deadline)?;
    let found = answered.and_then(|Answered { answers, channel }| {
        let atoms = answers.iter().map(atom_in).collect::<Option<_>>()?;
        Some(Found { atoms, channel })
    });
    found.map(Some).ok_or_else(|| format!("{} does not say which atoms the policy means", shared.route))
}

/// `None` for an error.
fn atom_in(answer: &[u8; HEADER]) -> Option<u32> {
    ORDER.u32_at(answer, ATOM).filter(|atom| answer[0] == 1 && *atom != 0)
}
