//! F25: whatever comes to the control socket, or stands in its place, the data path does not notice.

use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream as Blocking;
use std::path::Path;

use rustix::process::Uid;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::upgrades::Traffic;
use super::{Before, able, at};
use crate::app::App;
use crate::client::{PATIENCE, until};
use crate::daemon::Daemon;

#[tokio::test]
async fn f25_ten_thousand_connections_are_not_noticed_by_clients_and_take_no_more_than_64_places() {
    let app = App::start("a").await;
    let daemon = at(app.address, "").await;
    let before = Before::of(&daemon).await;
    let traffic = Traffic::of(&daemon);
    let (mut open, mut refused) = (Vec::new(), 0);
    for _ in 0..10_000 {
        // The queue of a Unix socket refuses when it is full, without waiting.
        match UnixStream::connect(&daemon.socket).await {
            Ok(stream) => open.push(stream),
            Err(_) => refused += 1,
        }
    }
    let files = std::fs::read_dir(daemon.proc("fd")).unwrap().count();
    eprintln!(
        "{} open, {refused} refused; the daemon has {files} files",
        open.len()
    );
    assert!(files < 64 + 60, "{files} files");
    assert_eq!(daemon.client().await.get("/").await.status, 200);
    drop(open);
    until("commands are answered", async || {
        UnixStream::connect(&daemon.socket).await.is_ok()
    })
    .await;
    assert_eq!(daemon.status().await["phase"], "steady");
    traffic.lost_nothing().await;
    before.is_back(&daemon).await;
}

#[tokio::test]
async fn f25_a_line_of_a_gigabyte_is_cut_off_soon_and_deep_json_is_refused() {
    let app = App::start("a").await;
    let daemon = at(app.address, "").await;
    let before = Before::of(&daemon).await;
    let traffic = Traffic::of(&daemon);
    for head in [
        "GET /",
        "GET / HTTP/1.1\r\nX-Long: ",
        "POST /v1/apps/default/block HTTP/1.1\r\nHost: h\r\nContent-Length: 1073741824\r\n\r\n",
    ] {
        let taken = pour(&daemon, head, 1 << 30).await;
        eprintln!("{taken} octets were taken of {head:?} and 1 GiB");
        assert!(taken < 8 << 20, "{taken} octets of {head:?}");
    }
    for (opens, closes) in [("[", "]"), ("{\"reason\":", "}")] {
        // In less than the 64 KiB that a body may have.
        let depth = 5_000;
        let deep = format!("{}1{}", opens.repeat(depth), closes.repeat(depth));
        let mut stream = UnixStream::connect(&daemon.socket).await.unwrap();
        let head = "POST /v1/apps/default/block HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length";
        let ask = format!("{head}: {}\r\n\r\n{deep}", deep.len());
        stream.write_all(ask.as_bytes()).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
        assert!(said.contains("expected a string"), "{said}");
    }
    assert!(daemon.status().await["blocked"].is_null());
    traffic.lost_nothing().await;
    before.is_back(&daemon).await;
}

/// How many octets are taken of so many, behind this head, before the connection is closed.
async fn pour(daemon: &Daemon, head: &str, octets: usize) -> usize {
    let mut stream = UnixStream::connect(&daemon.socket).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![b'x'; 64 << 10];
    let pouring = async {
        let mut taken = 0;
        while taken < octets {
            match stream.write(&piece).await {
                Ok(more) => taken += more,
                Err(_) => break,
            }
        }
        taken
    };
    tokio::time::timeout(PATIENCE, pouring)
        .await
        .expect("its end")
}

#[tokio::test]
async fn f25_another_user_commands_nothing_however_often_he_comes() {
    if !able("become another user", rustix::process::geteuid().is_root()) {
        return;
    }
    let app = App::start("a").await;
    let control = "[control]\nmode = \"0666\"\n";
    let upstream = format!("--upstream={}", app.address);
    let daemon = Daemon::start(&[&upstream], &(control.to_owned() + &super::config(""))).await;
    let home = daemon.socket.parent().unwrap();
    std::fs::set_permissions(home, PermissionsExt::from_mode(0o755)).unwrap();
    let before = Before::of(&daemon).await;
    let traffic = Traffic::of(&daemon);
    let socket = daemon.socket.clone();
    let (tell, told) = tokio::sync::oneshot::channel();
    // On Linux a uid is a thread's.
    std::thread::spawn(move || {
        let nobody = Uid::from_raw(65534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        let forbidden = (0..200).filter(|_| is_forbidden(&socket)).count();
        let silent: Vec<_> = (0..300).map(|_| Blocking::connect(&socket)).collect();
        tell.send((forbidden, silent)).unwrap();
    });
    let (forbidden, silent) = told.await.unwrap();
    assert!(forbidden > 0, "nobody was told that he may not");
    let status = daemon.status().await;
    assert!(status["blocked"].is_null(), "{status}");
    drop(silent);
    traffic.lost_nothing().await;
    before.is_back(&daemon).await;
}

/// Whether it was said so; else the connection was closed without a word. Nothing else may come.
fn is_forbidden(socket: &Path) -> bool {
    let mut stream = Blocking::connect(socket).unwrap();
    let ask = b"POST /v1/apps/default/block HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 14\r\n\r\n{\"reason\":\"x\"}";
    let _ = std::io::Write::write_all(&mut stream, ask);
    let mut said = String::new();
    let _ = stream.read_to_string(&mut said);
    assert!(
        said.is_empty() || said.starts_with("HTTP/1.1 403 "),
        "{said}"
    );
    !said.is_empty()
}

#[tokio::test]
async fn f25_what_stands_in_the_sockets_place_is_left_alone_unless_a_dead_daemon_left_it() {
    let app = App::start("a").await;
    let mut daemon = at(app.address, "").await;
    let before = Before::of(&daemon).await;
    daemon.kill();
    let socket = daemon.socket.clone();
    assert!(
        socket.exists(),
        "a daemon that was killed leaves its socket"
    );
    daemon.start_again();
    assert_eq!(daemon.status().await["phase"], "steady");
    daemon.kill();
    std::fs::remove_file(&socket).unwrap();

    let precious = socket.with_file_name("precious");
    std::fs::write(&precious, "precious").unwrap();
    symlink(&precious, &socket).unwrap();
    let said = daemon.refuses_to_start_again();
    assert!(said.contains("a symbolic link"), "{said}");
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "precious");
    std::fs::remove_file(&socket).unwrap();

    let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(rustix::fs::CWD, &socket, fifo, mode, 0).unwrap();
    let said = daemon.refuses_to_start_again();
    assert!(said.contains("a FIFO"), "{said}");
    std::fs::remove_file(&socket).unwrap();

    daemon.start_again();
    // Taken from under it: clients notice nothing, and a new process has its socket again.
    symlink(&precious, socket.with_extension("new")).unwrap();
    std::fs::rename(socket.with_extension("new"), &socket).unwrap();
    let traffic = Traffic::of(&daemon);
    assert!(UnixStream::connect(&socket).await.is_err());
    traffic.lost_nothing().await;
    daemon.kill();
    std::fs::remove_file(&socket).unwrap();
    daemon.start_again();
    let (status, _) = daemon.say("GET", "/v1/status", Value::Null).await;
    assert_eq!(status, 200);
    daemon.verb("block", json!({"reason": "look"})).await;
    before.is_back(&daemon).await;
}
