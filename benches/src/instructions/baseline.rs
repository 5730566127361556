//! What was accepted: a file that is committed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::conditions::Conditions;

/// Instructions of each count, by its name.
pub type Counts = BTreeMap<String, f64>;

/// Counts, and under which conditions they were taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// With what they were taken.
    pub conditions: Conditions,
    /// What they were.
    pub counts: Counts,
}

/// It cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}\nhint: `cargo run --release -p benches --bin instructions -- --accept` makes it anew", path.display())]
pub struct BadBaseline {
    path: PathBuf,
    why: String,
}

/// What the file begins with.
const HEAD: &str = "\
# What one of each takes in instructions, under callgrind. CI compares: `cargo run --release -p benches --bin instructions`.
# Written by the same with `--accept`.

";

impl Baseline {
    /// Nothing is counted yet.
    pub fn new(conditions: Conditions) -> Self {
        Self {
            conditions,
            counts: Counts::new(),
        }
    }

    /// Reads it; an error says what to do.
    pub fn read(path: &Path) -> Result<Self, BadBaseline> {
        let bad = |why: String| BadBaseline {
            path: path.to_owned(),
            why,
        };
        let text = fs::read_to_string(path).map_err(|why| bad(why.to_string()))?;
        toml::from_str(&text).map_err(|why| bad(why.to_string()))
    }

    /// Writes it.
    pub fn write(&self, path: &Path) -> Result<(), BadBaseline> {
        let bad = |why: String| BadBaseline {
            path: path.to_owned(),
            why,
        };
        let mut rounded = self.clone();
        let counts = rounded.counts.values_mut();
        counts.for_each(|count| *count = (*count * 10.0).round() / 10.0);
        let text = toml::to_string(&rounded).map_err(|why| bad(why.to_string()))?;
        fs::write(path, format!("{HEAD}{text}")).map_err(|why| bad(why.to_string()))
    }
}
