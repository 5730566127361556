//! The join itself: each request's record beside its arrivals.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Findings, Reigns};
use crate::clock::Moment;
use crate::ledger::{Arrival, Ledger};
use crate::run::{Ending, Kind, Record, Run};

/// So many examples are kept of what was lost.
const EXAMPLES: usize = 20;

pub(super) fn judge(run: &Run, ledger: &Ledger, reigns: &Reigns) -> Findings {
    let mut findings = Findings {
        sent: run.records.len() as u64,
        unannounced_closes: run.closes.len() as u64,
        unprocessed: run.unprocessed,
        ..Findings::default()
    };
    let arrivals = Arrivals::of(run, ledger);
    for (record, arrived) in run.records.iter().zip(&arrivals.by_record) {
        findings.ending(record, arrived);
        findings.times(record, arrived);
    }
    for (record, arrival) in &arrivals.in_order {
        if !reigns.allow(&arrival.release, arrival.at) {
            findings.wrong_release.push(record.number);
        }
    }
    findings.hold(&arrivals);
    findings.tunnels(run);
    findings.client_delay(run);
    findings
}

/// Which arrivals belong to which request.
struct Arrivals<'a> {
    /// In the order of the run's records.
    by_record: Vec<Vec<&'a Arrival>>,
    /// In the order of arrival.
    in_order: Vec<(&'a Record, &'a Arrival)>,
}

impl<'a> Arrivals<'a> {
    fn of(run: &'a Run, ledger: &'a Ledger) -> Self {
        let mut arrivals = Self {
            by_record: vec![Vec::new(); run.records.len()],
            in_order: Vec::new(),
        };
        for arrival in &ledger.arrivals {
            let Some(number) = run.number(&arrival.id) else {
                continue;
            };
            // Each number has a record, in order, so this finds it; anything else is another load's.
            let index = run.records.binary_search_by_key(&number, |it| it.number);
            if let Ok(index) = index {
                arrivals.by_record[index].push(arrival);
                arrivals.in_order.push((&run.records[index], arrival));
            }
        }
        arrivals
    }
}

impl Findings {
    fn ending(&mut self, record: &Record, arrived: &[&Arrival]) {
        match &record.ending {
            Ending::App { .. } if arrived.is_empty() => self.unknown_to_app.push(record.number),
            Ending::App { release, status } => {
                self.answered += 1;
                count(&mut self.by_protocol, &record.protocol.to_string());
                count(&mut self.by_release, release);
                if !matches!(status, 200 | 101) {
                    *self.by_status.entry(*status).or_default() += 1;
                }
            }
            Ending::Proxy {
                status,
                reason,
                retry_after,
            } => {
                count(&mut self.refused, reason);
                if *status == 503 && !retry_after {
                    self.without_retry_after += 1;
                }
                if reason.starts_with("hold_") && !arrived.is_empty() {
                    self.refused_but_arrived.push(record.number);
                }
            }
            Ending::Left => {
                self.left += 1;
                if arrived.iter().any(|arrival| arrival.at > record.ended) {
                    self.left_but_arrived.push(record.number);
                }
            }
            Ending::Lost(loss) => {
                count(&mut self.lost, &loss.to_string());
                if self.lost_examples.len() < EXAMPLES {
                    self.lost_examples.push(describe(record, arrived));
                }
            }
        }
    }

    fn times(&mut self, record: &Record, arrived: &[&Arrival]) {
        if arrived.len() < 2 {
            return;
        }
        if record.kind.is_idempotent() {
            self.repeated += 1;
        } else {
            self.doubled.push(record.number);
        }
    }

    fn hold(&mut self, arrivals: &Arrivals<'_>) {
        let mut held = Vec::new();
        for (record, arrival) in &arrivals.in_order {
            let Some(ms) = arrival.held_ms else { continue };
            let waited = Duration::from_millis(ms);
            self.held += 1;
            self.longest_hold = self.longest_hold.max(waited);
            if let (Some(sent), true) = (record.sent, tells_order(record.kind)) {
                held.push(Held {
                    from: arrival.at.minus(waited),
                    sent,
                    let_go: sent + waited,
                    arrived: arrival.at,
                });
            }
        }
        for hold in holds(held) {
            let (let_go, arrived) = (
                worst_overtaking(hold.iter().map(|it| it.let_go)),
                worst_overtaking(hold.iter().map(|it| it.arrived)),
            );
            self.worst_let_go_overtaking = self.worst_let_go_overtaking.max(let_go);
            self.worst_overtaking = self.worst_overtaking.max(arrived);
            self.longest_release = self.longest_release.max(release(&hold));
        }
    }

    fn tunnels(&mut self, run: &Run) {
        for tunnel in &run.tunnels {
            *self.tunnels.entry(tunnel.end).or_default() += 1;
            self.echoes += tunnel.echoes;
        }
    }

    fn client_delay(&mut self, run: &Run) {
        let timed = run.records.iter().filter(|record| record.kind.is_timed());
        let delay = |record: &Record| Some(record.sent?.since(record.intended));
        let mut delays: Vec<Duration> = timed.filter_map(delay).collect();
        delays.sort_unstable();
        let at = |share: usize| delays.get(delays.len() * share / 100).copied();
        self.client_delay_p50 = at(50).unwrap_or_default();
        self.client_delay_p99 = at(99).unwrap_or_default();
    }
}

/// Enough to look for it in logs and in the ledger.
fn describe(record: &Record, arrived: &[&Arrival]) -> String {
    let Record {
        number,
        kind,
        protocol,
        ..
    } = record;
    let after = |from: Moment, to: Option<Moment>| to.map(|to| to.since(from));
    let sent = after(record.intended, record.sent);
    let took = after(record.intended, Some(record.ended));
    let releases: Vec<&str> = arrived.iter().map(|arrival| &*arrival.release).collect();
    format!(
        "{number} {kind:?} in {protocol}, sent after {sent:?}, lost after {took:?}, came to {releases:?}"
    )
}

/// A held request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    from: Moment,
    sent: Moment,
    /// As the proxy says how long it waited.
    let_go: Moment,
    arrived: Moment,
}

/// Those who waited at the same time, or at the same time as one who did; in order of sending.
fn holds(mut held: Vec<Held>) -> Vec<Vec<Held>> {
    held.sort_unstable();
    let mut holds: Vec<Vec<Held>> = Vec::new();
    let mut until = Moment::default();
    for one in held {
        match holds.last_mut() {
            Some(hold) if one.from <= until => hold.push(one),
            Some(_) | None => holds.push(vec![one]),
        }
        until = until.max(one.arrived);
    }
    for hold in &mut holds {
        hold.sort_unstable_by_key(|it| it.sent);
    }
    holds
}

/// How much earlier the first of all that were sent later had its moment, at worst.
fn worst_overtaking(in_order_of_sending: impl DoubleEndedIterator<Item = Moment>) -> Duration {
    let mut worst = Duration::ZERO;
    let mut first_of_later: Option<Moment> = None;
    for moment in in_order_of_sending.rev() {
        let first = first_of_later.map_or(moment, |first| first.min(moment));
        worst = worst.max(moment.since(first));
        first_of_later = Some(first);
    }
    worst
}

/// From the first arrival to the last.
fn release(hold: &[Held]) -> Duration {
    let arrivals = || hold.iter().map(|it| it.arrived);
    match (arrivals().min(), arrivals().max()) {
        (Some(first), Some(last)) => last.since(first),
        (None, _) | (_, None) => Duration::ZERO,
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => {
            counts.insert(name.to_owned(), 1);
        }
    }
}

/// Whether the head of such a request is at the other side as soon as it is sent.
fn tells_order(kind: Kind) -> bool {
    use Kind::{Download, LargeDownload, LargeUpload, Upload};
    !matches!(kind, Upload | Download | LargeUpload | LargeDownload)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sent one after the other from this instant on, and held since; they arrive at these.
    fn hold(from: u64, arrivals: &[u64]) -> Vec<Held> {
        let at = Moment::from_micros;
        let held = arrivals.iter().zip(from..).map(|(arrived, sent)| Held {
            from: at(sent),
            sent: at(sent),
            let_go: at(*arrived),
            arrived: at(*arrived),
        });
        held.collect()
    }

    #[test]
    fn overtaking_is_by_how_much_a_later_one_came_earlier() {
        let worst = |arrivals: &[u64]| {
            let hold = hold(0, arrivals);
            worst_overtaking(hold.iter().map(|it| it.arrived)).as_micros()
        };
        assert_eq!(worst(&[]), 0);
        assert_eq!(worst(&[10, 20, 30]), 0);
        assert_eq!(worst(&[10, 50, 30, 20, 60]), 30);
    }

    #[test]
    fn holds_are_told_apart_by_the_time_between_them() {
        let (first, second) = (hold(0, &[100, 110, 105]), hold(200, &[310, 300]));
        let all = [second.clone(), first.clone()].concat();
        assert_eq!(holds(all), [first.clone(), second]);
        assert_eq!(release(&first).as_micros(), 10);
    }
}
