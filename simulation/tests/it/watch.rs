//! What must hold after every step, and what must be over at the end.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use holdfast::simulating::Stage;
use holdfast_control::plane::{DataPlane, HoldCounts, Traffic};
use holdfast_control::wire::Phase;
use swap_core::AppName;

use crate::book::{End, Shared};
use crate::orders::Operator;

/// What may be late by as much as a timer is.
const LATE: Duration = Duration::from_millis(50);

/// Looks at everything that can be seen from outside.
pub(crate) fn look(
    shared: &Shared,
    plane: &Arc<dyn DataPlane>,
    settings: &BTreeMap<AppName, holdfast_config::App>,
) {
    for (name, app) in settings {
        let traffic = plane.traffic(name);
        is_within_its_limits(shared, &traffic.hold, &app.hold);
        counts_add_up(shared, &traffic);
        note_state(shared, &traffic);
    }
    let mut book = shared.book();
    book.nobody_runs_behind_ended_gates();
    book.nobody_waits_for_ever();
}

/// I4.
fn is_within_its_limits(shared: &Shared, hold: &HoldCounts, limits: &holdfast_config::Hold) {
    let HoldCounts {
        waiting,
        waiting_bytes,
        oldest,
        ..
    } = hold;
    shared.must(*waiting <= limits.max_requests as u64, || {
        format!("I4: {waiting} wait")
    });
    shared.must(*waiting_bytes <= limits.max_bytes as u64, || {
        format!("I4: {waiting_bytes} bytes wait")
    });
    shared.must(*oldest <= limits.max_wait + LATE, || {
        format!("I4: the oldest waits for {oldest:?}")
    });
}

fn counts_add_up(shared: &Shared, traffic: &Traffic) {
    let hold = &traffic.hold;
    let sum = hold.released + hold.abandoned + hold.shed.timeout + hold.waiting;
    shared.must(hold.held == sum, || {
        format!("held is not what became of the held: {hold:?}")
    });
    let lost = shared.book().lost_in_this_life();
    shared.must(traffic.lost >= lost, || {
        format!(
            "{lost} clients lost an answer, counted are {}",
            traffic.lost
        )
    });
}

/// A state, as far as it means anything: numbers that only grow count as none, one, or more.
fn note_state(shared: &Shared, traffic: &Traffic) {
    let some = |count: u64| count.min(2);
    let hold = &traffic.hold;
    let mut hasher = DefaultHasher::new();
    let door = (
        hold.active,
        hold.given_up,
        hold.cause,
        hold.methods,
        some(hold.waiting),
    );
    let running = (
        some(traffic.in_flight),
        traffic.draining.len(),
        some(traffic.cut),
        some(traffic.lost),
    );
    (door, running).hash(&mut hasher);
    for (_, up, count) in &traffic.instances {
        (up, some(*count)).hash(&mut hasher);
    }
    for (release, count, _) in &traffic.draining {
        (release.id.as_str(), some(*count)).hash(&mut hasher);
    }
    let mut book = shared.book();
    book.gates.live.hash(&mut hasher);
    book.states.insert(hasher.finish());
}

/// What is still under way, in words; none when everything is at rest.
pub(crate) async fn left(shared: &Shared, operator: &Operator, stage: &Stage) -> String {
    let Some(status) = operator.commander.status().await else {
        return "the control plane has stopped".to_owned();
    };
    let mut left = String::new();
    for app in status.apps.values() {
        let rests = matches!(app.phase, Phase::Steady | Phase::Empty);
        let holds = app.hold.held > 0 || (app.hold.active && app.phase != Phase::Empty);
        let runs = app.live.as_ref().is_some_and(|live| live.in_flight > 0);
        if !rests || holds || runs || !app.draining.is_empty() {
            left += &format!("{app:?}");
        }
    }
    let open = shared
        .book()
        .requests
        .iter()
        .filter(|request| request.end.is_none())
        .count();
    let (running, connections) = (shared.book().running.len(), stage.connections());
    if open + running + connections > 0 {
        left += &format!(" {open} requests, {running} at instances, {connections} connections");
    }
    left
}

impl crate::book::Book {
    /// Clients that were told that no answer came, though they waited.
    fn lost_in_this_life(&self) -> u64 {
        let lost = |end: &End| match end {
            End::Answered(502 | 504, Some(reason)) => reason != "cut",
            _ => false,
        };
        let ended = self.requests[self.first_of_life..]
            .iter()
            .filter_map(|request| request.end.as_ref());
        ended.filter(|end| lost(end)).count() as u64
    }
}
