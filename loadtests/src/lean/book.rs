//! What lean apps and clients write down: a line for each request.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use holdfast_load::clock::Moment;

use crate::trouble::Trouble;

/// A request, as it came to an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) id: u32,
    /// When its head was whole.
    pub(crate) at: Moment,
}

/// A request, as its client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) id: u32,
    pub(crate) at: Moment,
    /// When its end was known.
    pub(crate) ended: Moment,
    pub(crate) outcome: Outcome,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 200, with the body that is its own, once.
    Answered,
    /// Another status.
    Refused(u16),
    /// Another body, or more than one answer.
    Wrong,
    /// No answer.
    Lost,
}

impl Outcome {
    fn number(self) -> u16 {
        match self {
            Self::Lost => 0,
            Self::Wrong => 1,
            Self::Answered => 200,
            Self::Refused(status) => status,
        }
    }

    fn of(number: u16) -> Self {
        match number {
            0 => Self::Lost,
            1 => Self::Wrong,
            200 => Self::Answered,
            status => Self::Refused(status),
        }
    }
}

pub(super) fn write_arrivals(path: &Path, arrivals: &[Arrival]) -> io::Result<()> {
    let mut text = String::new();
    for Arrival { id, at } in arrivals {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{id} {}", at.micros());
    }
    fs::write(path, text)
}

pub(super) fn read_arrivals(path: &Path) -> Result<Vec<Arrival>, Trouble> {
    let of = |[id, at]: [u64; 2]| Arrival {
        id: small(id),
        at: Moment::from_micros(at),
    };
    Ok(read(path)?.into_iter().map(of).collect())
}

pub(super) fn write_sent(path: &Path, sent: &[Sent]) -> io::Result<()> {
    let mut text = String::new();
    for one in sent {
        let (at, ended) = (one.at.micros(), one.ended.micros());
        let _ = writeln!(text, "{} {at} {ended} {}", one.id, one.outcome.number());
    }
    fs::write(path, text)
}

/// What a crowd has written down.
pub(crate) fn read_sent(path: &Path) -> Result<Vec<Sent>, Trouble> {
    let of = |[id, at, ended, outcome]: [u64; 4]| Sent {
        id: small(id),
        at: Moment::from_micros(at),
        ended: Moment::from_micros(ended),
        outcome: Outcome::of(u16::try_from(outcome).unwrap_or_default()),
    };
    Ok(read(path)?.into_iter().map(of).collect())
}

fn small(id: u64) -> u32 {
    u32::try_from(id).unwrap_or(u32::MAX)
}

/// Lines of so many numbers.
fn read<const N: usize>(path: &Path) -> Result<Vec<[u64; N]>, Trouble> {
    let text = fs::read_to_string(path).map_err(|why| Trouble::io("a book", why))?;
    let line = |line: &str| {
        let numbers = line.split(' ').map_while(|number| number.parse().ok());
        <[u64; N]>::try_from(numbers.collect::<Vec<u64>>())
    };
    let lines: Result<_, _> = text.lines().map(line).collect();
    lines.map_err(|_| Trouble::NoFigure(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("book");
        let at = Moment::from_micros;
        let arrivals = [(7, 12), (2, 13)].map(|(id, micros)| Arrival { id, at: at(micros) });
        write_arrivals(&path, &arrivals).unwrap();
        assert_eq!(read_arrivals(&path).unwrap(), arrivals);
        let outcomes = [
            Outcome::Answered,
            Outcome::Refused(503),
            Outcome::Wrong,
            Outcome::Lost,
        ];
        let sent = outcomes.map(|outcome| Sent {
            id: 3,
            at: at(1),
            ended: at(2),
            outcome,
        });
        write_sent(&path, &sent).unwrap();
        assert_eq!(read_sent(&path).unwrap(), sent);
        assert!(read_arrivals(&path).is_err());
    }
}
