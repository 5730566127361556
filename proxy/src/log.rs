//! The daemon's own log, on standard error. Whoever logs may be in the middle of a request, so nobody waits for those who
//! read it: a pipe that is full costs lines, which are counted.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::outlet::Outlet;

/// Lines that may wait for the writer.
const WAITING_MAX: usize = 1024;
/// How long the last lines may take to be written.
const END_MAX: Duration = Duration::from_secs(1);

/// As global as what is logged with. Empty: nobody has begun.
static LOG: OnceLock<Outlet> = OnceLock::new();

/// Begins it; `HOLDFAST_LOG` says how much is told (`warn`, `debug`, `holdfast=trace`).
pub(crate) fn begin() {
    // Without a thread it is written by whoever logs.
    if let Ok(outlet) = Outlet::start("log", WAITING_MAX, io::stderr()) {
        let _ = LOG.set(outlet);
    }
    let filter = EnvFilter::try_from_env("HOLDFAST_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colour =
        io::IsTerminal::is_terminal(&io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colour);
    // Fails if the embedding binary has a log of its own.
    let _ = log.with_writer(|| Lines).try_init();
}

/// How many lines were dropped so far.
pub(crate) fn dropped() -> u64 {
    LOG.get().map_or(0, Outlet::dropped)
}

/// The last words, and what was logged before them.
pub(crate) fn end(words: Option<&str>) {
    if let Some(words) = words {
        let _ = Lines.write_all(format!("{words}\n").as_bytes());
    }
    if let Some(outlet) = LOG.get() {
        outlet.finish(END_MAX);
    }
}

/// Takes whole lines, one at a time.
struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match LOG.get() {
            Some(outlet) => outlet.take(line.to_vec(), 1),
            None => io::stderr().write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
