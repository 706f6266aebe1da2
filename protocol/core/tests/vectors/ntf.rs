//! What the deployed notification router and its clients were seen to encode, at every version, both ways.

use crate::support;
use serde_json::Value;
use sxlab_protocol::crypto::SharedSecret;
use sxlab_protocol::crypto::keys::*;
use sxlab_protocol::ntf::command::*;
use sxlab_protocol::ntf::handshake::{BLOCK_SIZE, RouterHello};
use sxlab_protocol::ntf::push::{self, Notification, Push};
use sxlab_protocol::ntf::response::Response;
use sxlab_protocol::ntf::status::{InvalidReason, SubscriptionStatus, TokenStatus};
use sxlab_protocol::ntf::version::{Layout, MAX, MIN};
use sxlab_protocol::smp::envelope::NotificationMeta;
use sxlab_protocol::smp::error::SmpError;
use sxlab_protocol::wire::{EntityId, base64url_decode};

fn x25519(byte: u8) -> X25519Secret {
    X25519Secret::from_bytes([byte; 32])
}

fn queue() -> NotifierQueue {
    let router =
        "smp://CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=@smp.example.com,abcdefghijklmnop.onion:5223";
    NotifierQueue { router: router.parse().unwrap(), notifier: [0xa3; 24].into() }
}

fn command(name: &str) -> Command {
    let device = |provider| DeviceToken { provider, name: EntityId::new(b"abcd").unwrap() };
    let register = |provider| {
        let auth_key = Ed25519Secret::from_seed([4; 32]).public().into();
        Command::TNew(Box::new(NewToken { device: device(provider), auth_key, dh_key: x25519(1).public() }))
    };
    let subscribe = |key: AuthSecretKey| {
        Command::SNew(Box::new(NewSubscription { token: [0xc1; 24].into(), queue: queue(), key }))
    };
    match name {
        "TNEW PPApnsDev" => register(Provider::ApnsDev),
        "TNEW PPApnsProd" => register(Provider::ApnsProd),
        "TNEW PPApnsTest" => register(Provider::ApnsTest),
        "TNEW PPApnsNull" => register(Provider::ApnsNull),
        "TVFY" => Command::TVfy([1; 32].into()),
        "TCHK" => Command::TChk,
        "TRPL" => Command::TRpl(device(Provider::ApnsProd)),
        "TDEL" => Command::TDel,
        "TCRN" => Command::TCrn(20),
        "SNEW" => subscribe(Ed25519Secret::from_seed([4; 32]).into()),
        "SNEW x25519" => subscribe(x25519(1).into()),
        "SCHK" => Command::SChk,
        "SDEL" => Command::SDel,
        "PING" => Command::Ping,
        other => panic!("no test for {other}"),
    }
}

fn response(name: &str) -> Response {
    let invalid = |reason| Response::Tkn(TokenStatus::Invalid(reason));
    match name {
        "IDTKN" => Response::IdTkn { id: [0xc1; 24].into(), dh_key: x25519(1).public() },
        "IDSUB" => Response::IdSub([0xc2; 24].into()),
        "OK" => Response::Ok,
        "ERR AUTH" => Response::Err(SmpError::Auth),
        "PONG" => Response::Pong,
        "TKN NTNew" => Response::Tkn(TokenStatus::New),
        "TKN NTRegistered" => Response::Tkn(TokenStatus::Registered),
        "TKN NTInvalid Nothing" => invalid(None),
        "TKN NTInvalid (Just NTIRBadToken)" => invalid(Some(InvalidReason::Bad)),
        "TKN NTInvalid (Just NTIRTokenNotForTopic)" => invalid(Some(InvalidReason::Topic)),
        "TKN NTInvalid (Just NTIRExpiredToken)" => invalid(Some(InvalidReason::Expired)),
        "TKN NTInvalid (Just NTIRUnregistered)" => invalid(Some(InvalidReason::Unregistered)),
        "TKN NTConfirmed" => Response::Tkn(TokenStatus::Confirmed),
        "TKN NTActive" => Response::Tkn(TokenStatus::Active),
        "TKN NTExpired" => Response::Tkn(TokenStatus::Expired),
        "SUB NSNew" => Response::Sub(SubscriptionStatus::New),
        "SUB NSPending" => Response::Sub(SubscriptionStatus::Pending),
        "SUB NSActive" => Response::Sub(SubscriptionStatus::Active),
        "SUB NSInactive" => Response::Sub(SubscriptionStatus::Inactive),
        "SUB NSEnd" => Response::Sub(SubscriptionStatus::End),
        "SUB NSDeleted" => Response::Sub(SubscriptionStatus::Deleted),
        "SUB NSAuth" => Response::Sub(SubscriptionStatus::Auth),
        "SUB NSService" => Response::Sub(SubscriptionStatus::Service),
        "SUB NSErr \"err\"" => Response::Sub(SubscriptionStatus::Err("err".to_owned())),
        other => panic!("no test for {other}"),
    }
}

#[test]
fn each_command() {
    let Some(vectors) = support::deployed() else { return };
    let entries = vectors["ntf"]["commands"].as_array().unwrap();
    for entry in entries {
        let name = entry["name"].as_str().unwrap();
        let (command, bytes) = (command(name), support::hex(&entry["hex"]));
        let mut out = Vec::new();
        command.encode(&mut out).unwrap();
        assert_eq!(hex::encode(out), hex::encode(&bytes), "{name}");
        assert_eq!(Command::decode(&bytes), Ok(command), "{name}");
    }
    assert_eq!(entries.len(), 14);
}

#[test]
fn each_response_at_each_version() {
    let Some(vectors) = support::deployed() else { return };
    let entries = vectors["ntf"]["responses"].as_array().unwrap();
    for entry in entries {
        let name = entry["name"].as_str().unwrap();
        let response = response(name);
        for (version, bytes) in support::at_versions(entry, MIN..=MAX) {
            let mut out = Vec::new();
            response.encode(&Layout::of(version), &mut out).unwrap();
            assert_eq!(hex::encode(out), hex::encode(&bytes), "{name} at {version}");
            let told = match response {
                Response::Tkn(TokenStatus::Invalid(_)) if version < 3 => {
                    Response::Tkn(TokenStatus::Invalid(None))
                }
                ref response => response.clone(),
            };
            assert_eq!(Response::decode(&bytes), Ok(told), "{name} at {version}");
        }
    }
    assert_eq!(entries.len(), 24);
}

#[test]
fn the_text_of_notifications() {
    let Some(vectors) = support::deployed() else { return };
    let text = vectors["ntf"]["pn_messages"].as_str().unwrap();
    let nonce = std::array::from_fn(|at| at as u8 + 1);
    let one = Notification { queue: queue(), time: 1_700_000_000, nonce, meta: b"enc meta".to_vec() };
    let both = vec![one.clone(), one];
    assert_eq!(push::text(&both), text);
    assert_eq!(push::notifications(text.as_bytes()), Ok(both));
}

/// The key that opens what is pushed to a token: of the recorded client's and the router's.
fn secret(flow: &Value, name: &str, answer: &Value) -> SharedSecret {
    let own = X25519Secret::from_bytes(support::array(&flow["keys"][name]["private_raw"]));
    let answer = support::hex(&answer["hex"]);
    let at = answer.windows(6).position(|bytes| bytes == b"IDTKN ").unwrap();
    let Response::IdTkn { dh_key, .. } = Response::decode(&answer[at..]).unwrap() else { panic!("no IDTKN") };
    own.dh(&dh_key)
}

/// Every push that was recorded opens with the device's key, and the same content sealed again gives the same body.
#[test]
fn recorded_pushes_are_made_again_to_the_byte() {
    let mut made = 0;
    for file in ["token-v01", "token-v03", "subscriptions-push-v03", "providers-errors-v03"] {
        let Some(flow) = support::json(&format!("transcripts/ntf/{file}.json")) else { return };
        let mut secrets = Vec::new();
        let mut asked = String::new();
        for step in flow["steps"].as_array().unwrap() {
            let text = step["text"].as_str().unwrap();
            match (step["conn"].as_str().unwrap(), step["dir"].as_str().unwrap()) {
                ("A", "send") => {
                    asked = text.split([' ', ':']).nth(1).unwrap_or_default().to_owned();
                    if text.contains("same device token, another key") {
                        asked = "O".to_owned();
                    }
                }
                ("A", "recv") if text.starts_with("IDTKN") => {
                    let name = if asked == "repeated" { "T".to_owned() } else { asked.clone() };
                    secrets.push(secret(&flow, &format!("{name}.dh"), step));
                }
                ("APNs", "recv") => {
                    let body = step["body"].as_str().unwrap();
                    let length = step["body_len"].as_u64().unwrap() as usize;
                    let nonce = body.split(r#""nonce":""#).nth(1).unwrap().split('"').next().unwrap();
                    let nonce = base64url_decode(nonce).unwrap().try_into().unwrap();
                    // Of some only the beginning was kept, and what is inside.
                    let pushes = |secret: &SharedSecret| match body.strip_suffix("...") {
                        None => Push::open(body.as_bytes(), secret).ok(),
                        Some(_) => {
                            let code = support::hex(&step["details"]["decrypted"]);
                            Some(Push::Verification(Code::new(&code).unwrap()))
                        }
                    };
                    let made_again = secrets.iter().find_map(|secret| {
                        let push = pushes(secret)?;
                        let again = push.seal(secret, &nonce).unwrap();
                        again.starts_with(body.trim_end_matches("...")).then_some((push, again))
                    });
                    let (opened, again) = made_again.expect(text);
                    assert_eq!((again.len(), opened.size()), (length, length));
                    let headers = &step["headers"];
                    let kind = if opened.is_background() { "background" } else { "alert" };
                    assert_eq!(headers["apns-push-type"], kind);
                    if let Push::Messages(notifications) = &opened {
                        metadata(&flow, notifications, &step["details"]["items"]);
                    }
                    made += 1;
                }
                _ => {}
            }
        }
    }
    assert_eq!(made, 23);
}

/// The queues' recipient reads the metadata: SMP's, made by the deployed SMP router.
fn metadata(flow: &Value, notifications: &[Notification], items: &Value) {
    for (notification, item) in notifications.iter().zip(items.as_array().unwrap()) {
        assert_eq!(notification.queue.to_string(), item["queue"].as_str().unwrap());
        assert_eq!(notification.meta.len() as u64, item["meta_len"].as_u64().unwrap());
        let queue = item["notifier"].as_str().unwrap().split('.').next().unwrap();
        let own = &flow["keys"][format!("{queue}.n.ntfDh")]["private_raw"];
        let nid = flow["steps"]
            .as_array()
            .unwrap()
            .iter()
            .skip_while(|step| step["text"].as_str().unwrap() != format!("NKEY {queue}"));
        let nid = support::hex(&nid.into_iter().nth(1).unwrap()["hex"]);
        let theirs = X25519Public::from_spki(&nid[nid.len() - 44..]).unwrap();
        let secret = X25519Secret::from_bytes(support::array(own)).dh(&theirs);
        let meta = NotificationMeta::open(&secret, &notification.nonce, &notification.meta).unwrap();
        assert_eq!(hex::encode(meta.encode()), item["meta_decrypted"].as_str().unwrap());
    }
}

/// Recorded hellos parse and are written again to the byte; the blocks have 512 bytes.
#[test]
fn recorded_hellos() {
    let Some(flow) = support::json("transcripts/ntf/handshake-v03.json") else { return };
    let mut versions = Vec::new();
    for step in flow["steps"].as_array().unwrap() {
        if !step["text"].as_str().unwrap().starts_with("server hello") {
            continue;
        }
        let bytes = support::hex(&step["hex"]);
        let hello = RouterHello::decode(&bytes).unwrap();
        assert_eq!(hex::encode(hello.encode().unwrap()), hex::encode(&bytes));
        assert!(bytes.len() + 2 <= BLOCK_SIZE);
        assert_eq!(hello.key.is_some(), hello.versions.max > 1);
        let session = &flow["sessions"][step["conn"].as_str().unwrap()];
        assert_eq!(hex::encode(&hello.session_id), session["session_id"].as_str().unwrap());
        versions.push(hello.versions.max);
    }
    assert_eq!(versions, [3, 3, 3, 1, 1, 3, 3, 3, 3]);
}
