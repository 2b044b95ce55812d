//! The byte order that a client chooses with the first byte of its connection.

/// `l` or `B`: the order of every number after the first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// Least significant byte first, `l`.
    Little,
    /// Most significant byte first, `B`.
    Big,
}

impl ByteOrder {
    /// Both, for tests that run over each.
    pub const BOTH: [Self; 2] = [Self::Little, Self::Big];

    /// The first byte of a connection in this order.
    pub fn mark(self) -> u8 {
        match self {
            Self::Little => b'l',
            Self::Big => b'B',
        }
    }

    /// The order that a connection's first byte names.
    pub fn from_mark(mark: u8) -> Option<Self> {
        match mark {
            b'l' => Some(Self::Little),
            b'B' => Some(Self::Big),
            _ => None,
        }
    }

    /// Two bytes on the wire.
    pub fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    /// Four bytes on the wire.
    pub fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    /// Eight bytes on the wire.
    pub fn u64(self, value: u64) -> [u8; 8] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    /// The `u16` at `at`; 0 where `bytes` is too short, as a test would then fail on what it asserts.
    pub fn u16_at(self, bytes: &[u8], at: usize) -> u16 {
        let Some(&[a, b]) = bytes.get(at..at + 2) else { return 0 };
        match self {
            Self::Little => u16::from_le_bytes([a, b]),
            Self::Big => u16::from_be_bytes([a, b]),
        }
    }

    /// The `u32` at `at`; 0 where `bytes` is too short.
    pub fn u32_at(self, bytes: &[u8], at: usize) -> u32 {
        let Some(&[a, b, c, d]) = bytes.get(at..at + 4) else { return 0 };
        match self {
            Self::Little => u32::from_le_bytes([a, b, c, d]),
            Self::Big => u32::from_be_bytes([a, b, c, d]),
        }
    }
}
