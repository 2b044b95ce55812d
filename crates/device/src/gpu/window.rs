//! The host-visible window: which parts of it show blobs of the host.

use std::collections::BTreeMap;

/// Blobs that are mapped at once at most. QEMU has 512 slots for all memory of the guest together, and ends itself
/// when they are used up; 128 are for the window of the guest's `/dev/shm`.
pub const MAPS_MAX: usize = 352;

/// Offsets and lengths are multiples of this.
const PAGE: u64 = 4096;

/// The mapped parts of the window. None overlap.
#[derive(Debug)]
pub(crate) struct Window {
    bytes: u64,
    /// Length of each part, by its offset.
    live: BTreeMap<u64, u64>,
}

/// Why nothing can be mapped there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It is no place in the window, or a part of it is in use.
    Place,
    /// [`MAPS_MAX`] are mapped.
    Full,
}

impl Window {
    pub(crate) const fn new(bytes: u64) -> Self {
        Self { bytes, live: BTreeMap::new() }
    }

    pub(crate) fn take(&mut self, offset: u64, len: u64) -> Result<(), Unfit> {
        let end = offset.checked_add(len).filter(|end| *end <= self.bytes).ok_or(Unfit::Place)?;
        if len == 0 || !offset.is_multiple_of(PAGE) || !len.is_multiple_of(PAGE) {
            return Err(Unfit::Place);
        }
        let before = self.live.range(..end).next_back();
        if before.is_some_and(|(start, len)| start + len > offset) {
            return Err(Unfit::Place);
        }
        if self.live.len() >= MAPS_MAX {
            return Err(Unfit::Full);
        }
        self.live.insert(offset, len);
        Ok(())
    }

    /// Frees what was taken at an offset, and returns its length.
    pub(crate) fn free(&mut self, offset: u64) -> Option<u64> {
        self.live.remove(&offset)
    }

    /// Frees everything.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (u64, u64)> + use<> {
        std::mem::take(&mut self.live).into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_in_the_window_on_pages_and_never_overlap() {
        let mut window = Window::new(8 * PAGE);
        assert_eq!(window.take(2 * PAGE, 2 * PAGE), Ok(()));
        for (offset, len) in [
            (2 * PAGE, PAGE),
            (PAGE, 2 * PAGE),
            (3 * PAGE, PAGE),
            (PAGE, 7 * PAGE),
            (0, 9 * PAGE),
            (8 * PAGE, PAGE),
            (u64::MAX - PAGE + 1, PAGE),
            (0, 0),
            (1, PAGE),
            (0, 1),
        ] {
            assert_eq!(window.take(offset, len), Err(Unfit::Place), "{len} at {offset}");
        }
        assert_eq!(window.take(0, 2 * PAGE), Ok(()));
        assert_eq!(window.take(4 * PAGE, 4 * PAGE), Ok(()));
        assert_eq!(
            (window.free(2 * PAGE), window.free(2 * PAGE), window.free(1)),
            (Some(2 * PAGE), None, None)
        );
        assert_eq!(window.take(3 * PAGE, PAGE), Ok(()));
        assert_eq!(window.drain().count(), 3);
        assert_eq!(window.take(0, 8 * PAGE), Ok(()));
    }

    #[test]
    fn the_number_of_parts_is_limited() {
        let mut window = Window::new(u64::MAX);
        (0..MAPS_MAX as u64).for_each(|at| window.take(at * PAGE, PAGE).unwrap());
        assert_eq!(window.take(MAPS_MAX as u64 * PAGE, PAGE), Err(Unfit::Full));
        window.free(0);
        assert_eq!(window.take(MAPS_MAX as u64 * PAGE, PAGE), Ok(()));
    }
}
