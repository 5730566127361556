//! Each fault is found, by its name.

use std::time::Duration;

use holdfast_load::findings::{Findings, Reigns};
use holdfast_load::load::{Mix, Plan};
use holdfast_load::verdict::Verdict;

use crate::bad_proxy::{BadProxy, Fault};
use crate::stage::{Stage, load, plan};

async fn found(fault: Fault, change: impl FnOnce(&mut Plan)) -> Findings {
    let stage = Stage::new();
    let app = stage.app("v1").await;
    let proxy = BadProxy::start(fault, app.address()).await;
    let mut plan = plan(proxy);
    plan.watched = 0;
    change(&mut plan);
    let run = load(plan).await;
    Findings::of(&run, &stage.ledger(), &Reigns::default())
}

fn passes(findings: &Findings) -> bool {
    let mut verdict = Verdict::default();
    verdict.nothing_lost(findings);
    verdict.passed()
}

/// Load with this fault is found to lose something like a tenth of its requests for this reason, and no other.
async fn loses(fault: Fault, why: &str) {
    let findings = found(fault, |_| {}).await;
    let lost = findings.lost.get(why).copied().unwrap_or(0);
    assert!((10..=30).contains(&lost), "{findings:#?}");
    assert_eq!(findings.lost(), lost, "{findings:#?}");
    assert!(!passes(&findings));
}

#[tokio::test]
async fn no_fault_is_found_where_there_is_none() {
    let findings = found(Fault::None, |_| {}).await;
    assert!(passes(&findings), "{findings:#?}");
}

#[tokio::test]
async fn a_request_without_an_answer_is_lost() {
    loses(Fault::NoAnswer, "closed without an answer").await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_lost() {
    loses(Fault::HalfAnAnswer, "answer broke off").await;
}

#[tokio::test]
async fn a_changed_answer_is_lost() {
    loses(Fault::ChangedAnswer, "octets changed").await;
}

#[tokio::test]
async fn an_answer_of_another_request_is_lost() {
    loses(Fault::AnothersAnswer, "answer of another request").await;
}

#[tokio::test]
async fn an_answer_that_nobody_signs_is_lost() {
    loses(Fault::Unsigned, "answer 502 of nobody").await;
}

#[tokio::test]
async fn a_changed_request_is_lost() {
    let findings = found(Fault::ChangedRequest, |plan| plan.mix.posts = 1.0).await;
    let lost = findings.lost["octets changed"];
    assert!(lost >= 10, "{findings:#?}");
}

#[tokio::test]
async fn a_request_that_is_never_answered_is_lost_after_the_timeout() {
    let findings = found(Fault::Silent, |plan| {
        plan.timeout = Duration::from_millis(500)
    })
    .await;
    assert!(findings.lost["no answer in time"] >= 10, "{findings:#?}");
}

#[tokio::test]
async fn an_answer_that_the_proxy_signs_is_a_refusal_and_no_loss() {
    let findings = found(Fault::Signed, |_| {}).await;
    let mut verdict = Verdict::default();
    verdict.answered_or_refused(&findings);
    assert!(verdict.passed(), "{findings:#?}");
    assert!(!passes(&findings));
    let refused = findings.refused["hold_full"];
    assert_eq!(refused + findings.answered, findings.sent);
    assert_eq!(findings.without_retry_after, 0);
}

#[tokio::test]
async fn a_refused_request_that_reached_the_app_is_found() {
    let findings = found(Fault::RefusesWhatItSent, |_| {}).await;
    assert!(findings.refused_but_arrived.len() >= 10, "{findings:#?}");
    assert!(!passes(&findings));
}

#[tokio::test]
async fn a_post_that_was_sent_twice_is_doubled_and_a_get_is_not() {
    let findings = found(Fault::Twice, |_| {}).await;
    assert!(!findings.doubled.is_empty(), "{findings:#?}");
    assert!(findings.repeated > 0, "{findings:#?}");
    assert!(!passes(&findings));
    let findings = found(Fault::Twice, |plan| plan.mix.posts = 0.0).await;
    assert!(passes(&findings), "{findings:#?}");
}

#[tokio::test]
async fn an_answer_that_the_app_never_gave_is_found() {
    let findings = found(Fault::Forged, |plan| {
        plan.mix.posts = 0.0;
        plan.mix.slow = 0.0;
        plan.mix.streamed = 0.0;
    })
    .await;
    assert!(findings.unknown_to_app.len() >= 10, "{findings:#?}");
    assert!(!passes(&findings));
}

#[tokio::test]
async fn an_idle_connection_that_is_closed_without_a_word_is_found() {
    let findings = found(Fault::ClosesIdle, |plan| {
        plan.watched = 5;
        plan.mix = Mix::PLAIN;
    })
    .await;
    assert!(findings.unannounced_closes >= 5, "{findings:#?}");
    assert!(!passes(&findings));
}

#[tokio::test]
async fn a_hold_that_keeps_the_order_is_seen_and_no_fault() {
    let findings = found(Fault::Holds, |_| {}).await;
    assert!(passes(&findings), "{findings:#?}");
    assert!(findings.held > 100, "{findings:#?}");
    let longest = findings.longest_hold.as_millis();
    assert!((300..2_000).contains(&longest), "{findings:#?}");
    assert!(
        findings.worst_overtaking < Duration::from_millis(100),
        "{findings:#?}"
    );
}

#[tokio::test]
async fn a_hold_that_serves_the_last_first_is_found() {
    let findings = found(Fault::HoldsBackwards, |_| {}).await;
    assert!(
        findings.worst_overtaking > Duration::from_millis(150),
        "{findings:#?}"
    );
}
