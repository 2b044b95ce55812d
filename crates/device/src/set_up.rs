//! The set-up request at the head of a stream: where the guest shows no authorization, the host's own is put in.
//!
//! So the host's cookie never enters the guest. A request with an authorization passes as it is, and so does what is no
//! set-up request: the X server says what is wrong with it.

use session::{Cookie, Handshake};
use x11_wire::setup::{Parsed, SetupRequest};

/// The request so far. At most some 8 KiB are kept: longer authorizations are none.
#[derive(Debug)]
pub(crate) struct SetUp {
    cookie: Cookie,
    heard: Vec<u8>,
}

impl SetUp {
    pub(crate) const fn new(cookie: Cookie) -> Self {
        Self { cookie, heard: vec![] }
    }

    /// Takes what belongs to the request off the front of the stream's next bytes, and returns how many that are.
    pub(crate) fn take(&mut self, data: &[u8]) -> usize {
        let mut taken = 0;
        while let Ok(Parsed::Need(needed)) = SetupRequest::parse(&self.heard) {
            let missing = needed.saturating_sub(self.heard.len());
            let now = data.get(taken..data.len().min(taken + missing)).unwrap_or_default();
            if now.is_empty() {
                break;
            }
            self.heard.extend_from_slice(now);
            taken += now.len();
        }
        taken
    }

    /// What goes to the X server, once that is known. Nothing is waited for where the stream `ends`.
    pub(crate) fn complete(&mut self, ends: bool) -> Option<Vec<u8>> {
        match SetupRequest::parse(&self.heard) {
            Ok(Parsed::Need(_)) if !ends => None,
            Ok(Parsed::Done(SetupRequest { order, version, auth_name: b"", .. }, _)) => {
                Some(Handshake::host_setup(order, version, Some(&self.cookie)))
            }
            _ => Some(std::mem::take(&mut self.heard)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use x11_wire::ByteOrder;
    use x11_wire::setup::MAGIC_COOKIE;

    fn request(auth_name: &[u8], auth_data: &[u8]) -> Vec<u8> {
        SetupRequest { order: ByteOrder::Big, version: (11, 0), auth_name, auth_data }.encode()
    }

    /// What goes on of a stream that comes in pieces of `size` bytes, and what of it is left alone.
    fn pass(stream: &[u8], size: usize) -> (Option<Vec<u8>>, Vec<u8>) {
        let mut set_up = SetUp::new(Cookie::new(b"the host's own!!".to_vec()));
        let mut left = vec![];
        for piece in stream.chunks(size) {
            let taken = set_up.take(piece);
            left.extend_from_slice(&piece[taken..]);
        }
        (set_up.complete(false), left)
    }

    #[test]
    fn a_request_without_authorization_gets_the_hosts_in_whatever_pieces_it_comes() {
        let stream = [request(b"", b""), b"a request".to_vec()].concat();
        for size in 1..=stream.len() {
            let expected = request(MAGIC_COOKIE, b"the host's own!!");
            assert_eq!(pass(&stream, size), (Some(expected), b"a request".to_vec()), "pieces of {size}");
        }
    }

    #[test]
    fn a_request_with_an_authorization_and_what_is_none_pass_as_they_are() {
        let own = request(b"XDM-AUTHORIZATION-1", b"12345678");
        assert_eq!(pass(&own, 5), (Some(own), vec![]));
        let (sent, left) = pass(b"GET / HTTP/1.1", 14);
        assert_eq!([sent.unwrap(), left].concat(), b"GET / HTTP/1.1");
        let too_long = b"B\0\0\x0b\0\0\xff\xff\0\0\0\0and so on";
        let (sent, left) = pass(too_long, 4);
        assert_eq!([sent.unwrap(), left].concat(), too_long);
    }

    #[test]
    fn a_request_that_breaks_off_is_sent_when_the_stream_ends() {
        let mut set_up = SetUp::new(Cookie::new(vec![1; 16]));
        assert_eq!(set_up.take(b"B\0\0"), 3);
        assert_eq!(set_up.complete(false), None);
        assert_eq!(set_up.complete(true).unwrap(), b"B\0\0");
    }
}
