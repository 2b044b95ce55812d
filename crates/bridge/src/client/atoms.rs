//! The atoms that a policy speaks of, asked for on a connection of the bridge's own: what a client says of them is no
//! proof, and their numbers are another server's other ones.

use std::time::Instant;

use rustix::event::{PollFd, Timespec, poll};
use session::{Handshake, Policy};
use sys::socket::Outcome;
use x11_wire::ByteOrder;
use x11_wire::message::HEADER;
use x11_wire::setup::{SetupReply, SetupStatus, encode_intern_atoms};

use super::set_up::{host_cookie, poll_fd};
use crate::bridge::Shared;
use crate::channel::Channel;
use crate::downlink::Downlink;
use crate::live::LiveOptions;
use crate::uplink::Uplink;

const ORDER: ByteOrder = ByteOrder::Little;
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
    let (mut channel, peer) = shared.route.open(live.host_timeout).map_err(|error| error.why)?;
    let cookie = host_cookie(shared, live, peer);
    let names: Vec<String> = policy.atoms().iter().map(|name| name.replace('%', &shared.token)).collect();
    let asked = encode_intern_atoms(ORDER, names.iter().map(String::as_bytes));
    let mut uplink = Uplink::new().map_err(|errno| errno.to_string())?;
    uplink.put(&[Handshake::host_setup(ORDER, (11, 0), cookie.as_ref()), asked].concat());
    let answer = converse(&mut *channel, &mut uplink, names.len(), deadline)?;
    answer.ok_or_else(|| format!("{} does not say which atoms the policy means", shared.route))
}

/// Sends and receives until all answers are there.
fn converse(
    channel: &mut dyn Channel,
    uplink: &mut Uplink,
    atoms: usize,
    deadline: Instant,
) -> Result<Option<Vec<u32>>, String> {
    let mut downlink = Downlink::new().map_err(|errno| errno.to_string())?;
    let mut heard = vec![];
    loop {
        if uplink.is_ready() {
            channel.send(uplink).map_err(|error| error.why)?;
        }
        match channel.receive(&mut downlink, &mut vec![]).map_err(|error| error.why)? {
            Outcome::Bytes(bytes) => heard.extend(downlink.room().get(..bytes).unwrap_or_default()),
            Outcome::WouldBlock => wait(channel, deadline)?,
            Outcome::Closed => return Ok(None),
        }
        match SetupReply::parse(ORDER, &heard) {
            Some(reply) if reply.status != SetupStatus::Success => return Ok(None),
            Some(reply) => {
                let found = atoms_in(heard.get(reply.len..).unwrap_or_default());
                if found.len() >= atoms {
                    return Ok(found.into_iter().collect());
                }
            }
            None => {}
        }
    }
}

/// The answers so far, `None` for an error. Of events only `MappingNotify` comes to a client that has asked for none.
fn atoms_in(messages: &[u8]) -> Vec<Option<u32>> {
    let answers =
        messages.chunks_exact(HEADER).filter(|message| message.first().is_some_and(|kind| *kind <= 1));
    answers
        .map(|answer| ORDER.u32_at(answer, ATOM).filter(|atom| answer.first() == Some(&1) && *atom != 0))
        .collect()
}

fn wait(channel: &dyn Channel, deadline: Instant) -> Result<(), String> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err("the X server did not answer in time".into());
    }
    let interests = channel.interest(true);
    let mut polled: Vec<PollFd<'_>> =
        interests.iter().flatten().filter_map(|(fd, flags)| poll_fd(fd, *flags)).collect();
    let _ = poll(&mut polled, Timespec::try_from(left).ok().as_ref());
    Ok(())
}
