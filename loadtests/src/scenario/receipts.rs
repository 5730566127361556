//! What a promote says of itself, beside what was seen from outside.

use holdfast_load::clock::Moment;
use holdfast_load::ledger::Ledger;
use holdfast_load::run::Run;
use holdfast_load::verdict::Verdict;
use swap_core::Outcome;

use crate::stage::{Promoted, Seen};

/// How far two clocks that measure the same wait may be apart: one starts when the request was read, the other when it
/// was held; both are told in whole milliseconds.
const SAME_MS: u64 = 20;

/// It is done, and lost nothing.
pub(super) fn done(verdict: &mut Verdict, promoted: &Promoted) {
    ended(verdict, promoted, 0, Outcome::Done);
    let receipt = &promoted.receipt;
    verdict.must(
        format!("{} cuts nothing and loses nothing", name(promoted)),
        format!("{} cut, {} lost", receipt.cut, receipt.lost),
        receipt.cut == 0 && receipt.lost == 0,
    );
}

/// It ends with this exit code and outcome.
pub(super) fn ended(verdict: &mut Verdict, promoted: &Promoted, code: i32, outcome: Outcome) {
    let (receipt, ended) = (&promoted.receipt, &promoted.ended);
    let why = receipt.why.as_deref().map(|why| format!(": {why}"));
    verdict.must(
        format!("{} exits {code}", name(promoted)),
        format!(
            "exit {} after {} ms, {:?}{}",
            ended.code,
            receipt.took_ms,
            receipt.outcome,
            why.unwrap_or_default()
        ),
        ended.code == code && receipt.outcome == outcome,
    );
}

/// Its account of the hold is that of the ledger, for the only hold since it began and before `until`.
pub(super) fn hold(verdict: &mut Verdict, promoted: &Promoted, seen: &Seen, until: Option<Moment>) {
    let (receipt, name) = (&promoted.receipt, name(promoted));
    let ends = receipt.released + receipt.abandoned + receipt.shed.timeout + receipt.waiting;
    verdict.must(
        format!("{name} accounts for each held request"),
        format!("{} held, {ends} accounted for", receipt.held),
        receipt.held == ends,
    );
    let outside = Outside::of(&seen.run, &seen.ledger, promoted.began, until);
    let inside = receipt.released + receipt.waiting;
    verdict.must(
        format!("{name} released as many as the app says were held"),
        format!("{inside} released, {} in the ledger", outside.held),
        inside == outside.held,
    );
    let (ours, theirs) = (outside.longest_ms, receipt.longest_hold_ms);
    verdict.must(
        format!("{name} says how long the longest hold was"),
        format!("{theirs} ms, {ours} ms in the ledger"),
        // Those who still waited when the receipt was written are not in it.
        theirs.abs_diff(ours) <= SAME_MS || (receipt.waiting > 0 && theirs <= ours),
    );
}

/// A hold, as the app saw it.
struct Outside {
    held: u64,
    longest_ms: u64,
}

impl Outside {
    fn of(run: &Run, ledger: &Ledger, from: Moment, until: Option<Moment>) -> Self {
        let arrived = ledger
            .arrivals
            .iter()
            .filter(|it| run.number(&it.id).is_some());
        let during = arrived.filter(|it| it.at >= from && until.is_none_or(|until| it.at < until));
        let held = during.filter_map(|it| it.held_ms);
        held.fold(
            Self {
                held: 0,
                longest_ms: 0,
            },
            |so_far, ms| Self {
                held: so_far.held + 1,
                longest_ms: so_far.longest_ms.max(ms),
            },
        )
    }
}

fn name(promoted: &Promoted) -> String {
    let to = promoted.receipt.to.as_ref();
    let to = to.map_or_else(String::new, ToString::to_string);
    format!("the promote of {to}")
}
