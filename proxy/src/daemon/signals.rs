//! Signals: TERM and INT stop, HUP reloads. Any number of them does no harm.

use holdfast_control::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Serves signals until one asks to stop.
pub(crate) async fn until_stop(handle: &Handle) {
    let mut hang_up = listen(SignalKind::hangup());
    let mut upgrade = listen(SignalKind::user_defined2());
    loop {
        tokio::select! {
            () = stop_asked() => return,
            () = next(&mut hang_up) => {
                if let Err(why) = handle.reload("SIGHUP").await {
                    tracing::error!("not reloaded: {why}");
                }
            }
            () = next(&mut upgrade) => tracing::warn!("SIGUSR2: this version cannot replace its own binary"),
        }
    }
}

/// Resolves when somebody asks the daemon to stop.
pub(crate) async fn stop_asked() {
    let (mut terminate, mut interrupt) = (
        listen(SignalKind::terminate()),
        listen(SignalKind::interrupt()),
    );
    tokio::select! {
        () = next(&mut terminate) => {}
        () = next(&mut interrupt) => {}
    }
}

fn listen(kind: SignalKind) -> Option<Signal> {
    signal(kind)
        .inspect_err(|error| tracing::error!(%error, ?kind, "not heard"))
        .ok()
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
