//! The demo tells the whole story and loses nothing.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

#[tokio::test]
async fn the_demo_ends_with_lost_0_and_a_report() {
    let reports = tempfile::tempdir().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    demo.args(["demo", "--seconds", "12", "--report"])
        .arg(reports.path());
    let demo = demo.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_secs(90), demo)
        .await
        .unwrap()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let last = told.lines().last().unwrap_or_default();
    assert!(
        output.status.success() && last.ends_with("· lost 0"),
        "{told}"
    );
    let page = std::fs::read_to_string(reports.path().join("demo.html")).unwrap();
    assert!(page.contains("<svg"), "the report has pictures");
}
