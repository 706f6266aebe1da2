//! The program: run to its end, or in the background. Nothing here waits longer than [`LIMIT`].

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

/// Far beyond what anything takes, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The one line that goes with a failure.
    pub(crate) fn failure(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{}", self.stderr);
        assert_eq!(self.stdout, "", "a failure has no data");
        let line = self.stderr.strip_suffix('\n').unwrap();
        assert!(!line.contains('\n'), "more than one line: {line}");
        line.strip_prefix("sxlab: ").unwrap()
    }

    /// The data of a good run.
    pub(crate) fn data(&self) -> &str {
        assert_eq!(self.code, 0, "{}", self.stderr);
        &self.stdout
    }

    /// The JSON document of a good run.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.data()).unwrap()
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sxlab"));
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    // Whatever runs these tests, what they start is no task of it.
    for variable in ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "SXLAB_SHARDS"] {
        command.env_remove(variable);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the program to its end.
pub(crate) async fn sxlab(args: &[&str]) -> Ended {
    ended(command(args).spawn().unwrap()).await
}

/// Runs the program to its end with variables of the environment.
pub(crate) async fn sxlab_with(variables: &[(&str, &str)], args: &[&str]) -> Ended {
    ended(command(args).envs(variables.iter().copied()).spawn().unwrap()).await
}

/// Runs the program to its end in a directory.
pub(crate) async fn sxlab_in(directory: &str, args: &[&str]) -> Ended {
    ended(command(args).current_dir(directory).spawn().unwrap()).await
}

/// Runs the program to its end where no file may get longer than so many kilobytes or half of them, as the shell counts.
pub(crate) async fn sxlab_with_files_of(blocks: u32, args: &[&str]) -> Ended {
    let mut command = Command::new("sh");
    // Told of it by an error, not ended by a signal.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_sxlab")]).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    ended(command.spawn().unwrap()).await
}

/// Runs the program to its end with an input.
pub(crate) async fn sxlab_with_input(args: &[&str], input: &str) -> Ended {
    let mut child = command(args).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    ended(child).await
}

async fn ended(child: Child) -> Ended {
    let output = timeout(LIMIT, child.wait_with_output()).await.expect("ends in time").unwrap();
    Ended {
        code: output.status.code().expect("ends by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The program in the background; killed, by its own id, when dropped.
pub(crate) struct Background {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    notes: Option<ChildStderr>,
}

impl Background {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::run(command(args).stderr(Stdio::null()))
    }

    /// One that keeps what it says to people.
    pub(crate) fn noted(args: &[&str]) -> Self {
        Self::run(&mut command(args))
    }

    fn run(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let notes = child.stderr.take();
        Self { child, lines, notes }
    }

    /// Asks it to stop with a signal, waits for its end, and gives the exit code and what it said to people.
    pub(crate) async fn signal(mut self, signal: &str) -> (i32, String) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
        let mut said = String::new();
        if let Some(mut notes) = self.notes.take() {
            timeout(LIMIT, notes.read_to_string(&mut said)).await.expect("ends in time").unwrap();
        }
        (self.code().await, said)
    }

    /// Asks it to stop with a signal, waits for its end, and gives the exit code and the rest of its data.
    pub(crate) async fn end(mut self, signal: &str) -> (i32, Vec<String>) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
        let mut rest = Vec::new();
        while let Some(line) = timeout(LIMIT, self.lines.next_line()).await.expect("ends in time").unwrap() {
            rest.push(line);
        }
        (self.code().await, rest)
    }

    /// The next line of its data.
    pub(crate) async fn line(&mut self) -> String {
        let line = timeout(LIMIT, self.lines.next_line()).await.expect("a line in time");
        line.unwrap().expect("a line before the end")
    }

    /// The next line to people that begins so.
    pub(crate) async fn note(&mut self, begins: &str) -> String {
        self.note_that(|line| line.starts_with(begins)).await
    }

    /// The next line to people that has this in it.
    pub(crate) async fn note_with(&mut self, words: &str) -> String {
        self.note_that(|line| line.contains(words)).await
    }

    async fn note_that(&mut self, is_it: impl Fn(&str) -> bool) -> String {
        let notes = self.notes.as_mut().expect("one that keeps its notes");
        let mut line = String::new();
        loop {
            let byte = timeout(LIMIT, notes.read_u8())
                .await
                .expect("a line in time")
                .expect("a line before the end");
            match char::from(byte) {
                '\n' if is_it(&line) => return line,
                '\n' => line.clear(),
                other => line.push(other),
            }
        }
    }

    /// Waits for its end and gives the exit code.
    pub(crate) async fn code(mut self) -> i32 {
        timeout(LIMIT, self.child.wait()).await.expect("ends in time").unwrap().code().unwrap()
    }

    /// Kills it and waits until it is gone.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// A router of ours on a port that the system chose, and its address.
pub(crate) async fn router(args: &[&str]) -> (Background, String) {
    let mut router = Background::start(&[&["serve", "smp"], args].concat());
    let address = router.line().await;
    (router, address)
}

/// A path in a directory of the test's own, which is removed when dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(test: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
