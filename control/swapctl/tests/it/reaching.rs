//! When there is no daemon: exit 3, the socket's path, and what is wrong with it.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

use serde_json::json;

use crate::daemon::Daemon;
use crate::run::{Run, alone, start, swapctl};

fn at(socket: &Path) -> Run {
    start(&mut swapctl(Some(socket), &["status"]))
        .end()
        .expect(3)
}

#[test]
fn there_is_no_socket() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("none.sock");
    let run = at(&socket);
    let socket = socket.display();
    assert_eq!(
        run.err,
        format!(
            "error: no daemon answers on {socket}: there is no such socket\n\
             hint: start it: holdfast run --control {socket}\n\
             hint: another socket: --control PATH or $HOLDFAST_CONTROL\n"
        )
    );
    assert_eq!(run.out, "");
}

#[test]
fn a_killed_daemon_left_its_socket() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("deserted.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let run = at(&socket);
    assert!(
        run.err.contains("the socket is there, but nobody listens"),
        "{run:#?}"
    );
}

#[test]
fn it_is_no_socket() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let run = at(&file);
    assert!(run.err.contains("it is no socket"), "{run:#?}");
}

#[test]
fn a_daemon_that_hangs_up_on_a_look_has_told_nothing() {
    let daemon = Daemon::new(|_, answer| drop(answer));
    let run = daemon.run(&["status", "--json"]).expect(3);
    assert_eq!(run.object()["error"]["code"], "lost");
}

#[test]
fn a_command_on_which_it_hangs_up_may_have_been_done() {
    let daemon = Daemon::new(|_, answer| drop(answer));
    let run = daemon.run(&["resume", "web"]).expect(7);
    assert!(run.err.contains("hint: swapctl status web"), "{run:#?}");
}

#[test]
fn the_flag_wins_over_the_environment() {
    let daemon = Daemon::saying(200, json!({ "done": "released" }));
    let typed = daemon.socket();
    let elsewhere = daemon.directory().join("elsewhere.sock");
    let typed = typed.to_str().unwrap();
    let run = start(&mut swapctl(
        Some(&elsewhere),
        &["resume", "--control", typed],
    ))
    .end();
    assert_eq!(run.expect(0).out, "released\n");
}

#[test]
fn the_version_is_known_without_a_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("none.sock");
    let socket = socket.to_str().unwrap();
    let run = alone(&["--control", socket, "version", "--json"]).expect(0);
    let expected = json!({ "swapctl": env!("CARGO_PKG_VERSION"), "holdfast": null });
    assert_eq!(run.object(), expected);
    let daemon = Daemon::saying(200, json!({ "version": "1.2.3" }));
    let run = daemon.run(&["version", "--json"]).expect(0);
    assert_eq!(run.object()["holdfast"], "1.2.3");
}
