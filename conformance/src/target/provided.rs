//! Settings as text: what a target is said to have, and what a case needs of it.

use super::{Settings, Unavailable};

/// Why a text of settings is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// No setting is called so.
    #[error("no setting is called `{0}`; there are {names}", names = NAMES.join(", "))]
    Name(String),
    /// A setting without a value.
    #[error("`{0}` has no value: write name=value")]
    NoValue(String),
    /// A value that the setting can't have.
    #[error("{name}={value}: expected {expected}")]
    Value {
        /// The setting.
        name: String,
        /// Its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// The settings by name.
const NAMES: [&str; 15] = [
    "quota",
    "message_ttl",
    "expiry_interval",
    "expire_on_send",
    "end_interval",
    "notification_interval",
    "notification_ttl",
    "password",
    "new_queues",
    "proxy",
    "inactive_ttl",
    "inactive_interval",
    "handshake_timeout",
    "max_version",
    "resolver",
];

/// A time in nanoseconds from a number and its unit: `1500ms`, `2s`, `10m`, `1h`, `21d`.
fn time(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(split)?;
    let unit = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// A time as [`time`] reads it, in its largest whole unit.
pub(super) fn shown(time: u64) -> String {
    let units = [
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
    ];
    let unit = units.into_iter().find(|(unit, _)| time != 0 && time.is_multiple_of(*unit));
    let (unit, name) = unit.unwrap_or((1, "ns"));
    format!("{}{name}", time / unit)
}

impl Settings {
    /// From text: `quota=2,message_ttl=1s,proxy=false`.
    ///
    /// # Errors
    /// [`SettingsError`] for the first that is wrong.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let mut settings = Settings::default();
        let (mut ttl, mut interval) = (None, None);
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (name, value) =
                part.trim().split_once('=').ok_or_else(|| SettingsError::NoValue(part.trim().to_owned()))?;
            let wrong =
                |expected| SettingsError::Value { name: name.to_owned(), value: value.to_owned(), expected };
            let a_time = || time(value).map(Some).ok_or_else(|| wrong("a time, as 1500ms, 2s, 1h or 21d"));
            let a_bool = || value.parse().map(Some).map_err(|_| wrong("true or false"));
            match name {
                "quota" => settings.quota = Some(value.parse().map_err(|_| wrong("a number"))?),
                "message_ttl" => settings.message_ttl = a_time()?,
                "expiry_interval" => settings.expiry_interval = a_time()?,
                "expire_on_send" => settings.expire_on_send = a_bool()?,
                "end_interval" => settings.end_interval = a_time()?,
                "notification_interval" => settings.notification_interval = a_time()?,
                "notification_ttl" => settings.notification_ttl = a_time()?,
                "password" => settings.password = Some(value.to_owned()),
                "new_queues" => settings.new_queues = a_bool()?,
                "proxy" => settings.proxy = a_bool()?,
                "inactive_ttl" => ttl = a_time()?,
                "inactive_interval" => interval = a_time()?,
                "handshake_timeout" => settings.handshake_timeout = a_time()?,
                "max_version" => settings.max_version = Some(value.parse().map_err(|_| wrong("a version"))?),
                "resolver" => return Err(wrong("no value: answers of a resolver can't be said here")),
                _ => return Err(SettingsError::Name(name.to_owned())),
            }
        }
        settings.inactive = ttl.zip(interval);
        Ok(settings)
    }

    /// Those that are not left to defaults: names and values, as [`Settings::parse`] reads them.
    pub fn entries(&self) -> Vec<(&'static str, String)> {
        let time = |time: &Option<u64>| time.map(shown);
        let flag = |flag: &Option<bool>| flag.map(|flag| flag.to_string());
        let entries = [
            ("quota", self.quota.map(|quota| quota.to_string())),
            ("message_ttl", time(&self.message_ttl)),
            ("expiry_interval", time(&self.expiry_interval)),
            ("expire_on_send", flag(&self.expire_on_send)),
            ("end_interval", time(&self.end_interval)),
            ("notification_interval", time(&self.notification_interval)),
            ("notification_ttl", time(&self.notification_ttl)),
            ("password", self.password.clone()),
            ("new_queues", flag(&self.new_queues)),
            ("proxy", flag(&self.proxy)),
            ("inactive_ttl", self.inactive.map(|(ttl, _)| shown(ttl))),
            ("inactive_interval", self.inactive.map(|(_, interval)| shown(interval))),
            ("handshake_timeout", time(&self.handshake_timeout)),
            ("max_version", self.max_version.map(|max| max.to_string())),
            ("resolver", self.resolver.as_ref().map(|names| format!("{} names", names.answers.len()))),
        ];
        entries.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Whether a target that provides these settings will do.
    ///
    /// # Errors
    /// [`Unavailable`] naming what is missing, or would be in the way.
    pub fn among(&self, provided: &Settings) -> Result<(), Unavailable> {
        if self.resolver.is_some() && self.resolver != provided.resolver {
            return Err(Unavailable("needs a resolver of names behind the router".to_owned()));
        }
        let (needed, has) = (self.entries(), provided.entries());
        let missing: Vec<String> = needed
            .iter()
            .filter(|entry| !has.contains(entry))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !missing.is_empty() {
            return Err(Unavailable(format!("needs a router with {}", missing.join(", "))));
        }
        // A password, a closed router and the like change every case that does not ask for them.
        let disturbing = ["password", "new_queues", "proxy", "quota", "max_version", "message_ttl"];
        let extra = has.iter().filter(|(name, _)| disturbing.contains(name));
        let extra: Vec<String> = extra
            .filter(|entry| !needed.contains(entry))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        match extra.is_empty() {
            true => Ok(()),
            false => Err(Unavailable(format!("needs a router without {}", extra.join(", ")))),
        }
    }
}
