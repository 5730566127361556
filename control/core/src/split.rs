//! Who gets another release than the live one: releases beside it, each behind its own gate, and slices of all clients.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ArmName, GateId, Release};

/// A share of all clients, in millionths, so that it can be compared and written without rounding.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Share(u32);

impl Share {
    /// Nobody.
    pub const NONE: Self = Self(0);
    /// Everybody.
    pub const ALL: Self = Self(1_000_000);

    /// So many millionths; more than all are all.
    pub const fn millionths(millionths: u32) -> Self {
        if millionths < Self::ALL.0 {
            Self(millionths)
        } else {
            Self::ALL
        }
    }

    /// In millionths.
    pub const fn as_millionths(self) -> u32 {
        self.0
    }

    /// Everybody else.
    #[must_use]
    pub const fn rest(self) -> Self {
        Self(Self::ALL.0 - self.0)
    }
}

/// Why a text is no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a share: more than 0, at most 100 per cent, at most four decimals")]
pub struct BadShare {
    text: String,
}

/// In per cent: `5`, `0.25`.
impl FromStr for Share {
    type Err = BadShare;

    fn from_str(text: &str) -> Result<Self, BadShare> {
        let bad = || BadShare {
            text: text.chars().take(200).collect(),
        };
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || whole.len() > 3 || decimals.len() > 4 {
            return Err(bad());
        }
        if !digits(whole) || !digits(decimals) || text.ends_with('.') {
            return Err(bad());
        }
        let millionths = format!("{whole}{decimals:0<4}")
            .parse()
            .map_err(|_| bad())?;
        if (1..=Self::ALL.0).contains(&millionths) {
            Ok(Self(millionths))
        } else {
            Err(bad())
        }
    }
}

/// In per cent, without the sign: `5`, `0.25`.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, decimals) = (self.0 / 10_000, self.0 % 10_000);
        if decimals == 0 {
            return whole.fmt(f);
        }
        let decimals = format!("{decimals:04}");
        write!(f, "{whole}.{}", decimals.trim_end_matches('0'))
    }
}

/// What a table says beside the live release.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Split {
    /// Who draws: with the same key the same clients fall into the same places, with another key into others.
    pub key: String,
    /// Grows whenever the counters of the arms have to begin anew.
    pub round: u64,
    /// How long this round lasts at least. Its first part is a warm-up.
    pub least: Duration,
    /// The releases beside the live one.
    pub beside: Vec<Beside>,
    /// Parts of all clients, none of which overlap. Who is in none gets the live release, uncounted.
    pub slices: Vec<Slice>,
    /// The one of `beside` that a cohort always sees.
    pub preview: Option<usize>,
    /// Whether who has asked for it sees that one too.
    pub opt_in: bool,
    /// The one of `beside` that is asked for what the live one does not find: the one that served before.
    pub fallback: Option<usize>,
}

/// A release beside the live one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Beside {
    /// Its own gate; when it becomes the live release, that one's.
    pub gate: GateId,
    /// Which.
    pub release: Release,
}

/// Clients that belong together, by where a hash puts them between [`Share::NONE`] and [`Share::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    /// `canary`, `control`, or an arm of an experiment.
    pub arm: ArmName,
    /// From here on.
    pub from: Share,
    /// Up to here, itself not in it.
    pub to: Share,
    /// The one of `beside` that they get; none: the live one.
    pub beside: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_and_written_in_per_cent() {
        for (text, millionths) in [
            ("1", 10_000),
            ("0.25", 2_500),
            ("100", 1_000_000),
            ("0.0001", 1),
        ] {
            let share: Share = text.parse().unwrap();
            assert_eq!(share.as_millionths(), millionths);
            assert_eq!(share.to_string(), text);
        }
        for text in [
            "", "0", "101", "-1", "1.", ".5", "1.00001", "1e1", "1000", "5%",
        ] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }
}
