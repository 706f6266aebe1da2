//! Bytes ↔ values: integers, strings, lists, padding, versions, addresses (ENC-1 to ENC-14).
//!
//! A decoder takes a [`Reader`] and gives a value or a [`WireError`]; an encoder appends to a `Vec<u8>`.
//! Decoders copy at most the bytes that they were given.

mod address;
mod ids;
mod pad;
mod queue_address;
mod read;
mod version;
mod write;

pub use address::{DEFAULT_PORT, Host, RouterAddress, base64url, base64url_decode};
pub use ids::{CorrId, EntityId, LinkId, MsgId};
pub(crate) use pad::pad_what;
pub use pad::{PADDING, pad, unpad};
pub use queue_address::{CLIENT_VERSIONS, QueueAddress, QueueMode};
pub use read::Reader;
pub use version::VersionRange;
pub use write::{put_bool, put_i64, put_large, put_list, put_opt, put_short, put_u16, put_u32};

/// Bytes or text that are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The input ends inside a value.
    #[error("the input ends inside a value")]
    UnexpectedEnd,
    /// Bytes are left after the last value.
    #[error("bytes are left after the last value")]
    Trailing,
    /// A byte that selects between forms has none of the known values.
    #[error("unknown tag")]
    BadTag,
    /// A length or count is not allowed here.
    #[error("length or count not allowed")]
    BadLength,
    /// Content is longer than its field or block can hold.
    #[error("too long for its field")]
    TooLong,
    /// Text that does not follow its syntax.
    #[error("malformed text")]
    BadText,
    /// A range of versions whose least is above its greatest, or a version that nobody speaks.
    #[error("not a version or range of versions")]
    BadVersion,
    /// Not a public key of a type allowed here.
    #[error("not a key of an allowed type")]
    BadKey,
}
