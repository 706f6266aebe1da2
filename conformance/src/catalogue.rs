//! All requirements.

use std::collections::BTreeMap;

use crate::load::{CatalogueError, parse};
use crate::requirement::{Requirement, RequirementId};

/// The shipped files: their names in `conformance/catalogue/`, and their text.
const SHIPPED: [(&str, &str); 17] = [
    ("address.toml", include_str!("../catalogue/address.toml")),
    ("authorization.toml", include_str!("../catalogue/authorization.toml")),
    ("blocking.toml", include_str!("../catalogue/blocking.toml")),
    ("encoding.toml", include_str!("../catalogue/encoding.toml")),
    ("envelope.toml", include_str!("../catalogue/envelope.toml")),
    ("errors.toml", include_str!("../catalogue/errors.toml")),
    ("link.toml", include_str!("../catalogue/link.toml")),
    ("names.toml", include_str!("../catalogue/names.toml")),
    ("notification.toml", include_str!("../catalogue/notification.toml")),
    ("notifier.toml", include_str!("../catalogue/notifier.toml")),
    ("operator.toml", include_str!("../catalogue/operator.toml")),
    ("proxy.toml", include_str!("../catalogue/proxy.toml")),
    ("recipient.toml", include_str!("../catalogue/recipient.toml")),
    ("sender.toml", include_str!("../catalogue/sender.toml")),
    ("service.toml", include_str!("../catalogue/service.toml")),
    ("transport.toml", include_str!("../catalogue/transport.toml")),
    ("versions.toml", include_str!("../catalogue/versions.toml")),
];

/// Requirements, ordered by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    requirements: BTreeMap<RequirementId, Requirement>,
}

impl Catalogue {
    /// The requirements that come with this program.
    ///
    /// # Errors
    /// What is wrong with its files: a defect of the program, which its tests look for.
    pub fn shipped() -> Result<Self, CatalogueError> {
        Self::parse(&SHIPPED)
    }

    /// The names of the shipped files.
    pub fn shipped_files() -> impl Iterator<Item = &'static str> {
        SHIPPED.iter().map(|(name, _)| *name)
    }

    /// Requirements from files: for each its name in errors, and its text.
    ///
    /// # Errors
    /// The first thing wrong.
    pub fn parse(files: &[(&str, &str)]) -> Result<Self, CatalogueError> {
        Ok(Self { requirements: parse(files)? })
    }

    /// The requirement of this id.
    pub fn get(&self, id: &RequirementId) -> Option<&Requirement> {
        self.requirements.get(id)
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Requirement> {
        self.requirements.values()
    }

    /// Those whose id begins with `prefix`, and those that code comments call `prefix`, such as `TR-14`.
    pub fn select<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Requirement> {
        self.iter().filter(move |requirement| {
            let deviation = requirement.deviation.iter().flat_map(|deviation| &deviation.numbers);
            requirement.id.as_str().starts_with(prefix)
                || requirement.rows.iter().chain(deviation).any(|name| name == prefix)
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.requirements.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }
}
