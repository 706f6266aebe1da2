//! Connections of the operator's own programs: few at a time, each with a task.

use std::future::Future;
use std::io;

use tokio::task::JoinSet;

/// Connections that are served at a time; others wait.
const MOST: usize = 16;

/// Serves what `accept` gives, for ever. Failures to accept end nothing: the operator's next try may do better.
pub(crate) async fn serve<S, A, T>(accept: impl Fn() -> A, task: impl Fn(S) -> T)
where
    A: Future<Output = io::Result<S>>,
    T: Future<Output = ()> + 'static,
{
    let mut tasks = JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        if tasks.len() >= MOST {
            tasks.join_next().await;
        }
        match accept().await {
            Ok(stream) => {
                tasks.spawn_local(task(stream));
            }
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
        }
    }
}
