//! The control socket of a router: lines of text for its operator, and `sxlab serve control`, which sends one.
//!
//! It is a Unix socket that only its owner (and root) can use, so it needs no password and can't be reached over the network.
//! Each command is one line. The answer is any number of lines and then `ok`, or one line that begins with `error: `.

use std::fmt::Display;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use sxlab_node::router::RouterNode;
use sxlab_node::world::RealWorld;
use sxlab_protocol::smp::router::{QueueReport, Status};
use sxlab_protocol::wire::QueueMode;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::value::{Block, QueueId};
use super::{few, metrics};
use crate::exit::{Exit, Failure, Outcome};
use crate::output;

/// The longest line, in bytes. The longest command has an id of 255 bytes in base64.
const LINE: u64 = 1024;
/// How long to wait for the other side's next line.
const LIMIT: Duration = Duration::from_secs(60);

const HELP: &str = "\
block ID spam|content [TIME|always]  refuse what concerns a queue; with a notice for so long
unblock ID                           end that
delete ID                            delete a queue with its messages
status ID                            what state a queue is in
statistics                           what the router counts, as its metrics
save                                 whether what was answered is saved
help                                 these lines
An ID is a queue's recipient or sender id, as in its address.";

/// A router's control socket.
#[derive(Debug)]
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
    owner: u32,
}

impl Control {
    /// Makes the socket. One that nobody listens on any more, left by a router that was killed, is replaced.
    pub(crate) fn bind(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::usage(error).of(path.display()).of("control");
        if std::fs::symlink_metadata(path).is_ok_and(|there| there.file_type().is_socket()) {
            match std::os::unix::net::UnixStream::connect(path) {
                Ok(_) => return Err(failed(io::ErrorKind::AddrInUse.into())),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    std::fs::remove_file(path).map_err(failed)?;
                }
                Err(error) => return Err(failed(error)),
            }
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        let owned = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
            .and_then(|()| std::fs::metadata(path))
            .map_err(failed)?;
        Ok(Self { listener, path: path.to_owned(), owner: owned.uid() })
    }

    /// Carries out commands, for ever.
    pub(crate) async fn serve(self, node: RouterNode<RealWorld>, durable: bool) {
        let accept = || async {
            let (stream, _) = self.listener.accept().await?;
            // Whoever connected before the mode of the socket was set is found here.
            let peer = stream.peer_cred()?.uid();
            if peer == self.owner || peer == 0 {
                Ok(stream)
            } else {
                Err(io::ErrorKind::PermissionDenied.into())
            }
        };
        few::serve(accept, |stream| {
            let node = node.clone();
            // The operator went away: nobody to tell.
            async move { drop(commands(stream, &node, durable).await) }
        })
        .await;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The next line without its end; `None` at the end of the stream or after a line that is too long.
async fn line(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut line = String::new();
    match timeout(LIMIT, stream.take(LINE).read_line(&mut line)).await {
        Ok(read) => read?,
        Err(_) => return Ok(None),
    };
    Ok(line.strip_suffix('\n').map(|line| line.trim_end_matches('\r').to_owned()))
}

async fn commands(stream: UnixStream, node: &RouterNode<RealWorld>, durable: bool) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    while let Some(command) = line(&mut reader).await? {
        let answer = match carry_out(node, durable, &command) {
            Ok(lines) => lines.into_iter().map(|line| line + "\n").chain(["ok\n".to_owned()]).collect(),
            Err(why) => format!("error: {why}\n"),
        };
        writer.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// What a command answers, or why not.
fn carry_out(node: &RouterNode<RealWorld>, durable: bool, command: &str) -> Result<Vec<String>, String> {
    let (name, rest) = command.trim().split_once(char::is_whitespace).unwrap_or((command.trim(), ""));
    let rest = rest.trim();
    let id = || rest.parse::<QueueId>().map(|id| id.0);
    let done = match name {
        "help" | "statistics" | "save" if !rest.is_empty() => {
            return Err(format!("{name} takes nothing more"));
        }
        "help" => return Ok(HELP.lines().map(str::to_owned).collect()),
        "statistics" => return Ok(metrics::samples(node)),
        "save" if durable => return Ok(vec!["what was answered to clients is saved already".to_owned()]),
        "save" => return Err("queues are in memory: there is nothing to save to".to_owned()),
        "status" => {
            let id = id()?;
            let report = node.operate(|core, _| core.report_queue(&id)).flatten();
            return report.map(|report| vec![told(report)]).ok_or_else(no_queue);
        }
        "block" => {
            let Block { id, info } = rest.parse()?;
            node.operate(|core, _| core.block_queue(&id.0, info)).flatten().map(was)
        }
        "unblock" => {
            let id = id()?;
            node.operate(|core, _| core.unblock_queue(&id)).flatten().map(was)
        }
        "delete" => {
            let id = id()?;
            let deleted = node.operate(|core, now| core.delete_queue(&id, now));
            deleted.is_some_and(|deleted| deleted).then(|| "deleted".to_owned())
        }
        "" => return Err("an empty line, say help for the commands".to_owned()),
        _ => return Err("no such command, say help for those that there are".to_owned()),
    };
    let done = done.ok_or_else(no_queue)?;
    // Which queue is the operator's business only.
    tracing::info!(command = name, "an operator's command was carried out");
    Ok(vec![done])
}

fn no_queue() -> String {
    "no such queue".to_owned()
}

fn was(status: Status) -> String {
    format!("was {}", shown(status))
}

fn shown(status: Status) -> String {
    match status {
        Status::Active => "active".to_owned(),
        Status::Off => "off".to_owned(),
        Status::Blocked(info) => format!("blocked {info}"),
    }
}

fn told(report: QueueReport) -> String {
    let yes = |yes| if yes { "yes" } else { "no" };
    let mode = match report.mode {
        Some(QueueMode::Messaging) => "messaging",
        Some(QueueMode::Contact) => "contact",
        None => "none",
    };
    format!(
        "{} mode={mode} secured={} subscribed={} messages={}",
        shown(report.status),
        yes(report.secured),
        yes(report.subscribed),
        report.messages
    )
}

/// Send one command to the control socket of a router that runs on this machine.
///
/// `help` lists the commands.
#[derive(Args, Debug)]
pub(crate) struct ControlArgs {
    /// The socket, as the router's --control names it.
    socket: PathBuf,
    /// The command.
    // An ID in it may begin with a dash.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Runs the subcommand: the answer's lines are data; an error is exit code 1.
pub(crate) async fn control(args: ControlArgs) -> Outcome {
    let unreachable = |why: &dyn Display| Failure::new(Exit::Unreachable, why).of(args.socket.display());
    let command = args.command.join(" ");
    if command.contains('\n') {
        return Err(Failure::usage("a command is one line"));
    }
    let stream = UnixStream::connect(&args.socket).await.map_err(|error| unreachable(&error))?;
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let asked = writer.write_all(format!("{command}\n").as_bytes()).await;
    asked.map_err(|error| unreachable(&error))?;
    loop {
        match line(&mut reader).await.map_err(|error| unreachable(&error))? {
            Some(line) if line == "ok" => return Ok(()),
            Some(line) => match line.strip_prefix("error: ") {
                Some(why) => return Err(Failure::new(Exit::Failures, why)),
                None => output::data(line.as_bytes())?,
            },
            None => return Err(unreachable(&"no answer")),
        }
    }
}
