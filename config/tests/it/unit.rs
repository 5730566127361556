//! The unit for systemd is one that systemd understands, and that gives the daemon no more than it needs.

use std::path::Path;
use std::process::{Command, Output};

use crate::folder;

/// In tenths, as `--threshold` has it: what README.md beside the unit says, of this version.
const EXPOSURE_MAX: &str = "15";
const VERSION: &str = "252";
/// Another version weighs it in its own way.
const EXPOSURE_MAX_OF_OTHERS: &str = "20";

/// Whether it is installed. If not, says that the test was skipped, which `HOLDFAST_TEST_ALL=1` does not allow.
fn is_installed() -> bool {
    let installed = Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_ok();
    if !installed {
        let all = std::env::var_os("HOLDFAST_TEST_ALL").is_some_and(|all| all == "1");
        assert!(!all, "no systemd-analyze; Debian: apt-get install systemd");
        println!("skipped: no systemd-analyze");
    }
    installed
}

/// Whether it is the version of which the words and numbers are known.
fn is_known() -> bool {
    let version = Command::new("systemd-analyze").arg("--version").output();
    let version = said(&version.unwrap());
    version.split_whitespace().nth(1) == Some(VERSION)
}

/// It is content. Another version may have a word to say all the same, as of what it calls out of date.
fn finds_nothing_wrong(verified: &Output) {
    assert!(verified.status.success(), "{}", said(verified));
    if is_known() {
        assert_eq!(said(verified), "");
    }
}

/// The unit, with another program in the place of ours, which has to be executable.
fn unit(directory: &Path, change: impl FnOnce(String) -> String) -> std::path::PathBuf {
    let text = std::fs::read_to_string(folder("systemd").join("holdfast.service")).unwrap();
    let text = change(text.replace("/usr/local/bin/holdfast", "/bin/true"));
    let path = directory.join("holdfast.service");
    std::fs::write(&path, text).unwrap();
    path
}

fn analyze(arguments: &[&str], unit: &Path) -> Output {
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).arg(unit).output().unwrap()
}

fn said(output: &Output) -> String {
    let text = |octets| String::from_utf8_lossy(octets).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    if !is_installed() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let verify = ["verify", "--man=no"];
    finds_nothing_wrong(&analyze(&verify, &unit(directory.path(), |text| text)));
    let misspelled = unit(directory.path(), |text| {
        text.replace("NotifyAccess=", "NotifyAcess=")
    });
    assert!(said(&analyze(&verify, &misspelled)).contains("NotifyAcess"));
}

#[test]
fn the_unit_exposes_no_more_than_it_says() {
    if !is_installed() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // Without which lines it is too much.
    let (exposure_max, needed) = match is_known() {
        true => (EXPOSURE_MAX, "ProtectSystem="),
        false => (EXPOSURE_MAX_OF_OTHERS, "Protect"),
    };
    let threshold = format!("--threshold={exposure_max}");
    let security = ["security", "--offline=true", &threshold];
    let hardened = analyze(&security, &unit(directory.path(), |text| text));
    assert!(hardened.status.success(), "{}", said(&hardened));
    let weakened = unit(directory.path(), |text| {
        let kept = text.lines().filter(|line| !line.starts_with(needed));
        kept.map(|line| format!("{line}\n")).collect()
    });
    assert!(!analyze(&security, &weakened).status.success());
}

#[test]
fn systemd_finds_nothing_wrong_with_the_sockets() {
    if !is_installed() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    unit(directory.path(), |text| text);
    let path = directory.path().join("holdfast.socket");
    std::fs::copy(folder("systemd").join("holdfast.socket"), &path).unwrap();
    finds_nothing_wrong(&analyze(&["verify", "--man=no"], &path));
}
