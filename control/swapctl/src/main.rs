//! swapctl. Everything is in the library, because other binaries of this workspace act as swapctl too.

use std::process::ExitCode;

fn main() -> ExitCode {
    swapctl::main_from(std::env::args_os())
}
