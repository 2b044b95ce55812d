//! What a run showed, in place of coverage: an input that shows something new is worth breeding from.

use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

thread_local! {
    static NOTED: RefCell<HashSet<u64>> = RefCell::default();
}

/// Notes that the current run showed `what`.
pub fn note(what: impl Hash) {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    NOTED.with_borrow_mut(|noted| noted.insert(hasher.finish()));
}

/// The power of two that `count` lies below: enough to tell few from many.
pub fn magnitude(count: u64) -> u32 {
    u64::BITS - count.leading_zeros()
}

/// Takes what has been noted on this thread since the last call.
pub fn take() -> HashSet<u64> {
    NOTED.take()
}
