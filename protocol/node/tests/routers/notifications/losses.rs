//! What is down comes up again: the router itself, an SMP router, the provider.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use sxlab_node::client::SessionError;
use sxlab_node::ntf::NtfSetup;
use sxlab_node::router::ConnectionLimits;
use sxlab_node::store::NtfStore;
use sxlab_node::world::World;
use sxlab_protocol::apns::Reason;
use sxlab_protocol::ntf::router::{RouterConfig, Store};
use sxlab_protocol::ntf::status::{SubscriptionStatus, TokenStatus};
use sxlab_protocol::ntf::version::ALPN_VERSIONS;
use sxlab_protocol::smp::router::RouterConfig as SmpConfig;

use super::party::{APPLE, NTF, Phone, Site, apple, identity, serving, setup, site, start, token};
use crate::network::{Network, SECOND, TestWorld, run};
use crate::party::{client, mute_router, site as smp_site, start as start_smp};

/// A file that does not exist yet; removed when dropped.
struct File(PathBuf);

impl File {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sxlab-ntf-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        File(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A router with its tokens in a file.
fn stored(network: &Network, file: &Path, setup: NtfSetup<TestWorld>) -> Site {
    let (store, tokens) = NtfStore::open(file, &identity(8, NTF).identity_hash()).unwrap();
    start(network, setup, tokens, Some(store.in_step()))
}

#[test]
fn a_restarted_router_subscribes_again_and_pushes_what_came_meanwhile() {
    for as_service in [false, true] {
        run(async |network| {
            let setup = || if as_service { serving(&network) } else { setup(&network) };
            let file = File::new(if as_service { "service" } else { "restart" });
            let (_apple, smp) = (apple(&network), smp_site(&network, "a.test"));
            let ntf = stored(&network, &file.0, setup());
            let recipient = client(&network, "recipient", &smp).await;
            let sender = client(&network, "sender", &smp).await;
            let mut phone = Phone::active(&network, &ntf, "phone").await;
            let queues =
                [phone.watch(&recipient, &smp.address).await, phone.watch(&recipient, &smp.address).await];
            let before = ntf.node.operate(|core, _| core.statistics().clone()).unwrap();
            assert_eq!(before.subscribed, 2);
            let asked = phone.device.check().unwrap();

            // As a crash: nothing that was answered is lost.
            ntf.node.take_store();
            ntf.node.close_store().await.unwrap();
            ntf.served.await.unwrap().unwrap();
            assert!(matches!(phone.try_ask(&asked).await, Err(SessionError::Closed)));
            queues[0].message(&sender, &phone).await;
            assert_eq!(phone.bodies(), []);

            let ntf = stored(&network, &file.0, setup());
            phone.pass(3 * SECOND).await;
            phone.reconnect(&ntf).await;
            assert_eq!(phone.status().await, TokenStatus::Active);
            let status = phone.subscription(&queues[1].name).await;
            assert!(status.subscribes(), "{status}");
            assert!(as_service || status == SubscriptionStatus::Active);
            let after = ntf.node.operate(|core, _| core.statistics().clone()).unwrap();
            // One command for all of a service's queues.
            assert_eq!(after.subscribed, if as_service { 0 } else { 2 });
            assert_eq!(phone.notices(), [[queues[0].name.clone()]]);
            queues[1].message(&sender, &phone).await;
            assert_eq!(phone.notices(), [[queues[0].name.clone(), queues[1].name.clone()]]);
            ntf.node.stop(SECOND).await.unwrap();
            ntf.node.close_store().await.unwrap();
        });
    }
}

#[test]
fn a_restarted_smp_router_is_subscribed_at_again() {
    run(async |network| {
        let (_apple, smp, ntf) = (apple(&network), smp_site(&network, "a.test"), site(&network));
        let mut phone = Phone::active(&network, &ntf, "phone").await;
        let recipient = client(&network, "recipient", &smp).await;
        let watched = phone.watch(&recipient, &smp.address).await;

        let queues = smp.node.take_store().unwrap();
        network.unlisten("a.test");
        phone.pass(60 * SECOND).await;
        assert_eq!(phone.subscription(&watched.name).await, SubscriptionStatus::Inactive);
        let tries = network.tried().iter().filter(|host| *host == "a.test").count();
        let limits = ConnectionLimits::default();
        let smp = start_smp(&network, "a.test", smp.identity, SmpConfig::default(), limits, queues);
        phone.pass(15 * SECOND).await;
        assert_eq!(phone.subscription(&watched.name).await, SubscriptionStatus::Active);
        // At once, then about every second at first and every ten later.
        assert!((8..30).contains(&tries), "{tries}");

        let sender = client(&network, "sender", &smp).await;
        watched.message(&sender, &phone).await;
        assert_eq!(phone.notices(), [[watched.name.clone()]]);
    });
}

#[test]
fn what_a_provider_that_was_down_missed_goes_with_the_next_push() {
    for unreachable in [false, true] {
        run(async |network| {
            let (stand_in, smp, ntf) = (apple(&network), smp_site(&network, "a.test"), site(&network));
            let recipient = client(&network, "recipient", &smp).await;
            let sender = client(&network, "sender", &smp).await;
            let mut phone = Phone::active(&network, &ntf, "phone").await;
            let queues =
                [phone.watch(&recipient, &smp.address).await, phone.watch(&recipient, &smp.address).await];
            let messages = || ntf.node.operate(|core, _| core.statistics().messages).unwrap();

            if unreachable {
                network.unlisten(APPLE);
            }
            stand_in.refuse(Some(Reason::ServiceUnavailable));
            queues[0].message(&sender, &phone).await;
            phone.pass(60 * SECOND).await;
            assert_eq!(messages(), 2, "it is tried once more, and no further");
            assert_eq!(phone.bodies(), []);

            stand_in.refuse(None);
            if unreachable {
                let (serving, listener) = (stand_in.clone(), Rc::new(network.listen(APPLE)));
                tokio::task::spawn_local(async move { serving.serve(&listener).await });
            }
            queues[1].message(&sender, &phone).await;
            assert_eq!(messages(), 3);
            assert_eq!(phone.notices(), [[queues[0].name.clone(), queues[1].name.clone()]]);
            assert_eq!(phone.status().await, TokenStatus::Active);
        });
    }
}

/// A bound on pushes without an answer: nothing more is read until the provider is given up on, and everything goes on then.
#[test]
fn nothing_is_read_while_too_many_pushes_have_no_answer() {
    run(async |network| {
        network.silence(APPLE);
        let own = setup(&network);
        let config = RouterConfig { pushes: 1, ..own.config };
        let ntf = start(&network, NtfSetup { config, ..own }, Store::default(), None);
        let mut phones = Vec::new();
        for name in ["one", "two"] {
            phones.push(Phone::offline(&network, &ntf, name, token(name), ALPN_VERSIONS).await);
        }
        let world = network.world("test");
        let begun = world.now();
        for phone in &mut phones {
            let asked = phone.device.register();
            phone.ask(Some(asked)).await.unwrap();
        }
        // Ten seconds for the first attempt at a connection, and ten for the second.
        let took = world.now() - begun;
        assert!((20 * SECOND..21 * SECOND).contains(&took), "{took}");
    });
}

#[test]
fn an_smp_router_that_says_nothing_any_more_is_given_up_and_tried_again() {
    run(async |network| {
        let (_apple, smp, ntf) = (apple(&network), smp_site(&network, "a.test"), site(&network));
        let (mute, _accepting) = mute_router(&network, "mute.test").await;
        let recipient = client(&network, "recipient", &smp).await;
        let mut phone = Phone::active(&network, &ntf, "phone").await;
        let watched = phone.watch(&recipient, &mute).await;
        let tries = || network.tried().iter().filter(|host| *host == "mute.test").count();
        phone.pass(150 * SECOND).await;
        assert_eq!(tries(), 1);
        phone.pass(120 * SECOND).await;
        assert!(tries() > 1);
        assert!(phone.subscription(&watched.name).await.subscribes());
    });
}
