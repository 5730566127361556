//! The socket: right mode from the first moment, only in a safe place, never on top of somebody else's.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};

use crate::cast::{App, Daemon, Place, able, config};

async fn refused(place: &Place) -> String {
    let app = App::ready().await;
    match place.try_start(config(&app.address)) {
        Ok(_) => panic!("it started"),
        Err(why) => why,
    }
}

async fn started(place: &Place) -> Daemon {
    let app = App::ready().await;
    place.start(&app.address)
}

#[tokio::test]
async fn it_has_the_mode_that_was_asked_for_and_goes_with_the_daemon() {
    for mode in [0o600, 0o660, 0o666] {
        let place = Place {
            mode,
            ..Place::new()
        };
        let daemon = started(&place).await;
        let found = fs::symlink_metadata(place.socket()).unwrap();
        assert!(found.file_type().is_socket());
        assert_eq!(found.mode() & 0o7777, mode);
        assert_eq!(found.uid(), rustix::process::geteuid().as_raw());
        drop(daemon);
        assert!(!place.socket().exists());
        let left: Vec<_> = fs::read_dir(place.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["state"], "nothing else is left");
    }
}

#[tokio::test]
async fn the_one_that_a_dead_daemon_left_is_replaced() {
    let place = Place::new();
    drop(std::os::unix::net::UnixListener::bind(place.socket()).unwrap());
    assert!(place.socket().exists());
    let daemon = started(&place).await;
    assert_eq!(daemon.client.live().await, "r0");
}

#[tokio::test]
async fn a_live_daemons_is_left_alone_and_its_pid_said() {
    let place = Place::new();
    let daemon = started(&place).await;
    let other = Place::new();
    let app = App::ready().await;
    // Another state directory, the same socket.
    fs::create_dir_all(other.path()).unwrap();
    symlink(place.socket(), other.path().join("there")).unwrap();
    let why = place.try_start(config(&app.address)).err().unwrap();
    assert!(
        why.contains("state directory") && why.contains("in use"),
        "{why}"
    );
    fs::rename(place.state(), place.path().join("other-state")).unwrap();
    let why = refused(&place).await;
    let expected = format!(
        "a live daemon (pid {}) has the control socket",
        std::process::id()
    );
    assert!(why.contains(&expected), "{why}");
    assert_eq!(daemon.client.live().await, "r0");
}

#[tokio::test]
async fn whatever_else_is_in_its_place_is_left_alone() {
    let place = Place::new();
    fs::write(place.socket(), "precious").unwrap();
    assert!(refused(&place).await.contains("a regular file"));
    assert_eq!(fs::read_to_string(place.socket()).unwrap(), "precious");
    fs::remove_file(place.socket()).unwrap();

    let target = place.path().join("target");
    fs::write(&target, "precious").unwrap();
    symlink(&target, place.socket()).unwrap();
    assert!(refused(&place).await.contains("a symbolic link"));
    assert!(place.socket().is_symlink());
    fs::remove_file(place.socket()).unwrap();

    rustix::fs::mknodat(
        rustix::fs::CWD,
        place.socket(),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    assert!(refused(&place).await.contains("a FIFO"));
    fs::remove_file(place.socket()).unwrap();

    fs::create_dir(place.socket()).unwrap();
    assert!(refused(&place).await.contains("a directory"));
}

#[tokio::test]
async fn a_directory_that_others_can_write_to_is_refused_unless_it_is_sticky() {
    let place = Place::new();
    let state = place.state();
    fs::create_dir(&state).unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let why = refused(&place).await;
    assert!(why.contains("not safe") && why.contains("777"), "{why}");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let daemon = started(&place).await;
    drop(daemon);
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).unwrap();
    let why = refused(&place).await;
    assert!(
        why.contains("state directory") && why.contains("not safe"),
        "{why}"
    );
}

#[tokio::test]
async fn a_directory_of_another_user_is_refused() {
    if !able(
        "give a directory away",
        rustix::process::geteuid().is_root(),
    ) {
        return;
    }
    let place = Place::new();
    let nobody = Some(65534);
    std::os::unix::fs::chown(place.path(), nobody, nobody).unwrap();
    let why = refused(&place).await;
    assert!(why.contains("belongs to uid 65534"), "{why}");
}

#[tokio::test]
async fn the_state_directory_is_for_its_owner_alone() {
    let place = Place::new();
    let _daemon = started(&place).await;
    let mode = |path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(place.state()), 0o700);
    assert_eq!(mode(place.journal()), 0o600);
}

#[tokio::test]
async fn a_user_that_nobody_knows_is_refused() {
    let place = Place {
        users: vec!["no-such-user-here".to_owned()],
        ..Place::new()
    };
    assert!(refused(&place).await.contains("no-such-user-here"));
}
