//! TLS, as a client sees it that looks at more than ordinary ones do.

use crate::case::{Case, Outcome};
use crate::lab::certificates::KeysOf;
use crate::lab::{Failure, Lab, require, require_eq};
use crate::target::{Look, Looked};

/// TLS_CHACHA20_POLY1305_SHA256 and X25519, as TLS numbers them.
const CHACHA20_POLY1305: u16 = 0x1303;
const X25519: u16 = 0x001d;

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "tls.parameters",
        "A client that offers TLS 1.3 with ChaCha20-Poly1305, X25519, Ed25519 and Ed448 alone is connected and greeted.",
        &["smp.transport.tls-parameters"],
        |lab| {
            let looked = greeted(lab, &Look::default())?;
            require_eq("the cipher suite", looked.suite, Some(CHACHA20_POLY1305))?;
            require_eq("the group of the key exchange", looked.group, Some(X25519))
        },
    ),
    Case::new(
        "tls.certificate-request",
        "The router asks for a certificate in TLS and greets a client that has none.",
        &["smp.transport.client-certificate-request"],
        |lab| {
            let looked = greeted(lab, &Look::default())?;
            require(looked.certificate_requested, || "the router asks for no certificate".to_owned())
        },
    ),
    Case::new(
        "tls.no-tickets",
        "The router gives out no session tickets, and a second connection is a full handshake.",
        &["smp.transport.no-resumption"],
        |lab| {
            let looked = greeted(lab, &Look::default())?;
            require_eq("the number of session tickets", looked.tickets, 0)?;
            require(!looked.resumed, || "the second connection resumes the first one's session".to_owned())
        },
    ),
    Case::new(
        "tls.client-chain",
        "A client with one to four certificates is greeted; with five, or a forged one, it is refused in TLS.",
        &["smp.service.chain-too-long", "smp.service.chain"],
        client_chain,
    )
    .versions(16, 20),
];

fn greeted(lab: &mut Lab<'_>, how: &Look) -> Result<Looked, Failure> {
    let looked = lab.look(how)?.map_err(|refused| Failure::Wrong(format!("TLS: {refused}")))?;
    require(looked.greeted, || "no hello of the router follows TLS".to_owned())?;
    Ok(looked)
}

fn client_chain(lab: &mut Lab<'_>) -> Outcome {
    for authorities in 0..=3 {
        let identity = lab.certified(authorities, KeysOf::Ed25519).identity()?;
        greeted(lab, &Look { identity: Some(identity) })
            .map_err(|failure| failure.during(&format!("{} certificates", authorities + 1)))?;
    }
    let five = lab.certified(4, KeysOf::Ed25519);
    let forged = lab.certified(1, KeysOf::Ed25519).forged();
    for (what, certified) in [("five certificates", five), ("a forged certificate", forged)] {
        // TLS 1.3 is done at the client's end before the router has seen its certificates.
        let looked = lab.look(&Look { identity: Some(certified.identity()?) })?;
        require(!looked.is_ok_and(|looked| looked.greeted), || format!("a client with {what} is greeted"))?;
    }
    Ok(())
}
