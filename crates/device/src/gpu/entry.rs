//! One context of the device, and the requests that it holds.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use cross_domain::channel;
use rustix::event::PollFlags;
use rustix::io::Errno;
use sys::Blob;

use super::platform::{ContextKey, Platform, Ready, Report};
use super::protocol::{HEADER_BYTES, Header, Response, Status, u32_at};
use crate::context::{Context, SubmitError};
use crate::opening::{OpenFailure, Opened};

/// Submissions of a context that wait for its socket at most. A guest half that knows the device waits for its own
/// before; one that does not must not use up the queue that it shares with others.
pub const HELD_MAX: usize = 64;
/// Bytes of a request at most: several SENDs of the largest kind, or the list of a blob of 256 MiB of single pages.
pub const REQUEST_BYTES_MAX: usize = 1 << 20;

/// Bytes of requests at most that are kept for all contexts while they are held. Beyond it they are read from the guest's
/// memory anew when it goes on: what the guest has changed meanwhile is its own affair, and is checked again.
pub const HELD_BYTES_MAX: usize = 16 << 20;

/// Where the commands of a SUBMIT_3D begin.
const SUBMIT_BYTES: usize = 32;

/// What the contexts share to work with.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// The request at hand.
    pub(crate) scratch: Vec<u8>,
    /// Bytes of requests that are kept.
    held_bytes: usize,
}

/// A submission that is not done.
#[derive(Debug)]
struct Held<C> {
    chain: C,
    header: Header,
    /// The request, copied out of guest memory once it was begun, if there is room for it.
    request: Option<Vec<u8>>,
    /// Bytes of its commands that are done.
    done: usize,
}

/// A context with what it holds.
#[derive(Debug)]
pub(crate) struct Entry<C> {
    pub(crate) key: ContextKey,
    pub(crate) context: Context,
    held: VecDeque<Held<C>>,
    /// The request whose fence says that the ring has a message.
    poll: Option<(C, Header)>,
    /// Whether the socket may have bytes, and whether it may be at their end once it has no more.
    ready: Ready,
    watched: bool,
    room_wanted: bool,
    /// Resources that the guest has detached behind submissions that are held, which may name them.
    leaving: Vec<u32>,
}

impl<C> Entry<C> {
    pub(crate) const fn new(key: ContextKey, context: Context) -> Self {
        let held = VecDeque::new();
        Self {
            key,
            context,
            held,
            poll: None,
            ready: Ready { bytes: false, end: false, room: false },
            watched: false,
            room_wanted: false,
            leaving: vec![],
        }
    }

    /// Lets the context name the file of a blob.
    pub(crate) fn attach_file(&mut self, id: u32, file: Arc<OwnedFd>) -> Result<(), Errno> {
        self.leaving.retain(|leaving| *leaving != id);
        self.context.resources().attach_file(id, file)
    }

    /// Takes a resource from the context, once what was submitted before is carried out.
    pub(crate) fn detach(&mut self, id: u32) {
        if self.held.is_empty() {
            self.context.resources().detach(id);
        } else if !self.leaving.contains(&id) {
            self.leaving.push(id);
        }
    }

    /// Takes a submission, whose copy is in the scratch.
    pub(crate) fn submit<P: Platform<Chain = C>>(
        &mut self,
        platform: &mut P,
        chain: C,
        header: Header,
        workspace: &mut Workspace,
    ) {
        if self.held.len() >= HELD_MAX {
            platform.complete(chain, &Response::new(&header, Status::OutOfMemory, vec![]));
            self.context.fail("the guest submitted more than the X server takes, without waiting for it");
            return self.proceed(platform, workspace);
        }
        let begins = self.held.is_empty();
        // Those that wait behind another are read again when it is their turn: their memory is the guest's, not ours.
        let request = begins.then(|| std::mem::take(&mut workspace.scratch));
        workspace.held_bytes += request.as_ref().map_or(0, Vec::len);
        self.held.push_back(Held { chain, header, request, done: 0 });
        if begins {
            self.proceed(platform, workspace);
        }
    }

    /// Carries out what is held, in order, as far as the socket takes it.
    pub(crate) fn proceed<P: Platform<Chain = C>>(&mut self, platform: &mut P, workspace: &mut Workspace) {
        while let Some(mut held) = self.held.pop_front() {
            let mut request = held.request.take().map_or_else(
                || {
                    let mut request = std::mem::take(&mut workspace.scratch);
                    platform.read(&held.chain, REQUEST_BYTES_MAX, &mut request);
                    request
                },
                |request| {
                    workspace.held_bytes -= request.len();
                    request
                },
            );
            let outcome = carry_out(&mut self.context, &request, &held.header, &mut held.done);
            self.open(platform);
            let status = match outcome {
                Ok(true) => Status::NoData,
                Ok(false) => {
                    if workspace.held_bytes + request.len() <= HELD_BYTES_MAX {
                        workspace.held_bytes += request.len();
                        held.request = Some(request);
                    } else {
                        workspace.scratch = request;
                    }
                    self.held.push_front(held);
                    break;
                }
                Err(Refusal::Malformed) => Status::InvalidParameter,
                Err(Refusal::Command(error)) => {
                    platform.report(Report::Refused(format!("context {}: {error}", self.key.serial)));
                    Status::Unspecified
                }
            };
            std::mem::swap(&mut workspace.scratch, &mut request);
            self.finish(platform, held, status);
        }
        if self.held.is_empty() {
            self.leaving.drain(..).for_each(|id| self.context.resources().detach(id));
        }
        self.settle(platform);
    }

    /// Gives a submission back, or keeps it for the answer to the POLL that was in it.
    fn finish<P: Platform<Chain = C>>(&mut self, platform: &mut P, held: Held<C>, status: Status) {
        let Held { chain, header, .. } = held;
        // One POLL is outstanding at most: where none is kept yet, it was in this submission.
        if status == Status::NoData && self.context.is_polled() && self.poll.is_none() {
            self.poll = Some((chain, header));
        } else {
            platform.complete(chain, &Response::new(&header, status, vec![]));
        }
    }

    fn open<P: Platform<Chain = C>>(&mut self, platform: &mut P) {
        match self.context.take_to_open() {
            Some(channel::X11) => platform.open(self.key),
            Some(other) => self.context.opened(Err(OpenFailure {
                errno: Errno::PROTONOSUPPORT.raw_os_error().unsigned_abs(),
                text: format!("the host offers no channel of type {other}, only X11"),
            })),
            None => {}
        }
    }

    /// Takes what became of the opening of the channel.
    pub(crate) fn opened<P: Platform<Chain = C>>(
        &mut self,
        platform: &mut P,
        result: Result<Opened, OpenFailure>,
        workspace: &mut Workspace,
    ) {
        self.context.opened(result);
        self.proceed(platform, workspace);
    }

    /// Takes what the socket is ready for.
    pub(crate) fn socket_ready<P: Platform<Chain = C>>(
        &mut self,
        platform: &mut P,
        Ready { bytes, end, room }: Ready,
        workspace: &mut Workspace,
    ) {
        self.ready.end |= end;
        self.ready.bytes |= bytes || end;
        if room {
            self.proceed(platform, workspace);
        } else {
            self.settle(platform);
        }
    }

    /// Answers the POLL if that can be done, and watches for what is missing.
    pub(crate) fn settle<P: Platform<Chain = C>>(&mut self, platform: &mut P) {
        self.watch(platform);
        let news = self.ready.bytes || self.context.has_ended() || self.context.has_news();
        if self.context.is_polled() && news {
            let fence = self.context.next_fence();
            self.ready.bytes = self.ready.end || !self.context.is_drained();
            if let Some((chain, header)) = fence.and_then(|_| self.poll.take()) {
                platform.complete(chain, &Response::new(&header, Status::NoData, vec![]));
            }
        }
    }

    fn watch<P: Platform<Chain = C>>(&mut self, platform: &mut P) {
        let full = self.context.interest().is_some_and(|(_, flags)| flags.contains(PollFlags::OUT));
        let Some(socket) = self.context.socket() else { return };
        if !self.watched {
            self.watched = true;
            if !platform.watch(self.key, socket) {
                self.context.fail("its connection to the X server can't be watched");
                return;
            }
        }
        if full != self.room_wanted {
            self.room_wanted = full;
            platform.watch_room(self.key, socket, full);
        }
    }

    /// Takes note that a blob is the guest's own again. A POLL of a ring in it goes back, and so do SENDs, which lead
    /// nowhere any more.
    pub(crate) fn lose<P: Platform<Chain = C>>(
        &mut self,
        platform: &mut P,
        blob: &Arc<Blob>,
        workspace: &mut Workspace,
    ) {
        if !self.context.lose_ring(blob) {
            return;
        }
        if let Some((chain, header)) = self.poll.take() {
            platform.complete(chain, &Response::new(&header, Status::NoData, vec![]));
        }
        self.proceed(platform, workspace);
    }

    /// Ends the context: all that it holds goes back to the guest.
    pub(crate) fn destroy<P: Platform<Chain = C>>(
        mut self,
        platform: &mut P,
        workspace: &mut Workspace,
        reason: &str,
    ) {
        for Held { chain, header, request, .. } in self.held.drain(..) {
            workspace.held_bytes -= request.map_or(0, |request| request.len());
            platform.complete(chain, &Response::new(&header, Status::Unspecified, vec![]));
        }
        if let Some((chain, header)) = self.poll.take() {
            platform.complete(chain, &Response::new(&header, Status::NoData, vec![]));
        }
        self.report_closed(platform, reason);
    }

    /// Tells the owner that the context is gone.
    pub(crate) fn report_closed<P: Platform<Chain = C>>(&self, platform: &mut P, reason: &str) {
        let reason = self.context.end().unwrap_or_else(|| reason.to_owned());
        let traffic = self.context.traffic();
        platform.report(Report::ContextClosed { number: self.key.serial, reason, traffic });
    }
}

/// Why a submission is not carried out.
enum Refusal {
    Malformed,
    Command(SubmitError),
}

/// Carries out what is left of a submission; whether it is done then.
fn carry_out(
    context: &mut Context,
    request: &[u8],
    header: &Header,
    done: &mut usize,
) -> Result<bool, Refusal> {
    let size = u32_at(request, HEADER_BYTES).and_then(|size| usize::try_from(size).ok());
    let commands = request.get(SUBMIT_BYTES..).zip(size).and_then(|(bytes, size)| bytes.get(..size));
    let commands = commands.ok_or(Refusal::Malformed)?;
    let rest = commands.get(*done..).ok_or(Refusal::Malformed)?;
    *done += context.submit(rest, header.fence_ring()).map_err(Refusal::Command)?;
    Ok(*done >= commands.len())
}
