//! Who may command: root, the daemon's own user, and the users that are named. The kernel says who somebody is.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::process::Uid;

use crate::cast::{App, Daemon, Place, able};

const NOBODY: u32 = 65534;

async fn started(users: &[&str]) -> Option<(Place, Daemon)> {
    if !able("become another user", rustix::process::geteuid().is_root()) {
        return None;
    }
    let place = Place {
        users: users.iter().map(|user| (*user).to_owned()).collect(),
        mode: 0o666,
        ..Place::new()
    };
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    Some((place, daemon))
}

/// Does something in a thread of its own that belongs to `NOBODY`: on Linux a uid is a thread's.
async fn as_nobody<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    let acting = move || {
        let nobody = Uid::from_raw(NOBODY);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        act()
    };
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || drop(tell.send(acting())));
    told.await.unwrap()
}

fn ask(socket: PathBuf) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    let request = b"POST /v1/apps/web/block HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 14\r\n\r\n{\"reason\":\"x\"}";
    stream.write_all(request).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

#[tokio::test]
async fn another_user_gets_403_and_changes_nothing() {
    let Some((place, daemon)) = started(&[]).await else {
        return;
    };
    let socket = place.socket();
    let said = as_nobody(move || ask(socket)).await;
    assert!(said.starts_with("HTTP/1.1 403"), "{said}");
    assert!(
        said.contains("\"code\":\"forbidden\"") && said.contains("uid 65534"),
        "{said}"
    );
    assert!(daemon.client.status().await["blocked"].is_null());
}

#[tokio::test]
async fn a_user_who_is_named_may_and_is_written_down() {
    for name in ["65534", "nobody"] {
        let Some((place, daemon)) = started(&[name]).await else {
            return;
        };
        let socket = place.socket();
        let said = as_nobody(move || ask(socket)).await;
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
        assert_eq!(daemon.client.status().await["blocked"]["by"], "uid 65534");
        let journal = fs::read_to_string(place.journal()).unwrap();
        let last = journal.lines().last().unwrap();
        assert!(
            last.contains(r#""verb":"block","by":"uid 65534""#),
            "{last}"
        );
    }
}

#[tokio::test]
async fn many_strangers_take_no_place_of_those_who_may() {
    let Some((place, daemon)) = started(&[]).await else {
        return;
    };
    let socket = place.socket();
    let strangers = as_nobody(move || {
        let connect = |_| UnixStream::connect(&socket).unwrap();
        (0..100).map(connect).collect::<Vec<_>>()
    })
    .await;
    assert_eq!(daemon.client.live().await, "r0");
    drop(strangers);
}
