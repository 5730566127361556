//! Releases, and the few facts about them that are kept.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Address, ReleaseId};

/// One version of an app and the addresses at which it runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Release {
    /// Its id, such as a git SHA.
    pub id: ReleaseId,
    /// At least one; in the order given, without doubles.
    pub instances: Vec<Address>,
}

/// Why requests are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Somebody said `swapctl hold`.
    Command,
    /// A promote with strategy hold is under way.
    Swap,
    /// No instance of the live release can be reached.
    Down,
    /// The app has no release yet.
    Empty,
}

/// Promotes are refused, by whom and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Block {
    /// The words of whoever blocked.
    pub reason: String,
    /// Who: `uid 0`.
    pub by: String,
}

/// A set of HTTP methods, one bit each; unknown methods share a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Methods(u16);

const NAMES: [&str; 10] = [
    "GET", "HEAD", "OPTIONS", "TRACE", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OTHER",
];
const SAFE_BITS: u16 = 0b1111;

impl Methods {
    /// No method: nothing is held.
    pub const NONE: Self = Self(0);
    /// Every method.
    pub const ALL: Self = Self((1 << NAMES.len()) - 1);
    /// Those that may change something: all but the safe ones of RFC 9110, 9.2.1.
    pub const WRITES: Self = Self(Self::ALL.0 & !SAFE_BITS);

    /// The set that holds just `method`; methods that are not known count as `OTHER`.
    pub fn one(method: &str) -> Self {
        let index = NAMES
            .iter()
            .position(|name| *name == method)
            .unwrap_or(NAMES.len() - 1);
        Self(1 << index)
    }

    /// The set with these bits; bits without a meaning are dropped.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// The set as bits, for an atomic.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether the two sets share a method.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The methods of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Every method of the classes (safe, unsafe) that these belong to: requests are counted by class.
    #[must_use]
    pub const fn classes(self) -> Self {
        let safe = if self.any_safe() { SAFE_BITS } else { 0 };
        let others = if self.meets(Self::WRITES) {
            Self::WRITES.0
        } else {
            0
        };
        Self(safe | others)
    }

    /// Whether every method of `other` is among these.
    pub const fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Whether one of them is safe (RFC 9110, 9.2.1): GET, HEAD, OPTIONS, TRACE.
    pub const fn any_safe(self) -> bool {
        self.0 & SAFE_BITS != 0
    }
}

impl TryFrom<Vec<String>> for Methods {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        let mut methods = Self::NONE;
        for name in names {
            let known = NAMES.contains(&name.as_str());
            if !known {
                return Err(format!("{name:?} is not one of {}", NAMES.join(" ")));
            }
            methods = methods.and(Self::one(&name));
        }
        Ok(methods)
    }
}

impl From<Methods> for Vec<String> {
    fn from(methods: Methods) -> Self {
        let bits = (0..NAMES.len()).filter(|bit| methods.0 & (1 << bit) != 0);
        bits.map(|bit| NAMES[bit].to_owned()).collect()
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Vec::from(*self).join(","))
    }
}
