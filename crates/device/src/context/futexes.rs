//! Commands about what has an id.

use cross_domain::Command;

use super::{Context, Link, SubmitError};

impl Context {
    /// Futexes are noted, so that a guest that shares fences finds a host that keeps its
    /// ids apart; this host watches none.
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
                }
                (new.id, is_new)
            }
            Command::ImportVirtiofsHandle(import) => {
                self.shared.import(import.file, import.id);
                (import.id, true)
            }
            Command::FutexSignal { id } => (*id, resources.has_futex(*id)),
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
