//! Tokens of devices: registering, verifying, checking, replacing, deleting, and periodic pushes.

use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType, X25519Secret};
use sxlab_protocol::ntf::command::{DeviceToken, Provider};
use sxlab_protocol::ntf::device::{Device, Pushed};
use sxlab_protocol::ntf::response::Response;

use crate::case::Case;
use crate::lab::{Failure, SECOND, require, require_eq};
use crate::ntf::{Answer, NtfLab, active, messages, queue, token};

const MINUTE: u64 = 60 * SECOND;

/// Its cases.
pub(crate) const CASES: &[Case] = &[
    Case::ntf(
        "ntf-tokens.life",
        "A token is registered, confirmed when its code is taken, and active when the code came back.",
        &[
            "ntf.token.register",
            "ntf.token.code",
            "ntf.token.verify",
            "ntf.token.check",
            "ntf.token.confirmed",
        ],
        |lab| {
            let who = lab.client()?;
            let mut phone = lab.device("phone")?;
            lab.register(who, &mut phone)?;
            lab.token_is(who, &mut phone, "REGISTERED")?;
            require_eq("what is pushed", lab.deliver(&mut phone)?, Pushed::Code)?;
            lab.token_is(who, &mut phone, "CONFIRMED")?;
            let asked = phone.verify();
            lab.tell(who, &mut phone, asked)?.is("OK")?;
            lab.token_is(who, &mut phone, "ACTIVE")?;
            lab.no_push()
        },
    ),
    Case::ntf(
        "ntf-tokens.key-types",
        "A token's key may be Ed25519, Ed448 or, where the router gave a session key, X25519.",
        &["ntf.token.register"],
        |lab| {
            let who = lab.client()?;
            for key_type in [KeyType::Ed25519, KeyType::Ed448, KeyType::X25519] {
                let mut phone = Device::new(token("phone")?, key_type, lab.rng());
                lab.register(who, &mut phone)?;
                lab.deliver(&mut phone)?;
                let asked = phone.verify();
                lab.tell(who, &mut phone, asked)?.is("OK")?;
                lab.token_is(who, &mut phone, "ACTIVE")?;
            }
            Ok(())
        },
    ),
    Case::ntf(
        "ntf-tokens.wrong-signature",
        "TNEW has to be authorized with the key that it has.",
        &["ntf.token.register", "ntf.session.authorization"],
        |lab| {
            let who = lab.client()?;
            let asked = lab.device("phone")?.register();
            let other = lab.key(KeyType::Ed25519);
            lab.ask(who, &asked.entity, &asked.command, Some(&other))?.is("ERR AUTH")?;
            lab.no_push()
        },
    ),
    Case::ntf(
        "ntf-tokens.providers",
        "Tokens of Apple's two providers are taken and pushed to, the one for nobody counts as pushed to, and the one for tests is prohibited.",
        &["ntf.token.provider"],
        |lab| {
            let who = lab.client()?;
            for (provider, expected, pushes) in [
                (Provider::ApnsDev, "IDTKN", true),
                (Provider::ApnsProd, "IDTKN", true),
                (Provider::ApnsNull, "IDTKN", false),
                (Provider::ApnsTest, "ERR CMD PROHIBITED", false),
            ] {
                let of = DeviceToken { provider, ..token("phone")? };
                let mut phone = Device::new(of, KeyType::Ed25519, lab.rng());
                let asked = Some(phone.register());
                lab.tell(who, &mut phone, asked)?.is(expected)?;
                if pushes {
                    lab.deliver(&mut phone)?;
                }
                lab.no_push()?;
            }
            let mut phone = active(lab, who, "other")?;
            let test = DeviceToken { provider: Provider::ApnsTest, ..token("other")? };
            let asked = phone.replace(test);
            lab.tell(who, &mut phone, asked)?.is("ERR CMD PROHIBITED")
        },
    ),
    Case::ntf(
        "ntf-tokens.register-again",
        "TNEW once more gives the same id and key, and the same code is pushed again, whatever the state.",
        &["ntf.token.register-again"],
        |lab| {
            let who = lab.client()?;
            let mut phone = lab.device("phone")?;
            let asked = phone.register();
            let first = lab.tell(who, &mut phone, Some(asked.clone()))?;
            lab.deliver(&mut phone)?;
            let code = phone.verify().map(|asked| asked.command);
            for _ in 0..2 {
                let again = lab.tell(who, &mut phone, Some(asked.clone()))?;
                require_eq("the answer to TNEW again", same(&again), same(&first))?;
                require_eq("what is pushed", lab.deliver(&mut phone)?, Pushed::Code)?;
                require_eq("the code", phone.verify().map(|asked| asked.command), code.clone())?;
                let asked = phone.verify();
                lab.tell(who, &mut phone, asked)?.is("OK")?;
            }
            let again = lab.tell(who, &mut phone, Some(asked))?;
            require_eq("the answer to TNEW again", same(&again), same(&first))?;
            lab.token_is(who, &mut phone, "ACTIVE")?;
            lab.deliver(&mut phone)?;
            lab.token_is(who, &mut phone, "ACTIVE")
        },
    ),
    Case::ntf(
        "ntf-tokens.invalid-again",
        "TNEW of an invalid token registers it again, and it becomes active with its code.",
        &["ntf.token.register-again"],
        |lab| {
            let who = lab.client()?;
            let mut phone = lab.device("phone")?;
            lab.register(who, &mut phone)?;
            let push = lab.push()?;
            lab.respond(&push, 410, "Unregistered");
            lab.register(who, &mut phone)?;
            lab.token_is(who, &mut phone, "REGISTERED")?;
            lab.deliver(&mut phone)?;
            let asked = phone.verify();
            lab.tell(who, &mut phone, asked)?.is("OK")?;
            lab.token_is(who, &mut phone, "ACTIVE")
        },
    ),
    Case::ntf(
        "ntf-tokens.other-dh-key",
        "TNEW of a registered token with another key for pushes is refused.",
        &["ntf.token.register-other-dh"],
        |lab| {
            let who = lab.client()?;
            let key = lab.key(KeyType::Ed25519);
            let device = |lab: &mut NtfLab, key: &AuthSecretKey| -> Result<Device, Failure> {
                let dh = X25519Secret::generate(lab.rng());
                Ok(Device::with_keys(token("phone")?, key.clone(), dh))
            };
            let (mut phone, mut other) = (device(lab, &key)?, device(lab, &key)?);
            lab.register(who, &mut phone)?;
            lab.deliver(&mut phone)?;
            let asked = Some(other.register());
            lab.tell(who, &mut other, asked)?.is("ERR AUTH")?;
            lab.no_push()
        },
    ),
    Case::ntf(
        "ntf-tokens.second",
        "The same device token with another key is another token, and verifying one deletes the other.",
        &["ntf.token.second"],
        |lab| {
            let who = lab.client()?;
            let (mut first, mut second) = (active(lab, who, "phone")?, lab.device("phone")?);
            lab.register(who, &mut second)?;
            require(first.id() != second.id(), || "two keys have the same token id".to_owned())?;
            lab.token_is(who, &mut first, "ACTIVE")?;
            lab.deliver(&mut second)?;
            let asked = second.verify();
            lab.tell(who, &mut second, asked)?.is("OK")?;
            let asked = first.check();
            lab.tell(who, &mut first, asked)?.is("ERR AUTH")?;
            lab.token_is(who, &mut second, "ACTIVE")
        },
    ),
    Case::ntf(
        "ntf-tokens.verify",
        "TVFY takes the code, once and again, and no other.",
        &["ntf.token.verify"],
        |lab| {
            let who = lab.client()?;
            let mut phone = lab.device("phone")?;
            lab.register(who, &mut phone)?;
            let push = lab.push()?;
            crate::ntf::open(&mut phone, &push)?;
            let verify = phone.verify().ok_or_else(|| Failure::error("no code"))?;
            for code in [&b"TVFY \x00"[..], b"TVFY \x01x", &[b"TVFY \x20", &[7; 32][..]].concat()] {
                lab.raw(who, &verify.entity, code, Some(&verify.key))?.is("ERR AUTH")?;
            }
            lab.token_is(who, &mut phone, "REGISTERED")?;
            // The code may be back before the provider's answer.
            for _ in 0..2 {
                lab.tell(who, &mut phone, Some(verify.clone()))?.is("OK")?;
            }
            lab.token_is(who, &mut phone, "ACTIVE")?;
            lab.raw(who, &verify.entity, b"TVFY \x01x", Some(&verify.key))?.is("ERR AUTH")?;
            lab.respond(&push, 200, "");
            lab.token_is(who, &mut phone, "ACTIVE")
        },
    ),
    Case::ntf(
        "ntf-tokens.verify-invalid",
        "The code of an invalid token is refused.",
        &["ntf.token.verify"],
        |lab| {
            let who = lab.client()?;
            let mut phone = lab.device("phone")?;
            lab.register(who, &mut phone)?;
            let push = lab.push()?;
            crate::ntf::open(&mut phone, &push)?;
            lab.respond(&push, 400, "BadDeviceToken");
            let asked = phone.verify();
            lab.tell(who, &mut phone, asked)?.is("ERR AUTH")
        },
    ),
    Case::ntf(
        "ntf-tokens.invalid-reason",
        "Why a token is invalid is said from version 3 on.",
        &["ntf.token.invalid-reason", "ntf.token.check", "ntf.push.refused"],
        |lab| {
            let who = lab.client()?;
            for (number, (status, reason, told)) in [
                (400, "BadDeviceToken", "BAD"),
                (400, "DeviceTokenNotForTopic", "TOPIC"),
                (410, "ExpiredToken", "EXPIRED"),
                (410, "Unregistered", "UNREGISTERED"),
            ]
            .into_iter()
            .enumerate()
            {
                let mut phone = lab.device(&format!("phone {number}"))?;
                lab.register(who, &mut phone)?;
                let push = lab.push()?;
                lab.respond(&push, status, reason);
                lab.no_push()?;
                let expected =
                    if lab.version() >= 3 { format!("INVALID,{told}") } else { "INVALID".to_owned() };
                lab.token_is(who, &mut phone, &expected)?;
            }
            Ok(())
        },
    ),
    Case::ntf(
        "ntf-tokens.replace",
        "TRPL keeps id and subscriptions, pushes another code to the new token, and needs TVFY.",
        &["ntf.token.replace"],
        |lab| {
            let who = lab.client()?;
            let (mut phone, no) = lab.subscribed(who, 1)?;
            let (id, former) = (phone.id().cloned(), phone.verify());
            let asked = phone.replace(token("new")?);
            lab.tell(who, &mut phone, asked)?.is("OK")?;
            lab.token_is(who, &mut phone, "REGISTERED")?;
            lab.tell(who, &mut phone, former)?.is("ERR AUTH")?;
            lab.deliver(&mut phone)?;
            lab.token_is(who, &mut phone, "CONFIRMED")?;
            let asked = phone.verify();
            lab.tell(who, &mut phone, asked)?.is("OK")?;
            lab.token_is(who, &mut phone, "ACTIVE")?;
            require_eq("the token's id", phone.id().cloned(), id)?;
            let q = queue(1, 1)?;
            lab.subscription_is(who, &mut phone, &q, "ACTIVE")?;
            lab.notify(no, &q, 1)?;
            require_eq("the messages", messages(lab.deliver(&mut phone)?)?, vec![(1, 1)])
        },
    ),
    Case::ntf(
        "ntf-tokens.delete",
        "TDEL removes the token and its subscriptions.",
        &["ntf.token.delete"],
        |lab| {
            let who = lab.client()?;
            let (mut phone, no) = lab.subscribed(who, 1)?;
            let q = queue(1, 1)?;
            let again = [phone.check(), phone.delete(), phone.check_subscription(&q), phone.subscribe(&q)];
            let asked = phone.delete();
            lab.tell(who, &mut phone, asked)?.is("OK")?;
            for asked in again {
                lab.tell(who, &mut phone, asked)?.is("ERR AUTH")?;
            }
            lab.notify(no, &q, 1)?;
            lab.no_push()?;
            // The queue is nobody's now.
            let mut other = active(lab, who, "other")?;
            lab.subscribe(who, &mut other, &q)
        },
    ),
    Case::ntf(
        "ntf-tokens.delete-and-register",
        "A deleted token is registered as a new one.",
        &["ntf.token.delete", "ntf.token.register"],
        |lab| {
            let who = lab.client()?;
            let mut phone = active(lab, who, "phone")?;
            let id = phone.id().cloned();
            let asked = phone.delete();
            lab.tell(who, &mut phone, asked)?.is("OK")?;
            lab.register(who, &mut phone)?;
            require(phone.id().cloned() != id, || "the id of a deleted token is given again".to_owned())?;
            lab.token_is(who, &mut phone, "REGISTERED")
        },
    ),
    Case::ntf(
        "ntf-tokens.period",
        "TCRN takes no period and 20 minutes or more, and refuses 1 to 19.",
        &["ntf.token.period"],
        |lab| {
            let who = lab.client()?;
            let mut phone = active(lab, who, "phone")?;
            for minutes in [20, 21, u16::MAX, 0] {
                let asked = phone.set_period(minutes);
                lab.tell(who, &mut phone, asked)?.is("OK")?;
            }
            for minutes in [1, 2, 19] {
                let asked = phone.set_period(minutes);
                lab.tell(who, &mut phone, asked)?.is("ERR QUOTA")?;
            }
            Ok(())
        },
    ),
    Case::ntf(
        "ntf-tokens.periodic",
        "A push to check is made when the period is over and not before, again and again until TCRN 0.",
        &["ntf.token.periodic", "ntf.push.form"],
        |lab| {
            let who = lab.client()?;
            let mut phone = active(lab, who, "phone")?;
            lab.pass(60 * MINUTE);
            lab.no_push()?;
            let asked = phone.set_period(30);
            lab.tell(who, &mut phone, asked)?.is("OK")?;
            for _ in 0..3 {
                lab.pass(29 * MINUTE);
                lab.no_push()?;
                // One that is not answered would be made again at the next look.
                for _ in 0..8 {
                    if !lab.is_pushed() {
                        lab.pass(MINUTE);
                    }
                }
                require_eq("what is pushed", lab.deliver(&mut phone)?, Pushed::Check)?;
                lab.no_push()?;
            }
            let asked = phone.set_period(0);
            lab.tell(who, &mut phone, asked)?.is("OK")?;
            lab.pass(120 * MINUTE);
            lab.no_push()
        },
    ),
    Case::ntf(
        "ntf-tokens.periodic-inactive",
        "Tokens that are not active get no periodic pushes.",
        &["ntf.token.periodic"],
        |lab| {
            let who = lab.client()?;
            let mut phone = lab.device("phone")?;
            lab.register(who, &mut phone)?;
            lab.deliver(&mut phone)?;
            let asked = phone.set_period(20);
            lab.tell(who, &mut phone, asked)?.is("OK")?;
            lab.pass(120 * MINUTE);
            lab.no_push()
        },
    ),
    Case::ntf(
        "ntf-tokens.kept",
        "Tokens are what they were after a restart.",
        &["ntf.token.check", "ntf.token.periodic"],
        |lab| {
            let who = lab.client()?;
            let mut phone = active(lab, who, "phone")?;
            let asked = phone.set_period(20);
            lab.tell(who, &mut phone, asked)?.is("OK")?;
            lab.restart(|_| {})?;
            let who = lab.client()?;
            lab.token_is(who, &mut phone, "ACTIVE")?;
            let asked = phone.verify();
            lab.tell(who, &mut phone, asked)?.is("OK")?;
            lab.pass(30 * MINUTE);
            require_eq("what is pushed", lab.deliver(&mut phone)?, Pushed::Check)
        },
    ),
    Case::ntf(
        "ntf-tokens.ping-and-check",
        "Commands of one block find what was there before it.",
        &["ntf.token.check"],
        |lab| {
            let who = lab.client()?;
            let mut phone = lab.device("phone")?;
            lab.register(who, &mut phone)?;
            lab.deliver(&mut phone)?;
            let mut items = Vec::new();
            for asked in [phone.verify(), phone.check()].into_iter().flatten() {
                let (corr, mut bytes) = (lab.corr(), Vec::new());
                asked.command.encode(&mut bytes).map_err(Failure::error)?;
                items.push(lab.item(who, &corr, &asked.entity, &bytes, Some(&asked.key))?);
            }
            lab.post(who, &items)?;
            let answers: Vec<_> = lab.answers(who)?.iter().map(Answer::to_string).collect();
            require_eq("the answers", answers, vec!["OK".to_owned(), "TKN CONFIRMED".to_owned()])?;
            lab.token_is(who, &mut phone, "ACTIVE")
        },
    )
    .versions(2, 3),
];

/// What IDTKN says.
fn same(answer: &Answer) -> Option<(Vec<u8>, Vec<u8>)> {
    match &answer.response {
        Response::IdTkn { id, dh_key } => Some((id.as_bytes().to_vec(), dh_key.spki())),
        _ => None,
    }
}
