//! As much of HTTP/1.1 as one GET needs: a request on a connection of its own, and the answer's status and body.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The most bytes of an answer's head, and of a chunk's, and the most header fields.
const HEAD_LIMIT: usize = 16_384;
const FIELDS: usize = 64;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HttpError {
    /// The connection ended early, or what came is no HTTP.
    Broken,
    /// The body is larger than allowed.
    TooLarge,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Of status 200 only; the rest are not read.
    pub(crate) body: Vec<u8>,
}

/// Where a body ends.
enum End {
    After(usize),
    Chunks,
    Connection,
}

/// Writes a whole request and reads its answer, of whose body `limit` bytes are taken at most.
pub(crate) async fn exchange<S>(stream: S, request: &[u8], limit: usize) -> Result<Answer, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut incoming = Incoming { stream, bytes: Vec::new() };
    incoming.stream.write_all(request).await.map_err(|_| HttpError::Broken)?;
    incoming.stream.flush().await.map_err(|_| HttpError::Broken)?;
    loop {
        let (status, end) = incoming.head().await?;
        match status {
            // Not the answer yet.
            100..=199 => {}
            200 => return Ok(Answer { status, body: incoming.body(end, limit).await? }),
            _ => return Ok(Answer { status, body: Vec::new() }),
        }
    }
}

/// What came and was not taken yet.
struct Incoming<S> {
    stream: S,
    bytes: Vec<u8>,
}

impl<S: AsyncRead + Unpin> Incoming<S> {
    /// Reads more; whether there was more.
    async fn more(&mut self) -> Result<bool, HttpError> {
        let read = self.stream.read_buf(&mut self.bytes).await.map_err(|_| HttpError::Broken)?;
        Ok(read > 0)
    }

    /// Reads more of something that has not ended.
    async fn need(&mut self) -> Result<(), HttpError> {
        if self.more().await? { Ok(()) } else { Err(HttpError::Broken) }
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        self.bytes.drain(..count.min(self.bytes.len())).collect()
    }

    async fn head(&mut self) -> Result<(u16, End), HttpError> {
        loop {
            let mut fields = [httparse::EMPTY_HEADER; FIELDS];
            let mut response = httparse::Response::new(&mut fields);
            match response.parse(&self.bytes) {
                Ok(httparse::Status::Complete(length)) => {
                    let status = response.code.ok_or(HttpError::Broken)?;
                    let end = end(response.headers)?;
                    self.take(length);
                    return Ok((status, end));
                }
                Ok(httparse::Status::Partial) if self.bytes.len() < HEAD_LIMIT => self.need().await?,
                _ => return Err(HttpError::Broken),
            }
        }
    }

    async fn body(&mut self, end: End, limit: usize) -> Result<Vec<u8>, HttpError> {
        match end {
            End::After(length) if length > limit => Err(HttpError::TooLarge),
            End::After(length) => self.exactly(length).await,
            End::Chunks => self.chunks(limit).await,
            End::Connection => {
                while self.bytes.len() <= limit && self.more().await? {}
                if self.bytes.len() > limit { Err(HttpError::TooLarge) } else { Ok(self.take(limit)) }
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Result<Vec<u8>, HttpError> {
        while self.bytes.len() < length {
            self.need().await?;
        }
        Ok(self.take(length))
    }

    /// Chunks up to the empty one; what may follow that is not read.
    async fn chunks(&mut self, limit: usize) -> Result<Vec<u8>, HttpError> {
        let mut body = Vec::new();
        loop {
            let (head, size) = match httparse::parse_chunk_size(&self.bytes) {
                Ok(httparse::Status::Complete(found)) => found,
                Ok(httparse::Status::Partial) if self.bytes.len() < HEAD_LIMIT => {
                    self.need().await?;
                    continue;
                }
                _ => return Err(HttpError::Broken),
            };
            self.take(head);
            let size = usize::try_from(size).map_err(|_| HttpError::TooLarge)?;
            if size == 0 {
                return Ok(body);
            }
            if size > limit - body.len() {
                return Err(HttpError::TooLarge);
            }
            body.extend(self.exactly(size).await?);
            if self.exactly(2).await? != b"\r\n" {
                return Err(HttpError::Broken);
            }
        }
    }
}

/// Chunks go before a length (RFC 9112, section 6.3); lengths that differ make the answer worthless.
fn end(fields: &[httparse::Header<'_>]) -> Result<End, HttpError> {
    let mut length = None;
    let mut chunks = false;
    for field in fields {
        let value = std::str::from_utf8(field.value).map_err(|_| HttpError::Broken)?.trim();
        if field.name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") {
                return Err(HttpError::Broken);
            }
            chunks = true;
        } else if field.name.eq_ignore_ascii_case("content-length") {
            let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let this = value.parse::<usize>().ok().filter(|_| digits).ok_or(HttpError::Broken)?;
            if length.replace(this).is_some_and(|before| before != this) {
                return Err(HttpError::Broken);
            }
        }
    }
    Ok(match length {
        _ if chunks => End::Chunks,
        Some(length) => End::After(length),
        None => End::Connection,
    })
}
