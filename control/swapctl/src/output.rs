//! Where words go: results to standard output, the rest to standard error; with `--json` one object to standard output
//! and all words to standard error.

use std::io::{self, Write};

use serde::Serialize;
use swap_core::AppName;

use crate::failure::Failure;
use crate::words::{BAD, HINT, Styled};

/// How results are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

/// Whether somebody still reads standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    There,
    Gone,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether standard output is for one JSON object, and for nothing else.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// The result: `value` for scripts, `text` for people.
    pub(crate) fn result(self, value: &impl Serialize, text: &str) -> Result<(), Failure> {
        if self.json {
            note(text);
            self.line(value).map(drop)
        } else {
            written(writeln!(anstream::stdout(), "{}", text.trim_end())).map(drop)
        }
    }

    /// One JSON object of possibly many, on a line of its own.
    pub(crate) fn line(self, value: &impl Serialize) -> Result<Reader, Failure> {
        let mut text = serde_json::to_vec(value).map_err(|error| Failure::Output(error.into()))?;
        text.push(b'\n');
        written(raw(&text))
    }

    /// Octets as they are, such as a shell's script.
    pub(crate) fn raw(self, octets: &[u8]) -> Result<(), Failure> {
        written(raw(octets)).map(drop)
    }

    /// Says what went wrong, and what to do about it.
    pub(crate) fn failure(self, failure: &Failure, app: Option<&AppName>) {
        note(&format!(
            "{} {}",
            Styled(BAD, "error:"),
            crate::words::plain(&failure.to_string())
        ));
        hints(&failure.hints(app));
        if self.json {
            // If that fails too, there is nobody left to tell.
            let _ = self.line(&failure.json(app));
        }
    }
}

/// Says something to people. If nobody can hear it, that is their choice.
pub(crate) fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "{}", text.trim_end());
}

/// Says which command helps.
pub(crate) fn hints<T: AsRef<str>>(hints: &[T]) {
    for hint in hints {
        note(&format!("{} {}", Styled(HINT, "hint:"), hint.as_ref()));
    }
}

fn raw(octets: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(octets)?;
    out.flush()
}

/// A reader who has read enough (`| head -1`) is no error.
fn written(result: io::Result<()>) -> Result<Reader, Failure> {
    match result {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(Failure::Output(error)),
    }
}
