//! How the observations of a run are kept while it goes on, and what of them stays.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use clap::Args;
use sxlab_analysis::results::OutputDir;
use sxlab_simnet::network::Network;
use sxlab_simnet::observe::{Log, Spill, SpillTo};
use sxlab_simnet::selection::Policy;

use crate::exit::{Exit, Failure};

/// What is done with observations.
#[derive(Args, Clone, Debug)]
pub(crate) struct Keep {
    /// Write every observation to trace-POLICY.jsonl, too.
    #[arg(long)]
    write_trace: bool,
    /// Write every observation to observations-POLICY.parquet, too.
    #[arg(long)]
    observations: bool,
    /// Memory for observations, in MiB; what passes it goes to a temporary file beside the results.
    #[arg(long, value_name = "MIB", default_value_t = DEFAULT_MIB)]
    log_memory: u32,
}

const DEFAULT_MIB: u32 = 1024;

impl Default for Keep {
    fn default() -> Self {
        Self { write_trace: false, observations: false, log_memory: DEFAULT_MIB }
    }
}

impl Keep {
    /// The log for a policy's run. What passes its memory goes to the directory, or without one to the system's for such files.
    pub(super) fn log(&self, network: &Network, directory: Option<&OutputDir>, policy: Policy) -> Log {
        let to = match directory {
            Some(directory) if self.observations => {
                SpillTo::File(directory.partial_path().join(format!("observations-{policy}.parquet")))
            }
            Some(directory) => SpillTo::Temporary(directory.partial_path().to_owned()),
            None => SpillTo::Temporary(std::env::temp_dir()),
        };
        let memory = usize::try_from(u64::from(self.log_memory) << 20).unwrap_or(usize::MAX);
        Log::of_routers(network).spilling(Spill { memory, to })
    }

    /// Writes what is asked for and not written yet.
    pub(super) fn write(
        &self,
        log: &Log,
        directory: Option<&OutputDir>,
        policy: Policy,
    ) -> Result<(), Failure> {
        let Some(directory) = directory.filter(|_| self.write_trace) else { return Ok(()) };
        let path = directory.partial_path().join(format!("trace-{policy}.jsonl"));
        let failed = |error| Failure::new(Exit::Failures, format_args!("{}: {error}", path.display()));
        write_lines(log, &path).map_err(failed)
    }
}

fn write_lines(log: &Log, path: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    log.write_jsonl(&mut file)?;
    file.flush()
}
