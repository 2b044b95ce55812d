//! Little-endian integers in and out of byte slices, never past the end.

/// Takes integers off the front of foreign bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(|bytes| u32::from_le_bytes(*bytes))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(|bytes| u64::from_le_bytes(*bytes))
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (head, tail) = self.rest.split_first_chunk::<N>()?;
        self.rest = tail;
        Some(head)
    }

    /// What has not been taken yet.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }
}

/// Puts integers at the front of a message that is known to be long enough.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    rest: &'a mut [u8],
}

impl<'a> Writer<'a> {
    pub(crate) fn new(bytes: &'a mut [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        if let Some(head) = self.take(bytes.len()) {
            head.copy_from_slice(bytes);
        }
    }

    /// Fills the next `len` bytes with zero.
    pub(crate) fn zeros(&mut self, len: usize) {
        if let Some(head) = self.take(len) {
            head.fill(0);
        }
    }

    fn take(&mut self, len: usize) -> Option<&'a mut [u8]> {
        let taken = std::mem::take(&mut self.rest).split_at_mut_checked(len);
        debug_assert!(taken.is_some(), "a message is longer than its buffer");
        let (head, tail) = taken?;
        self.rest = tail;
        Some(head)
    }
}
