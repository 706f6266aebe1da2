//! TLS and the hellos.

use sxlab_protocol::crypto::certificate::SignedKey;
use sxlab_protocol::crypto::keys::{AuthPublicKey, Ed25519Secret, X25519Public};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::transport::BLOCK_SIZE;
use sxlab_protocol::wire::{Reader, WireError};

use crate::case::{Case, Outcome};
use crate::lab::certificates::{Authorities, KeysOf, bare_signed_key};
use crate::lab::{Door, Failure, Lab, RouterHello, require, require_eq};
use crate::target::Action;

pub(super) const CASES: &[Case] = &[
    Case::new(
        "client-tls.other-identity",
        "A client refuses certificates of another identity than the address names, before any SMP byte.",
        &["smp.transport.identity-check"],
        |lab| {
            let door = lab.door_with(|listen| listen.named = [7; 32])?;
            lab.refuses_certificates(&door)
        },
    )
    .client(),
    Case::new(
        "client-tls.chain-lengths",
        "A client takes two, three and four certificates.",
        &["smp.encoding.long-strings", "smp.transport.certificate-chain"],
        |lab| {
            for authorities in 1..=3 {
                let certified = lab.certified(authorities, KeysOf::Ed25519);
                let door = lab.door_of(&certified)?;
                pings(lab, &door, |_| {})
                    .map_err(|failure| failure.during(&format!("{} certificates", authorities + 1)))?;
            }
            Ok(())
        },
    )
    .client(),
    Case::new(
        "client-tls.wrong-chain-length",
        "A client refuses a single certificate, and five.",
        &["smp.transport.certificate-chain"],
        |lab| {
            for authorities in [0, 4] {
                let certified = lab.certified(authorities, KeysOf::Ed25519);
                let door = lab.door_of(&certified)?;
                lab.refuses_certificates(&door)
                    .map_err(|failure| failure.during(&format!("{} certificates", authorities + 1)))?;
            }
            Ok(())
        },
    )
    .client(),
    Case::new(
        "client-tls.forged-chain",
        "A client refuses a leaf that the identity's certificate did not sign.",
        &["smp.transport.chain-check"],
        |lab| {
            let certified = lab.certified(1, KeysOf::Ed25519).forged();
            let door = lab.door_of(&certified)?;
            lab.refuses_certificates(&door)
        },
    )
    .client(),
    Case::new(
        "client-tls.expired",
        "A client refuses a certificate that has expired.",
        &["smp.transport.certificate-dates", "smp.transport.chain-check"],
        |lab| {
            let authorities = Authorities::new(1, KeysOf::Ed25519, lab.rng());
            let certified =
                authorities.leaf_with(KeysOf::Ed25519, lab.rng(), |leaf| leaf.until = "100101000000Z");
            let door = lab.door_of(&certified)?;
            lab.refuses_certificates(&door)
        },
    )
    .client(),
    Case::new(
        "client-tls.alpn",
        "A client offers smp/1 in TLS.",
        &["smp.transport.alpn-full-range"],
        |lab| {
            let guest = lab.pinging()?;
            let alpn = lab.tls(guest.who)?.alpn.clone();
            require_eq("the application protocol agreed on", alpn, Some(b"smp/1".to_vec()))
        },
    )
    .versions(7, 20)
    .client(),
    Case::new(
        "client-tls.no-server-name",
        "A client names no server in its TLS hello.",
        &["smp.transport.no-server-name"],
        |lab| {
            let guest = lab.pinging()?;
            require_eq("the server that the client names", lab.server_name(guest.who)?, None)
        },
    )
    .client(),
    Case::new(
        "client-tls.default-port",
        "A client connects to port 5223 where the address has no port.",
        &["smp.transport.default-port"],
        |lab| {
            let door = lab.door_with(|listen| listen.default_port = true)?;
            pings(lab, &door, |_| {})
        },
    )
    .client(),
    Case::new(
        "client-tls.no-alpn",
        "With a router that knows no application protocols a client speaks version 6.",
        &["smp.transport.no-alpn"],
        |lab| {
            let door = lab.door_with(|listen| listen.alpn.clear())?;
            pings(lab, &door, |_| {})
        },
    )
    .versions(6, 6)
    .client(),
    Case::new(
        "client-hello.layout",
        "A client's hello fills a block: version, the identity of the address, its key, F for no proxy, 0 for no service.",
        &["smp.versions.v14", "smp.versions.v16", "smp.transport.v6-no-key", 
            "smp.transport.client-hello",
            "smp.transport.block-size",
            "smp.encoding.public-keys",
            "smp.encoding.booleans",
            "smp.encoding.optional-values",
        ],
        layout,
    )
    .client(),
    Case::new(
        "client-hello.waits",
        "A client writes nothing before the router's hello.",
        &["smp.transport.router-hello"],
        |lab| {
            let door = lab.door()?;
            lab.act(&Action::Ping { router: door.address.clone() })?;
            let who = lab.accept(&door)?;
            lab.writes_nothing(who)
        },
    )
    .client(),
    Case::new(
        "client-hello.session-id",
        "A client closes the connection when the session id in the hello is not the connection's.",
        &["smp.transport.session-id"],
        |lab| {
            for changed in [0, 31] {
                refuses(lab, |hello| {
                    if let Some(byte) = hello.session_id.get_mut(changed) {
                        *byte ^= 1;
                    }
                })?;
            }
            refuses(lab, |hello| hello.session_id.clear())
        },
    )
    .client(),
    Case::new(
        "client-hello.other-identity",
        "A client closes the connection when the certificates in the hello have another identity than the address.",
        &["smp.transport.hello-identity"],
        |lab| {
            let other = lab.certified(1, KeysOf::Ed25519);
            refuses(lab, |hello| {
                let Some(key) = key_inside(hello) else { return };
                hello.chain = other.chain;
                hello.signed_key = SignedKey::make(key, other.leaf).as_der().to_vec();
            })
        },
    )
    .versions(7, 20)
    .client(),
    Case::new(
        "client-hello.forged-chain",
        "A client closes the connection when the leaf in the hello is not signed by the identity's certificate.",
        &["smp.transport.chain-check", "smp.transport.hello-identity"],
        |lab| {
            let certified = lab.certified(1, KeysOf::Ed25519);
            let door = lab.door_of(&certified)?;
            let forged = certified.forged();
            lab.refuses_hello(&door, |hello| hello.chain = forged.chain)
        },
    )
    .versions(7, 20)
    .client(),
    Case::new(
        "client-hello.forged-key",
        "A client closes the connection when the router's session key is not signed by its leaf.",
        &["smp.transport.session-key-signature"],
        |lab| {
            let other = Ed25519Secret::generate(lab.rng());
            refuses(lab, |hello| {
                let Some(key) = key_inside(hello) else { return };
                hello.signed_key = SignedKey::make(key, other).as_der().to_vec();
            })?;
            refuses(lab, |hello| {
                if let Some(last) = hello.signed_key.last_mut() {
                    *last ^= 1;
                }
            })
        },
    )
    .versions(7, 20)
    .client(),
    Case::new(
        "client-hello.bare-key-signed",
        "A client closes the connection when the signature covers the session key without its sequence.",
        &["smp.transport.session-key-signature"],
        |lab| {
            let certified = lab.certified(1, KeysOf::Ed25519);
            let door = lab.door_of(&certified)?;
            lab.refuses_hello(&door, |hello| {
                let Some(key) = key_inside(hello) else { return };
                hello.signed_key = bare_signed_key(&key.spki(), &certified.leaf);
            })
        },
    )
    .versions(7, 20)
    .client(),
    Case::new(
        "client-hello.key-type",
        "A client closes the connection when the router's session key is no X25519 key.",
        &["smp.transport.session-key-signature"],
        |lab| {
            let certified = lab.certified(1, KeysOf::Ed25519);
            let door = lab.door_of(&certified)?;
            let key = Ed25519Secret::generate(lab.rng()).public();
            lab.refuses_hello(&door, |hello| {
                hello.signed_key = SignedKey::make(key, certified.leaf).as_der().to_vec();
            })
        },
    )
    .versions(7, 20)
    .client(),
    Case::new(
        "client-hello.ed448",
        "A client takes certificates and a session key that Ed448 keys sign.",
        &["smp.transport.session-key-signature", "smp.transport.chain-check"],
        |lab| {
            // Routers' authorities are what the address names: one for both leaves.
            let authorities = Authorities::new(1, KeysOf::Ed448, lab.rng());
            let in_tls = authorities.leaf(KeysOf::Ed25519, lab.rng());
            let in_hello = authorities.leaf(KeysOf::Ed448, lab.rng());
            let door = lab.door_of(&in_tls)?;
            pings(lab, &door, |hello| {
                let Some(key) = key_inside(hello) else { return };
                hello.chain = in_hello.chain;
                hello.signed_key = SignedKey::make(key, in_hello.leaf).as_der().to_vec();
            })
        },
    )
    .versions(7, 20)
    .client(),
    Case::new(
        "client-hello.tail",
        "A client ignores what follows the known fields of the router's hello.",
        &["smp.transport.hello-tail", "smp.encoding.trailing-bytes"],
        |lab| {
            let door = lab.door()?;
            pings(lab, &door, |hello| hello.tail = b"0 and what later versions may say".to_vec())
        },
    )
    .versions(7, 20)
    .client(),
    Case::new(
        "client-hello.version-choice",
        "A client speaks the greatest version that both sides know.",
        &["smp.transport.version-choice"],
        version_choice,
    )
    .client(),
    Case::new(
        "client-hello.no-common-version",
        "A client closes the connection when it speaks none of the versions offered.",
        &["smp.transport.version-choice"],
        |lab| {
            for versions in [(1, 5), (60_000, 65_535)] {
                refuses(lab, |hello| hello.versions = versions)
                    .map_err(|failure| failure.during(&format!("versions {versions:?}")))?;
            }
            Ok(())
        },
    )
    .client(),
    Case::new(
        "client-hello.reversed-versions",
        "A client closes the connection when the range of versions ends before it begins.",
        &["smp.encoding.version-range"],
        |lab| refuses(lab, |hello| hello.versions = (20, 6)),
    )
    .client(),
    Case::new(
        "client-hello.truncated",
        "A client closes the connection when the hello ends inside a field.",
        &["smp.encoding.lists", "smp.transport.router-hello", "smp.encoding.short-strings"],
        |lab| {
            raw_hello(lab, |content| content.truncate(20))?;
            let cut = lab.layout().handshake_key;
            if cut { refuses_cut(lab) } else { Ok(()) }
        },
    )
    .client(),
    Case::new(
        "client-hello.padding-overflow",
        "A client closes the connection when the hello says that it is longer than its block.",
        &["smp.encoding.padding-overflow"],
        |lab| {
            let door = lab.door()?;
            lab.act(&Action::Ping { router: door.address.clone() })?;
            let who = lab.accept(&door)?;
            let mut block = vec![b'#'; BLOCK_SIZE];
            let content = [&[0xff, 0xff, 0, 6, 0, 6, 32][..], &lab.session_id(who)?].concat();
            block.splice(..content.len(), content);
            lab.write_raw(who, &block)?;
            lab.leaves(who)?;
            lab.fails()
        },
    )
    .client(),
];

/// The session key in a hello.
fn key_inside(hello: &RouterHello) -> Option<X25519Public> {
    match SignedKey::parse(&hello.signed_key).ok()?.key() {
        AuthPublicKey::X25519(key) => Some(*key),
        _ => None,
    }
}

/// The client is asked to ping a new router, whose hello it has to refuse.
fn refuses(lab: &mut Lab<'_>, change: impl FnOnce(&mut RouterHello)) -> Outcome {
    let door = lab.door()?;
    lab.refuses_hello(&door, change)
}

/// The client pings a router with this hello, and gets its PONG.
fn pings(lab: &mut Lab<'_>, door: &Door, change: impl FnOnce(&mut RouterHello)) -> Outcome {
    lab.act(&Action::Ping { router: door.address.clone() })?;
    let visit = lab.visit(door, change)?;
    let guest = lab.welcome(door, visit)?;
    let asked = lab.command_of(guest.who, "PING")?;
    lab.answer_to(guest.who, &asked, &Response::Pong)?;
    lab.succeeds()
}

/// The client is asked to ping a router whose hello's content is changed in its bytes, and has to refuse it.
fn raw_hello(lab: &mut Lab<'_>, change: impl FnOnce(&mut Vec<u8>)) -> Outcome {
    let door = lab.door()?;
    lab.act(&Action::Ping { router: door.address.clone() })?;
    let who = lab.accept(&door)?;
    let mut content = vec![0, 6, 0, 6, 32];
    content.extend(lab.session_id(who)?);
    change(&mut content);
    lab.plain_block(who, &content, "router's hello, changed".to_owned())?;
    lab.leaves(who)?;
    lab.fails()
}

/// The client is asked to ping a router whose hello ends inside its certificates, and has to refuse it.
fn refuses_cut(lab: &mut Lab<'_>) -> Outcome {
    let version = lab.version();
    raw_hello(lab, |content| {
        content.splice(..4, [6_u16.to_be_bytes(), version.to_be_bytes()].concat());
        content.extend([2, 1, 0]);
    })?;
    // A list that must have certificates, without any.
    raw_hello(lab, |content| {
        content.splice(..4, [6_u16.to_be_bytes(), version.to_be_bytes()].concat());
        content.extend([0, 0, 0]);
    })
}

fn layout(lab: &mut Lab<'_>) -> Outcome {
    let door = lab.door()?;
    lab.act(&Action::Ping { router: door.address.clone() })?;
    let (who, _) = lab.visit(&door, |_| {})?;
    let content = lab.raw_client_hello(who)?;
    let mut reader = Reader::new(&content);
    let r = &mut reader;
    let missing = |error: WireError| Failure::Wrong(format!("the client's hello: {error}"));
    let version = r.u16().map_err(missing)?;
    if version < lab.version() {
        return Err(Failure::Unsupported(format!("the client speaks version {version}")));
    }
    require_eq("the version in the client's hello", version, lab.version())?;
    let identity = r.short().map_err(missing)?;
    require(identity == door.address.identity, || "the client's hello names another identity".to_owned())?;
    let layout = lab.layout();
    if layout.handshake_key && r.peek() == Some(0x2c) {
        X25519Public::read(r)
            .map_err(|error| Failure::Wrong(format!("the key in the client's hello: {error}")))?;
    }
    if layout.proxy_flag {
        require_eq("the proxy flag in the client's hello", r.u8().map_err(missing)?, b'F')?;
    }
    if layout.service_in_hello {
        require_eq("the service field in the client's hello", r.u8().map_err(missing)?, b'0')?;
    }
    let rest = r.rest();
    require(rest.is_empty(), || format!("{} bytes follow the fields of the client's hello", rest.len()))
}

/// A client that chooses less than is offered must not speak more: it is offered what is above its choice.
fn version_choice(lab: &mut Lab<'_>) -> Outcome {
    let version = lab.version();
    let door = lab.door()?;
    lab.act(&Action::Ping { router: door.address.clone() })?;
    let (who, own) = lab.visit(&door, |_| {})?;
    let chosen = lab.client_hello(who, own)?.version;
    require((6..=version).contains(&chosen), || {
        format!("the client chose version {chosen}, offered were 6 to {version}")
    })?;
    lab.close(who)?;
    if chosen == version {
        return Ok(());
    }
    let door = lab.door()?;
    lab.act(&Action::Ping { router: door.address.clone() })?;
    let (who, own) = lab.visit(&door, |hello| hello.versions = (chosen + 1, version))?;
    match lab.client_hello(who, own) {
        Ok(hello) => Err(Failure::Wrong(format!(
            "the client chose version {chosen} where it speaks {} too",
            hello.version
        ))),
        Err(_) => Err(Failure::Unsupported(format!("the client speaks no version above {chosen}"))),
    }
}
