//! `promote --strategy hold -- COMMAND`: it runs when the daemon says so, once, and however it ends the daemon hears.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::answers::{ended, phase, receipt, state};
use crate::daemon::{Answer, Daemon, Request};
use crate::run::{Run, start, swapctl, until};

const COMMAND_ENDED: &str = "POST /v1/operations/*/command";

/// A daemon that lets the COMMAND run and ends as it did.
fn daemon() -> Daemon {
    Daemon::new(|request, answer| match request.line.as_str() {
        "POST /v1/apps/web/promote" => {
            let mut answer = answer.events();
            answer.tell(&phase("holding", 3, 0));
            answer.tell(&phase("command", 0, 12));
            let end = answer.wait_for(COMMAND_ENDED);
            // Twice, and late: a migration runs once all the same.
            answer.tell(&phase("command", 0, 12));
            answer.tell(&ended(&outcome(&end)));
        }
        _ => note(request, answer),
    })
}

fn note(request: &Request, answer: Answer) {
    assert!(request.is(COMMAND_ENDED), "{request:?}");
    answer.json(200, &json!({ "done": "noted" }));
}

fn outcome(end: &Request) -> Value {
    let outcome = if end.body["ok"] == true {
        "done"
    } else {
        "failed"
    };
    receipt(json!({ "outcome": outcome, "why": end.body["why"] }))
}

fn typed(command: &[&str]) -> Vec<OsString> {
    let promote = "promote web --release 9f3c1a2 --strategy hold --";
    let words = promote.split(' ').chain(command.iter().copied());
    words.map(OsString::from).collect()
}

/// What the daemon was told of the COMMAND's end; it must have been told once.
#[track_caller]
fn told(daemon: &Daemon) -> Value {
    let mut told = daemon.heard();
    told.retain(|request| request.is(COMMAND_ENDED));
    assert_eq!(told.len(), 1, "{told:?}");
    told.remove(0).body
}

#[test]
fn it_runs_once_and_knows_what_it_is_run_for() {
    let daemon = daemon();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ran");
    let script = format!(
        "echo \"$HOLDFAST_APP $HOLDFAST_RELEASE $1\" >> {}",
        file.display()
    );
    let run = daemon
        .run(&typed(&["sh", "-c", &script, "sh", "--flag"]))
        .expect(0);
    assert_eq!(fs::read_to_string(file).unwrap(), "web 9f3c1a2 --flag\n");
    assert_eq!(told(&daemon), json!({ "ok": true, "why": null }));
    let asked = &daemon.heard()[0].body;
    assert_eq!(
        (&asked["command"], &asked["detach"]),
        (&json!(true), &json!(false))
    );
    assert!(run.out.contains("done: web"), "{run:#?}");
}

#[test]
fn its_end_is_reported_however_it_ends() {
    for (command, why) in [
        (&["sh", "-c", "exit 3"][..], "sh: exit status 3"),
        (&["sh", "-c", "kill -KILL $$"], "sh: killed by signal 9"),
        (&["no-such-command"], "no-such-command: command not found"),
        (&["/dev/null"], "/dev/null: not executable"),
    ] {
        let daemon = daemon();
        let run = daemon.run(&typed(command)).expect(4);
        assert_eq!(told(&daemon), json!({ "ok": false, "why": why }));
        assert!(run.err.contains(why), "{run:#?}");
        assert!(run.out.contains("failed: web stays on 51bd0e7"), "{run:#?}");
    }
}

#[test]
fn with_json_standard_output_stays_one_object() {
    let daemon = daemon();
    let mut words = vec![OsString::from("--json")];
    words.extend(typed(&["sh", "-c", "echo migrating"]));
    let run = daemon.run(&words).expect(0);
    assert_eq!(run.object()["outcome"], "done");
    assert!(run.err.contains("migrating\n"), "{run:#?}");
}

/// A script that says when it has begun, and what it was told.
struct Script {
    directory: TempDir,
}

impl Script {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Cleans up when it is told to go, and ends with 0 then, as well-behaved programs do.
    fn command(&self) -> Vec<OsString> {
        let [started, told] = ["started", "told"].map(|name| self.file(name));
        let script = format!(
            "for s in INT TERM HUP; do trap \"echo $s >> {told}\" $s; done\ntouch {started}\n\
             until [ -s {told} ]; do sleep 0.02; done\nexit 0\n",
            told = told.display(),
            started = started.display()
        );
        typed(&["sh", "-c", &script])
    }
}

#[test]
fn a_signal_goes_on_to_it_and_is_a_failure_whatever_it_says() {
    for (signal, name) in [
        (Signal::INT, "INT"),
        (Signal::TERM, "TERM"),
        (Signal::HUP, "HUP"),
    ] {
        let (daemon, script) = (daemon(), Script::new());
        let running = daemon.start(&script.command());
        until("the command", || script.file("started").exists());
        running.signal(signal);
        let run = running.end().expect(4);
        let why = format!("swapctl received SIG{name}; sh: exit status 0");
        assert_eq!(
            told(&daemon),
            json!({ "ok": false, "why": why }),
            "{run:#?}"
        );
        let heard = fs::read_to_string(script.file("told")).unwrap();
        assert_eq!(heard, format!("{name}\n"));
    }
}

#[test]
fn a_signal_before_its_turn_keeps_it_from_running() {
    let directory = tempfile::tempdir().unwrap();
    let holding = directory.path().join("holding");
    let reached = holding.clone();
    let daemon = Daemon::new(move |request, answer| match request.line.as_str() {
        "POST /v1/apps/web/promote" => {
            let mut answer = answer.events();
            answer.tell(&phase("holding", 3, 0));
            fs::write(&reached, "").unwrap();
            let end = answer.wait_for(COMMAND_ENDED);
            answer.tell(&ended(&outcome(&end)));
        }
        _ => note(request, answer),
    });
    let ran = directory.path().join("ran");
    let running = daemon.start(&typed(&["touch", ran.to_str().unwrap()]));
    until("the hold", || holding.exists());
    running.signal(Signal::TERM);
    running.end().expect(4);
    let why = "swapctl received SIGTERM before touch was started";
    assert_eq!(told(&daemon), json!({ "ok": false, "why": why }));
    assert!(!ran.exists());
}

#[test]
fn so_does_one_before_the_first_answer() {
    let directory = tempfile::tempdir().unwrap();
    let [asked, go] = ["asked", "go"].map(|name| directory.path().join(name));
    let (reached, answering) = (asked.clone(), go.clone());
    let daemon = Daemon::new(move |request, answer| match request.line.as_str() {
        "POST /v1/apps/web/promote" => {
            fs::write(&reached, "").unwrap();
            answer.wait_for_file(&answering);
            let mut answer = answer.events();
            answer.tell(&phase("command", 3, 0));
            let end = answer.wait_for(COMMAND_ENDED);
            answer.tell(&ended(&outcome(&end)));
        }
        _ => note(request, answer),
    });
    let ran = directory.path().join("ran");
    let running = daemon.start(&typed(&["touch", ran.to_str().unwrap()]));
    until("the question", || asked.exists());
    running.signal(Signal::TERM);
    running.until_taken(Signal::TERM);
    fs::write(go, "").unwrap();
    running.end().expect(4);
    let why = "swapctl received SIGTERM before touch was started";
    assert_eq!(told(&daemon), json!({ "ok": false, "why": why }));
    assert!(!ran.exists());
}

#[test]
fn if_the_operation_ends_before_its_turn_it_does_not_run() {
    let failed = receipt(json!({ "outcome": "aborted", "why": "aborted" }));
    let daemon = Daemon::telling(vec![phase("holding", 3, 0), ended(&failed)]);
    let directory = tempfile::tempdir().unwrap();
    let ran = directory.path().join("ran");
    daemon
        .run(&typed(&["touch", ran.to_str().unwrap()]))
        .expect(4);
    assert!(!ran.exists());
    assert_eq!(daemon.heard().len(), 1, "{:?}", daemon.heard());
}

/// It may be about to start what is to serve, so it is never left running alone.
#[test]
fn if_the_operation_ends_while_it_runs_its_end_is_waited_for() {
    let script = Script::new();
    let (started, told) = (script.file("started"), script.file("told"));
    let daemon = Daemon::new(move |_, answer| {
        let mut answer = answer.events();
        answer.tell(&phase("command", 0, 12));
        answer.wait_for_file(&started);
        let why = "the COMMAND had not ended when the hold's limit was over";
        answer.tell(&ended(&receipt(json!({ "outcome": "failed", "why": why }))));
        answer.wait_for_close();
        fs::write(&told, "go\n").unwrap();
    });
    let run = daemon.run(&script.command()).expect(4);
    let said = "the hold's limit was over; waiting for the COMMAND to end";
    assert!(run.err.contains(said), "{run:#?}");
    assert_eq!(daemon.heard().len(), 1, "{:?}", daemon.heard());
}

/// The stream breaks while the COMMAND runs, and the daemon takes that for its failure.
fn broken(state: impl Fn(Answer) + Send + Sync + 'static) -> (Run, Daemon) {
    let script = Script::new();
    let started = script.file("started");
    let daemon = Daemon::new(move |request, answer| {
        if request.line.starts_with("GET /v1/operations/") {
            return state(answer);
        }
        if request.is(COMMAND_ENDED) {
            let detail = "operation OP waits for no command";
            let problem =
                json!({ "status": 409, "code": "pointless", "title": "", "detail": detail });
            return answer.json(409, &problem);
        }
        let mut answer = answer.events();
        answer.tell(&phase("command", 0, 12));
        answer.wait_for_file(&started);
    });
    let err = script.file("err");
    let mut command = swapctl(Some(&daemon.socket()), &script.command());
    let running = start(command.stderr(fs::File::create(&err).unwrap()));
    // Only then may the COMMAND end, or it could be first.
    let said = "the connection to the daemon was lost; waiting for the COMMAND to end";
    until("the loss", || {
        fs::read_to_string(&err).unwrap().contains(said)
    });
    fs::write(script.file("told"), "go\n").unwrap();
    (running.end(), daemon)
}

#[test]
fn if_the_stream_breaks_the_operation_is_asked_for_its_end() {
    let why = "swapctl went away before the command had ended";
    let failed = state(&receipt(json!({ "outcome": "failed", "why": why })));
    let (run, daemon) = broken(move |answer| answer.json(200, &failed));
    run.expect(4);
    assert_eq!(told(&daemon)["ok"], true);
}

#[test]
fn if_it_cannot_be_asked_the_outcome_is_unknown() {
    let (run, _daemon) = broken(|answer| {
        let problem = json!({
            "status": 404, "code": "unknown_operation", "title": "", "detail": "not known",
        });
        answer.json(404, &problem);
    });
    run.expect(7);
}
