//! Which threads interrupt which.

use std::fs::read_to_string;

use serde_json::json;

use crate::app::App;
use crate::daemon::Daemon;

/// sched(7).
const OTHER: &str = "0";
const BATCH: &str = "3";
/// The policy is field 41 of proc_pid_stat(5): of those behind the name, which begin with a space, this one.
const POLICY: usize = 39;

/// The name and the policy of each thread.
fn threads(daemon: &Daemon) -> Vec<(String, String)> {
    let tasks = std::fs::read_dir(daemon.proc("task")).unwrap();
    let tasks = tasks.map(|task| task.unwrap().path());
    // One that has ended meanwhile has nothing to say.
    let stats = tasks.filter_map(|task| read_to_string(task.join("stat")).ok());
    let seen = stats.map(|stat| {
        let (name, behind) = stat.rsplit_once(')').unwrap();
        let name = name.split_once('(').unwrap().1.to_owned();
        (name, behind.split(' ').nth(POLICY).unwrap().to_owned())
    });
    seen.collect()
}

fn must_give_way_to_requests(daemon: &Daemon) {
    let seen = threads(daemon);
    let workers = seen.iter().filter(|(name, _)| name.starts_with("worker-"));
    assert_eq!(workers.count(), 2, "{seen:?}");
    for (name, policy) in &seen {
        let expected = if name.starts_with("worker-") {
            OTHER
        } else {
            BATCH
        };
        assert_eq!(policy, expected, "{name} of {seen:?}");
    }
}

#[tokio::test]
async fn whatever_is_no_worker_gives_way_to_requests_after_an_upgrade_too() {
    let app = App::start("a").await;
    let upstream = format!("--upstream={}", app.address);
    let mut daemon = Daemon::start(&[&upstream, "--workers=2"], "").await;
    must_give_way_to_requests(&daemon);
    let (status, upgraded) = daemon.say("POST", "/v1/upgrade", json!({})).await;
    assert_eq!(status, 200, "{upgraded}");
    daemon.succeeded_by(upgraded["pid"].as_u64().unwrap());
    must_give_way_to_requests(&daemon);
}
