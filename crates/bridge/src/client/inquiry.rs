//! Questions of the bridge's own to the X server, on a connection of their own.

use std::time::Instant;

use rustix::event::{PollFd, Timespec, poll};
use session::Handshake;
use sys::socket::Outcome;
use x11_wire::ByteOrder;
use x11_wire::message::HEADER;
use x11_wire::setup::{SetupReply, SetupStatus};

use super::set_up::{host_cookie, poll_fd};
use crate::bridge::Shared;
use crate::channel::Channel;
use crate::downlink::Downlink;
use crate::live::LiveOptions;
use crate::uplink::Uplink;

/// The byte order of the questions.
pub(crate) const ORDER: ByteOrder = ByteOrder::Little;

/// What the server has said.
pub(crate) struct Answered {
    pub(crate) answers: Vec<[u8; HEADER]>,
    /// The connection: for who needs it to last longer.
    pub(crate) channel: Box<dyn Channel>,
}

/// Asks `questions` requests, encoded one behind the other, whose replies are no longer than their header; `None` when
/// the server lets nobody in, or hangs up.
pub(crate) fn ask(
    shared: &Shared,
    live: &LiveOptions,
    encoded: &[u8],
    questions: usize,
    deadline: Instant,
) -> Result<Option<Answered>, String> {
    let (mut channel, peer) =
        shared.route.open(live.host_timeout, shared.fences).map_err(|error| error.why)?;
    let cookie = host_cookie(shared, live, peer);
    let mut uplink = Uplink::new().map_err(|errno| errno.to_string())?;
    uplink.put(&[&Handshake::host_setup(ORDER, (11, 0), cookie.as_ref()), encoded].concat());
    let answers = converse(&mut *channel, &mut uplink, questions, deadline)?;
    Ok(answers.map(|answers| Answered { answers, channel }))
}

/// Sends and receives until all answers are there.
fn converse(
    channel: &mut dyn Channel,
    uplink: &mut Uplink,
    questions: usize,
    deadline: Instant,
) -> Result<Option<Vec<[u8; HEADER]>>, String> {
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
                let answers = answers_in(heard.get(reply.len..).unwrap_or_default());
                if answers.len() >= questions {
                    return Ok(Some(answers));
                }
            }
            None => {}
        }
    }
}

/// The replies and errors so far. Of events only `MappingNotify` comes to a client that has asked for none.
fn answers_in(messages: &[u8]) -> Vec<[u8; HEADER]> {
    let (messages, _) = messages.as_chunks();
    messages.iter().filter(|message| message[0] <= 1).copied().collect()
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
