//! Commands about what has an id.

use cross_domain::Command;

use super::{Context, Link, SubmitError};

impl Context {
    /// Futexes are fences: those in files that the guest has named are watched here. One whose name leads nowhere is noted
    /// alone, so that ids are kept apart; the SEND that hands it to the server will fail.
    pub(super) fn track(&mut self, command: &Command<'_>) -> Result<(), SubmitError> {
        if matches!(self.link, Link::Absent) {
            return Err(SubmitError::OutOfPlace { what: "a command before INIT" });
        }
        let resources = &mut self.resources;
        let (id, known) = match command {
            Command::FutexNew(new) => {
                let is_new = resources.add_futex(new.id).is_ok();
                if is_new {
                    self.shared.add_futex(new.file, new.id);
                    self.share_fence(new.id)?;
                }
                (new.id, is_new)
            }
            Command::ImportVirtiofsHandle(import) => {
                self.shared.import(import.file, import.id);
                (import.id, true)
            }
            // One that was under way when its futex was destroyed means nothing.
            Command::FutexSignal { id } => return self.wake_fence(*id),
            Command::FutexDestroy { id } => {
                self.shared.remove_futex(*id);
                let relayed = self.fences.as_mut().is_some_and(|fences| fences.destroy(*id));
                (*id, relayed || resources.remove_futex(*id))
            }
            Command::Fence(command) => return self.fence(*command),
            Command::Write(write) => (write.identifier, false),
            Command::ReadEventfdNew { id } | Command::ReadEventfdDestroy { id } => (*id, false),
            _ => return Err(SubmitError::Unsupported { what: "this command" }),
        };
        if known { Ok(()) } else { Err(SubmitError::NoSuchItem { id }) }
    }
}
