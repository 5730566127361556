//! What the apps wrote down before they acknowledged it: `CLIENT NUMBER RELEASE`.

use std::collections::HashMap;
use std::path::Path;

use holdfast_load::verdict::Verdict;

use crate::client::{Client, Summary};
use crate::trouble::Trouble;

/// How often each number came, by the name that it came under.
#[derive(Debug, Default)]
pub(super) struct Messages(HashMap<String, HashMap<u64, u64>>);

impl Messages {
    pub(super) fn read(path: &Path) -> Result<Self, Trouble> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self::of(&text)),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(why) => Err(Trouble::io("the messages", why)),
        }
    }

    fn of(text: &str) -> Self {
        let mut messages = Self::default();
        for line in text.lines() {
            let mut words = line.split(' ');
            let name = words.next().unwrap_or_default().to_owned();
            let number = words.next().and_then(|word| word.parse().ok());
            let numbers = messages.0.entry(name).or_default();
            *numbers.entry(number.unwrap_or(0)).or_default() += 1;
        }
        messages
    }

    /// Everything acknowledged is there, and nothing came more often than it was sent.
    pub(super) fn judge(&self, verdict: &mut Verdict, client: Client, summary: &Summary) {
        let (missing, twice) = self.found(summary);
        let acked: u64 = summary.acked.values().sum();
        verdict.must(
            format!("{client}: every acknowledged message had reached an app"),
            format!("{acked} acknowledged, {missing} missing"),
            missing == 0 && acked > 0,
        );
        verdict.must(
            format!("{client}: none came more often than it was sent"),
            format!("{twice} came again, {} were sent again", summary.resent),
            twice <= summary.resent,
        );
    }

    /// Messages acknowledged and not there; and those that came again.
    fn found(&self, summary: &Summary) -> (u64, u64) {
        let (mut missing, mut twice) = (0, 0);
        let none = HashMap::new();
        for (name, acked) in &summary.acked {
            let numbers = self.0.get(name).unwrap_or(&none);
            missing += (1..=*acked).filter(|it| !numbers.contains_key(it)).count() as u64;
            twice += numbers.values().map(|times| times - 1).sum::<u64>();
        }
        (missing, twice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_what_came_twice_is_found() {
        let messages = Messages::of("a 1 v1\na 2 v1\na 2 v2\nb 1 v1\na 4 v2\n");
        let summary = Summary {
            acked: [("a".to_owned(), 4), ("c".to_owned(), 1)].into(),
            ..Summary::default()
        };
        assert_eq!(messages.found(&summary), (2, 1));
    }
}
