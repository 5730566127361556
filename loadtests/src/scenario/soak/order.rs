//! Whether those who waited went on in the order in which they had come, where holds follow each other so closely that one
//! begins in the middle of another's release.
//!
//! Who was let go before that and who was not are as far apart as the second hold is long, however close together they came. So
//! only those count as overtaken who came a good while before. The proxy's word is taken for how long somebody waited: an app that
//! comes back does not take all connections at once, and the kernel asks for the others again a second later.

use std::time::Duration;

use holdfast_load::clock::Moment;
use holdfast_load::run::Kind;
use holdfast_load::verdict::Verdict;

use crate::stage::Seen;

/// So much later somebody has to be sent to be said to have come later: a busy machine takes a while from there to the door.
const APART: Duration = Duration::from_secs(1);
/// By so much the same may make it look as if he had been let go earlier.
const GRAIN: Duration = Duration::from_secs(1);

/// Somebody who waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Waited {
    sent: Moment,
    let_go: Moment,
}

pub(super) fn judge(verdict: &mut Verdict, seen: &Seen) {
    // A hold may be of writes only, and is none for reads.
    let (writes, reads) = (waited(seen, false), waited(seen, true));
    let count = writes.len() + reads.len();
    let worst = overtaken(writes).max(overtaken(reads));
    verdict.must(
        "first come, first let go",
        format!(
            "of {count} who waited, none was let go later than one who was sent {APART:?} after it, or at worst by {worst:?}"
        ),
        worst <= GRAIN && count > 0,
    );
}

fn waited(seen: &Seen, idempotent: bool) -> Vec<Waited> {
    let arrivals = seen.ledger.arrivals.iter();
    let of_one = arrivals.filter_map(|arrival| {
        let held = Duration::from_millis(arrival.held_ms?);
        let record = seen.run.record(seen.run.number(&arrival.id)?)?;
        let sent = record.sent?;
        let alike = record.kind.is_idempotent() == idempotent && is_sent_at_once(record.kind);
        alike.then_some(Waited {
            sent,
            let_go: sent + held,
        })
    });
    of_one.collect()
}

/// Whether the head of such a request is at the other side as soon as it is sent.
fn is_sent_at_once(kind: Kind) -> bool {
    use Kind::{Download, LargeDownload, LargeUpload, Upload};
    !matches!(kind, Upload | Download | LargeUpload | LargeDownload)
}

/// By how much, at worst, somebody was let go later than one who was sent a good while after.
fn overtaken(mut waited: Vec<Waited>) -> Duration {
    waited.sort_unstable();
    let mut first_of_later = vec![None; waited.len() + 1];
    for (at, one) in waited.iter().enumerate().rev() {
        let first = first_of_later[at + 1];
        first_of_later[at] = Some(first.map_or(one.let_go, |first: Moment| first.min(one.let_go)));
    }
    let overtaken = waited.iter().map(|one| {
        let later = waited.partition_point(|it| it.sent < one.sent + APART);
        first_of_later[later].map_or(Duration::ZERO, |first| one.let_go.since(first))
    });
    overtaken.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waited(seconds: &[(u64, u64)]) -> Vec<Waited> {
        let at = |seconds: u64| Moment::from_micros(seconds * 1_000_000);
        let one = |(sent, let_go): &(u64, u64)| Waited {
            sent: at(*sent),
            let_go: at(*let_go),
        };
        seconds.iter().map(one).collect()
    }

    #[test]
    fn whoever_came_a_good_while_later_must_not_be_let_go_first() {
        let worst = |seconds: &[(u64, u64)]| overtaken(waited(seconds)).as_secs();
        assert_eq!(worst(&[]), 0);
        assert_eq!(worst(&[(1, 10), (3, 11), (5, 12)]), 0);
        assert_eq!(worst(&[(1, 12), (3, 11), (5, 8)]), 4);
        // The door was shut again between two that came together.
        assert_eq!(worst(&[(1, 30), (1, 10), (3, 30)]), 0);
    }
}
