//! A worse canary fails, and soon.

use swap_judge::{Test, Verdict};

use crate::world::{Crowd, Kind, Paces, Release, Step};
use crate::{arm, judge, look, seed, times};

/// Requests on the canary until it fails, and by what, of a few rollouts: in order.
fn until_it_fails(kind: Kind, seed: u64) -> Vec<(u64, Option<Test>)> {
    let (judge, paces) = (judge(), Paces::new());
    let mut seeds = fastrand::Rng::with_seed(seed);
    let mut found: Vec<_> = (0..41)
        .map(|_| {
            let mut step = Step::new(kind, &paces, seeds.u64(..));
            let ruling = (0..kind.requests).find_map(|_| {
                step.request();
                judge.alarm(&step.look)
            });
            let by = ruling.and_then(|ruling| ruling.by);
            (by.map_or(u64::MAX, |_| step.look.canary.requests), by)
        })
        .collect();
    found.sort_unstable_by_key(|(requests, _)| *requests);
    found
}

fn kind(canary: Release, control: Release) -> Kind {
    Kind {
        canary,
        control,
        crowd: Crowd::Plain,
        slots: None,
        times: false,
        requests: 6000,
    }
}

#[test]
fn fifteen_instead_of_two_per_cent_are_found_within_400_requests() {
    let seed = seed::drawn("fifteen");
    let kind = kind(Release::failing(0.15), Release::failing(0.02));
    let found = until_it_fails(kind, seed);
    // The median is about 155; half of 41 rollouts beyond 400 do not happen.
    assert!(found[20].0 <= 400, "{found:?}");
}

#[test]
fn by_clients_it_is_found_as_well() {
    let seed = seed::drawn("by_clients");
    let kind = Kind {
        crowd: Crowd::Sessions,
        slots: Some(1 << 12),
        ..kind(Release::failing(0.15), Release::failing(0.02))
    };
    let found = until_it_fails(kind, seed);
    assert!(found[20].0 <= 400, "{found:?}");
}

#[test]
fn one_that_fails_all_is_gone_after_two_dozen_requests() {
    let seed = seed::drawn("fails_all");
    let found = until_it_fails(kind(Release::failing(1.0), Release::failing(0.0)), seed);
    assert!(
        found.iter().all(|(requests, _)| *requests <= 24),
        "{found:?}"
    );
}

#[test]
fn one_that_is_only_slow_is_found_by_its_median() {
    let seed = seed::drawn("only_slow");
    let slow = Release {
        slower: 2.0,
        ..Release::failing(0.02)
    };
    let kind = Kind {
        times: true,
        requests: 3000,
        ..kind(slow, Release::failing(0.02))
    };
    let found = until_it_fails(kind, seed);
    assert_eq!(found[20].1, Some(Test::P50), "{found:?}");
}

#[test]
fn a_longer_tail_is_found_by_the_p99_from_5000_requests_on() {
    let mut bad = look(arm(6000, 0), arm(6000, 0));
    bad.control.times = times(6000, 50_000);
    bad.canary.times = times(5600, 50_000);
    (0..400).for_each(|_| bad.canary.times.record(400_000));
    let ruling = judge().rule(&bad);
    assert_eq!(
        (ruling.verdict, ruling.by),
        (Verdict::Fail, Some(Test::P99))
    );
    assert_eq!(
        ruling.why,
        "canary's p99 is 401 ms, control's 75.8 ms, more than 1.25 times as long; chance of a false alarm below 1 %"
    );

    bad.control.times = times(4999, 50_000);
    assert_eq!(judge().alarm(&bad), None);
}

#[test]
fn a_sentence_tells_the_figures() {
    let ruling = judge().rule(&look(arm(410, 37), arm(402, 4)));
    assert_eq!(ruling.by, Some(Test::Errors));
    assert_eq!(
        ruling.why,
        "canary failed 37 of 410, control 4 of 402; chance of a false alarm below 1 %"
    );

    let mut clients = look(arm(4100, 370), arm(4020, 40));
    (clients.canary.units, clients.canary.erred) = (410, 37);
    (clients.control.units, clients.control.erred) = (402, 4);
    clients.slots = Some(1 << 16);
    assert_eq!(
        judge().rule(&clients).why,
        "canary failed 370 of 4100 (37 of 410 clients), control 40 of 4020 (4 of 402 clients); chance of a false alarm below 1 %"
    );
}
