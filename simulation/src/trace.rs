//! What happened, in order: as a number that is the same whenever the same happened, and the last lines as words.

use std::collections::VecDeque;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// So many lines are kept.
const LINES_MAX: usize = 5000;

/// What happened so far.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    hasher: DefaultHasher,
    lines: VecDeque<String>,
    told: u64,
}

impl Trace {
    /// This happened.
    pub fn tell(&mut self, line: String) {
        line.hash(&mut self.hasher);
        self.told += 1;
        self.lines.push_back(line);
        if self.lines.len() > LINES_MAX {
            self.lines.pop_front();
        }
    }

    /// Of all lines so far.
    pub fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    /// How many there were.
    pub fn told(&self) -> u64 {
        self.told
    }

    /// The last ones.
    pub fn last(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}
