//! A guest that speaks virtio-gpu and cross-domain, byte by byte.

use std::time::Duration;

use cross_domain::{
    CHANNEL_RING, Dialect, Init, InitForm, Message, PROTOCOL_VERSION, SEND_HEADER_BYTES, channel,
    encode_poll, encode_send_header,
};
use x11bridge_testkit::HANG_GUARD;

use super::machine::Machine;

pub(crate) const OK_NODATA: u32 = 0x1100;
pub(crate) const OK_MAP_INFO: u32 = 0x1106;
pub(crate) const UNSPECIFIED: u32 = 0x1200;
pub(crate) const OUT_OF_MEMORY: u32 = 0x1201;
pub(crate) const INVALID_RESOURCE: u32 = 0x1203;
pub(crate) const INVALID_CONTEXT: u32 = 0x1204;
pub(crate) const INVALID_PARAMETER: u32 = 0x1205;

/// Bytes of a ring at most that the device offers.
pub(crate) const RING_BYTES: usize = 256 << 10;

/// A request that waits for its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    pub(crate) head: u16,
    response: u64,
}

/// A response: its number, its header, what follows.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u32,
    pub(crate) header: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

/// What a header says besides the number of its request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Header {
    pub(crate) context: u32,
    /// Fence ring and number.
    pub(crate) fence: Option<(u8, u64)>,
}

pub(crate) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

pub(crate) fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

impl Header {
    pub(crate) fn bytes(self, cmd: u32) -> Vec<u8> {
        let (flags, ring, number) = self.fence.map_or((0, 0, 0), |(ring, number)| (3, ring, number));
        let mut out = words(&[cmd, flags]);
        out.extend(u64::to_le_bytes(number));
        out.extend(words(&[self.context, ring.into()]));
        out
    }
}

/// A guest.
pub(crate) struct Guest {
    pub(crate) machine: Machine,
    last_resource: u32,
    last_fence: u64,
}

impl Guest {
    pub(crate) const fn new(machine: Machine) -> Self {
        Self { machine, last_resource: 0, last_fence: 0 }
    }

    /// Puts a request in, in pieces as Linux has them.
    pub(crate) fn send(&mut self, request: &[u8]) -> Ticket {
        const RESPONSE_BYTES: u32 = 4096;
        let address = self.machine.allocate(request.len());
        self.machine.write(address, request);
        let response = self.machine.allocate(RESPONSE_BYTES as usize);
        self.machine.write(response, &[0; RESPONSE_BYTES as usize]);
        let head_len = request.len().min(32);
        let rest = u32::try_from(request.len() - head_len).unwrap();
        let mut chain = vec![(address, u32::try_from(head_len).unwrap(), false)];
        if rest > 0 {
            chain.push((address + head_len as u64, rest, false));
        }
        chain.push((response, RESPONSE_BYTES, true));
        Ticket { head: self.machine.submit(&chain), response }
    }

    pub(crate) fn response(&mut self, ticket: Ticket) -> Response {
        let written = self.machine.wait(ticket.head) as usize;
        let bytes = self.machine.read(ticket.response, written);
        let (header, body) = bytes.split_at(24);
        Response { status: word(header, 0), header: header.to_vec(), body: body.to_vec() }
    }

    pub(crate) fn call(&mut self, cmd: u32, header: Header, fields: &[u8]) -> Response {
        let ticket = self.send(&[header.bytes(cmd), fields.to_vec()].concat());
        self.response(ticket)
    }

    /// The status of a call in a context.
    pub(crate) fn status(&mut self, cmd: u32, context: u32, fields: &[u8]) -> u32 {
        self.call(cmd, Header { context, fence: None }, fields).status
    }

    pub(crate) fn create_context(&mut self, id: u32, name: &str) -> u32 {
        let mut fields = words(&[u32::try_from(name.len()).unwrap(), 5]);
        fields.extend(name.as_bytes());
        fields.resize(8 + 64, 0);
        self.status(0x200, id, &fields)
    }

    pub(crate) fn destroy_context(&mut self, id: u32) -> u32 {
        self.status(0x201, id, &[])
    }

    /// A blob of single pages that lie scattered, attached to the context. Returns its id, and where each page lies.
    pub(crate) fn blob(&mut self, context: u32, bytes: usize) -> (u32, Vec<u64>) {
        let pages: Vec<u64> = (0..bytes.div_ceil(4096)).map(|_| self.machine.allocate(4096)).rev().collect();
        let list: Vec<_> = pages.iter().map(|page| (*page, 4096)).collect();
        let id = self.next_resource();
        assert_eq!(self.create_blob(id, bytes as u64, &list), OK_NODATA);
        assert_eq!(self.status(0x202, context, &words(&[id, 0])), OK_NODATA);
        (id, pages)
    }

    pub(crate) const fn next_resource(&mut self) -> u32 {
        self.last_resource += 1;
        self.last_resource
    }

    /// The ring of the channel that was opened last.
    pub(crate) const fn last_resource(&self) -> u32 {
        self.last_resource
    }

    pub(crate) fn create_blob(&mut self, id: u32, bytes: u64, list: &[(u64, u32)]) -> u32 {
        let entries = u32::try_from(list.len()).unwrap();
        let mut fields = blob_fields(id, 1, entries, 0, bytes);
        for (address, len) in list {
            fields.extend(address.to_le_bytes());
            fields.extend(words(&[*len, 0]));
        }
        self.status(0x10c, 0, &fields)
    }

    /// Submits commands; with a ring, fenced.
    pub(crate) fn submit(&mut self, context: u32, commands: &[u8], ring: Option<u8>) -> Ticket {
        self.last_fence += 1;
        let fence = ring.map(|ring| (ring, self.last_fence));
        let mut request = Header { context, fence }.bytes(0x207);
        request.extend(words(&[u32::try_from(commands.len()).unwrap(), 0]));
        request.extend(commands);
        self.send(&request)
    }

    /// Submits commands and waits until they are done.
    pub(crate) fn execute(&mut self, context: u32, commands: &[u8]) -> u32 {
        let ticket = self.submit(context, commands, None);
        self.response(ticket).status
    }

    /// Opens a channel in a new context.
    pub(crate) fn channel(&mut self, id: u32) -> Channel {
        assert_eq!(self.create_context(id, "program"), OK_NODATA);
        let form = InitForm::X11Bridge {
            protocol_version: PROTOCOL_VERSION,
            channel_ring_bytes: u32::try_from(RING_BYTES).unwrap(),
        };
        self.init(id, form, RING_BYTES)
    }

    pub(crate) fn init(&mut self, context: u32, form: InitForm, ring_bytes: usize) -> Channel {
        let (query_ring_id, one_ring) = self.blob(context, 4096);
        let (channel_ring_id, ring) = self.blob(context, ring_bytes);
        let ring = if form == InitForm::OneRing { one_ring } else { ring };
        let init = Init { query_ring_id, channel_ring_id, channel_type: channel::X11, form };
        assert_eq!(self.execute(context, &init.encode().unwrap()), OK_NODATA);
        Channel { context, ring, dialect: Dialect::X11Bridge, poll: None }
    }
}

pub(crate) fn blob_fields(id: u32, mem: u32, entries: u32, item: u64, bytes: u64) -> Vec<u8> {
    let mut fields = words(&[id, mem, 3, entries]);
    fields.extend(item.to_le_bytes());
    fields.extend(bytes.to_le_bytes());
    fields
}

/// A channel of the guest.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) context: u32,
    ring: Vec<u64>,
    dialect: Dialect,
    poll: Option<Ticket>,
}

/// A message of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    /// As the decoder shows it.
    pub(crate) what: String,
    pub(crate) data: Vec<u8>,
    /// Id and size of each.
    pub(crate) identifiers: Vec<(u32, u32)>,
}

pub(crate) fn send_command(data: &[u8]) -> Vec<u8> {
    let mut header = [0; SEND_HEADER_BYTES];
    encode_send_header(&mut header, data.len(), 0, &[]).unwrap();
    [&header[..], data].concat()
}

impl Channel {
    pub(crate) fn send(&self, guest: &mut Guest, data: &[u8]) -> Ticket {
        guest.submit(self.context, &send_command(data), None)
    }

    pub(crate) fn poll(&mut self, guest: &mut Guest) -> Ticket {
        let ticket = guest.submit(self.context, &encode_poll(), Some(CHANNEL_RING));
        self.poll = Some(ticket);
        ticket
    }

    /// Waits for the answer to the POLL that is outstanding, or to a new one.
    pub(crate) fn receive(&mut self, guest: &mut Guest) -> Received {
        let ticket = self.poll.unwrap_or_else(|| self.poll(guest));
        self.poll = None;
        let response = guest.response(ticket);
        assert_eq!(response.status, OK_NODATA);
        assert_eq!(word(&response.header, 4), 3, "the fence of a ring");
        self.message(guest)
    }

    /// Whether the POLL that is outstanding stays unanswered for a while.
    pub(crate) fn is_silent(&self, guest: &mut Guest) -> bool {
        let ticket = self.poll.unwrap();
        guest.machine.wait_for(ticket.head, Duration::from_millis(100)).is_none()
    }

    /// What is in the ring.
    pub(crate) fn message(&self, guest: &Guest) -> Received {
        let ring: Vec<u8> = self.ring.iter().flat_map(|page| guest.machine.read(*page, 4096)).collect();
        let head = ring.first_chunk::<SEND_HEADER_BYTES>().unwrap();
        let message = Message::decode(head, ring.len(), self.dialect).unwrap();
        let identifiers = match message {
            Message::Receive(receive) => {
                receive.identifiers.iter().map(|identifier| (identifier.id, identifier.size)).collect()
            }
            _ => vec![],
        };
        let data = ring[message.data_range()].to_vec();
        Received { what: format!("{message:?}"), data, identifiers }
    }

    /// Receives until there are so many bytes.
    pub(crate) fn receive_bytes(&mut self, guest: &mut Guest, count: usize) -> Vec<u8> {
        let deadline = std::time::Instant::now() + HANG_GUARD;
        let mut bytes = vec![];
        while bytes.len() < count {
            assert!(std::time::Instant::now() < deadline);
            bytes.extend(self.receive(guest).data);
        }
        bytes
    }
}
