//! What must hold, what was seen, and whether that is enough.

use std::fmt::{self, Display};

use serde::Serialize;

use crate::findings::Findings;

/// A list of checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// In the order in which they were made.
    pub checks: Vec<Check>,
}

/// One thing that must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What must hold.
    pub must: String,
    /// What was seen.
    pub seen: String,
    /// Whether it does.
    pub pass: bool,
}

impl Verdict {
    /// Adds a check.
    pub fn must(&mut self, must: impl Into<String>, seen: impl Display, pass: bool) {
        self.checks.push(Check {
            must: must.into(),
            seen: seen.to_string(),
            pass,
        });
    }

    /// Adds a check that this is none.
    pub fn none<T: Display>(&mut self, what: &str, seen: &[T]) {
        let first: Vec<String> = seen.iter().take(5).map(ToString::to_string).collect();
        let examples = match first.as_slice() {
            [] => "0".to_owned(),
            _ => format!("{} (request {} …)", seen.len(), first.join(", ")),
        };
        self.must(format!("no {what}"), examples, seen.is_empty());
    }

    /// Whether all checks pass, and there are some: nothing checked is nothing shown.
    pub fn passed(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.pass)
    }

    /// What must hold whatever is done behind the proxy, as long as an app is left to go to: nothing lost or refused,
    /// nothing twice, nothing to a release that was not to get it, no idle connection closed, and a ledger that knows
    /// every answer.
    pub fn nothing_lost(&mut self, findings: &Findings) {
        let refused = findings.refused.iter();
        let refused: Vec<String> = refused
            .map(|(why, count)| format!("{count} {why}"))
            .collect();
        let seen = match refused.as_slice() {
            [] => "0 refused".to_owned(),
            refused => refused.join(", "),
        };
        self.must("no request refused by the proxy", seen, refused.is_empty());
        self.answered_or_refused(findings);
    }

    /// The same where a process ends, which closes connections that have been idle for a while: whether that was long
    /// enough is another question.
    pub fn nothing_lost_but_idle(&mut self, findings: &Findings) {
        let refused = findings.refused();
        self.must("no request refused by the proxy", refused, refused == 0);
        self.none_lost(findings);
        self.nothing_wrong(findings);
    }

    /// The same where a hold may be full: who is refused is told so.
    pub fn answered_or_refused(&mut self, findings: &Findings) {
        self.none_lost(findings);
        self.never_wrong(findings);
    }

    fn none_lost(&mut self, findings: &Findings) {
        let lost: Vec<String> = findings
            .lost
            .iter()
            .map(|(why, count)| format!("{count} {why}"))
            .collect();
        let seen = match lost.as_slice() {
            [] => format!("{} sent, 0 lost", findings.sent),
            lost => format!(
                "{} (request {} …)",
                lost.join(", "),
                findings.lost_examples.join("; ")
            ),
        };
        self.must(
            "no request lost",
            seen,
            lost.is_empty() && findings.sent > 0,
        );
    }

    /// What must hold even where requests may be lost.
    pub fn never_wrong(&mut self, findings: &Findings) {
        self.nothing_wrong(findings);
        let closes = findings.unannounced_closes;
        self.must("no idle connection closed unannounced", closes, closes == 0);
    }

    /// What must hold even where requests are lost and a process ends.
    pub fn nothing_wrong(&mut self, findings: &Findings) {
        self.none("POST that reached an app twice", &findings.doubled);
        self.none(
            "request to a release that was not to get it",
            &findings.wrong_release,
        );
        self.none(
            "answer that the app does not know of",
            &findings.unknown_to_app,
        );
        self.none(
            "refused request that reached an app",
            &findings.refused_but_arrived,
        );
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Check { must, seen, pass } in &self.checks {
            let word = if *pass { "pass" } else { "FAIL" };
            writeln!(f, "{word}  {must}: {seen}")?;
        }
        f.write_str(if self.passed() { "PASS" } else { "FAIL" })
    }
}
