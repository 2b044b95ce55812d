//! Sequence numbers: 16 bits on the wire, 64 here.

/// The smallest number that is not below `last` and whose low 16 bits are `wire`.
///
/// It is the true number wherever fewer than 65,536 requests lie between two messages of the server, which clients
/// ensure for their own sake; beyond that it is a lower bound.
pub fn widen(last: u64, wire: u16) -> u64 {
    let ahead = wire.wrapping_sub(low16(last));
    last + u64::from(ahead)
}

/// The 16 bits of a number that go over the wire.
pub const fn low16(sequence: u64) -> u16 {
    (sequence & 0xffff) as u16
}

/// How far `wire` lies ahead of `sequence` on the 16-bit circle: -32,768 to 32,767.
pub const fn distance(sequence: u64, wire: u16) -> i16 {
    wire.wrapping_sub(low16(sequence)).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_go_on_past_65_536() {
        assert_eq!(widen(65_535, 0), 65_536);
        assert_eq!(widen(65_536, 0), 65_536);
        assert_eq!(widen(0x1_0001, 0), 0x2_0000);
        assert_eq!((distance(65_535, 2), distance(65_536, 0xffff)), (3, -1));
    }

    proptest! {
        #[test]
        fn any_number_less_than_65_536_ahead_is_found(last in 0..u64::MAX / 2, ahead in 0..0x1_0000_u64) {
            prop_assert_eq!(widen(last, low16(last + ahead)), last + ahead);
        }
    }
}
