//! On a terminal: one live line, colours, and Ctrl-C. `script` (util-linux) makes the terminal.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::answers::{ended, phase, progress, receipt};
use crate::daemon::Daemon;
use crate::run::{SWAPCTL, until};

/// Begins to run a command line in a terminal of 60 columns.
fn in_terminal(daemon: &Daemon, arguments: &str, environment: &[(&str, &str)]) -> Child {
    // Not the last command, so that no shell becomes swapctl; and Ctrl-C is not to end the shell before it has said how
    // swapctl ended (dash would, bash would not).
    let line = format!("trap : INT; stty cols 60; {SWAPCTL} {arguments}; exit $?");
    Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("HOLDFAST_CONTROL", daemon.socket())
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh")
        .env_remove("NO_COLOR")
        // It would give colours to a dumb terminal too.
        .env_remove("CI")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What was on the terminal, and the exit code.
fn end(child: Child) -> (String, Option<i32>) {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (text, output.status.code())
}

fn swapping() -> Daemon {
    let long = "127.0.0.1:3001: connection refused by a machine with a very long name";
    Daemon::telling(vec![
        phase("holding", 3, 0),
        progress("booting", 0, 398, Some(long)),
        ended(&receipt(json!({}))),
    ])
}

#[test]
fn a_live_line_is_drawn_in_its_place_and_leaves_nothing_behind() {
    let daemon = swapping();
    let (text, code) = end(in_terminal(&daemon, "promote --release 9f3c1a2", &[]));
    assert_eq!(code, Some(0), "{text:?}");
    let drawn: Vec<&str> = text.split("\r\x1b[K").collect();
    assert!(drawn.len() >= 4, "{text:?}");
    assert!(
        drawn[1].starts_with("holding · 3 running · 0 held · "),
        "{text:?}"
    );
    let live = &drawn[1..drawn.len() - 1];
    assert!(
        live.iter().any(|line| line.contains("398 held")),
        "{text:?}"
    );
    for line in live {
        assert!(line.chars().count() < 60, "it would wrap: {line:?}");
        assert!(!line.contains('\n'), "it would scroll: {line:?}");
    }
    let rest = drawn[drawn.len() - 1];
    assert!(rest.starts_with("operation "), "{text:?}");
}

#[test]
fn a_canary_shows_its_share_and_both_arms() {
    let mut going = progress("canary", 3, 0, None);
    going["canary"] = crate::answers::canary();
    going["control"] = crate::answers::control();
    let daemon = Daemon::telling(vec![going, ended(&receipt(json!({})))]);
    let typed = "promote --release 9f3c1a2 --strategy canary";
    let (text, code) = end(in_terminal(&daemon, typed, &[]));
    assert_eq!(code, Some(0), "{text:?}");
    let live = "canary 5 % · 37/410 failed, p99 188 ms · control 4/402";
    assert!(text.contains(live), "{text:?}");
}

#[test]
fn colour_only_where_it_is_wanted() {
    let green = "\x1b[1m\x1b[32mdone:";
    let coloured = end(in_terminal(&swapping(), "promote --release 9f3c1a2", &[])).0;
    assert!(coloured.contains(green), "{coloured:?}");
    let plain = [("NO_COLOR", "1")];
    let plain = end(in_terminal(
        &swapping(),
        "promote --release 9f3c1a2",
        &plain,
    ))
    .0;
    assert!(plain.contains("\ndone: web"), "{plain:?}");
}

#[test]
fn a_dumb_terminal_gets_lines() {
    let dumb = [("TERM", "dumb")];
    let (text, _) = end(in_terminal(&swapping(), "promote --release 9f3c1a2", &dumb));
    assert!(!text.contains('\x1b'), "{text:?}");
    assert!(
        text.contains("holding · 3 running · 0 held\r\n"),
        "{text:?}"
    );
}

/// The terminal has told the command already. A second signal would make many programs give up their cleaning.
///
/// Two signals that wait at the same time are one, so swapctl is kept from hearing of it until the command has.
#[test]
fn ctrl_c_reaches_the_command_once() {
    let daemon = Daemon::new(|request, mut answer| match request.line.as_str() {
        "POST /v1/apps/-/promote" => {
            answer = answer.events();
            answer.tell(&phase("command", 0, 0));
            let end = answer.wait_for("POST /v1/operations/*/command");
            let why = end.body["why"].clone();
            answer.tell(&ended(&receipt(json!({ "outcome": "failed", "why": why }))));
        }
        _ => answer.json(200, &json!({ "done": "noted" })),
    });
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let script = "cd \"$(dirname \"$0\")\"\n\
        trap 'echo INT >> told' INT\n\
        echo $PPID > pid.new; mv pid.new pid\n\
        until [ -e go ]; do sleep 0.02; done\n\
        sleep 0.3\n\
        exit 0\n";
    fs::write(file("deploy.sh"), script).unwrap();
    let script = file("deploy.sh");
    let arguments = format!(
        "promote --release 1 --strategy hold -- sh {}",
        script.display()
    );
    let mut child = in_terminal(&daemon, &arguments, &[]);
    until("the command", || file("pid").exists());
    let pid = fs::read_to_string(file("pid")).unwrap();
    let swapctl = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    kill_process(swapctl, Signal::STOP).unwrap();
    child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    until("the signal", || file("told").exists());
    kill_process(swapctl, Signal::CONT).unwrap();
    fs::write(file("go"), "").unwrap();
    let (text, code) = end(child);
    assert_eq!(code, Some(4), "{text:?}");
    assert_eq!(fs::read_to_string(file("told")).unwrap(), "INT\n");
    assert!(
        text.contains("swapctl received SIGINT; sh: exit status 0"),
        "{text:?}"
    );
}
