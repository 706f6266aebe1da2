//! The token by which APNs knows whose notifications these are: a JSON web token (RFC 7519) signed with ES256 (RFC 7518, 3.4).
//!
//! A signature is written in the form of JOSE, 64 bytes. The deployed notification router writes it as DER instead, which Apple
//! takes too: [`Issuer::verify`] reads both.

use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Reason;
use crate::wire::{base64url, base64url_decode};

/// A token is made anew when it is this old, in seconds: Apple asks for once in 20 to 60 minutes.
pub const RENEWED_AFTER: u64 = 30 * 60;

/// A token is not taken any more when it is this old, in seconds.
pub const EXPIRES_AFTER: u64 = 60 * 60;

/// A token longer than this is none.
const LONGEST: usize = 4096;

/// Why a key can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// It is no PKCS #8 PEM of a key for ES256.
    #[error("no private key for ES256 in PKCS #8 PEM")]
    Form,
}

/// Who pushes: a team of developers and one of its keys.
#[derive(Clone, Debug)]
pub struct Signer {
    team: String,
    key_id: String,
    key: SigningKey,
    /// The newest token, and when it was made.
    token: Option<(u64, String)>,
}

/// Base64url as RFC 7515 has it.
fn unpadded(bytes: &[u8]) -> String {
    base64url(bytes).trim_end_matches('=').to_owned()
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    iat: u64,
}

impl Signer {
    /// With the key in a file as Apple gives it (`AuthKey_….p8`).
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pem(team: &str, key_id: &str, pem: &str) -> Result<Self, KeyError> {
        let key = SigningKey::from_pkcs8_pem(pem).map_err(|_| KeyError::Form)?;
        Ok(Self { team: team.to_owned(), key_id: key_id.to_owned(), key, token: None })
    }

    /// With a new key.
    pub fn generate(team: &str, key_id: &str, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let key = loop {
            let mut bytes = [0; 32];
            rng.fill_bytes(&mut bytes);
            // Nearly every number of 32 bytes is a key.
            if let Ok(key) = SigningKey::from_slice(&bytes) {
                break key;
            }
        };
        Self { team: team.to_owned(), key_id: key_id.to_owned(), key, token: None }
    }

    /// The key as Apple gives it.
    ///
    /// # Errors
    /// [`KeyError`] if it can't be written, which is not known to happen.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        let pem = self.key.to_pkcs8_pem(LineEnding::LF).map_err(|_| KeyError::Form)?;
        Ok(pem.to_string())
    }

    /// What checks tokens of this key.
    #[must_use]
    pub fn verifier(&self) -> Issuer {
        let key = *self.key.verifying_key();
        Issuer { team: self.team.clone(), key_id: self.key_id.clone(), key }
    }

    /// The token to send at a time in seconds since 1970: the one before as long as it is new enough.
    pub fn token(&mut self, now: u64) -> &str {
        let fresh = |made: u64| now.saturating_sub(made) < RENEWED_AFTER && made <= now;
        if self.token.as_ref().is_none_or(|(made, _)| !fresh(*made)) {
            let token = self.sign(now);
            self.token = Some((now, token));
        }
        self.token.as_ref().map_or("", |(_, token)| token)
    }

    fn sign(&self, now: u64) -> String {
        let header = Header { alg: "ES256".to_owned(), kid: self.key_id.clone() };
        let claims = Claims { iss: self.team.clone(), iat: now };
        // Strings and numbers are always written.
        let part = |json: Result<Vec<u8>, _>| unpadded(&json.unwrap_or_default());
        let signed = format!("{}.{}", part(serde_json::to_vec(&header)), part(serde_json::to_vec(&claims)));
        let signature: Signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", unpadded(&signature.to_bytes()))
    }
}

/// Whose tokens are taken.
#[derive(Clone, Debug)]
pub struct Issuer {
    team: String,
    key_id: String,
    key: VerifyingKey,
}

impl Issuer {
    /// Checks a token at a time in seconds since 1970.
    ///
    /// # Errors
    /// [`Reason::ExpiredProviderToken`] for a right one that is too old; otherwise [`Reason::InvalidProviderToken`].
    pub fn verify(&self, token: &str, now: u64) -> Result<(), Reason> {
        let made = self.made(token).ok_or(Reason::InvalidProviderToken)?;
        match now.checked_sub(made) {
            Some(age) if age <= EXPIRES_AFTER => Ok(()),
            Some(_) => Err(Reason::ExpiredProviderToken),
            // Clocks differ a little.
            None if made - now <= EXPIRES_AFTER => Ok(()),
            None => Err(Reason::InvalidProviderToken),
        }
    }

    /// When a right token was made.
    fn made(&self, token: &str) -> Option<u64> {
        if token.len() > LONGEST {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&base64url_decode(header).ok()?).ok()?;
        let claims: Claims = serde_json::from_slice(&base64url_decode(claims).ok()?).ok()?;
        if header.alg != "ES256" || header.kid != self.key_id || claims.iss != self.team {
            return None;
        }
        let signature = base64url_decode(signature).ok()?;
        let signature =
            Signature::from_slice(&signature).or_else(|_| Signature::from_der(&signature)).ok()?;
        self.key.verify(signed.as_bytes(), &signature).ok()?;
        Some(claims.iat)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn signer(seed: u64) -> Signer {
        Signer::generate("TEAM", "KEY", &mut ChaCha20Rng::seed_from_u64(seed))
    }

    #[test]
    fn a_token_has_the_form_of_jose_and_is_taken_for_an_hour() {
        let mut signer = signer(1);
        let token = signer.token(1_000_000).to_owned();
        let parts: Vec<_> = token.split('.').map(|part| base64url_decode(part).unwrap()).collect();
        assert_eq!(parts[0], br#"{"alg":"ES256","kid":"KEY"}"#);
        assert_eq!(parts[1], br#"{"iss":"TEAM","iat":1000000}"#);
        assert_eq!(parts[2].len(), 64);
        let issuer = signer.verifier();
        assert_eq!(issuer.verify(&token, 1_000_000), Ok(()));
        assert_eq!(issuer.verify(&token, 1_003_600), Ok(()));
        assert_eq!(issuer.verify(&token, 1_003_601), Err(Reason::ExpiredProviderToken));
        assert_eq!(issuer.verify(&token, 999_000), Ok(()), "a clock that is slow");
        assert_eq!(issuer.verify(&token, 990_000), Err(Reason::InvalidProviderToken));
    }

    #[test]
    fn a_token_is_used_again_for_half_an_hour() {
        let mut signer = signer(1);
        let first = signer.token(10_000).to_owned();
        assert_eq!(signer.token(11_799), first);
        assert_ne!(signer.token(11_800), first);
        assert_eq!(signer.token(10_000), first, "one made later than now is not used");
    }

    #[test]
    fn a_signature_in_der_is_taken_as_of_the_deployed_router() {
        let mut signer = signer(1);
        let token = signer.token(5).to_owned();
        let (signed, _) = token.rsplit_once('.').unwrap();
        let signature: Signature = signer.key.sign(signed.as_bytes());
        let der = format!("{signed}.{}", unpadded(signature.to_der().as_bytes()));
        assert_eq!(signer.verifier().verify(&der, 5), Ok(()));
    }

    #[test]
    fn tokens_of_others_are_not_taken() {
        let mut own = signer(1);
        let issuer = own.verifier();
        let mut key = signer(2);
        let mut team = Signer { team: "OTHER".to_owned(), ..own.clone() };
        let mut key_id = Signer { key_id: "OTHER".to_owned(), ..own.clone() };
        for other in [&mut key, &mut team, &mut key_id] {
            assert_eq!(issuer.verify(other.token(5), 5), Err(Reason::InvalidProviderToken));
        }
        assert_eq!(issuer.verify(own.token(5), 5), Ok(()));
    }

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let mut own = signer(1);
        let mut read = Signer::from_pem("TEAM", "KEY", &own.to_pem().unwrap()).unwrap();
        assert_eq!(own.token(5), read.token(5));
        for pem in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert_eq!(Signer::from_pem("TEAM", "KEY", pem).unwrap_err(), KeyError::Form);
        }
    }

    proptest! {
        #[test]
        fn anything_else_is_no_token(token in ".{0,200}", place in 0usize..100, byte in 0u8..128) {
            let mut signer = signer(1);
            let issuer = signer.verifier();
            prop_assert!(issuer.verify(&token, 5).is_err());
            let mut right = signer.token(5).as_bytes().to_vec();
            let place = place % right.len();
            if right[place] != byte {
                right[place] = byte;
                prop_assert!(issuer.verify(&String::from_utf8(right).unwrap(), 5).is_err());
            }
        }
    }
}
