use std::fs::OpenOptions;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use sxlab_node::world::{RealWorld, World};
use sxlab_protocol::crypto::keys::{AuthSecretKey, X25519Secret};
use sxlab_protocol::smp::errand::{Errand, Forwarding, Send, Step};
use sxlab_protocol::wire::{
    CLIENT_VERSIONS, QueueAddress, QueueMode, RouterAddress, base64url, base64url_decode,
};

use super::{ask_for, connect, now, undone, unexpected};
use crate::exit::{Failure, Outcome};
use crate::output;

/// Send messages to a queue: secure it, confirm, then send.
///
/// A queue can be secured with one key only. To send to the same queue again later, keep the key with --key.
#[derive(Args, Debug)]
pub(crate) struct SendArgs {
    /// Send through this router as a proxy, smp://…, so that the queue's router does not see who sends.
    #[arg(long, value_name = "PROXY")]
    via: Option<RouterAddress>,
    /// Keep the key that the queue is secured with in this file, which is made if need be.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Give up after so many seconds without an answer.
    #[arg(long, value_name = "S", default_value_t = 30)]
    timeout: u64,
    /// The queue's address, as `sxlab smp receive` prints it.
    #[arg(value_name = "QUEUE")]
    queue: QueueAddress,
    /// The messages, each of up to 15,997 bytes; `-` for every line of the standard input.
    #[arg(value_name = "MESSAGE", required = true)]
    messages: Vec<String>,
}

pub(super) async fn send(args: SendArgs) -> Outcome {
    let queue = &args.queue;
    if queue.mode != Some(QueueMode::Messaging) {
        return Err(Failure::usage("this queue is not one that its sender secures"));
    }
    let version = queue
        .versions
        .common(&CLIENT_VERSIONS)
        .map(|common| common.max)
        .ok_or_else(|| Failure::usage("the queue's address names no version that this client speaks"))?;
    let mut rng = RealWorld.rng();
    let auth_key = match &args.key {
        Some(file) => kept_key(file).map_err(|error| Failure::usage(error).of(file.display()))?,
        None => X25519Secret::generate(&mut rng),
    };
    let messages = args.messages.iter().map(|message| match message.as_str() {
        "-" => lines_of_input(),
        text => Ok(vec![text.as_bytes().to_vec()]),
    });
    let messages = messages.collect::<io::Result<Vec<_>>>().map_err(Failure::usage)?.into_iter().flatten();
    let mut errand = Send::new(queue.clone(), version, AuthSecretKey::X25519(auth_key), messages, &mut rng)
        .map_err(Failure::usage)?;
    if let Some(proxy) = &args.via {
        errand = errand.via(Forwarding { password: proxy.password.clone() });
    }

    let (session, _) = connect(args.via.as_ref().unwrap_or(&queue.router), args.timeout).await?;
    loop {
        let what = errand.doing();
        let step = errand.next(session.version()).map_err(undone);
        let done = match step.map_err(|failure| failure.of(&what))? {
            Step::Ask(ask) => match ask_for(&session, *ask).await {
                Ok(answer) => errand.answer(answer, now()).map_err(undone),
                Err(failure) => Err(failure),
            },
            // Whoever sends waits for nothing but answers.
            Step::Wait => Err(unexpected()),
            Step::Done => break,
        };
        done.map_err(|failure| failure.of(&what))?;
    }
    session.close();
    output::note(format_args!("{} messages sent", errand.total()));
    Ok(())
}

fn lines_of_input() -> io::Result<Vec<Vec<u8>>> {
    io::stdin().lock().split(b'\n').collect()
}

/// The key in the file; a fresh one, put there, if there is no such file. The file is one line: the key's PKCS#8 in
/// base64url.
fn kept_key(file: &Path) -> io::Result<X25519Secret> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "not a key of `sxlab smp send`");
    match std::fs::read_to_string(file) {
        Ok(text) => {
            let der = base64url_decode(text.trim_end()).map_err(|_| malformed())?;
            X25519Secret::from_pkcs8(&der).map_err(|_| malformed())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = X25519Secret::generate(&mut RealWorld.rng());
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            writeln!(options.open(file)?, "{}", base64url(&key.pkcs8()))?;
            Ok(key)
        }
        Err(error) => Err(error),
    }
}
