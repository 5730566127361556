//! Whether those who waited went on in the order in which they had come. The proxy's word is taken for how long somebody waited:
//! an app that comes back does not take all connections at once, the kernel asks for the others again a second later, and how an
//! app orders what it has taken is its own.

use std::collections::BTreeSet;
use std::time::Duration;

use holdfast_load::clock::Moment;
use holdfast_load::run::Kind;
use holdfast_load::verdict::Verdict;

use super::down::{self, Gone};
use super::hold;
use crate::stage::Seen;

/// In a run of many holds, so much later somebody has to be sent to be said to have come later: a busy machine takes a while
/// from there to the door.
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

/// Where holds follow each other so closely that one begins in the middle of another's release. Who was let go before that and
/// who was not are as far apart as the second hold is long, however close together they came: so only those count as overtaken who
/// came a good while before. And whoever is with the app when that goes comes back to the door and waits once more, which the
/// proxy counts as one wait: so those are laid side by side between whose turns it did not go.
pub(super) fn of_many_holds(verdict: &mut Verdict, seen: &Seen, gone: &[Gone]) {
    // A hold may be of writes only, and is none for reads.
    let (writes, reads) = (waited(seen, false), waited(seen, true));
    let count = writes.len() + reads.len();
    let alike = [writes, reads].into_iter().flat_map(|it| apart(it, gone));
    let much = |it: &Overtaken| beyond_doubt(it, seen);
    let overtaken = alike.filter_map(|alike| overtaken(alike, APART, much));
    let worst = overtaken.max_by_key(much);
    verdict.must(
        "first come, first let go",
        format!(
            "of {count} who waited, none was let go later than one who was sent {APART:?} after it, or at worst {}",
            told(worst, seen)
        ),
        worst.as_ref().map(much).unwrap_or_default() <= GRAIN && count > 0,
    );
}

/// Those who were let go before the app went for the first time, before the second time, and so on.
fn apart(mut waited: Vec<Waited>, gone: &[Gone]) -> Vec<Vec<Waited>> {
    let times = |it: &Waited| gone.iter().filter(|gone| gone.from() <= it.let_go).count();
    waited.sort_by_cached_key(times);
    let groups = waited.chunk_by(|one, next| times(one) == times(next));
    groups.map(<[Waited]>::to_vec).collect()
}

/// Where an app is away each time, of those who came meanwhile: whoever was with it before has come to the door later than he was
/// sent.
pub(super) fn of_whom_nobody_served(verdict: &mut Verdict, seen: &Seen, gone: &[Gone]) {
    let all = [waited(seen, false), waited(seen, true)].concat();
    let much = |it: &Overtaken| beyond_doubt(it, seen);
    for (at, gone) in (1..).zip(gone) {
        let came = |it: &&Waited| gone.until() < it.sent && it.sent < gone.until() + down::AWAY;
        let waited: Vec<Waited> = all.iter().filter(came).copied().collect();
        let let_go = || waited.iter().map(|it| it.let_go);
        let release = match (let_go().min(), let_go().max()) {
            (Some(first), Some(last)) => last.since(first),
            (None, _) | (_, None) => Duration::ZERO,
        };
        let count = waited.len();
        let worst = overtaken(waited, Duration::ZERO, much);
        verdict.must(
            format!("first come, first let go, the {at}. time"),
            format!(
                "of {count} in a release of {release:?}, at worst {}",
                told(worst, seen)
            ),
            hold::in_order(worst.as_ref().map(much).unwrap_or_default(), release),
        );
    }
}

/// By how much, if clients that stood still about then stood between the moment of sending that they noted and the sending.
fn beyond_doubt(overtaken: &Overtaken, seen: &Seen) -> Duration {
    let (one, other) = overtaken;
    by(overtaken).saturating_sub(seen.run.paused(one.sent, other.sent + GRAIN))
}

fn told(worst: Option<Overtaken>, seen: &Seen) -> String {
    let Some((one, other)) = worst else {
        return "none overtaken".to_owned();
    };
    let at = |moment: Moment| moment.since(seen.run.began);
    format!(
        "{:?} ({:?} beyond doubt): {} (sent after {:?}, let go after {:?}) by {} ({:?}, {:?})",
        by(&(one, other)),
        beyond_doubt(&(one, other), seen),
        one.number,
        at(one.sent),
        at(one.let_go),
        other.number,
        at(other.sent),
        at(other.let_go)
    )
}

fn by((one, other): &Overtaken) -> Duration {
    one.let_go.since(other.let_go)
}

/// How each came to an app for the first time.
fn waited(seen: &Seen, idempotent: bool) -> Vec<Waited> {
    let mut known = BTreeSet::new();
    let arrivals = seen.ledger.arrivals.iter();
    let arrivals = arrivals.filter(|arrival| known.insert(&arrival.id));
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

/// Who was let go later, and by most, than one who was sent so long after, and that one.
fn overtaken(
    mut waited: Vec<Waited>,
    apart: Duration,
    much: impl Fn(&Overtaken) -> Duration,
) -> Option<Overtaken> {
    waited.sort_unstable();
    let mut first_of_later: Vec<Option<Waited>> = vec![None; waited.len() + 1];
    for (at, one) in waited.iter().enumerate().rev() {
        let later = first_of_later[at + 1].into_iter();
        first_of_later[at] = later.chain([*one]).min_by_key(|it| it.let_go);
    }
    let overtaken = waited.iter().filter_map(|one| {
        let later = waited.partition_point(|it| it.sent < one.sent + apart);
        let first = first_of_later[later]?;
        (first.let_go < one.let_go).then_some((*one, first))
    });
    overtaken.max_by_key(much)
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
    fn whoever_waited_again_because_the_app_went_is_not_laid_beside_those_before() {
        let gone = Gone::between(
            Moment::from_micros(9_000_000),
            Moment::from_micros(9_500_000),
        );
        let seconds = |gone: &[Gone]| {
            let groups = apart(waited(&[(1, 8), (2, 10), (4, 8), (5, 11)]), gone);
            let seconds = |it: &Waited| it.let_go.since(Moment::default()).as_secs();
            let group = |it: &Vec<Waited>| it.iter().map(seconds).collect::<Vec<_>>();
            groups.iter().map(group).collect::<Vec<_>>()
        };
        assert_eq!(seconds(&[]), [vec![8, 10, 8, 11]]);
        assert_eq!(seconds(&[gone]), [vec![8, 8], vec![10, 11]]);
    }

    #[test]
    fn whoever_came_a_good_while_later_must_not_be_let_go_first() {
        let worst = |seconds: &[(u64, u64)]| {
            let worst = overtaken(waited(seconds), APART, by);
            worst.map(|pair| (by(&pair).as_secs(), pair.0.number, pair.1.number))
        };
        assert_eq!(worst(&[]), None);
        assert_eq!(worst(&[(1, 10), (3, 11), (5, 12)]), None);
        assert_eq!(worst(&[(1, 12), (3, 11), (5, 8)]), Some((4, 0, 2)));
        // The door was shut again between two that came together.
        assert_eq!(worst(&[(1, 30), (1, 10), (3, 30)]), None);
    }
}
