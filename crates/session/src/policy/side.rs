//! Which resources are this side's: those of all clients of one bridge.
//!
//! A server gives each client a range of resource ids by the base and the mask in its set-up reply. The bits above the
//! mask are the client's index; the server's own resources, such as root windows, have index 0. A client's index is
//! noted before it hears of it, and struck out before its connection to the server is closed: the server may give it to
//! somebody else then. A client that was struck out too early only loses access to its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

/// Clients that an X server can have at most (`-maxclients`).
const CLIENTS: usize = 2048;

/// What a resource is to a client, as a set of one.
pub(crate) mod class {
    /// 0 or 1: none, or a special window such as `PointerRoot`.
    pub(crate) const NONE: u32 = 1;
    /// A resource of this side's.
    pub(crate) const OWN: u32 = 2;
    /// The server's own: root windows, default colormaps, the overlay window.
    pub(crate) const ROOT: u32 = 4;
    /// Another client's.
    pub(crate) const OTHER: u32 = 8;
}

/// The clients of one side.
#[derive(Debug)]
pub struct Side {
    /// How many clients hold each index: more than one for a moment, when one has not yet noticed its end and the
    /// server has given its index to the next.
    members: [AtomicU16; CLIENTS],
}

impl Default for Side {
    fn default() -> Self {
        Self { members: std::array::from_fn(|_| AtomicU16::new(0)) }
    }
}

/// A client's ids, as its set-up reply says, and its place on its side. Dropping it gives the place up.
#[derive(Debug)]
pub(crate) struct Member {
    side: Arc<Side>,
    index: Option<usize>,
    base: u32,
    mask: u32,
}

impl Member {
    pub(crate) fn join(side: Arc<Side>, base: u32, mask: u32) -> Self {
        let mut member = Self { side, index: None, base, mask };
        member.index = member.index_of(base).filter(|index| *index > 0);
        // Relaxed: the server orders what follows. Nobody can name the new client's resources before it has answered.
        if let Some(count) = member.index.and_then(|index| member.side.members.get(index)) {
            count.fetch_add(1, Relaxed);
        }
        member
    }

    /// The client's index among the server's, where a mask of the usual form tells it.
    fn index_of(&self, id: u32) -> Option<usize> {
        let bits = self.mask.trailing_ones();
        (self.mask.checked_shr(bits) == Some(0))
            .then(|| (id >> bits) as usize)
            .filter(|index| *index < CLIENTS)
    }

    /// The base of its ids, and the bits that it may choose.
    pub(crate) const fn ids(&self) -> (u32, u32) {
        (self.base, self.mask)
    }

    /// Whether the id is this client's own.
    #[inline]
    pub(crate) const fn is_mine(&self, id: u32) -> bool {
        id & !self.mask == self.base
    }

    /// What an id is to this client: one of [`class`].
    pub(crate) fn class(&self, id: u32) -> u32 {
        match id & !self.mask {
            base if base == self.base => class::OWN,
            0 if id <= 1 => class::NONE,
            0 => class::ROOT,
            _ => {
                let count = self.index_of(id).and_then(|index| self.side.members.get(index));
                if count.is_some_and(|count| count.load(Relaxed) > 0) { class::OWN } else { class::OTHER }
            }
        }
    }
}

/// A client's place among the others, which it keeps when its policy changes.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    side: Option<Arc<Side>>,
    /// From the set-up reply on, until the client's connection is about to end.
    member: Option<Member>,
    left: bool,
}

impl Standing {
    pub(crate) fn on(side: Arc<Side>) -> Self {
        Self { side: Some(side), ..Self::default() }
    }

    /// Notes the client's ids.
    pub(crate) fn join(&mut self, base: u32, mask: u32) {
        self.member = self.side.clone().filter(|_| !self.left).map(|side| Member::join(side, base, mask));
    }

    /// Strikes the client out: the server may give its ids to somebody else.
    pub(crate) fn leave(&mut self) {
        self.member = None;
        self.left = true;
    }

    pub(crate) const fn member(&self) -> Option<&Member> {
        self.member.as_ref()
    }

    pub(crate) const fn has_left(&self) -> bool {
        self.left
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(count) = self.index.and_then(|index| self.side.members.get(index)) {
            count.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: u32 = 0x1f_ffff;

    #[test]
    fn ids_of_all_clients_of_a_side_are_its_own_until_they_leave() {
        let side = Arc::new(Side::default());
        let one = Member::join(Arc::clone(&side), 0x20_0000, MASK);
        let two = Member::join(Arc::clone(&side), 0x60_0000, MASK);
        assert_eq!(one.class(0x20_0001), class::OWN);
        assert_eq!(one.class(0x7f_ffff), class::OWN);
        assert_eq!(one.class(0x40_0001), class::OTHER);
        assert_eq!((one.is_mine(0x20_0001), one.is_mine(0x60_0001)), (true, false));
        drop(two);
        assert_eq!(one.class(0x60_0001), class::OTHER);
    }

    #[test]
    fn the_servers_own_ids_and_special_ones_are_told_apart() {
        let one = Member::join(Arc::default(), 0x20_0000, MASK);
        assert_eq!((one.class(0), one.class(1), one.class(0x4e0)), (class::NONE, class::NONE, class::ROOT));
    }

    #[test]
    fn ids_beyond_all_clients_are_nobodys() {
        let one = Member::join(Arc::default(), 0x20_0000, MASK);
        assert_eq!(one.class(0x4020_0001), class::OTHER);
        assert_eq!(one.class(u32::MAX), class::OTHER);
    }

    #[test]
    fn an_index_that_two_hold_for_a_moment_stays_until_both_have_left() {
        let side = Arc::new(Side::default());
        let watcher = Member::join(Arc::clone(&side), 0x20_0000, MASK);
        let late = Member::join(Arc::clone(&side), 0x40_0000, MASK);
        let next = Member::join(side, 0x40_0000, MASK);
        drop(late);
        assert_eq!(watcher.class(0x40_0001), class::OWN);
        drop(next);
        assert_eq!(watcher.class(0x40_0001), class::OTHER);
    }

    #[test]
    fn a_strange_mask_makes_nothing_but_ones_own_ids_own() {
        let one = Member::join(Arc::default(), 0x20_0000, 0xf0f0);
        assert_eq!((one.class(0x20_0010), one.class(0x40_0010)), (class::OWN, class::OTHER));
    }
}
