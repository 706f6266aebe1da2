//! A result directory that is there completely or not at all.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::{ResultsError, Summary, Table};

/// A directory in the making. Files go to a hidden sibling directory, which takes the real name in
/// [`OutputDir::finish`]. Dropped before that, it removes everything it made, parent directories included.
#[derive(Debug)]
pub struct OutputDir {
    target: PathBuf,
    partial: PathBuf,
    /// Parent directories that did not exist before, outermost first.
    parents: Vec<PathBuf>,
    finished: bool,
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> ResultsError {
    let path = path.to_owned();
    move |source| ResultsError::File { path, source }
}

impl OutputDir {
    /// Starts a result directory that will be named `target`. An older result directory (one that holds
    /// `summary.json`) or an empty directory of that name is replaced when the new one is complete.
    ///
    /// # Errors
    /// [`ResultsError::Occupied`] for anything else of that name, [`ResultsError::File`] when the file system
    /// refuses, [`ResultsError::FileName`] for a path without a last component.
    pub fn create(target: &Path) -> Result<Self, ResultsError> {
        let Some(name) = target.file_name() else {
            return Err(ResultsError::FileName(target.display().to_string()));
        };
        if !replaceable(target)? {
            return Err(ResultsError::Occupied(target.to_owned()));
        }
        let mut output = OutputDir {
            target: target.to_owned(),
            partial: sibling(target, name, "partial"),
            parents: Vec::new(),
            finished: false,
        };
        // From here on, Drop cleans up what an error leaves.
        if let Some(parent) = target.parent() {
            let mut missing: Vec<&Path> =
                parent.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists()).collect();
            missing.reverse();
            for directory in missing {
                fs::create_dir(directory).map_err(file_error(directory))?;
                output.parents.push(directory.to_owned());
            }
        }
        // Left over from a process of the same number that was killed.
        if output.partial.exists() {
            fs::remove_dir_all(&output.partial).map_err(file_error(&output.partial))?;
        }
        fs::create_dir(&output.partial).map_err(file_error(&output.partial))?;
        Ok(output)
    }

    /// Writes one file; `name` may have directories in it, such as `plots/curves.svg`.
    ///
    /// # Errors
    /// [`ResultsError::FileName`] for an absolute name or one with `..`, [`ResultsError::File`].
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<(), ResultsError> {
        let relative = Path::new(name);
        let plain = relative.components().all(|c| matches!(c, Component::Normal(_)));
        if !plain || relative.file_name().is_none() {
            return Err(ResultsError::FileName(name.to_owned()));
        }
        let path = self.partial.join(relative);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(file_error(parent))?;
        }
        fs::write(&path, content).map_err(file_error(&path))
    }

    /// Writes `<table name>.csv` and `<table name>.parquet`.
    ///
    /// # Errors
    /// As [`OutputDir::write`] and [`Table::to_parquet`].
    pub fn write_table(&self, table: &Table) -> Result<(), ResultsError> {
        self.write(&format!("{}.csv", table.name()), table.to_csv())?;
        self.write(&format!("{}.parquet", table.name()), table.to_parquet()?)
    }

    /// Writes `summary.json`, and its metrics as `metrics.csv` and `metrics.parquet`.
    ///
    /// # Errors
    /// As [`OutputDir::write_table`] and [`Summary::to_json`].
    pub fn write_summary(&self, summary: &Summary) -> Result<(), ResultsError> {
        self.write("summary.json", summary.to_json()?)?;
        self.write_table(&summary.metrics_table()?)
    }

    /// Where files are until [`OutputDir::finish`], for writers that need a path.
    pub fn partial_path(&self) -> &Path {
        &self.partial
    }

    /// Gives the directory its name and returns it.
    ///
    /// # Errors
    /// [`ResultsError::Occupied`] when something else has taken the name meanwhile, [`ResultsError::File`].
    pub fn finish(mut self) -> Result<PathBuf, ResultsError> {
        if !replaceable(&self.target)? {
            return Err(ResultsError::Occupied(self.target.clone()));
        }
        let name = self.target.file_name().unwrap_or_default().to_owned();
        let old = sibling(&self.target, &name, "old");
        let replaces = self.target.exists();
        if replaces {
            fs::rename(&self.target, &old).map_err(file_error(&self.target))?;
        }
        if let Err(source) = fs::rename(&self.partial, &self.target) {
            if replaces {
                // Put the older results back; there is nothing better to do if that fails too.
                let _ = fs::rename(&old, &self.target);
            }
            return Err(file_error(&self.target)(source));
        }
        self.finished = true;
        if replaces {
            fs::remove_dir_all(&old).map_err(file_error(&old))?;
        }
        Ok(self.target.clone())
    }
}

impl Drop for OutputDir {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // Best effort: an error here would hide the one that led here.
        let _ = fs::remove_dir_all(&self.partial);
        for parent in self.parents.iter().rev() {
            let _ = fs::remove_dir(parent);
        }
    }
}

/// Nothing of that name, an empty directory, or older results.
fn replaceable(target: &Path) -> Result<bool, ResultsError> {
    if !target.exists() {
        return Ok(true);
    }
    if !target.is_dir() {
        return Ok(false);
    }
    if target.join("summary.json").is_file() {
        return Ok(true);
    }
    let mut entries = fs::read_dir(target).map_err(file_error(target))?;
    Ok(entries.next().is_none())
}

/// A hidden name beside `target`, different for each process that works on it.
fn sibling(target: &Path, name: &std::ffi::OsStr, state: &str) -> PathBuf {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{state}-{}", std::process::id()));
    target.with_file_name(hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty directory for one test, removed at its end.
    struct Place(PathBuf);

    impl Place {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("sxlab-{test}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Place(path)
        }

        fn entries(&self) -> Vec<String> {
            let mut names: Vec<String> = fs::read_dir(&self.0)
                .unwrap()
                .map(|e| e.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_name_appears_when_the_directory_is_complete() {
        let place = Place::new("complete");
        let target = place.0.join("run");
        let output = OutputDir::create(&target).unwrap();
        output.write("plots/curves.svg", "<svg/>").unwrap();
        assert!(!target.exists());
        assert_eq!(output.finish().unwrap(), target);
        assert_eq!(fs::read_to_string(target.join("plots/curves.svg")).unwrap(), "<svg/>");
        assert_eq!(place.entries(), ["run"]);
    }

    #[test]
    fn a_failure_leaves_nothing_behind() {
        let place = Place::new("failure");
        let output = OutputDir::create(&place.0.join("a/b/run")).unwrap();
        output.write("summary.json", "{}").unwrap();
        drop(output);
        assert_eq!(place.entries(), [""; 0]);
    }

    #[test]
    fn older_results_stay_until_the_new_ones_are_complete() {
        let place = Place::new("older");
        let target = place.0.join("run");
        let write = |text: &str| {
            let output = OutputDir::create(&target).unwrap();
            output.write("summary.json", text).unwrap();
            output
        };
        write("first").finish().unwrap();
        drop(write("second"));
        assert_eq!(fs::read_to_string(target.join("summary.json")).unwrap(), "first");
        write("third").finish().unwrap();
        assert_eq!(fs::read_to_string(target.join("summary.json")).unwrap(), "third");
        assert_eq!(place.entries(), ["run"]);
    }

    #[test]
    fn other_peoples_directories_are_left_alone() {
        let place = Place::new("other");
        fs::create_dir(place.0.join("home")).unwrap();
        fs::write(place.0.join("home/letter"), "dear").unwrap();
        fs::write(place.0.join("file"), "x").unwrap();
        for name in ["home", "file"] {
            let result = OutputDir::create(&place.0.join(name));
            assert!(matches!(result, Err(ResultsError::Occupied(_))));
        }
        assert_eq!(place.entries(), ["file", "home"]);
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        let place = Place::new("names");
        let output = OutputDir::create(&place.0.join("run")).unwrap();
        for name in ["../x", "/x", "", "a/../../x"] {
            assert!(matches!(output.write(name, ""), Err(ResultsError::FileName(_))), "{name}");
        }
    }
}
