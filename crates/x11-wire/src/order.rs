//! The byte order of a connection: chosen by the client's first byte, followed by every later field.

/// Byte order of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    /// First byte `l` (0x6c).
    Little,
    /// First byte `B` (0x42).
    Big,
}

impl ByteOrder {
    /// The byte order that a connection's first byte announces, if it is one of the two.
    pub const fn from_first_byte(byte: u8) -> Option<Self> {
        match byte {
            b'l' => Some(Self::Little),
            b'B' => Some(Self::Big),
            _ => None,
        }
    }

    /// The byte that announces this order.
    pub const fn first_byte(self) -> u8 {
        match self {
            Self::Little => b'l',
            Self::Big => b'B',
        }
    }

    /// Reads the 16-bit field at `at`; `None` where the slice is too short.
    #[inline]
    pub fn u16_at(self, bytes: &[u8], at: usize) -> Option<u16> {
        let field = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(field),
            Self::Big => u16::from_be_bytes(field),
        })
    }

    /// Reads the 32-bit field at `at`; `None` where the slice is too short.
    #[inline]
    pub fn u32_at(self, bytes: &[u8], at: usize) -> Option<u32> {
        let field = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(field),
            Self::Big => u32::from_be_bytes(field),
        })
    }

    /// The two bytes of a 16-bit field.
    pub const fn u16_bytes(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    /// The four bytes of a 32-bit field.
    pub const fn u32_bytes(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    /// Overwrites the 16-bit field at `at`; does nothing where the slice is too short.
    pub fn put_u16(self, bytes: &mut [u8], at: usize, value: u16) {
        if let Some(field) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
            *field = self.u16_bytes(value);
        }
    }

    /// Overwrites the 32-bit field at `at`; does nothing where the slice is too short.
    pub fn put_u32(self, bytes: &mut [u8], at: usize, value: u32) {
        if let Some(field) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
            *field = self.u32_bytes(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ByteOrder::{Big, Little};
    use super::*;

    #[test]
    fn the_first_byte_decides_and_anything_else_is_no_order() {
        assert_eq!(ByteOrder::from_first_byte(b'l'), Some(Little));
        assert_eq!(ByteOrder::from_first_byte(b'B'), Some(Big));
        assert!(
            (0..=u8::MAX).filter(|b| !b"lB".contains(b)).all(|b| ByteOrder::from_first_byte(b).is_none())
        );
    }

    #[test]
    fn fields_are_read_in_both_orders_and_never_past_the_end() {
        let bytes = [1, 2, 3, 4, 5];
        assert_eq!((Little.u16_at(&bytes, 0), Big.u16_at(&bytes, 0)), (Some(0x0201), Some(0x0102)));
        assert_eq!((Little.u32_at(&bytes, 1), Big.u32_at(&bytes, 1)), (Some(0x0504_0302), Some(0x0203_0405)));
        assert_eq!((Little.u32_at(&bytes, 2), Little.u16_at(&bytes, usize::MAX)), (None, None));
    }

    #[test]
    fn a_field_that_does_not_fit_is_left_alone() {
        let mut bytes = [0; 5];
        Big.put_u32(&mut bytes, 1, 0x0102_0304);
        Big.put_u32(&mut bytes, 2, u32::MAX);
        assert_eq!(bytes, [0, 1, 2, 3, 4]);
    }
}
