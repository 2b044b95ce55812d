//! The limits of a session, in one place, each with its reason.

/// Bytes of a client's unfinished request that are held back at most. Only the beginning of requests that the session
/// has to understand is ever held: the longest is a `PixmapFromBuffers` in big form (68 bytes).
pub const CLIENT_HELD_MAX: usize = 128;

/// Bytes of an unfinished message of the server that are held back at most: a `ListExtensions` reply has to be whole
/// before names can be taken out. Servers' lists are around 500 bytes long; the protocol allows 64 KiB.
pub const HOST_HELD_MAX: usize = 8192;

/// Requests awaiting an answer that are remembered at most. Beyond it ordinary ones are let through unremembered (they
/// are remembered only to tell answers apart, which then rests on the sequence number alone), and one whose answer
/// matters waits until the client has read some: memory stays bounded, and a client that pipelines any number of round
/// trips before it reads does not lock itself up.
pub const PENDING_MAX: usize = 65_536;

/// System V segments of a client at once at most. Toolkits have a handful; each costs a mapping and a file.
pub const SEGMENTS_MAX: usize = 256;

/// Fences of a client at once at most that are linked over two kernels, those included that it has destroyed and the server
/// has not been heard of since. Each costs a mapping on both sides.
pub const FENCES_MAX: usize = 1024;

/// Those of them at most that are destroyed. Clients ask the server something now and then; one that never does has its
/// oldest ones triggered and given up.
pub const FENCES_DYING_MAX: usize = 256;

/// Descriptors waiting for their message at most, in each direction; Linux passes 253 in one `sendmsg`. Further ones
/// are closed and counted.
pub const DESCRIPTORS_QUEUED_MAX: usize = 256;

/// A descriptor that no message has claimed when this many bytes have followed it is closed and counted. A library
/// sends descriptors at most one output buffer (16 KiB in libxcb) ahead of their request.
pub const DESCRIPTOR_DISTANCE_MAX: u64 = 1 << 20;

/// Properties that a client was asked to write for others and may write under a policy, at most; the oldest are
/// forgotten. A clipboard's reader asks for a handful at once.
pub const REQUESTED_MAX: usize = 32;

/// Bytes of the longest extension name that a policy can speak of: what is held back of a `QueryExtension`. The longest
/// in the field has 26.
pub const EXTENSION_NAME_MAX: usize = 32;
/// Devices and fences at once at most whose descriptor a client has asked for and not got: each is an open file.
pub(crate) const PROVIDED_MAX: usize = 16;
