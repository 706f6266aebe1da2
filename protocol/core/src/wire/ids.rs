//! Identifiers: byte strings of 0 to 255 bytes that travel with a one-byte length.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{Reader, WireError, put_short};

/// Queue, link and message identifiers have 24 bytes and session identifiers 32: these stay inline.
const INLINE: usize = 32;

#[derive(Clone)]
enum ShortBytes {
    Inline { len: u8, bytes: [u8; INLINE] },
    Shared(Arc<[u8]>),
}

impl ShortBytes {
    const EMPTY: ShortBytes = ShortBytes::Inline { len: 0, bytes: [0; INLINE] };

    fn new(from: &[u8]) -> Result<Self, WireError> {
        let len = u8::try_from(from.len()).map_err(|_| WireError::TooLong)?;
        let mut bytes = [0; INLINE];
        Ok(match bytes.get_mut(..from.len()) {
            Some(inline) => {
                inline.copy_from_slice(from);
                ShortBytes::Inline { len, bytes }
            }
            None => ShortBytes::Shared(from.into()),
        })
    }

    fn inline<const N: usize>(from: [u8; N]) -> Self {
        const { assert!(N <= INLINE) };
        let mut bytes = [0; INLINE];
        for (to, byte) in bytes.iter_mut().zip(from) {
            *to = byte;
        }
        ShortBytes::Inline { len: N as u8, bytes }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            ShortBytes::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or(bytes),
            ShortBytes::Shared(bytes) => bytes,
        }
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(ShortBytes);

        impl $name {
            /// No bytes: the identifier of nothing.
            pub const EMPTY: $name = $name(ShortBytes::EMPTY);

            /// From any bytes.
            ///
            /// # Errors
            /// [`WireError::TooLong`] above 255 bytes.
            pub fn new(bytes: &[u8]) -> Result<Self, WireError> {
                ShortBytes::new(bytes).map($name)
            }

            /// The bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }

            /// Whether there are no bytes.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.as_bytes().is_empty()
            }

            /// Appends the length byte and the bytes.
            pub fn put(&self, out: &mut Vec<u8>) {
                // Never fails: the constructors allow no more than 255 bytes.
                let _ = put_short(out, self.as_bytes());
            }

            /// A length byte and the bytes.
            ///
            /// # Errors
            /// [`WireError::UnexpectedEnd`].
            pub fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
                $name::new(r.short()?)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $name::EMPTY
            }
        }

        impl From<[u8; 24]> for $name {
            fn from(bytes: [u8; 24]) -> Self {
                $name(ShortBytes::inline(bytes))
            }
        }

        impl From<[u8; 32]> for $name {
            fn from(bytes: [u8; 32]) -> Self {
                $name(ShortBytes::inline(bytes))
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = WireError;

            fn try_from(bytes: &[u8]) -> Result<Self, WireError> {
                $name::new(bytes)
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.as_bytes().cmp(other.as_bytes())
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.as_bytes().hash(state);
            }
        }

        impl fmt::Debug for $name {
            /// The first four bytes in hex are enough to tell identifiers apart in a log.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}(", stringify!($name))?;
                for byte in self.as_bytes().iter().take(4) {
                    write!(f, "{byte:02x}")?;
                }
                f.write_str(if self.as_bytes().len() > 4 { "…)" } else { ")" })
            }
        }
    };
}

identifier! {
    /// What a transmission is about: a recipient, sender, notifier or link id, a service id, a proxied
    /// session; empty for commands about nothing.
    EntityId
}
identifier! {
    /// Correlates a response with its command; empty in events. 24 random bytes in commands of ours, any
    /// length in those of others (TR-30, D11).
    CorrId
}
identifier! {
    /// A message in a queue: 24 random bytes (SN-11).
    MsgId
}
identifier! {
    /// A short link's data.
    LinkId
}
