//! Fences that a client shares with the server over two kernels: which request makes, names and destroys which.
//!
//! The caller links each fence by an id; this module knows the client's names for them, and says in time what happens to
//! which. A name can be used again, an id never is.
//!
//! # When a link ends
//!
//! What the client has sent before a DestroyFence may trigger the fence, and the client may wait for that after it has sent
//! the DestroyFence. So a link stays until the server has answered something at or behind that request: what it did
//! before, it has done.

use x11_wire::extension::Extension;
use x11_wire::fence::{FD_FROM_FENCE, FENCE_FROM_FD, FenceUse, awaited};
use x11_wire::message::{BAD_ALLOC, BAD_MATCH, ERROR_MAJOR, ERROR_MINOR, MessageHead};
use x11_wire::request::{NO_OPERATION, RequestHead};
use x11_wire::sequence::low16;

use crate::client::{Verdict, set_opcodes};
use crate::descriptors::Marks;
use crate::extensions::Class;
use crate::limits::{FENCES_DYING_MAX, FENCES_MAX};
use crate::pending::Answer as Pending;
use crate::provided::Wanted;
use crate::session::Session;

/// The first id: hosts tell those of futexes from others by their range.
const ID_FIRST: u32 = 0x4000_0000;
/// One behind the last.
const ID_END: u32 = 0x8000_0000;

/// What the caller has to do about a fence before it passes on what a session has let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FenceAction {
    /// A request that names it is about to pass.
    Named {
        /// The fence.
        id: u32,
    },
    /// One is about to pass that names more than can be told: any.
    AnyNamed,
    /// The server has destroyed it, and carried out all that was sent before that: end the link.
    Destroyed {
        /// The fence.
        id: u32,
    },
    /// End the link, though nobody knows whether the server will still trigger the fence.
    GiveUp {
        /// The fence.
        id: u32,
    },
}

/// What the caller made of the descriptor that it was asked about last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Unasked,
    Linked,
    /// With the error for the client.
    Refused(u8),
    /// Whether the server has nothing left to reset.
    Reset(bool),
}

#[derive(Debug)]
struct Linked {
    /// The client's name for it.
    name: u32,
    id: u32,
    /// Number of the request that made it.
    made: u64,
    /// Number of the request that destroyed it.
    destroyed: Option<u64>,
}

/// The linked fences of one client.
#[derive(Debug)]
pub(crate) struct LinkedFences {
    known: Vec<Linked>,
    /// How many of them are destroyed, and the server has not said so yet.
    dying: usize,
    next_id: u32,
    answer: Answer,
    actions: Vec<FenceAction>,
}

impl Default for LinkedFences {
    fn default() -> Self {
        Self { known: vec![], dying: 0, next_id: ID_FIRST, answer: Answer::Unasked, actions: vec![] }
    }
}

impl LinkedFences {
    pub(crate) fn answer(&mut self, result: Result<(), u8>) {
        self.answer = result.map_or_else(Answer::Refused, |()| Answer::Linked);
    }

    pub(crate) fn answer_reset(&mut self, is_done: bool) {
        self.answer = Answer::Reset(is_done);
    }

    pub(crate) fn take_actions(&mut self) -> Vec<FenceAction> {
        std::mem::take(&mut self.actions)
    }

    /// The server has carried out all requests up to this one.
    #[inline]
    pub(crate) fn reached(&mut self, sequence: u64) {
        if self.dying > 0 {
            self.bury(|linked| linked.destroyed.is_some_and(|destroyed| destroyed <= sequence));
        }
    }

    /// The server has refused to make the fence of that request.
    fn refused(&mut self, sequence: u64) {
        self.bury(|linked| linked.made == sequence);
    }

    fn bury(&mut self, dead: impl Fn(&Linked) -> bool) {
        let (actions, dying) = (&mut self.actions, &mut self.dying);
        self.known.retain(|linked| {
            let is_dead = dead(linked);
            if is_dead {
                *dying -= usize::from(linked.destroyed.is_some());
                actions.push(FenceAction::Destroyed { id: linked.id });
            }
            !is_dead
        });
    }

    fn has_room(&self) -> bool {
        self.known.len() < FENCES_MAX && self.next_id < ID_END
    }

    /// Notes that request `sequence` makes the next fence. One of the same name is destroyed, or the server has refused it.
    fn add(&mut self, name: u32, sequence: u64) -> u32 {
        self.destroy(name, sequence);
        let id = self.next_id;
        self.next_id += 1;
        self.known.push(Linked { name, id, made: sequence, destroyed: None });
        id
    }

    /// A second time it does nothing.
    fn destroy(&mut self, name: u32, sequence: u64) {
        let Some(linked) = self.find(name) else { return };
        linked.destroyed = Some(sequence);
        self.dying += 1;
        if self.dying > FENCES_DYING_MAX
            && let Some(oldest) = self.known.iter().position(|linked| linked.destroyed.is_some())
        {
            let id = self.known.remove(oldest).id;
            self.dying -= 1;
            self.actions.push(FenceAction::GiveUp { id });
        }
    }

    fn name(&mut self, name: u32) {
        // 0 is no fence.
        if name != 0
            && let Some(id) = self.find(name).map(|linked| linked.id)
        {
            self.actions.push(FenceAction::Named { id });
        }
    }

    fn find(&mut self, name: u32) -> Option<&mut Linked> {
        self.known.iter_mut().rev().find(|linked| linked.name == name && linked.destroyed.is_none())
    }
}

impl<F> Session<F> {
    /// A request about fences, where they are linked.
    pub(crate) fn fence_request(
        &mut self,
        used: FenceUse,
        head: RequestHead,
        rest: &mut [u8],
        at: usize,
        marks: &mut Marks<F>,
    ) -> Verdict {
        // What is about to be linked may be what it is about.
        if self.pending.awaits_export() {
            return Verdict::Stall;
        }
        match used {
            FenceUse::Create { fence } => return self.create_fence(fence, head, rest, at, marks),
            FenceUse::Export { fence } => return self.export_fence(fence, head, rest),
            FenceUse::Names(names) => names.into_iter().for_each(|name| self.fences.name(name)),
            FenceUse::NamesList if (rest.len() as u64) < head.len => {
                self.fences.actions.push(FenceAction::AnyNamed);
            }
            FenceUse::NamesList => {
                awaited(self.order, rest, head.header).for_each(|name| self.fences.name(name));
            }
            FenceUse::Reset { fence } => return self.reset_fence(fence, rest),
            FenceUse::Destroy { fence } => self.fences.destroy(fence, self.client.sequence + 1),
        }
        Verdict::Pass(None)
    }

    /// The caller is asked to link the descriptor; what it can't link is refused as a server would.
    fn create_fence(
        &mut self,
        fence: u32,
        head: RequestHead,
        rest: &mut [u8],
        at: usize,
        marks: &mut Marks<F>,
    ) -> Verdict {
        let answer = std::mem::replace(&mut self.fences.answer, Answer::Unasked);
        match answer {
            // The server says that it is missing.
            _ if self.client.descriptors.oldest().is_none() => Verdict::Pass(None),
            Answer::Unasked if self.fences.has_room() => Verdict::Link(self.fences.next_id),
            Answer::Linked => {
                self.client.descriptors.claim(1, at, marks);
                let id = self.fences.add(fence, self.client.sequence + 1);
                if let Some(mark) = marks.last_mut() {
                    mark.fence = Some(id);
                }
                Verdict::Pass(None)
            }
            answer => {
                self.client.descriptors.discard(1);
                let code = if let Answer::Refused(code) = answer { code } else { BAD_ALLOC };
                self.refuse(head, rest, code, fence)
            }
        }
    }

    /// The client gets the file that the fence was linked by. One of the server's is linked by the answer; the server's page itself
    /// would wake nobody here.
    fn export_fence(&mut self, fence: u32, head: RequestHead, rest: &mut [u8]) -> Verdict {
        let linked = self.fences.find(fence).map(|linked| linked.id);
        match linked {
            Some(id) => self.provide_for(Wanted::FenceFile(id), head, rest, (BAD_MATCH, fence)),
            None if self.extensions.adopts_fences() && self.fences.has_room() => {
                Verdict::Pass(Some(Pending::Exported { major: head.major, fence }))
            }
            None => self.refuse(head, rest, BAD_MATCH, fence),
        }
    }

    /// The server has exported a fence of its own: its descriptor is marked by the id that the caller is to link it by.
    pub(crate) fn adopt_fence(
        &mut self,
        (major, fence): (u8, u32),
        head: MessageHead,
        rest: &mut [u8],
        at: usize,
        marks: &mut Marks<F>,
    ) {
        let before = marks.len();
        self.hand_over((major, FD_FROM_FENCE), head, rest, at, marks);
        if let Some(mark) = marks.get_mut(before).filter(|mark| !mark.descriptors.is_empty()) {
            mark.fence = Some(self.fences.add(fence, self.host.sequence));
        }
    }

    /// The caller is asked to reset the fence on both sides: the server must not do it by itself. What is not triggered is
    /// for the server to refuse.
    fn reset_fence(&mut self, fence: u32, rest: &mut [u8]) -> Verdict {
        let Some(id) = self.fences.find(fence).map(|linked| linked.id) else { return Verdict::Pass(None) };
        match std::mem::replace(&mut self.fences.answer, Answer::Unasked) {
            Answer::Reset(is_done) => {
                if is_done {
                    set_opcodes(rest, NO_OPERATION);
                }
                Verdict::Pass(None)
            }
            _ => Verdict::ResetFence(id),
        }
    }

    /// Looks whether an error says that a fence was never made. The host has been followed to that error.
    pub(crate) fn notice_refused_fence(&mut self, wire: u16, error: &[u8]) {
        let major = error.get(ERROR_MAJOR).copied().unwrap_or(0);
        if self.order.u16_at(error, ERROR_MINOR) == Some(u16::from(FENCE_FROM_FD))
            && self.extensions.class(major) == Class::Known(Extension::Dri3)
            && low16(self.host.sequence) == wire
        {
            self.fences.refused(self.host.sequence);
        }
    }
}
