//! Every number that both ends have to agree on, and why it is what it is.

/// Id of the cross-domain capability set: `GET_CAPS` and the context parameter `CAPSET_ID`.
pub const CAPSET_ID: u32 = 5;

/// Bytes of the channel ring that every host uses, however large the guest's mapping is.
pub const RING_BYTES: usize = 4096;

/// Largest channel ring of the `x11bridge` dialect, in bytes: a larger copy no longer fits a second-level cache.
pub const RING_BYTES_MAX: usize = 1 << 20;

/// Ring index of answers to queries; a fence on it is signalled at once.
pub const QUERY_RING: u8 = 0;

/// Ring index of the channel: POLL is submitted on it, and its fence is the event that the guest waits for.
pub const CHANNEL_RING: u8 = 1;

/// Bytes of the header that starts every command.
pub const HEADER_BYTES: usize = 8;

/// Most identifiers in one SEND or RECEIVE. More would overwrite the bytes that follow the table.
pub const IDENTIFIERS_MAX: usize = 28;

/// Bytes of the three arrays that hold each identifier's id, type and size.
pub const IDENTIFIER_TABLE_BYTES: usize = IDENTIFIERS_MAX * 12;

/// Bytes before the data of a SEND or a RECEIVE: header, two counts, identifier table.
pub const SEND_HEADER_BYTES: usize = HEADER_BYTES + 8 + IDENTIFIER_TABLE_BYTES;

/// Bytes before the data of a READ or a WRITE.
pub const READ_WRITE_HEADER_BYTES: usize = HEADER_BYTES + 16;

/// Largest command in bytes: `cmd_size` is a `u16`.
pub const CMD_BYTES_MAX: usize = u16::MAX as usize;

/// Most bytes of data in one SEND, when no gap follows.
pub const SEND_DATA_MAX: usize = CMD_BYTES_MAX - SEND_HEADER_BYTES;

/// Most bytes of data in one WRITE, when no gap follows.
pub const WRITE_DATA_MAX: usize = CMD_BYTES_MAX - READ_WRITE_HEADER_BYTES;

/// Identifiers of read pipes lie above this value; the first that a host gives out is one more.
pub const PIPE_READ_START: u32 = 0x8000_0000;

/// First id of a futex (a memory sentinel in rutabaga). Ids below it name other things in rutabaga.
pub const FUTEX_ID_START: u32 = 0x4000_0000;

/// First id that is no futex id any more.
pub const FUTEX_ID_END: u32 = PIPE_READ_START;

/// Most bytes of data in one RECEIVE through a channel ring of `ring_bytes` bytes; 3744 for [`RING_BYTES`].
pub const fn receive_data_max(ring_bytes: usize) -> usize {
    ring_bytes.saturating_sub(SEND_HEADER_BYTES)
}

/// Whether `id` may name a futex with every host: in `0x40000000..0x80000000`.
pub const fn is_futex_id(id: u32) -> bool {
    id >= FUTEX_ID_START && id < FUTEX_ID_END
}

/// Whether a channel ring may have `bytes` bytes in the `x11bridge` dialect: a power of two in `4096..=1 MiB`.
pub const fn is_ring_bytes(bytes: usize) -> bool {
    bytes.is_power_of_two() && bytes >= RING_BYTES && bytes <= RING_BYTES_MAX
}

const _: () = assert!(SEND_HEADER_BYTES == 352);
const _: () = assert!(READ_WRITE_HEADER_BYTES == 24);
const _: () = assert!(receive_data_max(RING_BYTES) == 3744);
const _: () = assert!(SEND_DATA_MAX == 65_183);

/// Channel types: what a channel leads to on the host. A capset has bit `1 << type` for each that it offers.
pub mod channel {
    /// No channel: a context for queries alone.
    pub const NONE: u32 = 0;
    /// A Wayland compositor.
    pub const WAYLAND: u32 = 0x01;
    /// A camera service.
    pub const CAMERA: u32 = 0x02;
    /// A `PipeWire` daemon.
    pub const PIPEWIRE: u32 = 0x10;
    /// An X server.
    pub const X11: u32 = 0x11;
    /// The D-Bus session bus (rutabaga only).
    pub const DBUS_SESSION: u32 = 0x12;
    /// The D-Bus system bus (rutabaga only).
    pub const DBUS_SYSTEM: u32 = 0x13;
    /// A socket that another context named by `ASSIGN_SOCKET_UUID` (rutabaga only; has no bit in the capset).
    pub const INTERNAL_SOCKET: u32 = u32::MAX;
}
