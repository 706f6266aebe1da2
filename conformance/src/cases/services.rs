//! Services: certificates in the hello, double authorization, SUBS and NSUBS.

pub(super) mod hello;
pub(super) mod queues;

use std::sync::Arc;

use sxlab_node::identity::RouterIdentity;
use sxlab_protocol::transport::ServiceRole;

use crate::lab::{Failure, Lab, Service, Who};

const MESSAGING: ServiceRole = ServiceRole::Messaging;
const NOTIFICATIONS: ServiceRole = ServiceRole::Notifications;

/// Certificates of a service, and its session.
type Serving = (Arc<RouterIdentity>, Who, Service);

/// A session of a service with new certificates.
fn serving(lab: &mut Lab<'_>, role: ServiceRole) -> Result<Serving, Failure> {
    let certificate = lab.certificate()?;
    let (who, service) = lab.service(&certificate, role)?;
    Ok((certificate, who, service))
}
