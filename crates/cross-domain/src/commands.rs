//! The host's side of one submission: its bytes, command by command.

use crate::dialect::rutabaga::{AssignSocketUuid, ImportVirtiofsHandle};
use crate::dialect::x11bridge::fence::FenceCommand;
use crate::dialect::{Dialect, libkrun, rutabaga, x11bridge};
use crate::error::{Error, Sender, widen};
use crate::event::{FutexNew, decode_id};
use crate::header::{Header, cmd};
use crate::image::GetImageRequirements;
use crate::init::Init;
use crate::limits::HEADER_BYTES;
use crate::pipe::{self, Write};
use crate::send::{self, Send};

/// One command of a guest, borrowing its data from the submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command<'a> {
    /// Opens the channel.
    Init(Init),
    /// Asks how an image would lie in memory.
    GetImageRequirements(GetImageRequirements),
    /// Asks for the next message; the fence that comes with the submission is its event.
    Poll,
    /// Bytes and identifiers for the host's socket.
    Send(Send<'a>),
    /// Bytes for a pipe.
    Write(Write<'a>),
    /// Watch a futex.
    FutexNew(FutexNew),
    /// A futex was woken in the guest.
    FutexSignal {
        /// Id of its `FUTEX_NEW`.
        id: u32,
    },
    /// Watch a futex no more.
    FutexDestroy {
        /// Id of its `FUTEX_NEW`.
        id: u32,
    },
    /// Begin to read an eventfd.
    ReadEventfdNew {
        /// Item id that a RECEIVE gave it.
        id: u32,
    },
    /// Read an eventfd no more (libkrun and x11bridge).
    ReadEventfdDestroy {
        /// Item id that a RECEIVE gave it.
        id: u32,
    },
    /// Make an item of a file on virtiofs (rutabaga, x11bridge).
    ImportVirtiofsHandle(ImportVirtiofsHandle),
    /// Name a socket that a RECEIVE brought (rutabaga).
    AssignSocketUuid(AssignSocketUuid),
    /// Relay a fence (x11bridge).
    Fence(FenceCommand),
}

/// Iterates over the commands of one submission (one `EXECBUFFER`), in order.
///
/// Hostile bytes are expected: each step takes at least the 8 bytes of a header, so there are at most `len / 8 + 1`
/// items, and the first error is the last item. What follows a faulty command is not looked at; all hosts do so.
/// Copy the submission out of guest memory first: the bytes must not change under the iterator.
///
/// ```
/// use cross_domain::{Command, Commands, Dialect};
///
/// let submission = cross_domain::encode_poll();
/// let mut commands = Commands::new(&submission, Dialect::X11Bridge);
/// assert_eq!(commands.next(), Some(Ok(Command::Poll)));
/// assert_eq!(commands.next(), None);
/// ```
#[derive(Debug, Clone)]
pub struct Commands<'a> {
    rest: &'a [u8],
    dialect: Dialect,
}

impl<'a> Commands<'a> {
    /// The commands in `submission`, as `dialect` numbers them.
    pub fn new(submission: &'a [u8], dialect: Dialect) -> Self {
        Self { rest: submission, dialect }
    }

    /// The bytes of the commands that have not been decoded yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Cuts the next command off `rest`: its number, and its bytes from the header to the end of its gap.
    fn cut(&mut self) -> Result<(u8, &'a [u8]), Error> {
        let too_short = Sender::Guest.blame("submission_bytes", widen(self.rest.len()));
        let header = self.rest.first_chunk().map(Header::decode).ok_or(too_short)?;
        let blame = Sender::Guest.blame("cmd_size", header.cmd_size.into());
        let bytes = usize::from(header.cmd_size);
        if bytes < HEADER_BYTES {
            return Err(blame);
        }
        let (command, rest) = self.rest.split_at_checked(bytes).ok_or(blame)?;
        self.rest = rest;
        Ok((header.cmd, command))
    }

    fn decode(&mut self) -> Result<Command<'a>, Error> {
        let (cmd, command) = self.cut()?;
        let id = || decode_id(command, Sender::Guest);
        Ok(match cmd {
            cmd::INIT => Command::Init(Init::decode(command)?),
            cmd::GET_IMAGE_REQUIREMENTS => {
                Command::GetImageRequirements(GetImageRequirements::decode(command)?)
            }
            cmd::POLL => Command::Poll,
            cmd::SEND => Command::Send(send::decode_send(command)?),
            cmd::WRITE => Command::Write(pipe::decode_write(command)?),
            cmd::FUTEX_NEW => Command::FutexNew(FutexNew::decode(command)?),
            cmd::FUTEX_SIGNAL => Command::FutexSignal { id: id()? },
            cmd::FUTEX_DESTROY => Command::FutexDestroy { id: id()? },
            cmd::READ_EVENTFD_NEW => Command::ReadEventfdNew { id: id()? },
            cmd => self.decode_by_dialect(cmd, command)?,
        })
    }

    fn decode_by_dialect(&self, cmd: u8, command: &'a [u8]) -> Result<Command<'a>, Error> {
        match (self.dialect, cmd) {
            (Dialect::Libkrun | Dialect::X11Bridge, libkrun::CMD_READ_EVENTFD_DESTROY) => {
                decode_id(command, Sender::Guest).map(|id| Command::ReadEventfdDestroy { id })
            }
            (Dialect::Rutabaga, rutabaga::CMD_IMPORT_VIRTIOFS_HANDLE)
            | (Dialect::X11Bridge, x11bridge::CMD_IMPORT_FILE) => {
                ImportVirtiofsHandle::decode(command).map(Command::ImportVirtiofsHandle)
            }
            (Dialect::Rutabaga, rutabaga::CMD_ASSIGN_SOCKET_UUID) => {
                AssignSocketUuid::decode(command).map(Command::AssignSocketUuid)
            }
            _ => match FenceCommand::decode(cmd, command, self.dialect) {
                Some(fence) => fence.map(Command::Fence),
                None => Err(Error::Unsupported { cmd }),
            },
        }
    }
}

impl<'a> Iterator for Commands<'a> {
    type Item = Result<Command<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let item = self.decode();
        if item.is_err() {
            self.rest = &[];
        }
        Some(item)
    }
}

impl std::iter::FusedIterator for Commands<'_> {}
