//! Appending values to a byte vector: the mirror of [`super::Reader`].

use super::WireError;

/// Two bytes, big-endian.
pub fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Four bytes, big-endian.
pub fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Eight bytes, big-endian two's complement.
pub fn put_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// A string with a one-byte length.
///
/// # Errors
/// [`WireError::TooLong`] above 255 bytes.
pub fn put_short(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), WireError> {
    out.push(u8::try_from(bytes.len()).map_err(|_| WireError::TooLong)?);
    out.extend_from_slice(bytes);
    Ok(())
}

/// A string with a two-byte length.
///
/// # Errors
/// [`WireError::TooLong`] above 65,535 bytes.
pub fn put_large(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), WireError> {
    put_u16(out, u16::try_from(bytes.len()).map_err(|_| WireError::TooLong)?);
    out.extend_from_slice(bytes);
    Ok(())
}

/// `T` or `F`.
pub fn put_bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { b'T' } else { b'F' });
}

/// `0`, or `1` and what `put` appends.
///
/// # Errors
/// What `put` gives.
pub fn put_opt<T>(
    out: &mut Vec<u8>,
    value: Option<T>,
    put: impl FnOnce(&mut Vec<u8>, T) -> Result<(), WireError>,
) -> Result<(), WireError> {
    match value {
        None => {
            out.push(b'0');
            Ok(())
        }
        Some(value) => {
            out.push(b'1');
            put(out, value)
        }
    }
}

/// A count byte and the items.
///
/// # Errors
/// [`WireError::BadLength`] unless there are 1 to 255 items; what `put` gives.
pub fn put_list<T>(
    out: &mut Vec<u8>,
    items: &[T],
    mut put: impl FnMut(&mut Vec<u8>, &T) -> Result<(), WireError>,
) -> Result<(), WireError> {
    match u8::try_from(items.len()) {
        Ok(count) if count > 0 => out.push(count),
        _ => return Err(WireError::BadLength),
    }
    items.iter().try_for_each(|item| put(out, item))
}
