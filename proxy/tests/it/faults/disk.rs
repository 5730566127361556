//! F13 and F14: the disk is full, read-only, or fails; the wall clock jumps. Traffic does not notice.

use std::fs::File;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use rustix::io::Errno;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::shim::{Call, Shim};
use super::{Before, able_by_kernel};
use crate::app::App;
use crate::client::until;
use crate::daemon::Daemon;

/// A small file system of its own for a daemon's state.
pub(super) struct SmallDisk(TempDir);

impl SmallDisk {
    pub(super) fn mount() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs"]);
        let mounted = mount.arg(home.path()).output();
        let mounted = mounted.is_ok_and(|output| output.status.success());
        able_by_kernel("mount a tmpfs", mounted).then(|| Self(home))
    }

    pub(super) fn flag(&self) -> String {
        format!("--state-dir={}", self.0.path().display())
    }

    /// Takes all the room that there is.
    pub(super) fn fill(&self) {
        let mut file = File::create(self.0.path().join("ballast")).unwrap();
        while file.write_all(&[0; 512]).is_ok() {}
    }

    pub(super) fn make_room(&self) {
        std::fs::remove_file(self.0.path().join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(std::thread::panicking() || unmounted.unwrap().success());
    }
}

/// Writes to the journal until that fails: its last page may have room.
pub(super) async fn exhaust(daemon: &Daemon) {
    for number in 0..100 {
        let reason = json!({"reason": format!("{number:01000}")});
        let (status, answer) = daemon.say("POST", "/v1/apps/default/block", reason).await;
        if status == 503 {
            assert_eq!(answer["code"], "journal", "{answer}");
            return;
        }
    }
    panic!("the disk is not full");
}

/// The same with promotes of a release that nobody starts. No app is blocked by that, so the next one is refused for its
/// record alone.
async fn exhaust_with_promotes(daemon: &Daemon) {
    let body = json!({
        "release": "nobody", "instance": ["127.0.0.1:1"], "reason": "y".repeat(1000), "boot_timeout": "10ms",
    });
    for _ in 0..100 {
        let path = "/v1/apps/default/promote";
        let (status, answer) = daemon.say("POST", path, body.clone()).await;
        if status == 503 {
            return;
        }
        assert_eq!(answer["outcome"], "failed", "{answer}");
    }
    panic!("the disk is not full");
}

/// A promote is refused with this word; nothing has moved, and the old release answers.
async fn refuses(daemon: &Daemon, new: &App, word: &str) {
    let before = daemon.status().await;
    let body = json!({
        "release": "refused", "instance": [new.address.to_string()], "reason": "y".repeat(1000),
    });
    let (status, answer) = daemon.say("POST", "/v1/apps/default/promote", body).await;
    assert_eq!(
        (status, &answer["code"]),
        (503, &json!("journal")),
        "{answer}"
    );
    let detail = answer["detail"].as_str().unwrap();
    assert!(detail.contains(word), "{detail}, not {word}");
    let after = daemon.status().await;
    for what in ["generation", "phase", "next"] {
        assert_eq!(after[what], before[what]);
    }
    assert_eq!(after["live"]["release"], "initial");
    assert_eq!(daemon.client().await.get("/").await.text(), "old 0");
    assert!(new.seen().is_empty(), "not even asked whether it is ready");
}

#[tokio::test]
async fn f13_with_a_full_disk_a_promote_is_refused_before_anything_moves() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let (old, new) = (App::start("old").await, App::start("new").await);
    let upstream = format!("--upstream={}", old.address);
    let mut daemon = Daemon::start(&[&upstream, &disk.flag()], "").await;
    let before = Before::of(&daemon).await;
    disk.fill();
    exhaust_with_promotes(&daemon).await;
    refuses(&daemon, &new, "No space left").await;
    exhaust(&daemon).await;
    // It starts on a full disk too.
    daemon.kill_and_start_again();
    assert_eq!(daemon.client().await.get("/").await.text(), "old 0");
    disk.make_room();
    // Blocked, if that had room.
    let path = "/v1/apps/default/unblock";
    daemon.say("POST", path, json!({})).await;
    daemon.promote("v2", &new, json!({})).await;
    before.is_back(&daemon).await;
    drop(daemon);
}

#[tokio::test]
async fn f13_with_a_disk_that_fails_or_is_read_only_a_promote_is_refused_before_anything_moves() {
    let Some(shim) = Shim::new() else {
        return;
    };
    let (old, new) = (App::start("old").await, App::start("new").await);
    let upstream = format!("--upstream={}", old.address);
    let mut daemon = Daemon::start(&[&upstream, &shim.flag()], "").await;
    let before = Before::of(&daemon).await;
    for (call, error, word) in [
        (Call::Write, Errno::IO, "Input/output error"),
        (Call::Write, Errno::ROFS, "Read-only file system"),
        (Call::Sync, Errno::IO, "Input/output error"),
    ] {
        shim.fail(call, Some(error));
        refuses(&daemon, &new, word).await;
        shim.fail(call, None);
    }
    // After a sync that failed the whole journal is written anew, beside the old one.
    for (call, word) in [(Call::Rename, "rewriting"), (Call::Sync, "rewriting")] {
        shim.fail(call, Some(Errno::IO));
        refuses(&daemon, &new, word).await;
        shim.fail(call, None);
    }
    daemon.kill_and_start_again();
    assert_eq!(daemon.client().await.get("/").await.text(), "old 0");
    daemon.promote("v2", &new, json!({})).await;
    daemon.kill_and_start_again();
    assert_eq!(daemon.client().await.get("/").await.text(), "new 0");
    before.is_back(&daemon).await;
}

#[tokio::test]
async fn f13_a_state_directory_that_is_read_only_from_the_start_is_refused_by_its_name() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let app = App::start("a").await;
    let upstream = format!("--upstream={}", app.address);
    let mut daemon = Daemon::start(&[&upstream, &disk.flag()], "").await;
    let before = Before::of(&daemon).await;
    daemon.kill();
    let remount = |how: &str| {
        let how = format!("remount,{how}");
        let mut mount = Command::new("mount");
        mount.args(["-o", &how]).arg(disk.0.path());
        assert!(mount.status().unwrap().success());
    };
    remount("ro");
    let said = daemon.refuses_to_start_again();
    let place = disk.0.path().to_str().unwrap();
    assert!(
        said.contains("Read-only file system") && said.contains(place),
        "{said}"
    );
    remount("rw");
    daemon.start_again();
    before.is_back(&daemon).await;
    drop(daemon);
}

#[tokio::test]
async fn f14_nothing_happens_when_the_wall_clock_jumps() {
    let Some(shim) = Shim::new() else {
        return;
    };
    let (old, new) = (App::start("old").await, App::start("new").await);
    let upstream = format!("--upstream={}", old.address);
    let hold = super::config("[app.default.hold]\nmax_wait = \"20s\"");
    let daemon = Daemon::start(&[&upstream, &shim.flag()], &hold).await;
    let before = Before::of(&daemon).await;
    let mut kept = daemon.client().await;
    assert_eq!(kept.get("/").await.status, 200);
    for seconds in [3600, -3600, 0] {
        daemon.verb("hold", json!({})).await;
        let mut held = daemon.asking("/held").await;
        daemon.held(1).await;
        let generation = daemon.status().await["generation"].clone();
        shim.jump(seconds);
        // As long as it takes to look at everything that has a time.
        for _ in 0..20 {
            let status = daemon.status().await;
            assert_eq!(
                (&status["hold"]["held"], &status["generation"]),
                (&json!(1), &generation)
            );
            assert!(
                status["hold"]["oldest_ms"].as_u64().unwrap() < 15_000,
                "{status}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await; // Twenty looks, and done.
        }
        daemon.verb("resume", json!({})).await;
        assert_eq!(held.answer().await.status, 200);
        until("the door is open", async || {
            daemon.status().await["phase"] == "steady"
        })
        .await;
        assert_eq!(kept.get("/kept").await.status, 200, "not idle for an hour");
    }
    // It does see that clock: what it says of the time is an hour later.
    shim.jump(3600);
    let receipt = daemon.promote("v2", &new, json!({})).await;
    let started = receipt["started"].as_str().unwrap().to_owned();
    assert!(receipt["took_ms"].as_u64().unwrap() < 60_000, "{receipt}");
    let started: jiff::Timestamp = started.parse().unwrap();
    let ahead = started.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((3000..=3700).contains(&ahead), "{ahead} s ahead");
    shim.jump(0);
    let _: Value = daemon.verb("rollback", json!({})).await;
    drop(kept);
    before.is_back(&daemon).await;
}
