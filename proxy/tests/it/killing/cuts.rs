//! The journal of a real daemon is cut, and that daemon started again. (At every octet: `control/src/journal/cutting.rs`.)

use serde_json::{Value, json};
use tokio::task::LocalSet;

use super::victim::Victim;
use super::{app_of, cast, must_serve};

/// What the journal says after each of its lines: what is live.
pub(crate) fn live_after(journal: &[u8]) -> Vec<(usize, String)> {
    let mut end = 0;
    let lines = journal.split_inclusive(|octet| *octet == b'\n');
    let lives = lines.map(|line| {
        end += line.len();
        let record: Value = serde_json::from_slice(&line[9..]).unwrap();
        let live = record["saved"]["live"]["id"].as_str();
        (end, live.unwrap_or("initial").to_owned())
    });
    lives.collect()
}

async fn check() {
    let cast = cast().await;
    let flags = vec![format!("--upstream={}", cast.a.address)];
    let mut victim = Victim::new("cuts", flags);
    assert!(victim.start(None).await);
    let promote = json!({"release": "v2", "instance": [cast.b.address.to_string()]});
    for (verb, body) in [
        ("promote", promote),
        ("rollback", json!({})),
        ("block", json!({"reason": "look"})),
    ] {
        let (status, answer) = victim.verb(verb, body).await.unwrap();
        assert!(status < 300, "{answer}");
    }
    victim.kill().await;
    let journal = std::fs::read(victim.journal()).unwrap();
    let lives = live_after(&journal);
    assert!(lives.iter().any(|(_, live)| live == "v2"));
    let mut before = (0, String::new());
    for (end, live) in lives {
        // In the middle of the record, before its last octet, and behind it.
        for cut in [(before.0 + end) / 2, end - 1, end] {
            std::fs::write(victim.journal(), &journal[..cut]).unwrap();
            let expected = if cut == end { &live } else { &before.1 };
            let is_ready = victim.start(None).await;
            assert_eq!(is_ready, !expected.is_empty(), "cut at {cut}");
            if is_ready {
                must_serve(&victim, expected).await;
                victim.kill().await;
            } else {
                // No journal: a word, and no routing.
                assert_eq!(victim.ended().await.code(), Some(2));
            }
        }
        before = (end, live);
    }
    assert_eq!(app_of(&before.1), "a");
}

#[tokio::test]
async fn a_daemon_whose_journal_is_cut_serves_the_last_good_release_or_does_not_start() {
    LocalSet::new().run_until(check()).await;
}
