//! swapctl as a child process, with a deadline.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::daemon::{DEADLINE, Daemon};

pub(crate) const SWAPCTL: &str = env!("CARGO_BIN_EXE_swapctl");

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A run that has not ended.
pub(crate) struct Running(Child);

impl Daemon {
    /// Runs swapctl against this daemon.
    pub(crate) fn run<T: AsRef<OsStr>>(&self, arguments: &[T]) -> Run {
        self.start(arguments).end()
    }

    /// Begins to.
    pub(crate) fn start<T: AsRef<OsStr>>(&self, arguments: &[T]) -> Running {
        start(&mut swapctl(Some(&self.socket()), arguments))
    }
}

/// Runs swapctl without a daemon.
pub(crate) fn alone<T: AsRef<OsStr>>(arguments: &[T]) -> Run {
    start(&mut swapctl(None, arguments)).end()
}

/// The command, with nothing of our own surroundings that matters to it.
pub(crate) fn swapctl<T: AsRef<OsStr>>(socket: Option<&Path>, arguments: &[T]) -> Command {
    let mut command = Command::new(SWAPCTL);
    for name in [
        "HOLDFAST_CONTROL",
        "XDG_RUNTIME_DIR",
        "NO_COLOR",
        "CLICOLOR_FORCE",
    ] {
        command.env_remove(name);
    }
    if let Some(socket) = socket {
        command.env("HOLDFAST_CONTROL", socket);
    }
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn start(command: &mut Command) -> Running {
    Running(command.spawn().unwrap())
}

impl Running {
    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Waits until the signal is no longer pending (`SigPnd` and `ShdPnd` in proc_pid_status(5)), and the process sleeps
    /// again: then it has been dealt with.
    pub(crate) fn until_taken(&self, signal: Signal) {
        let file = format!("/proc/{}/status", self.0.id());
        let bit = 1_u64 << (signal.as_raw() - 1);
        until("the taking of the signal", || {
            let status = std::fs::read_to_string(&file).unwrap();
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap().trim().to_owned()
            };
            let pending = |name| u64::from_str_radix(&field(name), 16).unwrap() & bit != 0;
            let sleeps = field("State:").starts_with('S');
            sleeps && !pending("SigPnd:") && !pending("ShdPnd:")
        });
    }

    /// Waits for its end.
    pub(crate) fn end(self) -> Run {
        let pid = Pid::from_child(&self.0);
        let (sender, ended) = sync_channel(1);
        thread::spawn(move || sender.send(self.0.wait_with_output()));
        let Ok(output) = ended.recv_timeout(DEADLINE) else {
            let _ = kill_process(pid, Signal::KILL);
            panic!("swapctl had not ended after {DEADLINE:?}");
        };
        Run::of(output.unwrap())
    }
}

impl Run {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It must have ended with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// The one JSON object on its standard output.
    #[track_caller]
    pub(crate) fn object(&self) -> Value {
        assert_eq!(self.out.lines().count(), 1, "{self:#?}");
        let value: Value = serde_json::from_str(&self.out).unwrap();
        assert!(value.is_object(), "{self:#?}");
        value
    }
}

/// Waits until it is so.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < DEADLINE, "{what} did not come");
        thread::park_timeout(Duration::from_millis(2));
    }
}
