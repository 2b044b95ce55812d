//! The messages of FUSE (Linux, `uapi/linux/fuse.h`): requests decoded, replies encoded.
//!
//! All integers are in the guest's byte order, which is little endian. A request was copied out of guest memory before it
//! is looked at.

use rustix::io::Errno;

/// Bytes of the header of a request.
pub(crate) const HEADER_BYTES: usize = 40;
/// Bytes of a name at most.
const NAME_MAX: usize = 255;
/// Bytes of the target of a symbolic link at most.
const TARGET_MAX: usize = 4095;

/// Numbers of requests.
pub(crate) mod op {
    pub(crate) const LOOKUP: u32 = 1;
    pub(crate) const FORGET: u32 = 2;
    pub(crate) const GETATTR: u32 = 3;
    pub(crate) const SETATTR: u32 = 4;
    pub(crate) const READLINK: u32 = 5;
    pub(crate) const SYMLINK: u32 = 6;
    pub(crate) const MKNOD: u32 = 8;
    pub(crate) const MKDIR: u32 = 9;
    pub(crate) const UNLINK: u32 = 10;
    pub(crate) const RMDIR: u32 = 11;
    pub(crate) const RENAME: u32 = 12;
    pub(crate) const LINK: u32 = 13;
    pub(crate) const OPEN: u32 = 14;
    pub(crate) const READ: u32 = 15;
    pub(crate) const WRITE: u32 = 16;
    pub(crate) const STATFS: u32 = 17;
    pub(crate) const RELEASE: u32 = 18;
    pub(crate) const INIT: u32 = 26;
    pub(crate) const OPENDIR: u32 = 27;
    pub(crate) const READDIR: u32 = 28;
    pub(crate) const RELEASEDIR: u32 = 29;
    pub(crate) const CREATE: u32 = 35;
    pub(crate) const INTERRUPT: u32 = 36;
    pub(crate) const DESTROY: u32 = 38;
    pub(crate) const IOCTL: u32 = 39;
    pub(crate) const BATCH_FORGET: u32 = 42;
    pub(crate) const FALLOCATE: u32 = 43;
    pub(crate) const RENAME2: u32 = 45;
    pub(crate) const SETUPMAPPING: u32 = 48;
    pub(crate) const REMOVEMAPPING: u32 = 49;
    pub(crate) const TMPFILE: u32 = 51;
}

/// The header of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) opcode: u32,
    pub(crate) unique: u64,
    pub(crate) node: u64,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Header {
    /// The header, and what follows it.
    pub(crate) fn decode(request: &[u8]) -> Option<(Self, Fields<'_>)> {
        let (header, rest) = request.split_at_checked(HEADER_BYTES)?;
        let mut fields = Fields(header);
        let _len = fields.u32().ok()?;
        let opcode = fields.u32().ok()?;
        let (unique, node) = (fields.u64().ok()?, fields.u64().ok()?);
        let (uid, gid) = (fields.u32().ok()?, fields.u32().ok()?);
        Some((Self { opcode, unique, node, uid, gid }, Fields(rest)))
    }
}

/// What is left of a request. What isn't there is `EINVAL`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn u32(&mut self) -> Result<u32, Errno> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Errno::INVAL)?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*head))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Errno> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Errno::INVAL)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*head))
    }

    pub(crate) fn skip(&mut self, bytes: usize) -> Result<(), Errno> {
        self.0 = self.0.get(bytes..).ok_or(Errno::INVAL)?;
        Ok(())
    }

    /// A name in a folder: of one byte at least, without a slash, and not one of those that mean a folder itself.
    pub(crate) fn name(&mut self) -> Result<&'a [u8], Errno> {
        let name = self.text()?;
        match name {
            b"" | b"." | b".." => Err(Errno::INVAL),
            name if name.contains(&b'/') => Err(Errno::INVAL),
            name if name.len() > NAME_MAX => Err(Errno::NAMETOOLONG),
            name => Ok(name),
        }
    }

    /// The target of a symbolic link; nobody on this side ever follows it.
    pub(crate) fn target(&mut self) -> Result<&'a [u8], Errno> {
        match self.text()? {
            b"" => Err(Errno::INVAL),
            target if target.len() > TARGET_MAX => Err(Errno::NAMETOOLONG),
            target => Ok(target),
        }
    }

    fn text(&mut self) -> Result<&'a [u8], Errno> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(Errno::INVAL)?;
        let (text, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        Ok(text)
    }
}

/// The body of a reply.
#[derive(Debug, Default)]
pub(crate) struct Body(pub(crate) Vec<u8>);

impl Body {
    pub(crate) fn u16(mut self, value: u16) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn zeros(mut self, count: usize) -> Self {
        self.0.resize(self.0.len() + count, 0);
        self
    }
}

/// The answer to a request: what `FUSE` calls its header, and what follows. Empty where the request has no answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Length, negative error, number of the request; empty, or 16 bytes.
    pub header: Vec<u8>,
    /// What the request asked for.
    pub body: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(unique: u64, result: Result<Vec<u8>, Errno>) -> Self {
        let (error, body) = match result {
            Ok(body) => (0, body),
            Err(errno) => (errno.raw_os_error().unsigned_abs().wrapping_neg(), vec![]),
        };
        let len = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
        Self { header: Body::default().u32(len).u32(error).u64(unique).0, body }
    }
}

/// One of the times of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Time {
    pub(crate) seconds: u64,
    pub(crate) nanoseconds: u32,
}

impl Time {
    pub(crate) fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        Self {
            seconds: u64::try_from(now.tv_sec).unwrap_or(0),
            nanoseconds: u32::try_from(now.tv_nsec).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_none() {
        for (bytes, name) in [
            (&b"plain\0"[..], Ok(&b"plain"[..])),
            (b"..\0", Err(Errno::INVAL)),
            (b".\0", Err(Errno::INVAL)),
            (b"\0", Err(Errno::INVAL)),
            (b"a/b\0", Err(Errno::INVAL)),
            (b"no end", Err(Errno::INVAL)),
            (b"", Err(Errno::INVAL)),
            (b"...\0", Ok(b"...")),
        ] {
            assert_eq!(Fields(bytes).name(), name, "{bytes:?}");
        }
        assert_eq!(Fields(&[b"x".repeat(255), vec![0]].concat()).name().map(<[u8]>::len), Ok(255));
        assert_eq!(Fields(&[b"x".repeat(256), vec![0]].concat()).name(), Err(Errno::NAMETOOLONG));
    }

    #[test]
    fn errors_are_negative_in_a_reply() {
        let reply = Reply::new(7, Err(Errno::NOENT));
        assert_eq!(reply.header, [16, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Reply::new(7, Ok(vec![1, 2])).header.first(), Some(&18));
    }
}
