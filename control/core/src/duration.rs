//! Durations as people write them: `250ms`, `30s`, `1m30s`, `2h`, `1d`.
//!
//! The configuration, the command line and the control socket read the same texts, so there is one reader and one
//! writer, here at the bottom. It never rounds: what it cannot represent exactly, it refuses.

use std::fmt;
use std::time::Duration;

/// The longest duration that can be written. Whoever needs a narrower limit checks it on top.
pub const LONGEST: Duration = Duration::from_secs(365 * DAY);

const DAY: u64 = 24 * 60 * 60;

/// The units, longest first, which is also the order in which they are written, with their milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", DAY * 1000),
    ("h", 60 * 60 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDuration {
    /// There is nothing.
    #[error("a duration is missing")]
    Empty,
    /// A part does not begin with a digit: `s`, `-5s`, ` 5s`.
    #[error("expected a number at {rest:?}")]
    NoNumber {
        /// From there on; at most 20 characters of it.
        rest: String,
    },
    /// A number without a unit: `30`.
    #[error("{number} has no unit (ms, s, m, h or d)")]
    NoUnit {
        /// The number as it was written; at most 20 digits of it.
        number: String,
    },
    /// A unit that does not exist: `5sec`, `1.5s`.
    #[error("{unit:?} is no unit (ms, s, m, h or d, with whole numbers)")]
    UnknownUnit {
        /// The unit as it was written; at most 20 characters of it.
        unit: String,
    },
    /// A unit twice, or a longer one behind a shorter one: `30s1m`.
    #[error("the unit `{unit}` stands in the wrong place: each at most once, the longest first")]
    Order {
        /// Which.
        unit: &'static str,
    },
    /// Above [`LONGEST`].
    #[error("longer than {} days", LONGEST.as_secs() / DAY)]
    TooLong,
}

/// Reads a duration: whole numbers with the units `d`, `h`, `m`, `s`, `ms`, each at most once and the longest first,
/// without blanks. Zero (`0s`) is one; the longest is [`LONGEST`].
pub fn parse(text: &str) -> Result<Duration, BadDuration> {
    if text.is_empty() {
        return Err(BadDuration::Empty);
    }
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total_ms = 0_u64;
    while !rest.is_empty() {
        let (number, behind) = split_where(rest, |c| !c.is_ascii_digit());
        let (unit, behind) = split_where(behind, |c| c.is_ascii_digit());
        let (name, unit_ms) = known_unit(rest, number, unit)?;
        // The iterator only moves on, so a unit that was passed is never found again.
        if !units.any(|(later, _)| *later == name) {
            return Err(BadDuration::Order { unit: name });
        }
        let part_ms = number
            .parse()
            .ok()
            .and_then(|n: u64| n.checked_mul(unit_ms));
        total_ms = part_ms
            .and_then(|part| total_ms.checked_add(part))
            .filter(|total| Duration::from_millis(*total) <= LONGEST)
            .ok_or(BadDuration::TooLong)?;
        rest = behind;
    }
    Ok(Duration::from_millis(total_ms))
}

fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

fn known_unit(rest: &str, number: &str, unit: &str) -> Result<(&'static str, u64), BadDuration> {
    let start_of = |text: &str| text.chars().take(20).collect();
    if number.is_empty() {
        let rest = start_of(rest);
        return Err(BadDuration::NoNumber { rest });
    }
    if unit.is_empty() {
        let number = start_of(number);
        return Err(BadDuration::NoUnit { number });
    }
    let known = UNITS.iter().find(|(name, _)| *name == unit).copied();
    known.ok_or_else(|| BadDuration::UnknownUnit {
        unit: start_of(unit),
    })
}

/// Writes a duration the way [`parse()`] reads it: `1m30s`. What is below a millisecond is cut off; zero is `0s`.
pub fn text(duration: Duration) -> Text {
    Text(duration)
}

/// What [`text()`] returns.
#[derive(Clone, Copy, Debug)]
pub struct Text(Duration);

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.as_millis();
        if left == 0 {
            return f.write_str("0s");
        }
        for (name, unit_ms) in UNITS {
            let unit_ms = u128::from(unit_ms);
            if left >= unit_ms {
                write!(f, "{}{name}", left / unit_ms)?;
                left %= unit_ms;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn reads_what_the_documentation_writes() {
        for (written, meant) in [
            ("250ms", ms(250)),
            ("30s", ms(30_000)),
            ("1m30s", ms(90_000)),
            ("2h", ms(7_200_000)),
            ("1d", ms(86_400_000)),
            ("1d2h3m4s5ms", ms(93_784_005)),
            ("90s", ms(90_000)),
            ("0s", ms(0)),
            ("365d", LONGEST),
        ] {
            assert_eq!(parse(written), Ok(meant), "{written}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_the_rest() {
        let snapshot: String = [
            "",
            "30",
            "s",
            "-5s",
            "5 s",
            " 5s",
            "5s ",
            "1.5s",
            "5sec",
            "5S",
            "30s1m",
            "1s1s",
            "366d",
            "99999999999999999999999s",
            "1m30",
            "١s",
            "5µs",
            "1e3s",
        ]
        .iter()
        .map(|text| match parse(text) {
            Ok(duration) => panic!("{text:?} was read as {duration:?}"),
            Err(error) => format!("{text:?}: {error}\n"),
        })
        .collect();
        insta::assert_snapshot!(snapshot);
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for n in (0..200_000_000).step_by(99_991).chain([1, 999, 60_000]) {
            assert_eq!(parse(&text(ms(n)).to_string()), Ok(ms(n)), "{n} ms");
        }
        assert_eq!(text(ms(0)).to_string(), "0s");
        assert_eq!(text(ms(90_000)).to_string(), "1m30s");
        assert_eq!(text(Duration::from_micros(1_500)).to_string(), "1ms");
    }
}
