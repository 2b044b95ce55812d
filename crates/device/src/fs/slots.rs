//! The window in which the guest maps files: slots of 2 MiB, each of which shows a part of one file.

use std::collections::BTreeMap;

/// Bytes of a slot: what Linux maps at once, however small the file is.
pub const SLOT_BYTES: u64 = 2 << 20;

/// How many slots of a window files may be promised: the guest's kernel begins to take them back when a fifth is left.
pub(crate) const fn slots_max(window_bytes: u64) -> u64 {
    window_bytes / SLOT_BYTES * 3 / 4
}

/// What a slot shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) node: u64,
    /// Where it begins in the file.
    pub(crate) from: u64,
    /// Which mapping it is.
    pub(crate) serial: u64,
}

/// The slots that show something.
#[derive(Debug)]
pub(crate) struct Slots {
    bytes: u64,
    live: BTreeMap<u64, Slot>,
}

impl Slots {
    pub(crate) const fn new(bytes: u64) -> Self {
        Self { bytes, live: BTreeMap::new() }
    }

    /// Whether this is where a slot begins.
    pub(crate) fn has(&self, offset: u64) -> bool {
        offset.is_multiple_of(SLOT_BYTES)
            && offset.checked_add(SLOT_BYTES).is_some_and(|end| end <= self.bytes)
    }

    pub(crate) fn get(&self, offset: u64) -> Option<Slot> {
        self.live.get(&offset).copied()
    }

    pub(crate) fn set(&mut self, offset: u64, slot: Slot) {
        self.live.insert(offset, slot);
    }

    /// Frees a slot; what it has shown.
    pub(crate) fn free(&mut self, offset: u64) -> Option<Slot> {
        self.live.remove(&offset)
    }

    /// Offsets of the slots in a range.
    pub(crate) fn within(&self, offset: u64, len: u64) -> Vec<u64> {
        let end = offset.saturating_add(len);
        self.live.keys().copied().filter(|at| *at >= offset && *at < end).collect()
    }

    /// Offsets of the slots that show a file.
    pub(crate) fn of(&self, node: u64) -> Vec<u64> {
        self.live.iter().filter(|(_, slot)| slot.node == node).map(|(offset, _)| *offset).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_lie_in_the_window_at_multiples_of_their_size() {
        let slots = Slots::new(4 * SLOT_BYTES + 4096);
        for (offset, there) in [
            (0, true),
            (3 * SLOT_BYTES, true),
            (4 * SLOT_BYTES, false),
            (4096, false),
            (u64::MAX, false),
            (u64::MAX - SLOT_BYTES + 1, false),
        ] {
            assert_eq!(slots.has(offset), there, "{offset:#x}");
        }
    }

    #[test]
    fn slots_are_found_by_place_and_by_file() {
        let mut slots = Slots::new(8 * SLOT_BYTES);
        let slot = |node| Slot { node, from: 0, serial: node };
        for (offset, node) in [(0, 7), (2, 8), (5, 7)] {
            slots.set(offset * SLOT_BYTES, slot(node));
        }
        assert_eq!(slots.of(7), [0, 5 * SLOT_BYTES]);
        assert_eq!(slots.within(0, 3 * SLOT_BYTES), [0, 2 * SLOT_BYTES]);
        assert_eq!(slots.within(1, u64::MAX), [2 * SLOT_BYTES, 5 * SLOT_BYTES]);
        assert_eq!((slots.free(0), slots.free(0)), (Some(slot(7)), None));
        assert_eq!(slots.get(2 * SLOT_BYTES), Some(slot(8)));
    }
}
