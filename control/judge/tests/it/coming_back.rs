//! Another process goes on with the same counts.

use swap_judge::{Judge, Look, Place, Rules, Ruling};

use crate::{arm, judge, look, times};

#[test]
fn what_was_written_down_is_judged_alike() {
    let mut seen = look(arm(410, 37), arm(402, 4));
    seen.canary.times = times(410, 50_000);
    seen.slots = Some(1 << 16);
    let text = serde_json::to_string(&seen).unwrap();
    let again: Look = serde_json::from_str(&text).unwrap();
    assert_eq!(again, seen);
    assert_eq!(judge().rule(&again), judge().rule(&seen));
}

#[test]
fn a_ruling_has_the_words_of_the_contract() {
    let ruling = judge().rule(&look(arm(410, 37), arm(402, 4)));
    let text = serde_json::to_string(&ruling).unwrap();
    assert!(
        text.starts_with(r#"{"verdict":"fail","why":"canary failed"#),
        "{text}"
    );
    assert!(text.contains(r#""by":"errors""#), "{text}");
    assert_eq!(serde_json::from_str::<Ruling>(&text).unwrap(), ruling);
    let quiet = serde_json::to_string(&judge().rule(&Look::default())).unwrap();
    assert!(
        quiet.starts_with(r#"{"verdict":"not_enough_traffic""#),
        "{quiet}"
    );
}

/// Errors of the canary until it fails, while the control has none.
fn errors_needed(steps: u32, attempt: u32) -> u64 {
    let judge = Judge::new(Rules::default(), Place { steps, attempt });
    (1..200)
        // Fewer than half of the requests, so that the guard has no part in it.
        .find(|errors| {
            judge
                .alarm(&look(arm(3 * errors, *errors), arm(3 * errors, 0)))
                .is_some()
        })
        .unwrap()
}

#[test]
fn each_attempt_and_each_step_needs_more_evidence() {
    let attempts: Vec<_> = (0..10).map(|attempt| errors_needed(4, attempt)).collect();
    assert!(
        attempts.is_sorted_by(|before, after| before < after),
        "{attempts:?}"
    );
    assert!(errors_needed(1, 0) < errors_needed(8, 0));
    assert_eq!(errors_needed(0, 0), errors_needed(1, 0));
}

#[test]
fn any_number_of_attempts_is_borne() {
    let place = Place {
        steps: u32::MAX,
        attempt: u32::MAX,
    };
    let judge = Judge::new(Rules::default(), place);
    assert_eq!(judge.alarm(&look(arm(3000, 1000), arm(3000, 0))), None);
}
