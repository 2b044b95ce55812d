//! Requests of MIT-SHM that name System V segments.

use x11_wire::extension::Extension;
use x11_wire::message::{BAD_ACCESS, ERROR_MINOR};
use x11_wire::request::RequestHead;
use x11_wire::shm::{self, Attach as AttachRequest, AttachFd};

use crate::client::Verdict;
use crate::descriptors::{Mark, Marks};
use crate::extensions::Class;
use crate::pending::Answer;
use crate::segments::{Attach, Attached, Source};
use crate::session::Session;

/// No System V segment has this number, so a server answers an Attach of it with an `Access` error.
const NO_SEGMENT: u32 = u32::MAX;
/// Offset of the segment's number behind the header of an Attach.
const NUMBER: usize = 4;
/// Servers without pixmaps in shared memory answer CreatePixmap with this error.
const BAD_IMPLEMENTATION: u8 = 17;

impl<F> Session<F> {
    /// No number of a segment ever reaches the server: an Attach becomes an AttachFd of a file that stands for the
    /// segment, or one of a number that no segment has.
    pub(crate) fn attach(
        &mut self,
        head: RequestHead,
        rest: &mut [u8],
        at: usize,
        marks: &mut Marks<F>,
    ) -> Verdict {
        let asked = AttachRequest::parse(self.order, rest, head.header, head.len);
        let asked = asked.filter(|_| self.extensions.emulates_segments());
        if let (Some(asked), Some(key)) = (asked, self.segments.next_key()) {
            let answer = std::mem::replace(&mut self.attached, Attached::Unknown);
            if matches!(answer, Attached::Unknown) {
                let AttachRequest { number, read_only, .. } = asked;
                return Verdict::Attach(Attach { key, source: Source::Number(number), read_only });
            }
            if let Attached::File(file) = answer
                && let Some(skip) = asked.into_attach_fd(self.order, rest, head.header)
            {
                self.segments.attach(asked.segment, self.client.sequence + 1, self.host.sequence, true);
                self.client.descriptors.claimed += 1;
                marks.push(Mark { offset: at + skip, skip, descriptors: vec![file], fence: None });
                return Verdict::Pass(None);
            }
        }
        self.order.put_u32(rest, head.header + NUMBER, NO_SEGMENT);
        Verdict::Pass(None)
    }

    /// An AttachFd of a file that the server can't be shown: one of the server's machine stands for it. Where there is
    /// none, the request passes without a descriptor, and the server refuses it as one that is not mapped.
    pub(crate) fn attach_descriptor(
        &mut self,
        head: RequestHead,
        rest: &mut [u8],
        at: usize,
        marks: &mut Marks<F>,
    ) -> Verdict {
        let asked = AttachFd::parse(self.order, rest, head.header, head.len);
        let answer = std::mem::replace(&mut self.attached, Attached::Unknown);
        let asks = matches!(answer, Attached::Unknown);
        let (Some(asked), Some(key)) =
            (asked, self.segments.next_key().filter(|_| !asks || self.client.descriptors.waits()))
        else {
            self.client.descriptors.discard(1);
            return Verdict::Pass(None);
        };
        match answer {
            Attached::Unknown => {
                let AttachFd { read_only, .. } = asked;
                return Verdict::Attach(Attach { key, source: Source::Descriptor, read_only });
            }
            Attached::Refused => {}
            Attached::Denied => return self.refuse(head, rest, BAD_ACCESS, 0),
            Attached::File(file) => {
                self.segments.attach(asked.segment, self.client.sequence + 1, self.host.sequence, false);
                marks.push(Mark { offset: at, skip: 0, descriptors: vec![file], fence: None });
            }
            // The server's memory is the client's, so nothing is to be copied.
            Attached::Itself(file) => {
                marks.push(Mark { offset: at, skip: 0, descriptors: vec![file], fence: None });
            }
        }
        Verdict::Pass(None)
    }

    /// A request up to CreatePixmap, other than Attach, while segments are emulated.
    pub(crate) fn segment_request(&mut self, head: RequestHead, rest: &mut [u8]) -> Verdict {
        let name = shm::segment_of(self.order, head.minor, rest, head.header);
        let name = name.filter(|name| self.segments.has(*name));
        match (head.minor, name) {
            (shm::QUERY_VERSION, _) => Verdict::Pass(Some(Answer::ShmVersion)),
            (shm::DETACH, Some(name)) => {
                self.segments.detach(name);
                Verdict::Pass(None)
            }
            (shm::PUT_IMAGE, Some(name)) => {
                let range = shm::put_image_range(self.order, &self.host.formats, rest, head.header);
                self.segments.read(name, range);
                Verdict::Pass(None)
            }
            (shm::GET_IMAGE, Some(name)) => {
                let offset = shm::get_image_offset(self.order, rest, head.header);
                let key = self.segments.write(name);
                Verdict::Pass(key.map(|key| Answer::ShmImage { key, offset }))
            }
            (shm::CREATE_PIXMAP, Some(_)) => self.refuse(head, rest, BAD_IMPLEMENTATION, 0),
            _ => Verdict::Pass(None),
        }
    }

    /// An error that answers an AttachFd made of an Attach speaks of an Attach.
    pub(crate) fn rename_attach_error(&mut self, wire: u16, error: &mut [u8]) {
        let major = error.get(x11_wire::message::ERROR_MAJOR).copied().unwrap_or(0);
        let of_attach_fd = self.order.u16_at(error, ERROR_MINOR) == Some(u16::from(shm::ATTACH_FD));
        if of_attach_fd
            && self.extensions.class(major) == Class::Known(Extension::MitShm)
            && self.segments.refused(wire)
        {
            self.order.put_u16(error, ERROR_MINOR, u16::from(shm::ATTACH));
        }
    }
}
