//! `compare` in small: it has to run to its end and have figures, whatever they are here.

use std::fs;
use std::io;
use std::process::{Command, Output};

fn compare(arguments: &[&str]) -> io::Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_compare"));
    command.args(arguments).output()
}

#[test]
fn the_floor_and_holdfast_get_figures() {
    let directory = tempfile::tempdir().unwrap();
    let (json, svg) = (
        directory.path().join("c.json"),
        directory.path().join("c.svg"),
    );
    let output = compare(&[
        "--quick",
        "--rounds=2",
        "--seconds=0.1",
        "--rate=200",
        "--workload=small",
        "--peer=floor",
        "--peer=holdfast",
        &format!("--json={}", json.display()),
        &format!("--svg={}", svg.display()),
    ])
    .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{said}");
    assert!(!text.contains("differs"), "{text}");
    let report: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    let rows = report["workloads"][0]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        let figures = &row["figures"];
        for figure in ["/cpu_us/median", "/rate/median", "/latency_us/p99"] {
            let value = figures.pointer(figure).and_then(|it| it.as_f64());
            assert!(value.is_some_and(|it| it > 0.0), "{figure} of {row}");
        }
    }
    assert!(fs::read_to_string(&svg).unwrap().contains("holdfast"));
}

#[test]
fn what_there_is_can_be_asked_for() {
    let output = compare(&["--list"]).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("connections-8000") && text.contains("in this program"));
}
