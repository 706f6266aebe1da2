//! Pushes, and what the recorded provider answered to them.

use sxlab_protocol::ntf::command::Provider;
use sxlab_protocol::ntf::push::{Notification, Push};
use sxlab_protocol::smp::envelope::NotificationMeta;
use sxlab_protocol::wire::base64url_decode;

use super::*;
use crate::world::sealed;

/// A body without what is random: of nonces and boxes the length.
fn masked(body: &str) -> String {
    let mut value: Value = serde_json::from_str(body).unwrap();
    for field in ["nonce", "verification", "message"] {
        if let Some(text) = value["notificationData"][field].as_str() {
            value["notificationData"][field] = base64url_decode(text).unwrap().len().into();
        }
    }
    value.to_string()
}

/// The order of the fields.
fn fields(body: &str) -> Vec<usize> {
    let names = [
        "aps",
        "content-available",
        "mutable-content",
        "alert",
        "category",
        "nonce",
        "message",
        "verification",
    ];
    let mut places: Vec<_> = names.iter().filter_map(|name| body.find(&format!("\"{name}\":"))).collect();
    let sorted = places.len();
    places.truncate(sorted);
    places
}

impl Replay {
    /// A push was asked for. Those to providers that were not stood in for, and of tokens whose pushes were not recorded, are left
    /// unanswered, as they were.
    pub(super) fn push(&mut self, request: PushRequest) {
        if request.device.provider == Provider::ApnsTest {
            *self.pushed.entry(request.device.name.as_bytes().to_vec()).or_default() += 1;
            self.pushes.push_back((request, None));
        }
    }

    /// The recorded provider's answers arrive. A token's state that was asked for close to the answer says which was first.
    pub(super) fn answer_pushes(&mut self, steps: &[Value], at: usize) {
        let asks_for_state = recorded::text(&steps[at], "text").starts_with("TCHK");
        let answer = steps.get(at + 1).map(|step| recorded::text(step, "text")).unwrap_or_default();
        let early = asks_for_state && answer == "TKN REGISTERED";
        let now = self.now;
        let mut due = Vec::new();
        self.pushes.retain(|(request, answer)| match answer {
            Some((since, answer)) if !early || now >= since + RACE => {
                due.push((request.number, answer.clone()));
                false
            }
            _ => true,
        });
        for (number, answer) in due {
            self.router.pushed(number, &answer, now);
            // The second attempt is answered as the first.
            while let Some(event) = self.router.poll() {
                match event {
                    RouterEvent::Push(again) => {
                        assert!(again.again);
                        *self.pushed.entry(again.device.name.as_bytes().to_vec()).or_default() += 1;
                        self.router.pushed(again.number, &answer, now);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    pub(super) fn compare_push(&mut self, step: &Value, what: &str) {
        let headers = &step["headers"];
        let device = headers[":path"].as_str().unwrap().strip_prefix("/3/device/").unwrap();
        let place = self.pushes.iter().position(|(request, answer)| {
            answer.is_none() && request.device.name.as_bytes() == device.as_bytes()
        });
        let place = place.unwrap_or_else(|| panic!("{what}: no push"));
        let request = self.pushes[place].0.clone();
        let body = sealed(&request);
        let kind = if request.background { "background" } else { "alert" };
        assert_eq!(headers["apns-push-type"].as_str().unwrap(), kind, "{what}");
        assert_eq!(headers["apns-priority"].as_str(), request.background.then_some("5"), "{what}");
        assert_eq!(body.len() as u64, step["body_len"].as_u64().unwrap(), "{what}");
        let theirs = recorded::text(step, "body");
        // Of some only the beginning was kept, and what is inside.
        let shortened = theirs.ends_with("...");
        if shortened {
            let head = theirs.find("\"nonce\":\"").unwrap();
            assert_eq!(body[..head], theirs[..head], "{what}");
        } else {
            assert_eq!((masked(&body), fields(&body)), (masked(theirs), fields(theirs)), "{what}");
        }
        let secrets = self.secrets.clone();
        let opened = |body: &str, secret: &SharedSecret| Push::open(body.as_bytes(), secret).ok();
        let ours = secrets.iter().find_map(|(recorded, own)| Some((recorded, opened(&body, own)?)));
        let (recorded_secret, ours) = ours.unwrap_or_else(|| panic!("{what}: our push does not open"));
        let code = || {
            Push::Verification(
                sxlab_protocol::ntf::command::Code::new(&recorded::bytes(&step["details"]["decrypted"]))
                    .unwrap(),
            )
        };
        let theirs = if shortened {
            code()
        } else {
            opened(theirs, recorded_secret)
                .unwrap_or_else(|| panic!("{what}: the recorded push does not open"))
        };
        match (ours, theirs) {
            (Push::Verification(ours), Push::Verification(theirs)) => {
                self.stands_for(theirs.as_bytes(), ours.as_bytes(), what);
            }
            (Push::Messages(ours), Push::Messages(theirs)) => {
                assert_eq!(ours.len(), theirs.len(), "{what}");
                for (ours, theirs) in ours.iter().zip(&theirs) {
                    self.compare_notification(ours, theirs, what);
                }
            }
            other => panic!("{what}: {other:?}"),
        }
        let (status, reason) = recorded::text(step, "answered").split_once(' ').unwrap_or(("200", ""));
        let answer = PushAnswer::Answered { status: status.parse().unwrap(), reason: reason.to_owned() };
        self.pushes[place].1 = Some((self.now, answer));
        self.compared += 1;
    }

    /// Queue, metadata and the order are the same; the nonce is another. Its recipient reads it.
    fn compare_notification(&mut self, ours: &Notification, theirs: &Notification, what: &str) {
        assert_eq!(ours.queue.router, theirs.queue.router, "{what}");
        let notifier = self.substituted(theirs.queue.notifier.as_bytes());
        assert_eq!(ours.queue.notifier.as_bytes(), notifier, "{what}");
        self.stands_for(&theirs.nonce, &ours.nonce, what);
        assert_eq!(ours.meta.len(), theirs.meta.len(), "{what}");
        let meta = self
            .meta_secrets
            .values()
            .find_map(|secret| NotificationMeta::open(secret, &ours.nonce, &ours.meta).ok());
        assert!(meta.is_some(), "{what}: metadata that nobody reads");
    }
}
