//! An identity as files in a directory of its own:
//!
//! | file | what it holds |
//! |---|---|
//! | `router.crt` | the certificates in PEM, leaf first, exactly those that go over the wire |
//! | `router.key` | the leaf's key, PKCS#8 in PEM |
//! | `ca.key` | the authority's key, PKCS#8 in PEM; needed only to replace the leaf, may be moved away |
//!
//! The directory of a deployed router is read, too: there the leaf's certificate is `server.crt`, its key `server.key`, and the
//! authority's certificate a file of its own, `ca.crt`. So are single files, wherever they are.
//!
//! Each file appears under its name only once it is complete on the disk, and `router.crt` last, so that a
//! crash in between leaves an identity that is recognised as incomplete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use sxlab_protocol::crypto::certificate::Chain;
use sxlab_protocol::crypto::keys::SignatureSecret;

use super::{IdentityError, RouterIdentity};

const CHAIN: &str = "router.crt";
const LEAF_KEY: &str = "router.key";
const AUTHORITY_KEY: &str = "ca.key";
/// As the deployed router calls them.
const SERVER: &str = "server.crt";
const SERVER_KEY: &str = "server.key";
const AUTHORITY: &str = "ca.crt";
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
    /// chain does not hold, [`IdentityError::KeyMismatch`], [`IdentityError::Io`]; [`IdentityError::Ambiguous`] if there
    /// are files of both names.
    pub fn load(directory: &Path, unix_seconds: u64) -> Result<Option<Self>, IdentityError> {
        for name in FILES {
            if read(directory, &partial(name))?.is_some() {
                return Err(IdentityError::Incomplete(name.to_owned()));
            }
        }
        let deployed = read(directory, SERVER)?.is_some();
        if deployed && read(directory, CHAIN)?.is_some() {
            return Err(IdentityError::Ambiguous(CHAIN, SERVER));
        }
        let (certificates, key) =
            if deployed { (&[SERVER, AUTHORITY][..], SERVER_KEY) } else { (&[CHAIN][..], LEAF_KEY) };
        let mut ders = Vec::new();
        let mut missing = None;
        for &name in certificates {
            match read(directory, name)? {
                Some(text) => add(&mut ders, parse_chain(name, &text)?),
                None => missing = missing.or(Some(name)),
            }
        }
        let leaf_key = read(directory, key)?;
        let authority_key = read(directory, AUTHORITY_KEY)?;
        let leaf_key = match (missing, leaf_key) {
            (Some(_), None) if !deployed && authority_key.is_none() => return Ok(None),
            (Some(name), _) => return Err(IdentityError::Incomplete(name.to_owned())),
            (None, None) => return Err(IdentityError::Incomplete(key.to_owned())),
            (None, Some(leaf_key)) => leaf_key,
        };
        let leaf_key = parse_key(key, &leaf_key)?;
        let authority_key = authority_key.map(|text| parse_key(AUTHORITY_KEY, &text)).transpose()?;
        Self::checked(ders, leaf_key, authority_key, unix_seconds).map(Some)
    }

    /// Reads an identity from files anywhere: certificates in PEM, which make a chain leaf first in the order in which the files are
    /// named (what is there twice counts once), and the leaf's key, PKCS#8 in PEM. Errors name the files as they are
    /// named here.
    ///
    /// # Errors
    ///
    /// As [`Self::load`], and [`IdentityError::Io`] for a file that is not there.
    pub fn from_files(
        certificates: &[PathBuf],
        key: &Path,
        unix_seconds: u64,
    ) -> Result<Self, IdentityError> {
        let whole = |path: &Path| fs::read(path).map_err(at(&path.to_string_lossy()));
        let mut ders = Vec::new();
        for path in certificates {
            add(&mut ders, parse_chain(&path.to_string_lossy(), &whole(path)?)?);
        }
        let leaf_key = parse_key(&key.to_string_lossy(), &whole(key)?)?;
        Self::checked(ders, leaf_key, None, unix_seconds)
    }

    fn checked(
        ders: Vec<Vec<u8>>,
        leaf_key: SignatureSecret,
        authority_key: Option<SignatureSecret>,
        unix_seconds: u64,
    ) -> Result<Self, IdentityError> {
        let chain = Chain::new(ders);
        chain.verify(unix_seconds)?;
        Self::from_parts(chain, leaf_key, authority_key)
    }
}

/// Appends what is not there yet: a leaf's file often holds the chain that other files hold, too.
fn add(ders: &mut Vec<Vec<u8>>, more: Vec<Vec<u8>>) {
    for der in more {
        if !ders.contains(&der) {
            ders.push(der);
        }
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

fn key_pem(key: &SignatureSecret) -> String {
    pem("PRIVATE KEY", &key.pkcs8())
}

/// RFC 7468: lines of 64 characters.
fn pem(label: &str, der: &[u8]) -> String {
    let lines: String = der.chunks(48).map(|line| STANDARD.encode(line) + "\n").collect();
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}

fn parse_chain(name: &str, text: &[u8]) -> Result<Vec<Vec<u8>>, IdentityError> {
    let chain = CertificateDer::pem_slice_iter(text)
        .map(|certificate| certificate.map(|der| der.to_vec()))
        .collect::<Result<Vec<_>, _>>();
    chain.map_err(|error| malformed(name, error))
}

fn parse_key(name: &str, text: &[u8]) -> Result<SignatureSecret, IdentityError> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(text).map_err(|error| malformed(name, error))?;
    SignatureSecret::from_pkcs8(key.secret_pkcs8_der()).map_err(|error| malformed(name, error))
}
