//! F22: a thousand signals, to a daemon that serves.

use rustix::process::Signal;
use serde_json::Value;

use super::upgrades::Traffic;
use super::{Before, at};
use crate::app::App;
use crate::client::until;

#[tokio::test]
async fn f22_a_thousand_signals_do_what_one_does() {
    let app = App::start("a").await;
    let mut daemon = at(app.address, "").await;
    let before = Before::of(&daemon).await;
    let generation = daemon.status().await["generation"].clone();
    let traffic = Traffic::of(&daemon);
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for number in 0..1000 {
        let signal = [
            Signal::HUP,
            Signal::HUP,
            Signal::PIPE,
            Signal::WINCH,
            Signal::CONT,
        ];
        daemon.signal(signal[random.usize(..signal.len())]);
        if number % 10 == 0 {
            assert_eq!(daemon.client().await.get("/").await.status, 200);
        }
    }
    until("reloads are over", async || daemon.has_said(&["reloaded"])).await;
    assert_eq!(daemon.status().await["generation"], generation);

    // One of these is an upgrade, the others are told that there is one.
    let was = daemon.pid();
    for _ in 0..100 {
        daemon.signal(Signal::USR2);
    }
    let pid = async || daemon.say("GET", "/v1/status", Value::Null).await.1["pid"].as_u64();
    until("another process serves", async || pid().await != Some(was)).await;
    let now = pid().await.unwrap();
    daemon.succeeded_by(now);
    assert!(daemon.predecessor_ended().await.success());
    traffic.lost_nothing().await;
    before.is_back_after_an_upgrade(&daemon).await;
}

#[tokio::test]
async fn f22_a_thousand_times_sigterm_ends_it_once_and_well() {
    let app = App::start("a").await;
    let mut daemon = at(app.address, "").await;
    let _slow = daemon.asking("/slow/60000").await;
    app.asked(1).await;
    for _ in 0..1000 {
        // Until it has been waited for, it can be sent signals.
        daemon.terminate();
    }
    // The system makes one of those that come at once: this is a second one for sure.
    crate::client::until_shut(daemon.address).await;
    daemon.terminate();
    assert!(daemon.ended().await.success());
    // Nothing is left of it that a new one would stumble over.
    daemon.start_again();
    let before = Before::of(&daemon).await;
    before.is_back(&daemon).await;
}
