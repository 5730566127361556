//! The signals that ask us to go: INT, TERM, HUP. Caught only while there is something to put in order.

use std::fmt;
use std::fs::File;
use std::io;

use rustix::process::{Pid, getpgrp, kill_process};
use rustix::termios::tcgetpgrp;
use tokio::signal::unix::{self, SignalKind};

/// A signal that asks us to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Interrupt,
    Terminate,
    HangUp,
}

/// Those that have come.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hang_up: unix::Signal,
}

impl Signals {
    /// From now on they do not end the process.
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: unix::signal(SignalKind::interrupt())?,
            terminate: unix::signal(SignalKind::terminate())?,
            hang_up: unix::signal(SignalKind::hangup())?,
        })
    }

    /// The next one. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Signal::Interrupt,
            Some(()) = self.terminate.recv() => Signal::Terminate,
            Some(()) = self.hang_up.recv() => Signal::HangUp,
            else => std::future::pending().await,
        }
    }
}

impl Signal {
    /// Passes it on to a child in our own process group, unless the terminal has done so already. If the child is gone,
    /// so is the reason.
    pub(crate) fn pass_on(self, child: u32) {
        if self.comes_from_terminal() {
            return;
        }
        if let Some(pid) = i32::try_from(child).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, self.raw());
        }
    }

    /// Ctrl-C goes to the whole foreground process group. A second one would make many programs give up their cleaning.
    fn comes_from_terminal(self) -> bool {
        if self == Self::Terminate {
            return false;
        }
        let terminal = File::open("/dev/tty");
        terminal.is_ok_and(|terminal| tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp()))
    }

    fn raw(self) -> rustix::process::Signal {
        match self {
            Self::Interrupt => rustix::process::Signal::INT,
            Self::Terminate => rustix::process::Signal::TERM,
            Self::HangUp => rustix::process::Signal::HUP,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::HangUp => "SIGHUP",
        })
    }
}
