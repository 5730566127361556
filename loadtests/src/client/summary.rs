//! What a client counted.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

/// What a client counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Summary {
    pub(crate) ok: u64,
    pub(crate) failed: u64,
    /// Connections that were closed with 1001, and opened again.
    pub(crate) reconnected: u64,
    /// Messages that may have been on their way then, and were sent again.
    pub(crate) resent: u64,
    /// The last number that was acknowledged, by the name that the messages came under.
    pub(crate) acked: BTreeMap<String, u64>,
    /// The first failures.
    pub(crate) why: Vec<String>,
}

impl Summary {
    /// From what it said: JSON in the last line, or the lines of h2load, once for each of its runs.
    pub(crate) fn of(said: &str) -> Option<Self> {
        let last = said.trim_end().lines().last()?;
        serde_json::from_str(last)
            .ok()
            .or_else(|| Self::h2load(said))
    }

    /// A client that did not come to its end.
    pub(crate) fn none(log: &str) -> Self {
        let last: Vec<&str> = log.lines().rev().take(5).collect();
        Self {
            failed: 1,
            why: vec![format!("it has no counts; it said: {}", last.join(" | "))],
            ..Self::default()
        }
    }

    fn h2load(said: &str) -> Option<Self> {
        let lines = said.lines().map(str::trim);
        let of_requests = lines.filter_map(|line| line.strip_prefix("requests: "));
        let mut sum = None;
        for line in of_requests {
            let sum = sum.get_or_insert_with(Self::default);
            let [total, ok] = ["total", "succeeded"].map(|what| figure(line, what));
            sum.ok += ok;
            // Failed, errored, timed out, or never done.
            let bad = ["failed", "errored", "timeout"].map(|what| figure(line, what));
            sum.failed += bad.iter().copied().sum::<u64>().max(total - ok.min(total));
            if total != ok {
                sum.why.push(line.to_owned());
            }
        }
        sum
    }
}

/// The number before a word: `3 failed`.
fn figure(line: &str, what: &str) -> u64 {
    let mut parts = line.split(", ").filter_map(|part| part.split_once(' '));
    let found = parts.find(|(_, word)| *word == what);
    found.and_then(|(count, _)| count.parse().ok()).unwrap_or(0)
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ok, failed, .. } = self;
        write!(
            f,
            "{ok:6} ok  {failed:3} failed  {:3} reconnected",
            self.reconnected
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_h2load_are_added_up() {
        let said = "finished in 3.01s, 99.5 req/s, 20KB/s\n\
            requests: 300 total, 300 started, 300 done, 300 succeeded, 0 failed, 0 errored, 0 timeout\n\
            status codes: 300 2xx, 0 3xx, 0 4xx, 0 5xx\n\
            requests: 300 total, 300 started, 298 done, 297 succeeded, 1 failed, 0 errored, 0 timeout\n\
            req/s           :      19.9        20.0\n";
        let summary = Summary::of(said).unwrap();
        assert_eq!((summary.ok, summary.failed, summary.why.len()), (597, 3, 1));
    }

    #[test]
    fn counts_are_in_the_last_line() {
        let said =
            "words\n{\"ok\": 3, \"failed\": 1, \"acked\": {\"ws-1\": 2}, \"why\": [\"x\"]}\n";
        let summary = Summary::of(said).unwrap();
        assert_eq!(
            (summary.ok, summary.failed, summary.acked["ws-1"]),
            (3, 1, 2)
        );
        assert_eq!((Summary::of(""), Summary::of("{\"ok\": ")), (None, None));
        assert_eq!(Summary::none("a\nb").failed, 1);
    }
}
