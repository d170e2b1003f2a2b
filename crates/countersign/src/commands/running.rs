//! What `dev` and `serve` share: a platform that runs until it is told to stop.

use crate::{Instance, instance::StartError};
use std::{future::Future, io::Write};
use tokio::signal::unix::{SignalKind, signal};

/// Waits for the start, says where the platform is, and runs it until Ctrl-C or SIGTERM.
pub(super) async fn run_until_stopped(
    start: impl Future<Output = Result<Instance, StartError>>,
    welcome: impl FnOnce(&Instance),
) -> Result<(), StartError> {
    raise_file_limit();
    // Before anything runs: a signal that comes early must stop the start, not be lost or kill half way.
    let failed = |error: std::io::Error| StartError::Other(format!("signals cannot be waited for: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut instance = tokio::select! {
        started = start => started?,
        _ = interrupt.recv() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    welcome(&instance);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        what = instance.broken() => {
            instance.stop().await;
            return Err(StartError::Other(what));
        }
    }
    print("\nStopping: what is in flight is finished …\n");
    instance.stop().await;
    print("Stopped. The next start goes on where this one ended.\n");
    Ok(())
}

/// A closed pipe is no reason to stop serving.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    drop(written);
}

/// Every connection is a file: as many as this process may have open. Systems allow 1024 at first, for programs that count
/// on it; nothing here does.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::info!(%error, soft, "no more than this many connections and files can be open");
    }
}
