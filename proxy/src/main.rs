//! The daemon. Everything is in the library, because other binaries of this workspace act as the daemon too.

use std::process::ExitCode;

fn main() -> ExitCode {
    holdfast::main_from(std::env::args_os())
}
