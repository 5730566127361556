//! The ledger app: a small, well-behaved HTTP/1.1 server that writes every request that reaches it into a ledger.
//!
//! It runs as a real child process, by executing the current binary again with a hidden first argument, so that it can
//! be killed like any app. It must never answer a request that is not in its ledger.
//!
//! | path | answer |
//! | --- | --- |
//! | `GET /up` | 200 once it is ready; not in the ledger |
//! | `POST`, `PUT`, `PATCH` anything | the body's length and checksum, as text |
//! | `/ws` | 101 and an echo of whatever comes (RFC 6455 handshake, frames opaque) |
//! | `/stream?ms=N&size=M` | M octets spread over N milliseconds, chunked |
//! | `/slow?ms=N` | after N milliseconds |
//! | anything else, `?size=M` | M octets, with their checksum in `X-Body-Crc32` |
//!
//! Every answer carries `X-App-Release` and the request's own `X-Request-Id`.
//!
//! SIGTERM: it stops accepting, finishes what runs, closes idle connections and tunnels, and exits 0.

mod answer;
mod arguments;
mod book;
mod child;
mod serve;
mod tunnel;

use std::io::Write as _;
use std::process::ExitCode;

pub use arguments::{ArgumentError, NeverReady};
pub use child::{App, AppCommand, AppError};

/// The first argument that makes the current binary the ledger app.
const HIDDEN_ARGUMENT: &str = "holdfast-ledger-app";

/// Becomes the ledger app if this process was started as one, and returns its exit code when it has ended. A binary
/// that starts [`AppCommand`]s calls this first thing in `main`.
pub fn main_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    (arguments.next()? == HIDDEN_ARGUMENT).then(|| main_from(arguments))
}

/// Is the ledger app. `arguments` come without the program's name; what they may be, the error for a wrong one says.
///
/// Exits 0 after SIGTERM, 1 when it could not serve, 2 for wrong arguments.
pub fn main_from(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    // The hidden argument is allowed here, so that a binary that is nothing else can be started the same way.
    let arguments = arguments.into_iter().filter(|it| it != HIDDEN_ARGUMENT);
    let settings = match arguments::Settings::parse(arguments) {
        Ok(settings) => settings,
        Err(error) => return fail(2, &error),
    };
    match serve::run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &error),
    }
}

fn fail(code: u8, error: &dyn std::error::Error) -> ExitCode {
    // Nobody is left to be told if this fails too.
    let _ = writeln!(std::io::stderr(), "ledger app: {error}");
    ExitCode::from(code)
}
