//! The buffers that a client's SENDs name to the host.
//!
//! A node has one handle for a buffer, whoever sends it and how often. So uses are counted, and the handle is closed when
//! the last SEND that names the buffer is *done*, not when it is submitted: a host takes the name away as soon as the
//! handle is closed, and what it has not carried out by then would name nothing, or another buffer.

use std::os::fd::BorrowedFd;

use cross_domain::{Dialect, Identifier, IdentifierType};
use sys::virtgpu::{BlobMem, Buffer};

use super::RenderNode;
use crate::channel::cross_domain::is_done;

/// What one client's SENDs name.
#[derive(Debug, Default)]
pub(super) struct Buffers(Vec<Use>);

#[derive(Debug)]
struct Use {
    buffer: Buffer,
    /// The SEND that it is in; `None` while that is being prepared.
    send: Option<u32>,
}

impl Buffers {
    /// Names a buffer for the SEND that is being prepared; `None` for what the host can't be told of: no buffer of this
    /// device, or one in guest memory. A host could only be given the pages of that one, and would go on to use them when
    /// the guest has long given them to somebody else: nothing tells the guest that an X server has let go of a buffer.
    pub(super) fn name(
        &mut self,
        node: &dyn RenderNode,
        dialect: Option<Dialect>,
        descriptor: BorrowedFd<'_>,
    ) -> Option<Identifier> {
        let buffer = node.import(descriptor).ok()?;
        let nameable = match buffer.mem {
            BlobMem::Host | BlobMem::HostAndGuest => true,
            // Our host half renders nothing.
            BlobMem::None => dialect != Some(Dialect::X11Bridge),
            BlobMem::Guest => false,
        };
        self.0.push(Use { buffer, send: None });
        if !nameable {
            self.forget(node, buffer.resource_id, None);
            return None;
        }
        // The number is the same in all dialects.
        let id_type = Dialect::X11Bridge.raw_identifier_type(IdentifierType::VirtgpuBlob)?;
        Some(Identifier { id: buffer.resource_id, id_type, size: buffer.size })
    }

    /// Notes that a name is in the SEND with this number, which is submitted; or in none.
    pub(super) fn forget(&mut self, node: &dyn RenderNode, resource_id: u32, send: Option<u32>) {
        let unsent = |at: &Use| at.send.is_none() && at.buffer.resource_id == resource_id;
        match (self.0.iter().position(unsent), send) {
            (Some(at), None) => {
                let Use { buffer, .. } = self.0.swap_remove(at);
                self.close_unused(node, buffer.handle);
            }
            (Some(at), send) => {
                if let Some(named) = self.0.get_mut(at) {
                    named.send = send;
                }
            }
            (None, _) => {}
        }
    }

    /// Whether the SEND that is being prepared names any.
    pub(super) fn are_named(&self) -> bool {
        self.0.iter().any(|named| named.send.is_none())
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes that all SENDs up to this number are done.
    pub(super) fn done(&mut self, node: &dyn RenderNode, last: u32) {
        while let Some(at) =
            self.0.iter().position(|named| named.send.is_some_and(|send| is_done(send, last)))
        {
            let Use { buffer, .. } = self.0.swap_remove(at);
            self.close_unused(node, buffer.handle);
        }
    }

    fn close_unused(&self, node: &dyn RenderNode, handle: u32) {
        if !self.0.iter().any(|named| named.buffer.handle == handle) {
            node.close(handle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;
    use std::os::fd::AsFd;

    /// Names the fake's one buffer, or what has its memory elsewhere.
    fn name(buffers: &mut Buffers, node: &Fake, dialect: Option<Dialect>) -> Option<u32> {
        let descriptor = node.events.as_fd();
        buffers.name(node, dialect, descriptor).map(|identifier| identifier.id)
    }

    #[test]
    fn a_handle_is_closed_once_and_when_the_last_send_that_names_it_is_done() {
        let (node, mut buffers) = (Fake::default(), Buffers::default());
        for send in [u32::MAX, 0, 1] {
            for _ in 0..4 {
                assert_eq!(name(&mut buffers, &node, None), Some(7));
            }
            assert!(buffers.are_named());
            (0..4).for_each(|_| buffers.forget(&node, 7, Some(send)));
            assert!(!buffers.are_named());
        }
        for done in [u32::MAX - 1, u32::MAX, 0] {
            buffers.done(&node, done);
            assert_eq!(node.times_closed(), 0, "{done}");
        }
        buffers.done(&node, 1);
        assert_eq!(node.times_closed(), 1);
        assert!(buffers.is_empty());
    }

    #[test]
    fn a_name_that_is_not_sent_is_given_up_at_once_unless_another_send_has_it() {
        let (node, mut buffers) = (Fake::default(), Buffers::default());
        assert_eq!(name(&mut buffers, &node, None), Some(7));
        buffers.forget(&node, 7, Some(5));
        assert_eq!(name(&mut buffers, &node, None), Some(7));
        buffers.forget(&node, 7, None);
        assert_eq!(node.times_closed(), 0);
        buffers.done(&node, 5);
        assert_eq!(node.times_closed(), 1);
        assert_eq!(name(&mut buffers, &node, None), Some(7));
        buffers.forget(&node, 7, None);
        assert_eq!((node.times_closed(), buffers.is_empty()), (2, true));
    }

    #[test]
    fn only_what_the_host_has_a_file_of_is_named() {
        let ours = Some(Dialect::X11Bridge);
        for (mem, to_ours, to_others) in [
            (BlobMem::Host, true, true),
            (BlobMem::HostAndGuest, true, true),
            (BlobMem::None, false, true),
            (BlobMem::Guest, false, false),
        ] {
            let (node, mut buffers) = (Fake { mem, ..Fake::default() }, Buffers::default());
            assert_eq!(name(&mut buffers, &node, ours).is_some(), to_ours, "{mem:?}");
            assert_eq!(name(&mut buffers, &node, Some(Dialect::Libkrun)).is_some(), to_others, "{mem:?}");
        }
        let node = Fake { imports: false, ..Fake::default() };
        assert_eq!(name(&mut Buffers::default(), &node, None), None);
    }
}
