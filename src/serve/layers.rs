//! Settings in layers: flags over a file over the defaults.

/// A setting that may be given in several places.
pub(crate) trait Layer {
    /// This one if it is given, else the one below.
    fn over(self, below: Self) -> Self;
}

impl<T> Layer for Option<T> {
    fn over(self, below: Self) -> Self {
        self.or(below)
    }
}

impl<T> Layer for Vec<T> {
    fn over(self, below: Self) -> Self {
        if self.is_empty() { below } else { self }
    }
}

/// A router's settings: a struct `Settings` whose fields are flags and keys of the file.
macro_rules! settings {
    ($($(#[$meta:meta])* $name:ident: $kind:ty,)*) => {
        /// What flags, a file or the defaults say.
        #[derive(clap::Args, Clone, Debug, Default, serde::Deserialize, serde::Serialize)]
        #[serde(deny_unknown_fields, default)]
        pub(crate) struct Settings {
            $($(#[$meta])* pub(crate) $name: $kind,)*
        }

        impl Settings {
            /// These, and what they don't say from below.
            pub(crate) fn over(self, below: Self) -> Self {
                Self { $($name: $crate::serve::layers::Layer::over(self.$name, below.$name),)* }
            }
        }
    };
}

pub(crate) use settings;

/// Checks that help texts name the defaults, and that those are the ones that hold. `plain`: keys whose default the help tells in
/// other words.
#[cfg(test)]
pub(crate) fn check_help<S: clap::Args + serde::Serialize>(defaults: &S, plain: &[&str]) {
    use std::collections::BTreeMap;

    let shown = toml::to_string(defaults).unwrap();
    let values: BTreeMap<String, toml::Value> = toml::from_str(&shown).unwrap();
    let text = |value: &toml::Value| match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Boolean(on) => if *on { "on" } else { "off" }.to_owned(),
        toml::Value::Array(values) => values.iter().filter_map(toml::Value::as_str).collect(),
        value => value.to_string(),
    };
    let flags = S::augment_args(clap::Command::new("serve"));
    let mut with_default = 0;
    for flag in flags.get_arguments() {
        let key = flag.get_long().unwrap().replace('-', "_");
        let help = flag.get_help().unwrap().to_string();
        let told = help.split_once("[default: ").map(|(_, rest)| rest.split(']').next().unwrap().to_owned());
        // No certificates and no blocked queues: an empty list.
        let value = values.get(&key).map(text).filter(|value| !value.is_empty());
        with_default += usize::from(value.is_some());
        assert!(
            told == value || plain.contains(&key.as_str()),
            "{key}: {told:?} in the help, {value:?} in truth"
        );
    }
    assert_eq!(with_default, values.values().filter(|value| !text(value).is_empty()).count());
}
