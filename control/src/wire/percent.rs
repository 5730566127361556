//! Shares as JSON numbers, in per cent: `5`, `0.25`.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Number;
use swap_core::{BadShare, Share};

/// A share of all clients, in per cent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Number", into = "Number")]
pub struct Percent(pub Share);

impl TryFrom<Number> for Percent {
    type Error = BadShare;

    fn try_from(number: Number) -> Result<Self, BadShare> {
        match number.as_f64() {
            // Nobody: what a rollout has before its first step.
            Some(0.0) => Ok(Self(Share::NONE)),
            Some(_) | None => number.to_string().parse().map(Self),
        }
    }
}

impl From<Percent> for Number {
    fn from(Percent(share): Percent) -> Self {
        let millionths = share.as_millionths();
        let per_cent = f64::from(millionths) / 10_000.0;
        match millionths % 10_000 {
            0 => (millionths / 10_000).into(),
            // A share is finite.
            _ => Self::from_f64(per_cent).unwrap_or_else(|| 0.into()),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_number_in_per_cent() {
        for text in ["0", "1", "0.25", "0.0001", "33.3333", "100"] {
            let percent: Percent = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&percent).unwrap(), text);
        }
        for text in ["101", "-1", "1e-9", "0.00001", "\"5\""] {
            assert!(serde_json::from_str::<Percent>(text).is_err(), "{text}");
        }
    }
}
