//! How transmissions travel: fixed-size blocks, batches inside them, the handshake that opens a session, and
//! the block encryption that it may switch on. Everything here starts after TLS is up.
//!
//! ```text
//! TLS stream ── 16384-byte block ── [block encryption] ── batch ── transmission ── command or response
//! ```
//!
//! Blocks, batches and transmissions are those of the notification protocol ([`crate::ntf`]) too, in blocks of 512 bytes; its
//! handshake is with it. What of a protocol's version decides how transmissions are written is its [`Framing`].

mod batch;
mod block;
mod handshake;
mod service;
mod transmission;

pub use batch::{
    BATCH_BUDGET, BatchError, batch_budget, batches, batches_within, content, first_block,
    first_block_within, pack, pack_one, unpack,
};
pub use block::{BLOCK_SIZE, BlockCodec, BlockError, MAX_CONTENT};
pub(crate) use handshake::agree;
pub use handshake::{
    Agreed, ClientGreeted, ClientHandshake, ClientHello, HandshakeError, RouterCredentials, RouterHandshake,
    RouterHello, SUPPORTED,
};
pub use service::{ServiceCredentials, ServiceHello, ServiceReply, ServiceRole};
pub(crate) use transmission::response_head;
pub use transmission::{
    Authorization, Framing, Received, ServiceSigner, Session, TransmissionError, Unsigned, authorize,
    authorize_by_service, read_transmission, text_for_service, write_response,
};
