//! Services on TLS: the certificates that a client presents there are what the router knows it by.

use std::sync::Arc;

use sxlab_node::client::{ServiceIdentity, Session, SessionError};
use sxlab_node::identity::RouterIdentity;
use sxlab_node::world::World;
use sxlab_protocol::smp::client::ClientError;
use sxlab_protocol::smp::command::{Command, ServiceQueues};
use sxlab_protocol::smp::error::{HandshakeFailure, TransportError};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::transport::{HandshakeError, SUPPORTED, ServiceRole};
use sxlab_protocol::wire::VersionRange;

use crate::network::{Network, run};
use crate::party::{Party, Site, TIMEOUT, client, site};

fn service(network: &Network, role: ServiceRole) -> ServiceIdentity {
    let identity = RouterIdentity::mint("service.test", &mut network.world("service").rng()).unwrap();
    ServiceIdentity::new(role, Arc::new(identity))
}

async fn open(network: &Network, site: &Site, service: &ServiceIdentity) -> Result<Party, SessionError> {
    Party::connect_as(network.world("service"), &site.address, service).await
}

#[test]
fn a_service_gets_its_queues_back_with_one_command_in_another_session() {
    run(async |network| {
        let router = site(&network, "a.test");
        let identity = service(&network, ServiceRole::Messaging);
        let first = open(&network, &router, &identity).await.unwrap();
        let id = first.session.service().unwrap();
        let (q, r) = (first.queue().await, first.queue().await);
        drop(first);
        let sender = client(&network, "sender", &router).await;
        let key = sender.secure(&q).await;
        sender.send(&q, &key, b"hello").await;

        let mut second = open(&network, &router, &identity).await.unwrap();
        assert_eq!(second.session.service(), Some(id.clone()));
        let subs = Command::Subs(ServiceQueues::UNKNOWN);
        match second.session.request(id, &subs, None).await {
            Ok(Response::Soks(ServiceQueues { count: 2, .. })) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(second.received(&q).await.1, b"hello");
        assert!(matches!(second.events.recv().await, Some((_, Response::Alls))));
        assert!(matches!(second.own(&r, &Command::Que).await, Ok(Response::Info(_))));
    });
}

#[test]
fn a_service_that_comes_in_another_role_learns_why_it_is_refused() {
    run(async |network| {
        let router = site(&network, "a.test");
        let identity = service(&network, ServiceRole::Messaging);
        open(&network, &router, &identity).await.unwrap();
        let changed = ServiceIdentity::new(ServiceRole::Notifications, Arc::clone(&identity.identity));
        let failure = TransportError::Handshake(HandshakeFailure::BadService);
        let expected = ClientError::Handshake(HandshakeError::Service(failure));
        match open(&network, &router, &changed).await.err() {
            Some(SessionError::Client(error)) => assert_eq!(error, expected),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_service_is_a_plain_client_below_the_version_of_its_role() {
    run(async |network| {
        let router = site(&network, "a.test");
        let identity = service(&network, ServiceRole::Messaging);
        for (version, presented) in [(15, false), (18, false), (19, true)] {
            let (world, only) = (network.world("service"), VersionRange::only(version));
            let (session, _) =
                Session::connect_as(world, &router.address, only, &identity, TIMEOUT).await.unwrap();
            assert_eq!((session.version(), session.service().is_some()), (version, presented));
        }
        assert!(SUPPORTED.contains(19));
    });
}
