//! The routers of a flow: the one under test, relays, and routers of other settings.

use sxlab_protocol::wire::RouterAddress;

use super::Mismatch;
use super::recording::{Direction, Flow, Step};
use super::wires::Wires;
use crate::target::Settings;

/// The routers, and which are started already.
pub(super) struct Sites {
    /// The identity recorded for the router under test.
    main: Vec<u8>,
    further: Vec<(Site, RouterAddress)>,
}

/// What tells a router from the one under test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Site {
    /// The identity recorded for it; empty for that of the router under test.
    identity: Vec<u8>,
    /// The highest version that it offers, if that is not the highest of all.
    max: Option<u16>,
    /// What else is said of it.
    about: String,
}

/// The identity that a client's hello names.
pub(super) fn named_identity(hello: &[u8]) -> Option<&[u8]> {
    let length = usize::from(*hello.get(2)?);
    hello.get(3..3 + length)
}

fn hello<'a>(flow: &'a Flow, conn: Option<&str>) -> Option<&'a Step> {
    flow.steps
        .iter()
        .find(|step| step.dir == Direction::Send && step.plain && conn.is_none_or(|conn| step.conn == conn))
}

fn identity_in(step: Option<&Step>) -> Vec<u8> {
    step.and_then(|step| Some(named_identity(step.bytes()?.0)?.to_vec())).unwrap_or_default()
}

impl Sites {
    pub(super) fn of(flow: &Flow) -> Self {
        Self { main: identity_in(hello(flow, None)), further: Vec::new() }
    }

    /// The identity that was recorded for the router of a connection.
    pub(super) fn recorded_identity(&self, flow: &Flow, conn: &str) -> Vec<u8> {
        // Of one router only, some clients expect another identity.
        if flow.relay { identity_in(hello(flow, Some(conn))) } else { self.main.clone() }
    }

    /// The router that a connection goes to; none for the one under test.
    pub(super) fn of_connection(
        &mut self,
        flow: &Flow,
        conn: &str,
        wires: &mut Wires,
    ) -> Result<Option<RouterAddress>, Mismatch> {
        let identity = self.recorded_identity(flow, conn);
        let session = flow.sessions.get(conn);
        let offered = session.filter(|session| session.alpn.is_some()).and_then(|session| session.offered);
        let about = flow.steps.iter().find(|step| {
            step.conn == conn && step.dir == Direction::Note && step.text.starts_with("server with")
        });
        let site = Site {
            identity: if identity == self.main { Vec::new() } else { identity },
            max: offered.map(|offered| offered.max).filter(|max| *max < sxlab_protocol::smp::version::MAX),
            about: about.map(|step| step.text.clone()).unwrap_or_default(),
        };
        self.start(flow, site, wires)
    }

    fn start(
        &mut self,
        flow: &Flow,
        site: Site,
        wires: &mut Wires,
    ) -> Result<Option<RouterAddress>, Mismatch> {
        if site == Site::default() {
            return Ok(None);
        }
        if let Some((_, address)) = self.further.iter().find(|(known, _)| *known == site) {
            return Ok(Some(address.clone()));
        }
        let mut settings = Settings { max_version: site.max, ..flow.settings.clone() };
        if !site.about.is_empty() {
            settings.password = None;
            settings.new_queues = Some(!site.about.contains("new_queues off"));
            settings.proxy = Some(!site.about.contains("proxy off"));
        }
        if !site.identity.is_empty() {
            // A relay is a router of its own, with a router's defaults.
            settings.password = None;
        }
        let address = wires.instance.further(&settings).map_err(|e| Mismatch::Skipped(e.to_string()))?;
        self.further.push((site, address.clone()));
        Ok(Some(address))
    }

    /// Where PRXY leads, by the words of its step: recorded addresses name ports of the recording machine.
    pub(super) fn relay(
        &mut self,
        flow: &Flow,
        what: &str,
        recorded: &RouterAddress,
        wires: &mut Wires,
    ) -> Result<RouterAddress, Mismatch> {
        let nowhere = ["closed port", "does not resolve", "XFTP"];
        if nowhere.iter().any(|place| what.contains(place)) {
            return Ok(recorded.clone());
        }
        let wrong = what.contains("wrong key hash");
        let max = ["range 6..7", "range 6..12"].iter().find(|range| what.contains(*range));
        let max = max.and_then(|range| range.rsplit('.').next()?.parse().ok());
        let identity = match wrong {
            // The relay's place, another identity.
            true => self.further.iter().map(|(site, _)| site.identity.clone()).find(|i| !i.is_empty()),
            false => Some(recorded.identity.to_vec()).filter(|identity| *identity != self.main),
        };
        let site = Site { identity: identity.unwrap_or_default(), max, about: String::new() };
        let address = match self.start(flow, site, wires)? {
            Some(address) => address,
            None => wires.instance.address().cloned().ok_or("the target has no address")?,
        };
        let identity = if wrong { recorded.identity } else { address.identity };
        Ok(RouterAddress { identity, password: None, ..address })
    }
}
