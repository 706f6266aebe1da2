//! How transmissions travel: fixed-size blocks, batches inside them, the handshake that opens a session, and
//! the block encryption that it may switch on. Everything here starts after TLS is up.
//!
//! ```text
//! TLS stream ── 16384-byte block ── [block encryption] ── batch ── transmission ── command or response
//! ```

mod batch;
mod block;
mod handshake;
mod service;
mod transmission;

pub use batch::{BATCH_BUDGET, BatchError, batches, content, first_block, pack, pack_one, unpack};
pub use block::{BLOCK_SIZE, BlockCodec, BlockError, MAX_CONTENT};
pub(crate) use handshake::agree;
pub use handshake::{
    Agreed, ClientGreeted, ClientHandshake, ClientHello, HandshakeError, RouterCredentials, RouterHandshake,
    RouterHello, SUPPORTED,
};
pub use service::{ServiceCredentials, ServiceHello, ServiceReply, ServiceRole};
pub(crate) use transmission::response_head;
pub use transmission::{
    Authorization, Received, ServiceSigner, Session, TransmissionError, Unsigned, authorize,
    authorize_by_service, read_transmission, text_for_service, write_response,
};
