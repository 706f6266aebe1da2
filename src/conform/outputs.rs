//! What becomes of a report: tables, files, and the exit code.

use std::path::PathBuf;

use clap::Args;
use sxlab_conformance::Catalogue;
use sxlab_conformance::report::{Conclusion, Report, html, junit};

use super::{files, table};
use crate::exit::{Exit, Failure, Outcome};
use crate::output;

/// Where results go to.
#[derive(Args, Debug)]
pub(super) struct Outputs {
    /// Write JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write all results as one JSON document; without a file it goes to the standard output.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub(super) json: Option<PathBuf>,
    /// Write one self-contained page: requirements by versions and targets, with the bytes exchanged.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Show results of an earlier run, written with --json, beside these in the page; may be repeated.
    #[arg(long, value_name = "FILE", requires = "html")]
    with: Vec<PathBuf>,
}

impl Outputs {
    /// Fails early for files that could not be written after the run.
    pub(super) fn can_be_written(&self) -> Outcome {
        let outputs = [&self.junit, &self.html, &self.json];
        let files = outputs.into_iter().flatten().filter(|path| path.as_os_str() != "-");
        files.into_iter().try_for_each(|path| files::can_be_written(path))
    }

    /// The results of earlier runs.
    pub(super) fn earlier(&self) -> Result<Vec<Report>, Failure> {
        self.with.iter().map(|path| files::report(path)).collect()
    }

    /// Shows a report and writes it into the files.
    pub(super) fn write(
        &self,
        catalogue: &Catalogue,
        report: Report,
        earlier: Vec<Report>,
        optional: &[String],
    ) -> Result<Conclusion, Failure> {
        table::print(&report, catalogue);
        if let Some(path) = &self.junit {
            files::write(path, junit::render(&report).as_bytes())?;
        }
        match &self.json {
            Some(path) if path.as_os_str() == "-" => output::json(&report)?,
            Some(path) => files::write_json(path, &report)?,
            None => {}
        }
        let conclusion = report.conclusion(catalogue, optional);
        if let Some(path) = &self.html {
            let reports: Vec<Report> = std::iter::once(report).chain(earlier).collect();
            files::write(path, html::render(catalogue, &reports).as_bytes())?;
        }
        Ok(conclusion)
    }
}

/// The exit code of a conclusion.
pub(super) fn conclude(conclusion: Conclusion) -> Outcome {
    match conclusion {
        Conclusion::Passed => Ok(()),
        Conclusion::Failed => Err(Failure::new(Exit::Failures, "not everything that is required passed")),
        Conclusion::Unreachable => Err(Failure::new(Exit::Unreachable, "the target was lost during the run")),
        Conclusion::Broken => Err(Failure::new(Exit::Bug, "cases ended in errors of the suite")),
    }
}
