//! Fences that are relayed: the client's page stays the guest's own, the X server gets another from the host.
//!
//! # Specification
//!
//! Only between two ends of whom the host has set the bit [`FEATURE_FENCES`] in its capset's features. All commands have
//! 16 bytes: a header and two words.
//!
//! ```text
//!                       cmd  direction      8                  12
//!   FENCE_NEW           241  guest → host   id                 triggered, 0 or 1
//!   FENCE_TRIGGER       242  both           id                 epoch
//!   FENCE_RESET         243  guest → host   id                 epoch
//!   FENCE_ADOPT         245  guest → host   id                 resource
//! ```
//! **FENCE_NEW** has the host make a page whose first word is an xshmfence, triggered or not, and watch it. The id is one
//! of a futex, in `0x40000000..0x80000000` and never used before. The SEND of the request that hands the page to the
//! server (DRI3 FenceFromFD) has the id among its identifiers, with the type of shared memory; the host sends the
//! page's descriptor in its place. **FUTEX_DESTROY** ends it, once everything is sent that names it; the page lives as
//! long as the server maps it.
//!
//! **Epochs** count the resets of a fence. Both ends begin in epoch 0; each FENCE_RESET has the epoch that begins, one more
//! than the last, modulo 2³². An epoch is *later* than another if it is less than 2³¹ ahead.
//!
//! **FENCE_TRIGGER** says that the sender's page has become triggered in that epoch. The receiver triggers its page and
//! is in that epoch; if its own is later, it ignores the message. The host's comes in the channel ring, by the event
//! of a POLL as RECEIVE does. Neither answers a trigger by a trigger of the same epoch.
//!
//! **FENCE_RESET** says that the client has reset its page, which was triggered in the epoch before. If the epoch is later
//! than the host's own, the host resets its page; the page being triggered again at once is the next FENCE_TRIGGER.
//! It is carried out in order: what was sent before it may have reached the server, what is sent behind it has not.
//!
//! **FENCE_ADOPT**, with the bit [`FEATURE_ADOPTION`], is FENCE_NEW for a page that the server has made and given away: the
//! resource is a blob of its file, a context's SEND could name it, and has to stay until the command is carried out. Both ends begin
//! not triggered; if the page is, the host's FENCE_TRIGGER follows, and so it does if the resource holds no fence that could be
//! watched: nobody is to wait for that.
//!
//! An id that is not known (any more) is ignored, but in a SEND.

use crate::dialect::Dialect;
use crate::error::{Error, Sender};
use crate::event::ID_COMMAND_BYTES;
use crate::header::Header;
use crate::wire::{Reader, Writer};

/// The host relays fences.
pub const FEATURE_FENCES: u32 = 1 << 0;

/// The host relays fences that its X server has made.
pub const FEATURE_ADOPTION: u32 = 1 << 3;

/// `FENCE_NEW`.
pub const CMD_FENCE_NEW: u8 = 241;
/// `FENCE_TRIGGER`.
pub const CMD_FENCE_TRIGGER: u8 = 242;
/// `FENCE_RESET`.
pub const CMD_FENCE_RESET: u8 = 243;
/// `FENCE_ADOPT`.
pub const CMD_FENCE_ADOPT: u8 = 245;

/// A command about a relayed fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FenceCommand {
    /// Make a page for the server.
    New {
        /// Id of the fence: in `0x40000000..0x80000000` and never used before.
        id: u32,
        /// Whether it begins triggered.
        triggered: bool,
    },
    /// The sender's page was triggered.
    Trigger {
        /// Id of its [`FenceCommand::New`].
        id: u32,
        /// In which epoch.
        epoch: u32,
    },
    /// The client has reset its page.
    Reset {
        /// Id of its [`FenceCommand::New`].
        id: u32,
        /// The epoch that begins.
        epoch: u32,
    },
    /// Relay a page of the server's own.
    Adopt {
        /// Id of the fence, as in [`FenceCommand::New`].
        id: u32,
        /// Resource id of a blob of its file.
        resource: u32,
    },
}

impl FenceCommand {
    /// The command for a submission of the guest.
    pub fn encode(self) -> [u8; ID_COMMAND_BYTES] {
        let (cmd, words) = self.parts();
        encode(Header::fixed(cmd, 16), words)
    }

    /// The same for the host to put in the channel ring.
    pub fn encode_in_ring(self) -> [u8; ID_COMMAND_BYTES] {
        let (cmd, words) = self.parts();
        encode(Header::in_ring(cmd), words)
    }

    /// The command `cmd` of the guest; `None` if it is no such command here.
    pub(crate) fn decode(cmd: u8, command: &[u8], dialect: Dialect) -> Option<Result<Self, Error>> {
        let known =
            dialect == Dialect::X11Bridge && matches!(cmd, CMD_FENCE_NEW..=CMD_FENCE_RESET | CMD_FENCE_ADOPT);
        known.then(|| Self::read(cmd, command, Sender::Guest))
    }

    /// The message `cmd` of the host, which sends triggers alone.
    pub(crate) fn decode_in_ring(cmd: u8, head: &[u8], dialect: Dialect) -> Option<Result<Self, Error>> {
        let known = dialect == Dialect::X11Bridge && cmd == CMD_FENCE_TRIGGER;
        known.then(|| Self::read(cmd, head, Sender::Host))
    }

    fn parts(self) -> (u8, [u32; 2]) {
        match self {
            Self::New { id, triggered } => (CMD_FENCE_NEW, [id, triggered.into()]),
            Self::Trigger { id, epoch } => (CMD_FENCE_TRIGGER, [id, epoch]),
            Self::Reset { id, epoch } => (CMD_FENCE_RESET, [id, epoch]),
            Self::Adopt { id, resource } => (CMD_FENCE_ADOPT, [id, resource]),
        }
    }

    fn read(cmd: u8, bytes: &[u8], sender: Sender) -> Result<Self, Error> {
        let (id, word) = words(bytes).ok_or(sender.wrong_size(bytes))?;
        match (cmd, word) {
            (CMD_FENCE_TRIGGER, epoch) => Ok(Self::Trigger { id, epoch }),
            (CMD_FENCE_RESET, epoch) => Ok(Self::Reset { id, epoch }),
            (CMD_FENCE_ADOPT, resource) => Ok(Self::Adopt { id, resource }),
            (_, 0 | 1) => Ok(Self::New { id, triggered: word == 1 }),
            (_, triggered) => Err(sender.blame("triggered", triggered.into())),
        }
    }
}

fn encode(header: Header, words: [u32; 2]) -> [u8; ID_COMMAND_BYTES] {
    let mut out = [0; ID_COMMAND_BYTES];
    let mut writer = Writer::new(&mut out);
    header.write(&mut writer);
    for word in words {
        writer.u32(word);
    }
    out
}

fn words(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut reader = Reader::new(bytes);
    Header::read(&mut reader)?;
    Some((reader.u32()?, reader.u32()?))
}
