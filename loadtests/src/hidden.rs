//! What this binary becomes when its first argument says so: an app, clients, the daemon, or swapctl.

use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use tokio::process::Command;

use crate::pinned::Pinned;

const DAEMON: &str = "loadtests-holdfast";
const SWAPCTL: &str = "loadtests-swapctl";
const PINNED: &str = "loadtests-pinned";

/// Is something else, if asked.
pub(crate) fn main_if_asked() -> Option<ExitCode> {
    if let Some(code) = holdfast_load::app::main_if_asked() {
        return Some(code);
    }
    // The hidden argument stands where the program's name is expected.
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let verb = arguments.first()?.to_str()?;
    let argument = arguments.get(1).and_then(|it| it.to_str());
    if let Some(code) = crate::lean::main_if_asked(verb, argument) {
        return Some(code);
    }
    match verb {
        DAEMON => {
            // A successor's standard input is the process before it.
            if std::env::var_os("HOLDFAST_HANDOVER").is_none() {
                thread::spawn(end_with_stdin);
            }
            Some(holdfast::main_from(arguments))
        }
        SWAPCTL => Some(swapctl::main_from(arguments)),
        PINNED => {
            let why = become_pinned(&arguments[1..]);
            crate::say(&format!("not on one core: {why}"));
            Some(ExitCode::from(2))
        }
        _ => None,
    }
}

/// No daemon outlives who started it, not even one that was killed.
fn end_with_stdin() {
    let mut octet = [0];
    while std::io::stdin().read(&mut octet).is_ok_and(|len| len > 0) {}
    std::process::exit(1);
}

/// A command that is the daemon: this one, or the one of the user's choice; on this core only, if one is named.
pub(crate) fn holdfast(chosen: Option<&Path>, core: Option<usize>) -> Command {
    command(chosen, DAEMON, core)
}

/// A command that is swapctl: this one, or the one of the user's choice.
pub(crate) fn swapctl(chosen: Option<&Path>) -> Command {
    command(chosen, SWAPCTL, None)
}

/// This binary, or another one in its place, on this core only if one is named.
pub(crate) fn command(chosen: Option<&Path>, hidden: &str, core: Option<usize>) -> Command {
    let own = Path::new("/proc/self/exe");
    let program = chosen.unwrap_or(own);
    let mut command = match core {
        Some(core) => {
            let mut command = Command::new(own);
            command.arg(PINNED).arg(core.to_string()).arg(program);
            command
        }
        None => Command::new(program),
    };
    if chosen.is_none() {
        command.arg(hidden);
    }
    command
}

/// Only comes back if it cannot be.
fn become_pinned(arguments: &[OsString]) -> std::io::Error {
    let [core, program, rest @ ..] = arguments else {
        return std::io::Error::other("CORE PROGRAM [ARGUMENT]...");
    };
    let Some(core) = core.to_str().and_then(|it| it.parse().ok()) else {
        return std::io::Error::other("a core is a number");
    };
    match Pinned::to(core) {
        Ok(_pinned) => std::process::Command::new(program).args(rest).exec(),
        Err(why) => std::io::Error::other(why),
    }
}
