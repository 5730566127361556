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
    /// The request's, to be found in the ledger.
    number: u64,
}

/// The first came earlier and was let go later.
type Overtaken = (Waited, Waited);

pub(super) fn judge(verdict: &mut Verdict, seen: &Seen) {
    // A hold may be of writes only, and is none for reads.
    let (writes, reads) = (waited(seen, false), waited(seen, true));
    let count = writes.len() + reads.len();
    let overtaken = [overtaken(writes), overtaken(reads)];
    let worst = overtaken.into_iter().flatten().max_by_key(by);
    let how_much = worst.as_ref().map(by).unwrap_or_default();
    let who = worst.map_or(String::new(), |(one, other)| {
        let at = |moment: Moment| moment.since(seen.run.began);
        format!(
            ": {} (sent after {:?}, let go after {:?}) by {} ({:?}, {:?})",
            one.number,
            at(one.sent),
            at(one.let_go),
            other.number,
            at(other.sent),
            at(other.let_go)
        )
    });
    verdict.must(
        "first come, first let go",
        format!(
            "of {count} who waited, none was let go later than one who was sent {APART:?} after it, or at worst by {how_much:?}{who}"
        ),
        how_much <= GRAIN && count > 0,
    );
}

fn by((one, other): &Overtaken) -> Duration {
    one.let_go.since(other.let_go)
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
            number: record.number,
        })
    });
    of_one.collect()
}

/// Whether the head of such a request is at the other side as soon as it is sent.
fn is_sent_at_once(kind: Kind) -> bool {
    use Kind::{Download, LargeDownload, LargeUpload, Upload};
    !matches!(kind, Upload | Download | LargeUpload | LargeDownload)
}

/// Who was let go later, and by most, than one who was sent a good while after, and that one.
fn overtaken(mut waited: Vec<Waited>) -> Option<Overtaken> {
    waited.sort_unstable();
    let mut first_of_later: Vec<Option<Waited>> = vec![None; waited.len() + 1];
    for (at, one) in waited.iter().enumerate().rev() {
        let later = first_of_later[at + 1].into_iter();
        first_of_later[at] = later.chain([*one]).min_by_key(|it| it.let_go);
    }
    let overtaken = waited.iter().filter_map(|one| {
        let later = waited.partition_point(|it| it.sent < one.sent + APART);
        let first = first_of_later[later]?;
        (first.let_go < one.let_go).then_some((*one, first))
    });
    overtaken.max_by_key(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waited(seconds: &[(u64, u64)]) -> Vec<Waited> {
        let at = |seconds: u64| Moment::from_micros(seconds * 1_000_000);
        let one = |(number, (sent, let_go)): (u64, &(u64, u64))| Waited {
            sent: at(*sent),
            let_go: at(*let_go),
            number,
        };
        (0..).zip(seconds).map(one).collect()
    }

    #[test]
    fn whoever_came_a_good_while_later_must_not_be_let_go_first() {
        let worst = |seconds: &[(u64, u64)]| {
            let worst = overtaken(waited(seconds));
            worst.map(|pair| (by(&pair).as_secs(), pair.0.number, pair.1.number))
        };
        assert_eq!(worst(&[]), None);
        assert_eq!(worst(&[(1, 10), (3, 11), (5, 12)]), None);
        assert_eq!(worst(&[(1, 12), (3, 11), (5, 8)]), Some((4, 0, 2)));
        // The door was shut again between two that came together.
        assert_eq!(worst(&[(1, 30), (1, 10), (3, 30)]), None);
    }
}
