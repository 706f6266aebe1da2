//! Which cases test which requirements.

use std::collections::BTreeMap;

use crate::catalogue::Catalogue;
use crate::requirement::RequirementId;

/// For each requirement the names of the cases that cover it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    cases: BTreeMap<RequirementId, Vec<String>>,
}

/// A case that claims to cover what is not a requirement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("case `{case}` covers `{requirement}`, which is not in the catalogue")]
pub struct UnknownRequirement {
    /// The case.
    pub case: String,
    /// What it names.
    pub requirement: String,
}

impl Coverage {
    /// No case covers anything yet.
    pub fn new(catalogue: &Catalogue) -> Self {
        Self { cases: catalogue.iter().map(|requirement| (requirement.id.clone(), Vec::new())).collect() }
    }

    /// Notes that a case covers requirements.
    ///
    /// # Errors
    /// [`UnknownRequirement`] for the first that is not in the catalogue; then nothing is noted.
    pub fn add(&mut self, case: &str, covers: &[&str]) -> Result<(), UnknownRequirement> {
        let unknown = |name: &str| UnknownRequirement { case: case.to_owned(), requirement: name.to_owned() };
        let known = |name: &&str| {
            let id = name.parse::<RequirementId>().ok().filter(|id| self.cases.contains_key(id));
            id.ok_or_else(|| unknown(name))
        };
        let ids = covers.iter().map(known).collect::<Result<Vec<_>, _>>()?;
        for id in ids {
            self.cases.entry(id).or_default().push(case.to_owned());
        }
        Ok(())
    }

    /// The cases that cover a requirement.
    pub fn cases(&self, id: &RequirementId) -> &[String] {
        self.cases.get(id).map(Vec::as_slice).unwrap_or_default()
    }

    /// Requirements that no case covers.
    pub fn uncovered(&self) -> impl Iterator<Item = &RequirementId> {
        self.cases.iter().filter(|(_, cases)| cases.is_empty()).map(|(id, _)| id)
    }
}
