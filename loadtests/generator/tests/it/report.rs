//! The report says what was found, and needs nothing else to be read.

use holdfast_load::findings::{Findings, Reigns};
use holdfast_load::load::Load;
use holdfast_load::report::Report;
use holdfast_load::verdict::Verdict;

use crate::bad_proxy::{BadProxy, Fault};
use crate::stage::{Stage, plan};

async fn report(fault: Fault) -> Report {
    let stage = Stage::new();
    let app = stage.app("v1").await;
    let proxy = BadProxy::start(fault, app.address()).await;
    let load = Load::start(plan(proxy)).unwrap();
    load.mark("<promote>");
    let run = load.complete().await.unwrap();
    let ledger = stage.ledger();
    let findings = Findings::of(&run, &ledger, &Reigns::default());
    let mut verdict = Verdict::default();
    verdict.nothing_lost(&findings);
    Report::of(
        "test",
        "a test & nothing else",
        &run,
        &ledger,
        findings,
        verdict,
    )
}

#[tokio::test]
async fn the_page_has_all_pictures_and_loads_nothing() {
    let report = report(Fault::Holds).await;
    let html = report.to_html();
    for heading in [
        "Latency over time",
        "Hold depth",
        "Answers a second",
        "Latency by percentile",
    ] {
        assert!(html.contains(heading), "no {heading}");
    }
    for foreign in ["<script", "http:", "https:", "url(", "NaN", "inf"] {
        assert!(!html.contains(foreign), "{foreign} in the page");
    }
    assert!(html.contains("&lt;promote&gt;") && !html.contains("<promote>"));
    assert!(html.contains("PASS") && html.contains("prefers-color-scheme: dark"));
    if let Some(directory) = std::env::var_os("HOLDFAST_LOAD_REPORT") {
        report.write(directory.as_ref()).unwrap();
    }
}

#[tokio::test]
async fn a_failed_run_says_so_in_every_form() {
    let report = report(Fault::NoAnswer).await;
    let directory = tempfile::tempdir().unwrap();
    let html = std::fs::read_to_string(report.write(directory.path()).unwrap()).unwrap();
    assert!(html.contains(r#"<span class="badge fail">FAIL</span>"#));
    let json = std::fs::read_to_string(directory.path().join("test.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["pass"], false);
    assert!(json["findings"]["lost"]["closed without an answer"].as_u64() > Some(0));
    let text = report.to_text();
    assert!(
        text.ends_with("FAIL\n") && text.contains("lost: closed without an answer"),
        "{text}"
    );
}
