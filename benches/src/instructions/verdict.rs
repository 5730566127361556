//! Whether counts are what they should be.

use std::fmt;

use super::baseline::{Baseline, Counts};
use super::conditions::{Conditions, Likeness};

/// A count may differ by this share of what was accepted.
pub const TOLERANCE: f64 = 0.02;
/// The same where the compiler, valgrind, the C library or the CPU is another than when it was accepted: new versions
/// move counts by some per cent either way. What doubles a count is still found.
pub const TOLERANCE_ELSEWHERE: f64 = 0.10;

/// What came of comparing.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// One for each count, and what to do.
    pub lines: Vec<String>,
    /// Nothing has risen.
    pub passes: bool,
}

/// Where to look when a count has risen, and how it is accepted.
const RISEN: [&str; 2] = [
    "hint: what takes them: `--keep DIR`, then `callgrind_annotate DIR/callgrind.out.NAME-TIMES`",
    "hint: if it has to be so: `--accept`, and commit benches/instructions.toml with the reason",
];
/// A baseline that is too high lets later rises pass.
const FALLEN: &str = "hint: keep what was won: `--accept`, and commit benches/instructions.toml";

/// Lays counts beside those that were accepted. `all`: they are all that there are.
pub fn judge(baseline: &Baseline, here: &Conditions, counts: &Counts, all: bool) -> Verdict {
    let mut verdict = Verdict {
        lines: Vec::new(),
        passes: true,
    };
    let Some(tolerance) = verdict.tolerance(baseline, here) else {
        return verdict;
    };
    let mut fell = false;
    for (name, count) in counts {
        match baseline.counts.get(name) {
            Some(accepted) => fell |= verdict.compare(name, *count, *accepted, tolerance),
            None => verdict.fail(format!("{name}: {count:.0}, and was never accepted")),
        }
    }
    let gone = baseline.counts.keys();
    for name in gone.filter(|name| all && !counts.contains_key(*name)) {
        verdict.fail(format!("{name}: was accepted, and is not counted any more"));
    }
    if !verdict.passes {
        RISEN
            .iter()
            .for_each(|hint| verdict.say((*hint).to_owned()));
    } else if fell {
        verdict.say(FALLEN.to_owned());
    }
    verdict
}

impl Verdict {
    /// None: there is nothing to compare.
    fn tolerance(&mut self, baseline: &Baseline, here: &Conditions) -> Option<f64> {
        let differences = || here.differences(&baseline.conditions);
        match here.likeness(&baseline.conditions) {
            Likeness::Same => Some(TOLERANCE),
            Likeness::Near => {
                let percent = TOLERANCE_ELSEWHERE * 100.0;
                let differences = differences();
                self.say(format!("compared up to {percent:.0} % only: {differences}"));
                Some(TOLERANCE_ELSEWHERE)
            }
            Likeness::Apart => {
                self.say(format!("not compared: {}", differences()));
                None
            }
        }
    }

    /// Whether it fell by more than that.
    fn compare(&mut self, name: &str, count: f64, accepted: f64, tolerance: f64) -> bool {
        let change = count / accepted - 1.0;
        let [change_percent, percent] = [change, tolerance].map(|share| share * 100.0);
        let line = format!("{name}: {count:.0}, was {accepted:.0} ({change_percent:+.1} %)");
        let fell = change < -tolerance;
        if change > tolerance {
            self.fail(format!("{line}: rose by more than {percent:.0} %"));
        } else if fell {
            self.say(format!("{line}: fell by more than {percent:.0} %"));
        } else {
            self.say(line);
        }
        fell
    }

    fn say(&mut self, line: String) {
        self.lines.push(line);
    }

    fn fail(&mut self, line: String) {
        self.passes = false;
        self.say(line);
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines
            .iter()
            .try_for_each(|line| writeln!(out, "{line}"))
    }
}
