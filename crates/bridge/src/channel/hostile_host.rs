//! Whatever a host writes into the ring, the channel takes no harm.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use cross_domain::dialect::x11bridge::encode_closed;
use cross_domain::{Capset, Extension, Identifier, RING_BYTES, SEND_HEADER_BYTES, channel};
use proptest::prelude::*;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use sys::SharedMap;
use sys::socket::Outcome;

use super::{Channel, ChannelError, CrossDomain, Driver, FenceChoice, Interest};
use crate::downlink::Downlink;

/// A driver whose host answers each POLL by the next of these rings.
#[derive(Debug)]
struct Host {
    ours: bool,
    blobs: Vec<Arc<SharedMap>>,
    answers: Vec<Vec<u8>>,
    polled: bool,
}

impl Driver for Host {
    fn capset(&mut self) -> Result<Vec<u8>, ChannelError> {
        let extension = self.ours.then(|| Extension::new(1 << 16));
        let supported_channels = 1 << channel::X11;
        Ok(Capset { version: 1, supported_channels, extension, ..Capset::default() }.encode())
    }

    fn create_blob(&mut self, bytes: usize) -> Result<(u32, Arc<SharedMap>), ChannelError> {
        let map = Arc::new(SharedMap::create(bytes)?.0);
        self.blobs.push(Arc::clone(&map));
        Ok((u32::try_from(self.blobs.len()).unwrap(), map))
    }

    fn execbuffer(&mut self, commands: &[u8], ring: Option<u8>) -> Result<usize, ChannelError> {
        assert!(!(self.polled && ring.is_some()), "a second POLL");
        self.polled |= ring.is_some();
        Ok(commands.len())
    }

    fn read_event(&mut self) -> Result<bool, ChannelError> {
        if !self.polled {
            return Ok(false);
        }
        let Some(answer) = self.answers.pop() else { return Ok(false) };
        self.polled = false;
        assert!(self.blobs[1].write(0, &answer));
        Ok(true)
    }

    fn take(&mut self, identifier: Identifier) -> Option<OwnedFd> {
        (identifier.id > 0).then(|| SharedMap::create(1).unwrap().1)
    }

    fn receiving(&self) -> Option<Interest<'_>> {
        None
    }

    fn sending(&self) -> Option<Interest<'_>> {
        None
    }
}

/// Ring contents: near to messages, so that they get past the first checks, or anything.
fn answer() -> impl Strategy<Value = Vec<u8>> {
    let number =
        || prop_oneof![Just(0), Just(1), Just(28), Just(29), Just(3744), Just(u32::MAX), any::<u32>()];
    let header = (prop_oneof![Just(5_u8), Just(6), Just(9), Just(240), any::<u8>()], any::<[u8; 7]>());
    let message = (header, number(), number(), prop::collection::vec(any::<u8>(), SEND_HEADER_BYTES - 16));
    let message = message.prop_map(|((cmd, rest), first, second, table)| {
        [&[cmd][..], &rest, &first.to_le_bytes(), &second.to_le_bytes(), &table].concat()
    });
    let closed =
        ".{0,20}".prop_map(|text| encode_closed(cross_domain::dialect::x11bridge::Stage::Init, 5, &text));
    prop_oneof![8 => message, 1 => closed, 1 => prop::collection::vec(any::<u8>(), 0..RING_BYTES)]
}

proptest! {
    #[test]
    fn nothing_in_the_ring_panics_overflows_or_is_taken_for_more_than_fits(
        ours in any::<bool>(),
        answers in prop::collection::vec(answer(), 0..40),
        pass in any::<bool>(),
    ) {
        let host = Host { ours, blobs: vec![], answers, polled: false };
        let mut channel = CrossDomain::open(host, FenceChoice::Auto).unwrap();
        let mut downlink = Downlink::new().unwrap();
        let (client, _other) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        let ring_bytes = if ours { 1 << 16 } else { RING_BYTES };
        for _ in 0..400 {
            if pass {
                let _ = channel.pass(std::os::fd::AsFd::as_fd(&client), u64::MAX);
            }
            let mut descriptors = vec![];
            match channel.receive(&mut downlink, &mut descriptors) {
                Ok(Outcome::Bytes(bytes)) => prop_assert!(bytes > 0 && bytes <= ring_bytes),
                Ok(_) => {}
                Err(error) => {
                    prop_assert!(!error.why.is_empty());
                    prop_assert_eq!(channel.receive(&mut downlink, &mut descriptors), Err(error), "it is final");
                    break;
                }
            }
            prop_assert!(descriptors.len() <= sys::socket::DESCRIPTORS_MAX + 28);
        }
    }
}
