//! The demo is what a newcomer sees first: it must tell the truth, end by itself, and leave nothing behind.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// The story takes some 12 s; a loaded machine may need more.
const DEADLINE: Duration = Duration::from_secs(90);

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}

#[tokio::test]
async fn the_demo_loses_nothing_writes_its_report_and_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let (temporary, report) = (home.path().join("tmp"), home.path().join("report"));
    std::fs::create_dir(&temporary).unwrap();
    let demo = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(["demo", "--seconds", "1", "--report"])
        .arg(&report)
        .env("TMPDIR", &temporary)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ended = timeout(DEADLINE, demo)
        .await
        .expect("the demo ends")
        .unwrap();
    let told = String::from_utf8_lossy(&ended.stdout);
    let complaints = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{told}\n{complaints}");

    let last = told.lines().last().unwrap_or_default();
    let sent = last
        .strip_prefix("sent ")
        .and_then(|it| it.split(' ').next());
    let sent: u64 = sent.and_then(|it| it.parse().ok()).expect(last);
    assert!(sent > 1000, "{last}");
    assert_eq!(last, format!("sent {sent} · answered {sent} · lost 0"));
    assert!(
        told.contains("receipt: Failed"),
        "r4 must not get ready: {told}"
    );
    let page = std::fs::read_to_string(report.join("demo.html")).unwrap();
    assert!(page.contains("<svg"), "a report without pictures");
    assert!(is_empty(&temporary), "files are left in {temporary:?}");
}
