//! An identity as files in a directory of its own:
//!
//! | file | what it holds |
//! |---|---|
//! | `router.crt` | the certificates in PEM, leaf first, exactly those that go over the wire |
//! | `router.key` | the leaf's key, PKCS#8 in PEM |
//! | `ca.key` | the authority's key, PKCS#8 in PEM; needed only to replace the leaf, may be moved away |
//!
//! Each file appears under its name only once it is complete on the disk, and `router.crt` last, so that a
//! crash in between leaves an identity that is recognised as incomplete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use sxlab_protocol::crypto::certificate::Chain;
use sxlab_protocol::crypto::keys::Ed25519Secret;

use super::{IdentityError, RouterIdentity};

const CHAIN: &str = "router.crt";
const LEAF_KEY: &str = "router.key";
const AUTHORITY_KEY: &str = "ca.key";
/// In the order in which they are written.
const FILES: [&str; 3] = [AUTHORITY_KEY, LEAF_KEY, CHAIN];

impl RouterIdentity {
    /// Writes the identity into `directory`, which is made if need be. Keys are readable by their owner only.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Exists`] if a file of an identity is there already, whole or half written: an identity
    /// is never written over. [`IdentityError::Io`] otherwise.
    pub fn save(&self, directory: &Path) -> Result<(), IdentityError> {
        fs::create_dir_all(directory).map_err(at(&directory.to_string_lossy()))?;
        for name in FILES {
            for name in [name.to_owned(), partial(name)] {
                if fs::symlink_metadata(directory.join(&name)).is_ok() {
                    return Err(IdentityError::Exists(name));
                }
            }
        }
        if let Some(key) = &self.authority_key {
            write(directory, AUTHORITY_KEY, &key_pem(key))?;
        }
        write(directory, LEAF_KEY, &key_pem(&self.leaf_key))?;
        let chain: String = self.chain.ders.iter().map(|der| pem("CERTIFICATE", der)).collect();
        write(directory, CHAIN, &chain)
    }

    /// Reads the identity in `directory`; `None` if no file of an identity is there. The chain is checked as
    /// clients will check it, at `unix_seconds` since 1970.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Incomplete`] if a file is missing (`ca.key` may be) or only half written,
    /// [`IdentityError::Malformed`] if a file cannot be understood, [`IdentityError::Certificate`] if the
    /// chain does not hold, [`IdentityError::KeyMismatch`], [`IdentityError::Io`].
    pub fn load(directory: &Path, unix_seconds: u64) -> Result<Option<Self>, IdentityError> {
        for name in FILES {
            if read(directory, &partial(name))?.is_some() {
                return Err(IdentityError::Incomplete(name.to_owned()));
            }
        }
        let authority_key = read(directory, AUTHORITY_KEY)?;
        let (chain, leaf_key) = match (read(directory, CHAIN)?, read(directory, LEAF_KEY)?) {
            (Some(chain), Some(leaf_key)) => (chain, leaf_key),
            (None, None) if authority_key.is_none() => return Ok(None),
            (None, _) => return Err(IdentityError::Incomplete(CHAIN.to_owned())),
            (_, None) => return Err(IdentityError::Incomplete(LEAF_KEY.to_owned())),
        };
        let chain = Chain::new(parse_chain(&chain)?);
        chain.verify(unix_seconds)?;
        let leaf_key = parse_key(LEAF_KEY, &leaf_key)?;
        let authority_key = authority_key.map(|text| parse_key(AUTHORITY_KEY, &text)).transpose()?;
        Self::from_parts(chain, leaf_key, authority_key).map(Some)
    }
}

fn partial(name: &str) -> String {
    format!("{name}.partial")
}

fn at(file: &str) -> impl FnOnce(io::Error) -> IdentityError {
    let file = file.to_owned();
    move |source| IdentityError::Io { file, source }
}

fn malformed(file: &str, reason: impl ToString) -> IdentityError {
    IdentityError::Malformed { file: file.to_owned(), reason: reason.to_string() }
}

fn write(directory: &Path, name: &str, text: &str) -> Result<(), IdentityError> {
    let written = directory.join(partial(name));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if name != CHAIN {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    let finish = |mut file: File| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&written, directory.join(name))
    };
    options.open(&written).and_then(finish).map_err(at(name))
}

fn read(directory: &Path, name: &str) -> Result<Option<Vec<u8>>, IdentityError> {
    match fs::read(directory.join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(name)(error)),
    }
}

fn key_pem(key: &Ed25519Secret) -> String {
    pem("PRIVATE KEY", &key.pkcs8())
}

/// RFC 7468: lines of 64 characters.
fn pem(label: &str, der: &[u8]) -> String {
    let lines: String = der.chunks(48).map(|line| STANDARD.encode(line) + "\n").collect();
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}

fn parse_chain(text: &[u8]) -> Result<Vec<Vec<u8>>, IdentityError> {
    let chain = CertificateDer::pem_slice_iter(text)
        .map(|certificate| certificate.map(|der| der.to_vec()))
        .collect::<Result<Vec<_>, _>>();
    chain.map_err(|error| malformed(CHAIN, error))
}

fn parse_key(name: &str, text: &[u8]) -> Result<Ed25519Secret, IdentityError> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(text).map_err(|error| malformed(name, error))?;
    Ed25519Secret::from_pkcs8(key.secret_pkcs8_der()).map_err(|error| malformed(name, error))
}
