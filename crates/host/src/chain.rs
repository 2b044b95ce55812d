//! A request: descriptors that the device reads, and descriptors that it writes its response to.

use std::sync::Arc;

use virtio_queue::DescriptorChain;
use vm_memory::{Bytes, GuestAddress};

use crate::memory::View;

/// A request, with the memory that it lies in.
#[derive(Debug, Clone)]
pub(crate) struct Chain(DescriptorChain<Arc<View>>);

impl Chain {
    pub(crate) const fn new(chain: DescriptorChain<Arc<View>>) -> Self {
        Self(chain)
    }

    /// Its number in the queue.
    pub(crate) fn head(&self) -> u16 {
        self.0.head_index()
    }

    /// Copies it out of guest memory, in place of what is in `out`. Where it is longer than `max` bytes or can't be read
    /// to its end, `false`; its beginning is copied all the same.
    pub(crate) fn read(&self, max: usize, out: &mut Vec<u8>) -> bool {
        let view = self.0.memory();
        let mut end = 0_usize;
        let mut whole = true;
        for descriptor in self.0.clone().readable() {
            let start = end;
            let len = usize::try_from(descriptor.len()).unwrap_or(usize::MAX).min(max - start);
            whole &= len == descriptor.len() as usize;
            end += len;
            if out.len() < end {
                out.resize(end, 0);
            }
            let room = out.get_mut(start..end).unwrap_or_default();
            if view.read_slice(room, descriptor.addr()).is_err() {
                (end, whole) = (start, false);
            }
            if !whole {
                break;
            }
        }
        out.truncate(end);
        whole
    }

    /// Writes as much of the response as there is room for, and returns how much that was.
    pub(crate) fn write<const N: usize>(&self, response: &[&[u8]; N]) -> u32 {
        let view = self.0.memory();
        let mut parts = *response;
        let mut written = 0;
        for descriptor in self.0.clone().writable() {
            let (mut address, mut room) = (descriptor.addr().0, descriptor.len() as usize);
            for part in &mut parts {
                let (now, later) = part.split_at(room.min(part.len()));
                if view.write_slice(now, GuestAddress(address)).is_err() {
                    return written;
                }
                *part = later;
                room -= now.len();
                address = address.saturating_add(now.len() as u64);
                written += u32::try_from(now.len()).unwrap_or(0);
            }
        }
        written
    }
}
