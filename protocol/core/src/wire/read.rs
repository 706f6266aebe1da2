//! A cursor over received bytes.

use super::WireError;

/// Reads values from the front of a byte slice. After an error the position is unspecified.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left, without consuming it.
    #[must_use]
    pub fn remaining(&self) -> &'a [u8] {
        self.rest
    }

    /// The next byte, without consuming it.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Consumes all that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`WireError::UnexpectedEnd`] if fewer are left; so for all the methods below.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(WireError::UnexpectedEnd)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// See [`Reader::take`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(WireError::UnexpectedEnd)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    ///
    /// # Errors
    /// See [`Reader::take`].
    pub fn u8(&mut self) -> Result<u8, WireError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    /// Two bytes, big-endian (ENC-1).
    ///
    /// # Errors
    /// See [`Reader::take`].
    pub fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Four bytes, big-endian.
    ///
    /// # Errors
    /// See [`Reader::take`].
    pub fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Eight bytes, big-endian two's complement.
    ///
    /// # Errors
    /// See [`Reader::take`].
    pub fn i64(&mut self) -> Result<i64, WireError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// A string with a one-byte length (ENC-2).
    ///
    /// # Errors
    /// See [`Reader::take`].
    pub fn short(&mut self) -> Result<&'a [u8], WireError> {
        let n = self.u8()?;
        self.take(n.into())
    }

    /// A string with a two-byte length (ENC-3).
    ///
    /// # Errors
    /// See [`Reader::take`].
    pub fn large(&mut self) -> Result<&'a [u8], WireError> {
        let n = self.u16()?;
        self.take(n.into())
    }

    /// `T` or `F` (ENC-5).
    ///
    /// # Errors
    /// [`WireError::BadTag`] for another byte.
    pub fn bool(&mut self) -> Result<bool, WireError> {
        match self.u8()? {
            b'T' => Ok(true),
            b'F' => Ok(false),
            _ => Err(WireError::BadTag),
        }
    }

    /// `0`, or `1` and a value (ENC-4).
    ///
    /// # Errors
    /// [`WireError::BadTag`] for another digit; what `value` gives.
    pub fn opt<T>(
        &mut self,
        value: impl FnOnce(&mut Self) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        match self.u8()? {
            b'0' => Ok(None),
            b'1' => value(self).map(Some),
            _ => Err(WireError::BadTag),
        }
    }

    /// A count byte of at least 1 and so many items (ENC-6).
    ///
    /// # Errors
    /// [`WireError::BadLength`] for a count of 0; what `item` gives.
    pub fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        match self.u8()? {
            0 => Err(WireError::BadLength),
            count => (0..count).map(|_| item(self)).collect(),
        }
    }

    /// Expects this byte.
    ///
    /// # Errors
    /// [`WireError::BadTag`] for another.
    pub fn byte(&mut self, expected: u8) -> Result<(), WireError> {
        if self.u8()? == expected { Ok(()) } else { Err(WireError::BadTag) }
    }

    /// Expects these bytes.
    ///
    /// # Errors
    /// [`WireError::BadTag`] for others, also when fewer are left.
    pub fn tag(&mut self, expected: &[u8]) -> Result<(), WireError> {
        self.rest = self.rest.strip_prefix(expected).ok_or(WireError::BadTag)?;
        Ok(())
    }

    /// Expects the end (ENC-12: a command or response has no tail).
    ///
    /// # Errors
    /// [`WireError::Trailing`] if anything is left.
    pub fn end(&self) -> Result<(), WireError> {
        if self.is_empty() { Ok(()) } else { Err(WireError::Trailing) }
    }
}
