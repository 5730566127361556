//! Instructions of the small-GET path and of the gate: `cargo run --release -p benches --bin instructions`.

use std::process::ExitCode;

fn main() -> ExitCode {
    benches::instructions::main()
}
