//! How values are written.

use sxlab_protocol::crypto::keys::{KeyType, X25519Secret};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::transport::BLOCK_SIZE;
use sxlab_protocol::wire::{CorrId, EntityId, put_short};

use crate::case::{Case, Outcome};
use crate::cases::forms::{contact, keyed};
use crate::lab::queues::send;
use crate::lab::{Failure, Lab, QueueForm, Request, Who, require, require_eq};
use crate::target::Dial;

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "encoding.integers",
        "Versions and lengths have two bytes, the greater one first.",
        &["smp.encoding.integers", "smp.encoding.long-strings"],
        |lab| {
            let who = lab.connect(&Dial::default())?;
            let offer = lab.router_hello(who)?;
            let (versions, _) = offer.content.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
            require(versions[0] == 0 && versions[2] == 0, || {
                format!("the router's hello begins with {versions:?}, which is no range of versions")
            })?;
            lab.hello(who, |_| {})?;
            let queue = lab.queue(who)?;
            // Longer than 255 bytes, so that both bytes of the length count.
            let body = "x".repeat(700);
            let (corr, item) = lab.item(who, &Request::from(send(body.as_str())).of(&queue.sender))?;
            let [high, low] = u16::try_from(item.len()).map_err(Failure::error)?.to_be_bytes();
            lab.write_content(who, &[&[1, high, low][..], &item].concat())?;
            lab.answer(who, &corr)?.ok()?;
            lab.receive(who, &queue, &body).map(|_| ())
        },
    ),
    Case::new(
        "encoding.short-strings",
        "A short string has a length byte and up to 255 bytes.",
        &["smp.encoding.short-strings"],
        |lab| {
            let who = lab.client()?;
            let key = lab.key(KeyType::Ed25519);
            for length in [1, 23, 25, 255] {
                let bytes = vec![0x2d; length];
                let corr = CorrId::new(&bytes).map_err(Failure::error)?;
                let entity = EntityId::new(&bytes).map_err(Failure::error)?;
                let answer = lab.ask(who, Request::from(Command::Sub).of(&entity).by(&key).corr(&corr))?;
                answer.is("ERR AUTH")?;
                answer.addressed(&corr, &entity)?;
            }
            Ok(())
        },
    ),
    Case::new(
        "encoding.short-string-cut",
        "A short string that ends before its length makes a command a syntax error.",
        &["smp.encoding.short-strings"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            for bytes in [&b"ACK "[..], b"ACK \x18short", b"KEY \x2c0*0", b"ACK \x01ab"] {
                let request = Request::bytes(bytes).of(&queue.recipient).by(&queue.key);
                lab.ask(who, request)?.is("ERR CMD SYNTAX")?;
            }
            Ok(())
        },
    ),
    Case::new(
        "encoding.optional-values",
        "An optional value begins with 0 or 1; any other byte is a syntax error.",
        &["smp.encoding.optional-values"],
        |lab| {
            let who = lab.client()?;
            let mut router = Vec::new();
            lab.address()?.put(&mut router).map_err(Failure::error)?;
            for ending in [&b""[..], b"2", b"T", b"\0", b"\x01", b"1", b"00", b"1\x05abc"] {
                let prxy = [b"PRXY ", router.as_slice(), ending].concat();
                let during = ending.escape_ascii().to_string();
                lab.ask(who, Request::bytes(prxy))?
                    .is("ERR CMD SYNTAX")
                    .map_err(|failure| failure.during(&during))?;
            }
            Ok(())
        },
    ),
    Case::new(
        "encoding.booleans",
        "A truth value is T or F; any other letter is a syntax error.",
        &["smp.encoding.booleans"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            for letter in ["X", "t", "f", "0", "1", "\0", "\u{1}"] {
                let sent = Request::bytes(format!("SEND {letter} hello")).of(&queue.sender);
                lab.ask(who, sent)?
                    .is("ERR CMD SYNTAX")
                    .map_err(|failure| failure.of_known_command().during(letter))?;
            }
            for letter in ["T", "F"] {
                lab.ask(who, Request::bytes(format!("SEND {letter} hello")).of(&queue.sender))?.ok()?;
            }
            Ok(())
        },
    ),
    Case::new(
        "encoding.boolean-in-new",
        "Whether the sender may secure the queue is T or F, and IDS says the same.",
        &["smp.encoding.booleans", "smp.versions.v9"],
        |lab| {
            let who = lab.client()?;
            for (letter, expected) in
                [(b'T', true), (b'F', true), (b'M', false), (b'0', false), (b't', false)]
            {
                let (key, dh) = (lab.key(KeyType::Ed25519), X25519Secret::generate(lab.rng()));
                let mut new = b"NEW ".to_vec();
                key.public().put(&mut new);
                dh.public().put(&mut new);
                new.extend_from_slice(&[b'0', b'C', letter]);
                let answer = lab.ask(who, Request::bytes(new).by(&key))?;
                answer.is(if expected { "IDS" } else { "ERR CMD SYNTAX" })?;
                if expected {
                    require_eq("the last letter of IDS", answer.bytes.last(), Some(&letter))?;
                }
            }
            Ok(())
        },
    )
    .versions(9, 14),
    Case::new(
        "encoding.lists",
        "A list of keys has a count byte, which is not zero and says how many follow.",
        &["smp.encoding.lists"],
        lists,
    ),
    Case::new(
        "encoding.public-keys",
        "A key is its SubjectPublicKeyInfo in a short string; anything else is a syntax error.",
        &["smp.encoding.public-keys", "smp.encoding.trailing-bytes"],
        public_keys,
    ),
    Case::new(
        "encoding.x25519-keys",
        "X25519 keys authorize, written as SubjectPublicKeyInfo.",
        &["smp.encoding.public-keys", "smp.versions.v7"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue_of(who, &keyed(KeyType::X25519))?;
            lab.subscribe(who, &queue)
        },
    )
    .versions(7, 20),
    Case::new(
        "encoding.padding",
        "What fills up a block is not looked at; what the router fills up with is #.",
        &["smp.encoding.padding"],
        |lab| {
            let who = unencrypted(lab)?;
            let (_, ping) = lab.item(who, &Command::Ping.into())?;
            for filler in [0, b'#', 0xff] {
                let length = u8::try_from(3 + ping.len()).map_err(Failure::error)?;
                let item = u8::try_from(ping.len()).map_err(Failure::error)?;
                let mut block = [&[0, length, 1, 0, item][..], &ping].concat();
                block.resize(BLOCK_SIZE, filler);
                lab.write_raw(who, &block)?;
                let answer = lab.read_raw(who)?;
                let (length, rest) = answer.split_first_chunk::<2>().unwrap_or((&[0; 2], &[]));
                let padding = rest.get(usize::from(u16::from_be_bytes(*length))..).unwrap_or_default();
                require(rest.windows(4).any(|bytes| bytes == b"PONG"), || "no PONG came".to_owned())?;
                require(!padding.is_empty() && padding.iter().all(|byte| *byte == b'#'), || {
                    "the block is not filled up with #".to_owned()
                })?;
            }
            Ok(())
        },
    ),
    Case::new(
        "encoding.padding-overflow",
        "A block whose length goes beyond its end is answered by ERR BLOCK, and the session goes on.",
        &["smp.encoding.padding-overflow", "smp.transport.unreadable-batch"],
        |lab| {
            let who = unencrypted(lab)?;
            for length in [[0xff, 0xff], [0x3f, 0xff]] {
                let mut block = length.to_vec();
                block.resize(BLOCK_SIZE, b'#');
                lab.write_raw(who, &block)?;
                let answer = lab.next(who)?;
                answer.is("ERR BLOCK")?;
                answer.addressed(&CorrId::EMPTY, &EntityId::EMPTY)?;
            }
            lab.ask(who, Command::Ping)?.is("PONG")
        },
    ),
    Case::new(
        "encoding.trailing-bytes",
        "Bytes after a command make it a syntax error, those after the fields of a hello are ignored.",
        &["smp.encoding.trailing-bytes"],
        |lab| {
            let who = lab.client_with(&Dial::default(), |hello| hello.tail = vec![0xff; 100])?;
            let queue = lab.queue(who)?;
            for bytes in ["SUB\0", "SUB x", "OFF x", "DEL ", "GET 0", "QUE {}", "NDEL x", "LDEL x"] {
                let answer = lab.ask(who, Request::bytes(bytes).of(&queue.recipient).by(&queue.key))?;
                let expected = if bytes.contains(' ') { "ERR CMD SYNTAX" } else { "ERR CMD UNKNOWN" };
                answer.is(expected).map_err(|failure| failure.during(bytes))?;
            }
            lab.ask(who, Request::from(Command::Ping).tail(*b" x"))?.is("ERR CMD SYNTAX")?;
            lab.subscribe(who, &queue)
        },
    ),
    Case::new(
        "encoding.version-range",
        "A proxy takes a relay's hello for malformed when its least version is above its greatest.",
        &["smp.encoding.version-range"],
        |lab| {
            let who = lab.client()?;
            let door = lab.door()?;
            let corr = lab.post_prxy(who, &door.address, None)?;
            let relay = lab.accept(&door)?;
            lab.greet(relay, &door, |hello| hello.versions = (20, 8))?;
            let answer = lab.answer(who, &corr)?;
            require(answer.text().starts_with("ERR PROXY BROKER "), || {
                format!("PRXY is answered by {}, expected ERR PROXY BROKER", answer.text())
            })
        },
    )
    .versions(8, 20),
];

/// A session whose blocks are not encrypted.
fn unencrypted(lab: &mut Lab<'_>) -> Result<Who, Failure> {
    lab.client_with(&Dial::default(), |hello| hello.key = None)
}

fn lists(lab: &mut Lab<'_>) -> Outcome {
    let who = lab.client()?;
    let form = if lab.version() >= 9 { contact() } else { QueueForm::default() };
    let queue = lab.queue_of(who, &form)?;
    let mut key = Vec::new();
    queue.key.public().put(&mut key);
    for (count, keys) in [(0, 0), (0, 1), (1, 0), (2, 1), (1, 2), (255, 3)] {
        let rkey = [b"RKEY ", &[count][..], &key.repeat(keys)].concat();
        let request = Request::bytes(rkey).of(&queue.recipient).by(&queue.key);
        let during = format!("a count of {count} before {keys} keys");
        lab.ask(who, request)?.is("ERR CMD SYNTAX").map_err(|failure| failure.during(&during))?;
    }
    if lab.version() >= 15 {
        let rkey = [b"RKEY ", &[2][..], &key.repeat(2)].concat();
        lab.ask(who, Request::bytes(rkey).of(&queue.recipient).by(&queue.key))?.ok()?;
    }
    Ok(())
}

fn public_keys(lab: &mut Lab<'_>) -> Outcome {
    let who = lab.client()?;
    let queue = lab.queue(who)?;
    let spki = lab.key(KeyType::Ed25519).public().spki();
    let (header, raw) = spki.split_at_checked(12).unwrap_or((&spki, &[]));
    let mut other_algorithm = spki.clone();
    // The last byte of the object identifier 1.3.101.112: 113 has 57 bytes, 109 is nothing.
    if let Some(byte) = other_algorithm.get_mut(8) {
        *byte = 0x6d;
    }
    let wrong = [
        ("a bare key", raw.to_vec()),
        ("a key that is cut", spki.get(..43).unwrap_or_default().to_vec()),
        ("a key with a tail", [spki.as_slice(), b"x"].concat()),
        ("no key", Vec::new()),
        ("only a header", header.to_vec()),
        ("a key of another algorithm", other_algorithm),
    ];
    for (what, bytes) in wrong {
        let mut command = b"KEY ".to_vec();
        put_short(&mut command, &bytes).map_err(Failure::error)?;
        let request = Request::bytes(command).of(&queue.recipient).by(&queue.key);
        lab.ask(who, request)?.is("ERR CMD SYNTAX").map_err(|failure| failure.during(what))?;
    }
    let mut command = b"KEY ".to_vec();
    put_short(&mut command, &spki).map_err(Failure::error)?;
    lab.ask(who, Request::bytes(command).of(&queue.recipient).by(&queue.key))?.ok()
}
