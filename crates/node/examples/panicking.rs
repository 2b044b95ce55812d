//! An addon that panics when it is asked to: what catches the panics of the real one's exports is shown to catch them, wherever that is
//! built for. It is never published.

use std::cell::Cell;
use std::panic::set_hook;
use std::sync::Once;

use napi_derive::napi;

thread_local! {
    static DROPPED: Cell<u32> = const { Cell::new(0) };
}

/// Something that has to be dropped on the way out.
struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        DROPPED.set(DROPPED.get() + 1);
    }
}

/// Panics with so many calls to unwind.
#[napi(catch_unwind)]
pub fn panicking(levels: u32) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| set_hook(Box::new(|_| {})));
    deep(levels);
}

fn deep(levels: u32) {
    let _counted = Counted;
    assert!(levels > 1, "made up");
    deep(levels - 1);
}

/// How much this thread's panics have dropped so far.
#[napi(catch_unwind)]
pub fn dropped() -> u32 {
    DROPPED.get()
}
