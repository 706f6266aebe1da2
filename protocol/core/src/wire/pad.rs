//! Padding to a fixed size (ENC-8, ENC-9).

use super::{Reader, WireError, put_u16};

/// The byte that fills up to the size. Receivers trust the length and never look at it.
pub const PADDING: u8 = b'#';

/// The content's length in two bytes, the content, and `#` up to `size` bytes.
///
/// # Errors
/// [`WireError::TooLong`] if the content exceeds `size` − 2 or 65,533 bytes.
pub fn pad(content: &[u8], size: usize) -> Result<Vec<u8>, WireError> {
    let mut block = Vec::with_capacity(size);
    pad_what(&mut block, size, |block| {
        block.extend_from_slice(content);
        Ok(())
    })?;
    Ok(block)
}

/// Appends what [`pad`] gives for the content that `put` appends.
///
/// # Errors
/// As [`pad`], and what `put` gives; what was appended is of no use then.
pub(crate) fn pad_what(
    out: &mut Vec<u8>,
    size: usize,
    put: impl FnOnce(&mut Vec<u8>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let begin = out.len();
    put_u16(out, 0);
    put(out)?;
    let length = out.len() - begin - 2;
    let bytes = u16::try_from(length).map_err(|_| WireError::TooLong)?.to_be_bytes();
    if length > 65533 || length + 2 > size {
        return Err(WireError::TooLong);
    }
    for (to, byte) in out.iter_mut().skip(begin).zip(bytes) {
        *to = byte;
    }
    out.resize(begin + size, PADDING);
    Ok(())
}

/// The content of a padded block.
///
/// # Errors
/// [`WireError::UnexpectedEnd`] if the block has no length, or one that exceeds it.
pub fn unpad(block: &[u8]) -> Result<&[u8], WireError> {
    Reader::new(block).large()
}
