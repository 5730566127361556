//! Holdfast beside its peers: `cargo run --release -p benches --bin compare`.

use std::process::ExitCode;

fn main() -> ExitCode {
    benches::compare::main()
}
