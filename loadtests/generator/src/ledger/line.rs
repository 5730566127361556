//! One line of a ledger: words with spaces between them, so that `grep` and `sort` are enough to look into one.
//!
//! ```text
//! arrived   PID SEQUENCE ID METHOD RELEASE MICROSECONDS HELD_MS|-
//! completed PID SEQUENCE MICROSECONDS
//! broken    PID SEQUENCE MICROSECONDS
//! ```

use std::fmt;
use std::str::{FromStr, SplitWhitespace};

use crate::clock::Moment;

/// How a request ended at the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The whole answer was handed over.
    Completed,
    /// Its connection went before that.
    BrokenOff,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Arrived {
        pid: u32,
        sequence: u64,
        id: String,
        method: String,
        release: String,
        at: Moment,
        held_ms: Option<u64>,
    },
    Ended {
        pid: u32,
        sequence: u64,
        at: Moment,
        end: End,
    },
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arrived {
                pid,
                sequence,
                id,
                method,
                release,
                at,
                held_ms,
            } => {
                let at = at.micros();
                write!(f, "arrived {pid} {sequence} {id} {method} {release} {at} ")?;
                match held_ms {
                    Some(ms) => write!(f, "{ms}"),
                    None => f.write_str("-"),
                }
            }
            Self::Ended {
                pid,
                sequence,
                at,
                end,
            } => {
                let at = at.micros();
                let word = match end {
                    End::Completed => "completed",
                    End::BrokenOff => "broken",
                };
                write!(f, "{word} {pid} {sequence} {at}")
            }
        }
    }
}

impl FromStr for Line {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let mut words = line.split_whitespace();
        let read = match words.next() {
            Some("arrived") => arrived(&mut words),
            Some("completed") => ended(End::Completed, &mut words),
            Some("broken") => ended(End::BrokenOff, &mut words),
            Some(_) | None => None,
        };
        let too_many = words.next().is_some();
        read.filter(|_| !too_many).ok_or(())
    }
}

fn arrived(words: &mut SplitWhitespace<'_>) -> Option<Line> {
    Some(Line::Arrived {
        pid: parsed(words)?,
        sequence: parsed(words)?,
        id: parsed(words)?,
        method: parsed(words)?,
        release: parsed(words)?,
        at: Moment::from_micros(parsed(words)?),
        held_ms: match words.next()? {
            "-" => None,
            ms => Some(ms.parse().ok()?),
        },
    })
}

fn ended(end: End, words: &mut SplitWhitespace<'_>) -> Option<Line> {
    Some(Line::Ended {
        pid: parsed(words)?,
        sequence: parsed(words)?,
        at: Moment::from_micros(parsed(words)?),
        end,
    })
}

fn parsed<T: FromStr>(words: &mut SplitWhitespace<'_>) -> Option<T> {
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let arrived = Line::Arrived {
            pid: 7,
            sequence: 1,
            id: "r1-42".into(),
            method: "POST".into(),
            release: "v2".into(),
            at: Moment::from_micros(123_456),
            held_ms: Some(12),
        };
        let ended = Line::Ended {
            pid: 7,
            sequence: 1,
            at: Moment::from_micros(123_999),
            end: End::BrokenOff,
        };
        for line in [arrived, ended] {
            assert_eq!(line.to_string().parse(), Ok(line));
        }
    }

    #[test]
    fn a_torn_line_is_no_line() {
        for torn in ["", "arrived 7 1 r1-4", "completed 7", "broken 7 1 2 3"] {
            assert_eq!(torn.parse::<Line>(), Err(()), "{torn:?}");
        }
    }
}
