//! What this binary becomes when its first argument says so: an app, clients, the daemon, or swapctl.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use tokio::process::Command;

const DAEMON: &str = "loadtests-holdfast";
const SWAPCTL: &str = "loadtests-swapctl";

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
            thread::spawn(end_with_stdin);
            Some(holdfast::main_from(arguments))
        }
        SWAPCTL => Some(swapctl::main_from(arguments)),
        _ => None,
    }
}

/// No daemon outlives who started it, not even one that was killed.
fn end_with_stdin() {
    let mut octet = [0];
    while std::io::stdin().read(&mut octet).is_ok_and(|len| len > 0) {}
    std::process::exit(1);
}

/// A command that is the daemon: this one, or the one of the user's choice.
pub(crate) fn holdfast(chosen: Option<&Path>) -> Command {
    command(chosen, DAEMON)
}

/// A command that is swapctl: this one, or the one of the user's choice.
pub(crate) fn swapctl(chosen: Option<&Path>) -> Command {
    command(chosen, SWAPCTL)
}

fn command(chosen: Option<&Path>, hidden: &str) -> Command {
    match chosen {
        Some(path) => Command::new(path),
        None => {
            let mut command = Command::new("/proc/self/exe");
            command.arg(hidden);
            command
        }
    }
}
