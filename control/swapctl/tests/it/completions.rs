//! The scripts that shells read.

use std::fs;
use std::io;
use std::process::{Command, Stdio};

use crate::run::alone;

fn script(shell: &str) -> String {
    let script = alone(&["completions", shell]).expect(0).out;
    for word in ["promote", "rollback", "--if-current", "--strategy"] {
        let word = word.trim_start_matches('-');
        assert!(script.contains(word), "{shell} does not know {word}");
    }
    script
}

/// Whether the shell can read it; none if there is no such shell here.
fn parses(shell: &str, flag: &str) -> Option<bool> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("completions");
    fs::write(&file, script(shell)).unwrap();
    match Command::new(shell).arg(flag).arg(&file).status() {
        Ok(status) => Some(status.success()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => panic!("{shell}: {error}"),
    }
}

#[test]
fn for_bash() {
    assert_eq!(parses("bash", "-n"), Some(true));
}

#[test]
fn for_zsh() {
    assert_ne!(parses("zsh", "-n"), Some(false));
}

#[test]
fn for_fish() {
    assert_ne!(parses("fish", "--no-execute"), Some(false));
}

#[test]
fn bash_completes_a_verb_with_it() {
    let ask = format!(
        "{}\nCOMP_WORDS=(swapctl roll)\nCOMP_CWORD=1\n_swapctl swapctl roll swapctl\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        script("bash")
    );
    let output = Command::new("bash").arg("-c").arg(ask).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "rollback\n");
}

#[test]
fn a_reader_who_has_read_enough_is_no_error() {
    let ask = format!(
        "{} completions bash | head -c 1; exit ${{PIPESTATUS[0]}}",
        crate::run::SWAPCTL
    );
    let output = Command::new("bash")
        .arg("-c")
        .arg(ask)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(output.stderr, b"");
}

#[test]
fn a_full_disk_is() {
    let ask = format!("{} completions bash > /dev/full", crate::run::SWAPCTL);
    let output = Command::new("bash").arg("-c").arg(ask).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("error: standard output: "), "{said}");
}
