//! Flows as scripts: what clients do, a line each, without what should come back.
//!
//! ```text
//! about   what the flow shows            (any number of lines)
//! versions 11-20                         (all without it)
//! set quota=2 message_ttl=2s             (the router's settings)
//! router R max=12                        a further router, for PRXY or `to=R`
//! A: connect alpn=none|smp/1,h2 key=no proxy=yes version=21 identity=wrong to=R service=M
//! A: new Q ed448 mode=plain subscribe=no password=x ntf=yes link=yes
//! B: send Q text by=K notify=yes size=16049
//! A: sub Q; sub P                        one block
//! A: gets                                waits for one unsolicited transmission
//! C: via R send Q text                   through the proxy, after `C: prxy R`
//! X: forward send Q text                 as a proxy to the router itself
//! A: noise | content HEX | part HEX      a block of random bytes, a block with this content, bytes that are no block
//! A: close | ends | quiet                closes; is the connection ended; does nothing come
//! wait 2s
//! block Q spam|content notice=3600 ; unblock Q
//! ```
//!
//! A connection that was not opened opens itself at its first line. Every request waits for its answer.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::target::Settings;

/// What is wrong with a script.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {what}")]
pub struct BadScript {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// A flow.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its name.
    pub name: String,
    /// What it shows.
    pub about: String,
    /// The first and the last version that it is for.
    pub versions: (u16, u16),
    /// The router's settings.
    pub settings: Settings,
    /// Further routers.
    pub routers: Vec<Router>,
    /// What happens.
    pub acts: Vec<Act>,
}

/// A further router of a flow.
#[derive(Clone, Debug)]
pub struct Router {
    /// Its name.
    pub name: String,
    /// The highest version that it offers.
    pub max: Option<u16>,
}

/// One line.
#[derive(Clone, Debug)]
pub struct Act {
    /// The line as it is written, without the connection's name.
    pub text: String,
    /// What it asks for.
    pub what: What,
}

/// What a line asks for.
#[derive(Clone, Debug)]
pub enum What {
    /// A connection does something.
    On {
        /// The connection.
        conn: String,
        /// What it does, in one block.
        asks: Vec<Ask>,
    },
    /// Time passes, in nanoseconds.
    Wait(u64),
    /// The operator blocks a queue, or ends that.
    Operator(Ask),
}

/// A verb with its words and options.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The verb.
    pub verb: String,
    /// Words after it.
    pub words: Vec<String>,
    /// `name=value` after it.
    pub options: BTreeMap<String, String>,
}

/// Verbs, how many words they need, and the options that they know.
const VERBS: &[(&str, usize, &[&str])] = &[
    ("connect", 0, &["alpn", "key", "proxy", "version", "identity", "to", "service"]),
    ("new", 1, &["mode", "subscribe", "password", "ntf", "link", "by", "entity", "type"]),
    ("sub", 1, AUTH),
    ("get", 1, AUTH),
    ("que", 1, AUTH),
    ("off", 1, AUTH),
    ("del", 1, AUTH),
    ("ndel", 1, AUTH),
    ("ldel", 1, AUTH),
    ("ack", 1, &["by", "entity", "id"]),
    ("key", 2, AUTH),
    ("rkey", 2, AUTH),
    ("nkey", 2, AUTH),
    ("nsub", 1, AUTH),
    ("lset", 2, &["by", "entity", "fixed"]),
    ("skey", 2, AUTH),
    ("lget", 1, AUTH),
    ("lkey", 2, AUTH),
    ("send", 1, &["by", "entity", "notify", "size"]),
    ("subs", 0, AUTH),
    ("nsubs", 0, AUTH),
    ("ping", 0, AUTH),
    ("rslv", 1, AUTH),
    ("prxy", 1, &["password", "by", "entity"]),
    ("raw", 0, &["by", "entity"]),
    ("via", 2, &[]),
    ("forward", 1, &[]),
    ("gets", 0, &[]),
    ("noise", 0, &[]),
    ("content", 1, &[]),
    ("part", 1, &[]),
    ("close", 0, &[]),
    ("ends", 0, &[]),
    ("quiet", 0, &[]),
    ("block", 2, &["notice"]),
    ("unblock", 1, &[]),
];

const AUTH: &[&str] = &["by", "entity"];

/// Verbs that are no transmissions, and so alone in their line.
const ALONE: &[&str] = &["connect", "gets", "noise", "content", "part", "close", "ends", "quiet"];

impl Ask {
    fn read(text: &str, line: usize) -> Result<Self, BadScript> {
        let bad = |what: String| BadScript { line, what };
        let mut words = text.split_whitespace();
        let verb = words.next().ok_or_else(|| bad("nothing after the connection".to_owned()))?;
        let known = VERBS.iter().find(|(known, ..)| *known == verb);
        let (_, least, options) = known.ok_or_else(|| bad(format!("`{verb}` is no verb")))?;
        // What is passed on is read as a line of its own.
        let inner = matches!(verb, "via" | "forward" | "raw");
        let mut ask = Ask { verb: verb.to_owned(), words: Vec::new(), options: BTreeMap::new() };
        for word in words {
            match word.split_once('=') {
                Some((name, value)) if options.contains(&name) => {
                    ask.options.insert(name.to_owned(), value.to_owned());
                }
                Some((name, _)) if !inner => {
                    return Err(bad(format!("`{verb}` has no option `{name}`")));
                }
                _ => ask.words.push(word.to_owned()),
            }
        }
        if ask.words.len() < *least {
            return Err(bad(format!("`{verb}` needs {least} words after it")));
        }
        if let Some(rest) = ask.passed_on() {
            Ask::read(&rest, line)?;
        }
        Ok(ask)
    }

    /// The word at a place; empty where there is none.
    #[must_use]
    pub fn word(&self, at: usize) -> &str {
        self.words.get(at).map(String::as_str).unwrap_or_default()
    }

    /// An option's value.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// Whether an option is `yes`.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.option(name) == Some("yes")
    }

    fn passed_on(&self) -> Option<String> {
        match self.verb.as_str() {
            "via" => Some(self.words.get(1..)?.join(" ")),
            "forward" => Some(self.words.join(" ")),
            _ => None,
        }
    }

    /// What `via` and `forward` pass on.
    #[must_use]
    pub fn inner(&self) -> Option<Ask> {
        Ask::read(&self.passed_on()?, 0).ok()
    }
}

/// A time such as `2s` or `500ms`, in nanoseconds.
fn time(text: &str) -> Option<u64> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1_000_000),
        None => (text.strip_suffix('s')?, 1_000_000_000),
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

fn set(settings: &mut Settings, name: &str, value: &str) -> Option<()> {
    let yes = || match value {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    };
    match name {
        "quota" => settings.quota = Some(value.parse().ok()?),
        "message_ttl" => settings.message_ttl = Some(time(value)?),
        "expiry" => settings.expiry_interval = Some(time(value)?),
        "expire_on_send" => settings.expire_on_send = Some(yes()?),
        "end" => settings.end_interval = Some(time(value)?),
        "notifications" => settings.notification_interval = Some(time(value)?),
        "password" => settings.password = Some(value.to_owned()),
        "new_queues" => settings.new_queues = Some(yes()?),
        "proxy" => settings.proxy = Some(yes()?),
        "inactive" => settings.inactive = Some((time(value)?, time(value)? / 2)),
        "max_version" => settings.max_version = Some(value.parse().ok()?),
        _ => return None,
    }
    Some(())
}

impl Script {
    /// A flow from its text.
    ///
    /// # Errors
    /// [`BadScript`].
    pub fn read(name: &str, text: &str) -> Result<Self, BadScript> {
        let mut script = Script {
            name: name.to_owned(),
            about: String::new(),
            versions: (6, 20),
            settings: Settings::default(),
            routers: Vec::new(),
            acts: Vec::new(),
        };
        for (at, line) in text.lines().enumerate() {
            let line_text = line.trim();
            if !line_text.is_empty() && !line_text.starts_with('#') {
                script.line(at + 1, line_text)?;
            }
        }
        Ok(script)
    }

    fn line(&mut self, line: usize, text: &str) -> Result<(), BadScript> {
        let bad = |what: &str| BadScript { line, what: what.to_owned() };
        let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        let mut act = |what| self.acts.push(Act { text: rest.to_owned(), what });
        match first {
            "about" => {
                self.about.push_str(rest);
                self.about.push(' ');
            }
            "versions" => {
                let (min, max) = rest.split_once('-').unwrap_or((rest, rest));
                let version = |text: &str| text.parse().map_err(|_| bad("versions are as `11-20`"));
                self.versions = (version(min)?, version(max)?);
            }
            "set" => {
                for word in rest.split_whitespace() {
                    let (name, value) =
                        word.split_once('=').ok_or_else(|| bad("a setting is as `quota=2`"))?;
                    set(&mut self.settings, name, value)
                        .ok_or_else(|| bad(&format!("`{name}` cannot be set to `{value}`")))?;
                }
            }
            "router" => {
                let (name, max) = rest.split_once(" max=").unwrap_or((rest, ""));
                let max = if max.is_empty() {
                    None
                } else {
                    Some(max.parse().map_err(|_| bad("`max` is a version"))?)
                };
                self.routers.push(Router { name: name.to_owned(), max });
            }
            "wait" => act(What::Wait(time(rest).ok_or_else(|| bad("a time is as `2s` or `500ms`"))?)),
            "block" | "unblock" => {
                let ask = Ask::read(text, line)?;
                self.acts.push(Act { text: text.to_owned(), what: What::Operator(ask) });
            }
            _ => {
                let conn = first.strip_suffix(':').ok_or_else(|| bad("a line begins with `NAME:`"))?;
                let asks = rest.split(';').map(|ask| Ask::read(ask, line)).collect::<Result<Vec<_>, _>>()?;
                if asks.len() > 1 && asks.iter().any(|ask| ALONE.contains(&ask.verb.as_str())) {
                    return Err(bad("only transmissions share a line"));
                }
                act(What::On { conn: conn.to_owned(), asks });
            }
        }
        Ok(())
    }
}
