//! Signals: TERM and INT stop, HUP reloads, USR2 replaces the program. Any number of them does no harm.

use holdfast_control::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// All signals, heard from one moment on: none is missed between two looks.
pub(crate) struct Signals {
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
    hang_up: Option<Signal>,
    upgrade: Option<Signal>,
}

impl Signals {
    pub(crate) fn listen() -> Self {
        Self {
            terminate: listen(SignalKind::terminate()),
            interrupt: listen(SignalKind::interrupt()),
            hang_up: listen(SignalKind::hangup()),
            upgrade: listen(SignalKind::user_defined2()),
        }
    }

    /// Serves signals until one asks to stop. May be asked again where it was left.
    pub(crate) async fn until_stop(&mut self, handle: &Handle) {
        loop {
            tokio::select! {
                biased;
                () = next(&mut self.terminate) => return,
                () = next(&mut self.interrupt) => return,
                () = next(&mut self.hang_up) => reload(handle.clone()),
                () = next(&mut self.upgrade) => upgrade(handle.clone()),
            }
        }
    }

    /// Resolves when somebody has asked the daemon to stop so many times more.
    pub(crate) async fn stops(&mut self, times: usize) {
        for _ in 0..times {
            self.stop().await;
        }
    }

    /// Resolves when somebody asks the daemon to stop.
    pub(crate) async fn stop(&mut self) {
        tokio::select! {
            () = next(&mut self.terminate) => {}
            () = next(&mut self.interrupt) => {}
        }
    }
}

fn reload(handle: Handle) {
    tokio::spawn(async move {
        if let Err(why) = handle.reload("SIGHUP").await {
            tracing::error!("not reloaded: {why}");
        }
    });
}

fn upgrade(handle: Handle) {
    tokio::spawn(async move {
        match handle.upgrade("SIGUSR2").await {
            Ok(upgraded) => tracing::info!(pid = upgraded.pid, "another process serves"),
            Err(why) => tracing::error!("not upgraded: {why}"),
        }
    });
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
