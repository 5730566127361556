//! A disk on which nothing can be written any more: commands are refused before anything moves, traffic is not touched.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::cast::{App, Call, Daemon, Place, able_by_kernel};

/// A small file system of its own, at the state directory of a place.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(place: &Place) -> Option<Self> {
        let path = place.state();
        fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs"])
            .arg(&path)
            .output()
            .is_ok_and(|output| output.status.success());
        able_by_kernel("mount a tmpfs", mounted).then(|| Self(path))
    }

    /// Takes all the room that there is.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("ballast");
        let mut file = File::create(&path).unwrap();
        while file.write_all(&[0; 512]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(std::thread::panicking() || unmounted.unwrap().success());
    }
}

/// Writes to the journal until that fails.
async fn exhaust(daemon: &Daemon) {
    for number in 0..100 {
        let reason = format!("{number:01000}");
        let answer = daemon
            .client
            .web("block", json!({ "reason": reason }))
            .await;
        if answer.status == 503 {
            return answer.must_be(503, "journal");
        }
    }
    panic!("the disk is not full");
}

fn journal_of(place: &Place) -> Vec<u8> {
    fs::read(place.journal()).unwrap()
}

async fn make_room(ballast: &Path) {
    fs::remove_file(ballast).unwrap();
}

#[tokio::test]
async fn commands_are_refused_before_anything_moves_and_work_again_when_there_is_room() {
    let place = Place::new();
    let Some(disk) = SmallDisk::mount(&place) else {
        return;
    };
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    let ballast = disk.fill();
    exhaust(&daemon).await;
    let (calls, status) = (daemon.plane.calls(), daemon.client.status().await);
    let journal = journal_of(&place);
    let is_whole = journal.ends_with(b"\n");
    assert!(is_whole, "what was written in part is taken back");
    daemon.client.web("unblock", json!({})).await;
    let unblocked = daemon.client.status().await["blocked"].is_null();
    let body = json!({ "release": "r1", "instance": [app.address], "reason": "y".repeat(1000) });
    if unblocked {
        let answer = daemon.client.web("promote", body.clone()).await;
        answer.must_be(503, "journal");
        assert!(
            answer.detail().contains("No space left"),
            "{}",
            answer.detail()
        );
    } else {
        assert_eq!(daemon.client.status().await, status);
        assert_eq!(journal_of(&place), journal);
    }
    let marks = |calls: Vec<Call>| {
        let others = calls
            .into_iter()
            .filter(|call| !matches!(call, Call::Mark(..)));
        others.collect::<Vec<_>>()
    };
    assert_eq!(
        marks(daemon.plane.calls()),
        marks(calls),
        "the data plane heard nothing"
    );
    assert_eq!(daemon.client.live().await, "r0");

    make_room(&ballast).await;
    daemon.client.web("unblock", json!({})).await.ok();
    assert_eq!(
        daemon.client.web("promote", body).await.ok()["outcome"],
        "done"
    );
    drop(daemon);
    let daemon = place.start(&app.address);
    assert_eq!(daemon.client.live().await, "r1");
    drop(daemon);
}

#[tokio::test]
async fn what_cannot_be_journalled_when_a_release_is_ready_does_not_happen() {
    let place = Place::new();
    let Some(disk) = SmallDisk::mount(&place) else {
        return;
    };
    let app = App::ready().await;
    let daemon = place.start(&app.address);
    let boots = App::answering(503).await;
    let body =
        json!({ "release": "r1", "instance": [boots.address], "operation": "op", "detach": true });
    daemon.client.web("promote", body).await;
    let ballast = disk.fill();
    exhaust(&daemon).await;
    // Blocks fill what room the last page of the journal has; nothing as long as a swap's record fits any more.
    boots.answer(200);
    let ended = daemon.client.get("/v1/operations/op?wait=true").await.ok();
    let receipt = &ended["receipt"];
    assert_eq!(receipt["outcome"], "failed", "{receipt}");
    assert!(
        receipt["why"].as_str().unwrap().contains("No space left"),
        "{receipt}"
    );
    assert_eq!(daemon.client.live().await, "r0");
    assert_eq!(daemon.plane.published("web"), [Some("r0".to_owned())]);
    make_room(&ballast).await;
    daemon.client.web("unblock", json!({})).await.ok();
    daemon.client.promote("r2", &app.address).await.ok();
    drop(daemon);
}

#[tokio::test]
async fn a_daemon_that_starts_on_a_full_disk_serves() {
    let place = Place::new();
    let Some(disk) = SmallDisk::mount(&place) else {
        return;
    };
    let app = App::ready().await;
    drop(place.start(&app.address));
    let _ballast = disk.fill();
    let mut daemon = place.start(&app.address);
    exhaust(&daemon).await;
    drop(daemon);
    daemon = place.start(&app.address);
    assert_eq!(daemon.client.live().await, "r0");
    assert_eq!(daemon.plane.published("web"), [Some("r0".to_owned())]);
    drop(daemon);
}
