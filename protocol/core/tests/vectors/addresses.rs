//! Addresses of routers and queues as text.

use crate::support;
use sxlab_protocol::crypto::keys::X25519Secret;
use sxlab_protocol::wire::{Host, QueueAddress, QueueMode, Reader, RouterAddress, VersionRange, WireError};

fn router(onion: bool, port: Option<u16>, password: Option<&str>) -> RouterAddress {
    let mut hosts = vec![Host::Domain("smp.example.com".into())];
    hosts.extend(onion.then(|| Host::Onion("abcdefghijklmnop.onion".into())));
    RouterAddress { hosts, port, identity: [9; 32], password: password.map(str::to_owned) }
}

fn queue(router: RouterAddress, mode: Option<QueueMode>) -> QueueAddress {
    QueueAddress {
        router,
        sender_id: [0xa2; 24].into(),
        versions: VersionRange::new(1, 4).unwrap(),
        dh_key: X25519Secret::from_bytes([1; 32]).public(),
        mode,
    }
}

#[test]
fn each_address_both_ways() {
    let Some(vectors) = support::deployed() else { return };
    let both = router(true, Some(5223), None);
    let mut elsewhere = Vec::new();
    for (name, text) in vectors["queue_uris"].as_object().unwrap() {
        let text = text.as_str().unwrap();
        let expected = match name.as_str() {
            "server" => Ok(both.clone()),
            "server_auth" => Ok(router(true, Some(5223), Some("pwd"))),
            "server_default_port" => Ok(router(false, None, None)),
            "messaging" => Err(queue(both.clone(), Some(QueueMode::Messaging))),
            "contact" => Err(queue(router(false, None, None), Some(QueueMode::Contact))),
            "no_mode" => Err(queue(both.clone(), None)),
            _ => {
                elsewhere.push(name.as_str());
                continue;
            }
        };
        match expected {
            Ok(router) => {
                assert_eq!(router.to_string(), text);
                assert_eq!(text.parse(), Ok(router));
            }
            Err(queue) => {
                assert_eq!(queue.to_string(), text);
                assert_eq!(text.parse(), Ok(queue));
            }
        }
    }
    // Connection requests belong to the protocol above this one, but each holds a queue's address in its
    // binary form after `C` or `I`, the range of versions, application data and a count.
    assert_eq!(
        elsewhere,
        ["connreq_contact", "connreq_contact_bin", "connreq_invitation", "connreq_invitation_bin"]
    );
}

#[test]
fn queue_addresses_inside_connection_requests() {
    let Some(vectors) = support::deployed() else { return };
    let uris = &vectors["queue_uris"];
    for (name, expected, tail) in [
        (
            "connreq_contact_bin",
            // Clients of version 1 could not skip the mode, and `F` says no more than nothing.
            queue(router(false, None, None), None),
            &b"1\x00\x07{\"a\":1}"[..],
        ),
        ("connreq_invitation_bin", queue(router(true, Some(5223), None), Some(QueueMode::Messaging)), b"0"),
    ] {
        let bytes = support::hex(&uris[name]);
        let mut r = Reader::new(&bytes);
        r.take(1).unwrap();
        assert_eq!(VersionRange::read(&mut r), VersionRange::new(2, 7));
        assert_eq!(r.u8(), Ok(1));
        let mut before_mode = Vec::new();
        expected.put(&mut before_mode).unwrap();
        assert!(r.remaining().starts_with(&before_mode), "{name}");
        assert_eq!(QueueAddress::read(&mut r), Ok(expected));
        assert!(r.remaining().starts_with(tail), "{name}: {}", hex::encode(r.remaining()));
    }
}

#[test]
fn hosts() {
    for text in ["1.2.3.4", "::1", "2001:db8::5", "smp.example.com", "localhost", "a1b2.onion"] {
        let host: Host = text.parse().unwrap();
        assert_eq!(host.to_string(), text);
    }
    assert_eq!("[2001:db8::5]".parse(), Ok(Host::V6("2001:db8::5".parse().unwrap())));
    assert!(matches!("300.1.1.1".parse(), Ok(Host::Domain(_))));
    for text in ["", "a b", "a,b", "a/b", "a#b", "a;b", "a:b", "Upper.onion", ".onion", "[::1", "é"] {
        assert_eq!(text.parse::<Host>(), Err(WireError::BadText), "{text}");
    }
}

#[test]
fn ports_and_ipv6() {
    let parse = |place: &str| {
        let router: RouterAddress =
            format!("smp://CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk@{place}").parse()?;
        let again: RouterAddress = router.to_string().parse()?;
        assert_eq!(again, router, "{place}");
        Ok::<_, WireError>((router.hosts.len(), router.port))
    };
    assert_eq!(parse("a.b"), Ok((1, None)));
    assert_eq!(parse("a.b:443"), Ok((1, Some(443))));
    assert_eq!(parse("::1"), Ok((1, None)));
    assert_eq!(parse("[::1]"), Ok((1, None)));
    assert_eq!(parse("[::1]:443"), Ok((1, Some(443))));
    assert_eq!(parse("a.b,::1"), Ok((2, None)));
    assert_eq!(parse("::1,a.b"), Ok((2, None)));
    assert_eq!(parse("::1,a.b:443"), Ok((2, Some(443))));
    for place in ["", ":443", "a.b:", "a.b:x", "a.b:70000", "a.b:+1", ",a.b", "a.b,"] {
        assert_eq!(parse(place), Err(WireError::BadText), "{place}");
    }
}

#[test]
fn the_oldest_form_has_just_the_key() {
    let queue = queue(router(false, None, None), None);
    let text = queue.to_string();
    let (place, _) = text.split_once("#/?").unwrap();
    let old = format!("{place}#{}", "MCowBQYDK2VuAyEApOCSkrZRwni5dyxWn1-puxPZBrRqtoyd-dwrRAn4ogk=");
    let versions = VersionRange::only(1);
    assert_eq!(old.parse(), Ok(QueueAddress { versions, ..queue }));
}
