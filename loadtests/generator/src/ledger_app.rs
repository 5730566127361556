//! The ledger app on its own, for tests and for the hand: `ledger-app --release v1 --ledger FILE`.

use std::process::ExitCode;

fn main() -> ExitCode {
    holdfast_load::app::main_from(std::env::args().skip(1))
}
