//! Where observations go that memory does not hold.

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;
use parquet::file::reader::SerializedFileReader;
use parquet::file::writer::SerializedFileWriter;

use super::chunk::Chunk;
use super::{LogError, Vantage, VantageId, columns};

/// How much of a log is kept in memory, and where the rest goes.
#[derive(Clone, Debug)]
pub struct Spill {
    /// Bytes of memory that a log may take. What it takes is more by what is being filled or read: at most a hundred megabytes.
    pub memory: usize,
    /// Where to.
    pub to: SpillTo,
}

/// Where observations go.
#[derive(Clone, Debug)]
pub enum SpillTo {
    /// To a file in this directory that ends with the log, as soon as memory does not hold them all.
    Temporary(PathBuf),
    /// To this file, all of them, in any case.
    File(PathBuf),
}

/// The file of a log.
#[derive(Default)]
pub(super) struct Store {
    path: PathBuf,
    writer: Option<SerializedFileWriter<File>>,
    /// The file of the writer, for reading.
    file: Option<File>,
    reader: Option<SerializedFileReader<File>>,
    /// Chunks written.
    pub(super) groups: usize,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.path)
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}

fn error(path: &Path, error: impl Into<ParquetError>) -> LogError {
    let what = match error.into() {
        // The system's own words, without the names of the layers between.
        ParquetError::External(source) => text_of(&*source),
        other => other.to_string(),
    };
    LogError::File { path: path.to_owned(), what }
}

fn text_of(error: &(dyn Error + Send + Sync + 'static)) -> String {
    match error.downcast_ref::<ParquetError>() {
        Some(ParquetError::External(source)) => text_of(&**source),
        _ => error.to_string(),
    }
}

impl Store {
    fn open(&mut self, to: &SpillTo) -> Result<&mut SerializedFileWriter<File>, LogError> {
        if self.writer.is_none() {
            let mut options = File::options();
            options.read(true).write(true);
            let file = match to {
                SpillTo::File(path) => {
                    self.path.clone_from(path);
                    options.create(true).truncate(true).open(path)
                }
                SpillTo::Temporary(directory) => {
                    let mut number = 0u64;
                    loop {
                        let name = format!(".observations-{}-{number}", std::process::id());
                        self.path = directory.join(name);
                        match options.create_new(true).open(&self.path) {
                            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                            other => break other,
                        }
                    }
                }
            };
            let file = file.map_err(|e| error(&self.path, e))?;
            if matches!(to, SpillTo::Temporary(_)) {
                // Without a name it goes with the process, however that ends.
                fs::remove_file(&self.path).map_err(|e| error(&self.path, e))?;
            }
            self.file = Some(file.try_clone().map_err(|e| error(&self.path, e))?);
            self.writer = Some(columns::create(file).map_err(|e| error(&self.path, e))?);
        }
        self.writer.as_mut().ok_or(LogError::Unfinished)
    }

    /// Appends a chunk.
    pub(super) fn write(
        &mut self,
        to: &SpillTo,
        chunk: &Chunk,
        vantages: &[Vantage],
    ) -> Result<(), LogError> {
        let writer = self.open(to)?;
        let written = columns::write(writer, chunk, vantages);
        written.map_err(|e| error(&self.path, e))?;
        self.groups += 1;
        Ok(())
    }

    /// Completes the file. From now on it can be read.
    pub(super) fn finish(&mut self, to: &SpillTo) -> Result<(), LogError> {
        if self.reader.is_some() || (self.groups == 0 && matches!(to, SpillTo::Temporary(_))) {
            return Ok(());
        }
        self.open(to)?;
        if let (Some(writer), Some(file)) = (self.writer.take(), self.file.take()) {
            writer.close().map_err(|e| error(&self.path, e))?;
            self.reader = Some(SerializedFileReader::new(file).map_err(|e| error(&self.path, e))?);
        }
        Ok(())
    }

    /// A chunk, or its rows from these vantage points.
    pub(super) fn read(&self, number: usize, held: Option<&[VantageId]>) -> Result<Chunk, LogError> {
        let reader = self.reader.as_ref().ok_or(LogError::Unfinished)?;
        columns::read(reader, number, held).map_err(|e| error(&self.path, e))
    }
}
