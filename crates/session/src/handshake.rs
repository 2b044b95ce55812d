//! The client's set-up: read whole, its cookie checked, the host's put in its place.

use x11_wire::ByteOrder;
use x11_wire::setup::{MAGIC_COOKIE, Parsed, REQUEST_HEADER, SetupError, SetupRequest, encode_failure};

/// A `MIT-MAGIC-COOKIE-1`. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Cookie(Vec<u8>);

impl Cookie {
    /// A cookie of these bytes; 16 are usual.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The secret itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the client showed this cookie; takes the same time wherever the two differ.
    fn matches(&self, shown: &[u8]) -> bool {
        let pairs = self.0.iter().zip(shown);
        self.0.len() == shown.len() && pairs.fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }
}

impl std::fmt::Debug for Cookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cookie(…)")
    }
}

/// What the client's bytes so far amount to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// More bytes are needed: this many in all.
    Need(usize),
    /// The client may connect. Its set-up took `consumed` bytes; requests may follow in the same buffer.
    Accept {
        /// Byte order of the connection.
        order: ByteOrder,
        /// Protocol version that the client asked for.
        version: (u16, u16),
        /// Bytes of the set-up.
        consumed: usize,
    },
}

/// Why a client is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Its first byte is not X11's. There is no byte order to answer in.
    NotX11 {
        /// That byte.
        first_byte: u8,
    },
    /// Authorization name or data is longer than any real one.
    AuthorizationTooLong {
        /// Length in bytes.
        bytes: usize,
    },
    /// It showed no cookie.
    NoCookie,
    /// It showed a wrong cookie, or one of another protocol.
    WrongCookie,
}

impl HandshakeError {
    /// The reason as the client's user reads it.
    pub fn reason(self) -> String {
        match self {
            Self::NotX11 { first_byte } => format!("not an X11 client (first byte {first_byte:#04x})"),
            Self::AuthorizationTooLong { bytes } => format!("Authorization of {bytes} bytes is too long"),
            Self::NoCookie => {
                "Authorization required: set XAUTHORITY to the file that x11bridge names".into()
            }
            Self::WrongCookie => {
                "Invalid MIT-MAGIC-COOKIE-1 key: set XAUTHORITY to the file that x11bridge names".into()
            }
        }
    }
}

/// Checks set-ups against one cookie, or against none.
#[derive(Debug)]
pub struct Handshake {
    cookie: Option<Cookie>,
}

impl Handshake {
    /// Accepts clients that show `cookie`.
    pub fn new(cookie: Cookie) -> Self {
        Self { cookie: Some(cookie) }
    }

    /// Accepts clients whatever they show: who can connect at all is somebody else's decision.
    pub const fn open() -> Self {
        Self { cookie: None }
    }

    /// Looks at everything that the client has sent so far.
    pub fn look(&self, bytes: &[u8]) -> Result<Step, HandshakeError> {
        match SetupRequest::parse(bytes) {
            Err(SetupError::AuthorizationTooLong { bytes }) => {
                Err(HandshakeError::AuthorizationTooLong { bytes })
            }
            Err(SetupError::NotX11 { first_byte }) => Err(HandshakeError::NotX11 { first_byte }),
            Err(_) => Err(HandshakeError::WrongCookie),
            Ok(Parsed::Need(bytes)) => Ok(Step::Need(bytes)),
            Ok(Parsed::Done(setup, consumed)) => {
                self.check(&setup)?;
                Ok(Step::Accept { order: setup.order, version: setup.version, consumed })
            }
        }
    }

    fn check(&self, setup: &SetupRequest<'_>) -> Result<(), HandshakeError> {
        let Some(cookie) = &self.cookie else { return Ok(()) };
        match setup.auth_name {
            b"" => Err(HandshakeError::NoCookie),
            MAGIC_COOKIE if cookie.matches(setup.auth_data) => Ok(()),
            _ => Err(HandshakeError::WrongCookie),
        }
    }

    /// The set-up that goes to the host in place of the client's: the host's cookie, or no authorization at all.
    pub fn host_setup(order: ByteOrder, version: (u16, u16), cookie: Option<&Cookie>) -> Vec<u8> {
        let (auth_name, auth_data) =
            cookie.map_or((&[][..], &[][..]), |cookie| (MAGIC_COOKIE, cookie.as_bytes()));
        SetupRequest { order, version, auth_name, auth_data }.encode()
    }

    /// The set-up reply that turns the client away, in its own byte order, and says who does; empty where it has none,
    /// since such a client would not understand it.
    pub fn refusal(client_bytes: &[u8], reason: &str) -> Vec<u8> {
        let order = client_bytes.first().and_then(|byte| ByteOrder::from_first_byte(*byte));
        order.map_or_else(Vec::new, |order| encode_failure(order, &format!("x11bridge: {reason}")))
    }

    /// Bytes to read before the first look.
    pub const FIRST_READ: usize = REQUEST_HEADER;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake() -> Handshake {
        Handshake::new(Cookie::new(b"0123456789abcdef".to_vec()))
    }

    fn setup(name: &[u8], data: &[u8]) -> Vec<u8> {
        SetupRequest { order: ByteOrder::Big, version: (11, 0), auth_name: name, auth_data: data }.encode()
    }

    #[test]
    fn the_right_cookie_is_accepted_at_any_split() {
        let bytes = setup(MAGIC_COOKIE, b"0123456789abcdef");
        for end in 0..bytes.len() {
            assert!(matches!(handshake().look(&bytes[..end]), Ok(Step::Need(n)) if n > end));
        }
        let accept = Step::Accept { order: ByteOrder::Big, version: (11, 0), consumed: bytes.len() };
        assert_eq!(handshake().look(&[&bytes[..], b"more"].concat()), Ok(accept));
    }

    #[test]
    fn wrong_short_long_foreign_and_missing_cookies_are_refused() {
        use HandshakeError::{NoCookie, WrongCookie};
        for (name, data, error) in [
            (MAGIC_COOKIE, &b"0123456789abcdeF"[..], WrongCookie),
            (MAGIC_COOKIE, b"0123456789abcde", WrongCookie),
            (MAGIC_COOKIE, b"0123456789abcdef0", WrongCookie),
            (MAGIC_COOKIE, b"", WrongCookie),
            (b"XDM-AUTHORIZATION-1", b"0123456789abcdef", WrongCookie),
            (b"", b"0123456789abcdef", NoCookie),
            (b"", b"", NoCookie),
        ] {
            assert_eq!(handshake().look(&setup(name, data)), Err(error));
        }
    }

    #[test]
    fn an_open_door_takes_any_cookie_and_none_but_no_other_protocol() {
        for (name, data) in
            [(MAGIC_COOKIE, &b"the host's own!!"[..]), (b"XDM-AUTHORIZATION-1", b"x"), (b"", b"")]
        {
            assert!(matches!(Handshake::open().look(&setup(name, data)), Ok(Step::Accept { .. })));
        }
        assert!(matches!(Handshake::open().look(b"GET / HTTP"), Err(HandshakeError::NotX11 { .. })));
    }

    #[test]
    fn the_hosts_set_up_shows_the_hosts_cookie_and_never_the_clients() {
        let cookie = Cookie::new(b"the host's own!!".to_vec());
        let bytes = Handshake::host_setup(ByteOrder::Little, (11, 0), Some(&cookie));
        let Ok(Parsed::Done(setup, _)) = SetupRequest::parse(&bytes) else { panic!("a set-up") };
        assert_eq!((setup.auth_name, setup.auth_data), (MAGIC_COOKIE, cookie.as_bytes()));
        assert_eq!(Handshake::host_setup(ByteOrder::Big, (11, 0), None), b"B\0\0\x0b\0\0\0\0\0\0\0\0");
    }

    #[test]
    fn a_cookie_is_never_printed() {
        assert_eq!(format!("{:?}", Cookie::new(b"secret".to_vec())), "Cookie(…)");
    }

    #[test]
    fn a_refusal_needs_a_byte_order() {
        assert!(Handshake::refusal(b"G", "no").is_empty());
        assert_eq!(Handshake::refusal(b"l", "no")[8..22], *b"x11bridge: no\n");
    }
}
