//! What this binary becomes when its first argument says so: a proxy, the origin, the load, or whoever it starts on one core.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use rustix::process::{Resource, Rlimit, Signal};
use rustix::thread::CpuSet;

use super::{floor, load, origin};

pub(super) const FLOOR: &str = "compare-floor";
pub(super) const HOLDFAST: &str = "compare-holdfast";
pub(super) const LOAD: &str = "compare-load";
pub(super) const ORIGIN: &str = "compare-origin";
const PINNED: &str = "compare-pinned";

/// Is something else, if asked.
pub(super) fn main_if_asked() -> Option<ExitCode> {
    // The hidden argument stands where the program's name is expected.
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let text = |at: usize| arguments.get(at).and_then(|it| it.to_str());
    let ended = match text(0)? {
        HOLDFAST => return Some(holdfast::main_from(arguments)),
        PINNED => Err(become_pinned(&arguments[1..])),
        FLOOR => match (text(1).map(str::parse), text(2).map(str::parse)) {
            (Some(Ok(listen)), Some(Ok(origin))) => floor::run(listen, origin),
            _ => Err(io::Error::other("LISTEN ORIGIN")),
        },
        LOAD => load::run(),
        ORIGIN => match text(1).map(serde_json::from_str) {
            Some(Ok(certificate)) => origin::run(certificate),
            _ => Err(io::Error::other("CERTIFICATE, as JSON")),
        },
        _ => return None,
    };
    Some(match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            super::say(&format!("{}: {why}", text(0).unwrap_or_default()));
            ExitCode::from(2)
        }
    })
}

/// A command that runs on this core only, may open as many files as can be, and does not outlive us.
pub(super) fn pinned(core: usize, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(PINNED).arg(core.to_string()).arg(program);
    command
}

/// The program that is this one, in whichever process it is looked at.
pub(super) fn own() -> io::Result<std::path::PathBuf> {
    std::env::current_exe()
}

/// Only comes back if it cannot be.
fn become_pinned(arguments: &[OsString]) -> io::Error {
    let [core, program, rest @ ..] = arguments else {
        return io::Error::other("CORE PROGRAM [ARGUMENT]...");
    };
    let Some(core) = core.to_str().and_then(|it| it.parse().ok()) else {
        return io::Error::other("a core is a number");
    };
    let pin = || {
        let mut cores = CpuSet::new();
        cores.set(core);
        rustix::thread::sched_setaffinity(None, &cores)?;
        let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
        let most = Rlimit {
            current: maximum,
            maximum,
        };
        rustix::process::setrlimit(Resource::Nofile, most)?;
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
    };
    match pin() {
        Ok(()) => Command::new(program).args(rest).exec(),
        Err(why) => why.into(),
    }
}
