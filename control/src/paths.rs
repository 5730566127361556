//! Where the control socket and the state directory are: one rule for the daemon and for swapctl.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const SYSTEM_SOCKET: &str = "/run/holdfast/control.sock";

/// The control socket: `--control`, else `$HOLDFAST_CONTROL`, else `/run/holdfast/control.sock` when that directory is
/// ours, else `$XDG_RUNTIME_DIR/holdfast/control.sock`. None: there is no good place.
pub fn control_socket(typed: Option<&Path>) -> Option<PathBuf> {
    let named = typed
        .map(Path::to_owned)
        .or_else(|| path_of("HOLDFAST_CONTROL"));
    let system = || directory_is_ours(SYSTEM_SOCKET).then(|| SYSTEM_SOCKET.into());
    let runtime = || path_of("XDG_RUNTIME_DIR").map(|dir| dir.join("holdfast/control.sock"));
    named.or_else(system).or_else(runtime)
}

/// The control socket to ask, for swapctl: the same rule, except that another user's `/run/holdfast/control.sock` is
/// better than none of ours. (Root, and whoever `control.users` names, command daemons that run as somebody else.)
pub fn control_socket_to_ask(typed: Option<&Path>) -> Option<PathBuf> {
    let ours = control_socket(typed);
    let named = typed.is_some() || path_of("HOLDFAST_CONTROL").is_some();
    let system = Path::new(SYSTEM_SOCKET);
    match ours {
        Some(ours) if named || ours.exists() || !system.exists() => Some(ours),
        None if !system.exists() => None,
        Some(_) | None => Some(system.to_owned()),
    }
}

/// The state directory: `--state-dir`, else `$STATE_DIRECTORY`, else `$XDG_STATE_HOME/holdfast`, else
/// `~/.local/state/holdfast`. None: there is no home either.
pub fn state_dir(typed: Option<&Path>) -> Option<PathBuf> {
    let named = typed
        .map(Path::to_owned)
        .or_else(|| path_of("STATE_DIRECTORY"));
    let state_home = || path_of("XDG_STATE_HOME").map(|dir| dir.join("holdfast"));
    let home = || path_of("HOME").map(|dir| dir.join(".local/state/holdfast"));
    named.or_else(state_home).or_else(home)
}

fn path_of(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .filter(|value: &OsString| !value.is_empty())
        .map(PathBuf::from)
}

/// Root may make the directory; others need it to be there and theirs.
fn directory_is_ours(socket: &str) -> bool {
    let uid = rustix::process::geteuid();
    let directory = Path::new(socket)
        .parent()
        .and_then(|directory| directory.metadata().ok());
    directory.map_or(uid.is_root(), |found| found.uid() == uid.as_raw())
}
