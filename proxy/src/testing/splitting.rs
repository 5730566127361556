//! Releases beside the live one, from the command to the client: the plane is driven as the control plane drives it.

use holdfast_config::{Canary, Cohort, Sign, Sticky};
use holdfast_control::plane::Signal;
use swap_core::{Cause, GateId, Methods};

use super::app_settings;
use super::stage::{BESIDE, LIVE, Scene, play};

fn settings(sticky: Sticky) -> holdfast_config::App {
    let header = Sign::Header {
        name: "x-staff".to_owned(),
        value: "a long secret".to_owned(),
    };
    let cookie = Sign::Cookie {
        name: "staff".to_owned(),
        value: "another one".to_owned(),
    };
    let cohort = |sign| Cohort {
        name: "staff".to_owned(),
        sign,
    };
    holdfast_config::App {
        canary: Canary {
            sticky,
            step_time: std::time::Duration::ZERO,
            ..Canary::default()
        },
        cohorts: vec![cohort(header), cohort(cookie)],
        ..app_settings()
    }
}

fn play_by(sticky: Sticky, test: impl AsyncFnOnce(&mut Scene)) {
    play(settings(sticky), test);
}

/// A client with an id of its own.
fn client(number: u64) -> String {
    let id = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("Cookie: holdfast_client={id:016x}")
}

#[test]
fn who_was_in_stays_in_while_the_share_grows_and_nobody_is_after_a_rollback() {
    play_by(Sticky::Cookie, async |scene| {
        let mut inside = [false; 200];
        for (round, share) in (1..).zip([0, 5, 25, 50, 100]) {
            scene.canary(round, share);
            for (number, was_in) in (0..).zip(&mut inside) {
                let answer = scene.ask("GET /", &[&client(number)]).await;
                assert_eq!(answer.release(), answer.body, "X-Release says who served");
                let is_in = answer.release() == "two";
                assert!(is_in || !*was_in, "client {number} went back at {share} %");
                *was_in = is_in;
            }
            let count = inside.iter().filter(|is_in| **is_in).count();
            let (least, most) = (2 * share as usize * 2 / 3, 2 * share as usize * 3 / 2);
            assert!(
                (least..=most).contains(&count),
                "{count} of 200 at {share} %"
            );
        }
        scene.split(None);
        scene.plane.close(&scene.name, BESIDE, Methods::ALL, false);
        for number in 0..20 {
            let answer = scene.ask("GET /", &[&client(number)]).await;
            assert_eq!(answer.release(), "one");
        }
        let name = scene.name.clone();
        scene.reported(&Signal::GateEmpty(name, BESIDE)).await;
    });
}

#[test]
fn a_new_client_is_given_a_cookie_that_keeps_it_where_it_is() {
    play_by(Sticky::Cookie, async |scene| {
        scene.canary(1, 50);
        for _ in 0..20 {
            let first = scene
                .ask("GET /", &["Cookie: holdfast_client=mine; a=1"])
                .await;
            let given = first.field("set-cookie").unwrap();
            assert!(given.contains("; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000"));
            assert!(!given.contains("Secure"), "it came in plain");
            let cookie = format!("Cookie: a=1; {}", given.split(';').next().unwrap());
            for _ in 0..3 {
                let again = scene.ask("GET /", &[&cookie]).await;
                assert_eq!(again.release(), first.release());
                assert_eq!(again.field("set-cookie"), None);
            }
        }
    });
}

#[test]
fn without_a_share_no_client_is_given_anything() {
    play_by(Sticky::Cookie, async |scene| {
        let before = scene.ask("GET /", &[]).await;
        scene.canary(1, 0);
        let staged = scene.ask("GET /", &[]).await;
        assert_eq!(
            [before.field("set-cookie"), staged.field("set-cookie")],
            [None; 2]
        );
        assert_eq!(staged.release(), "one");
    });
}

#[test]
fn a_client_is_known_by_its_address_where_that_is_asked_for() {
    play_by(Sticky::Client, async |scene| {
        scene.canary(1, 50);
        let mut seen = Vec::new();
        for host in 1..=40 {
            let client = format!("192.0.2.{host}");
            let first = scene.ask_from(&client, "GET /", &[]).await;
            let again = scene.ask_from(&client, "GET /", &[]).await;
            assert_eq!(first.release(), again.release());
            assert_eq!(first.field("set-cookie"), None);
            seen.push(first.release().to_owned());
        }
        assert!(seen.iter().any(|release| release == "one"));
        assert!(seen.iter().any(|release| release == "two"));
        let twos = seen.iter().filter(|release| *release == "two").count() as u64;
        let canary = scene.arm("canary", twos * 2).await;
        let control = scene.arm("control", (40 - twos) * 2).await;
        assert!(
            canary.units <= twos && control.units <= 40 - twos,
            "each came twice"
        );
        assert!(canary.units + control.units > 35, "slots are many");
    });
}

#[test]
fn staff_see_the_next_release_before_anybody_and_no_app_sees_their_secret() {
    play_by(Sticky::Cookie, async |scene| {
        let secrets = [
            "X-Staff: a long secret",
            "Cookie: b=2; staff=another one; c=3",
        ];
        assert_eq!(scene.ask("GET /", &secrets).await.release(), "one");
        for (round, share) in [(1, 0), (2, 1)] {
            scene.canary(round, share);
            for secret in secrets {
                let answer = scene.ask("GET /", &[secret]).await;
                assert_eq!(
                    (answer.release(), answer.field("set-cookie")),
                    ("two", None)
                );
            }
            let arms = scene.plane.arms(&scene.name).unwrap().arms;
            let counted: u64 = arms.iter().map(|(_, arm)| arm.requests).sum();
            assert_eq!(counted, 0, "they were not drawn");
        }
        scene.canary(3, 1);
        let wrong = scene
            .ask("GET /", &["X-Staff: a long guess", &client(1)])
            .await;
        assert_eq!(wrong.release(), "one");
        let heads = [scene.one.heads(), scene.two.heads()].concat();
        assert_eq!(heads.len(), 6);
        for head in &heads {
            assert!(
                !head.contains("x-staff") && !head.contains("staff="),
                "{head}"
            );
        }
        let kept = heads
            .iter()
            .filter(|head| head.contains("cookie: b=2; c=3\r\n"));
        assert_eq!(kept.count(), 3);
    });
}

#[test]
fn staff_who_were_held_still_see_the_next_release() {
    play_by(Sticky::Cookie, async |scene| {
        scene.canary(1, 1);
        scene.plane.hold(&scene.name, Cause::Command, Methods::ALL);
        let held =
            async |scene: &Scene, secret| scene.ask("GET /", &[secret]).await.release().to_owned();
        let waits = async |scene: &Scene| {
            while scene.plane.traffic(&scene.name).hold.waiting < 2 {
                tokio::task::yield_now().await;
            }
            scene.plane.release(&scene.name);
        };
        let scene = &*scene;
        let (by_field, by_cookie, ()) = tokio::join!(
            held(scene, "X-Staff: a long secret"),
            held(scene, "Cookie: staff=another one"),
            waits(scene)
        );
        assert_eq!([by_field, by_cookie], ["two", "two"]);
    });
}

#[test]
fn whoever_asks_by_the_link_sees_the_next_release_until_it_is_taken_back() {
    play_by(Sticky::Cookie, async |scene| {
        scene.canary(1, 0);
        let nothing = scene.ask("GET /.holdfast/next", &[]).await;
        assert_eq!(
            (nothing.status, nothing.body.as_str()),
            (200, "one"),
            "the app's"
        );
        scene.canary(2, 1);
        let posted = scene
            .ask("POST /.holdfast/next", &["Content-Length: 0"])
            .await;
        assert_eq!(posted.status, 200);
        let on = scene.ask("GET /.holdfast/next?from=mail", &[]).await;
        assert_eq!((on.status, on.field("location")), (303, Some("/")));
        assert_eq!(on.field("cache-control"), Some("no-store"));
        let cookie = on.field("set-cookie").unwrap().split(';').next().unwrap();
        assert_eq!(cookie, "holdfast_next=1");
        let lines = [&*format!("Cookie: {cookie}")];
        assert_eq!(scene.ask("GET /", &lines).await.release(), "two");
        let off = scene.ask("GET /.holdfast/next/off", &lines).await;
        assert!(
            off.field("set-cookie")
                .unwrap()
                .starts_with("holdfast_next=; ")
        );
        assert!(off.field("set-cookie").unwrap().contains("Max-Age=0"));
        scene.split(None);
        assert_eq!(scene.ask("GET /", &lines).await.release(), "one");
    });
}

#[test]
fn what_a_dead_canary_cannot_take_goes_to_the_live_release_and_counts_as_its_error() {
    play_by(Sticky::Cookie, async |scene| {
        scene.canary(1, 100);
        scene.two.die().await;
        let get = scene
            .ask("GET /a?token=secret", &[&client(1), "X-Request-Id: r1"])
            .await;
        let post = scene
            .ask("POST /b", &[&client(2), "Content-Length: 0"])
            .await;
        assert_eq!([get.release(), post.release()], ["one", "one"]);
        let canary = scene.arm("canary", 2).await;
        assert_eq!((canary.errors, canary.units, canary.erred), (2, 2, 2));
        let first = scene.mishap().await;
        assert_eq!((first.method.as_str(), first.path.as_str()), ("GET", "/a"));
        assert_eq!(first.arm.unwrap().as_str(), "canary");
        assert_eq!(first.release.as_str(), "two");
        assert_eq!(
            first.instance,
            scene.two.release().instances.first().cloned()
        );
        assert_eq!(
            (first.status, first.reason),
            (None, Some("connect_refused"))
        );
        assert_eq!(first.request_id, "r1");
        assert_eq!(scene.mishap().await.path, "/b");
        let traffic = scene.plane.traffic(&scene.name);
        assert!(!traffic.hold.active, "the live release is not down");
        assert_eq!((traffic.lost, traffic.hold.held), (0, 0));
        // A member is told of, and counted nowhere.
        let staff = scene.ask("GET /c", &["X-Staff: a long secret"]).await;
        assert_eq!(staff.release(), "one");
        let of_staff = scene.mishap().await;
        assert_eq!((of_staff.path.as_str(), of_staff.arm), ("/c", None));
        scene.arm("canary", 2).await;
    });
}

#[test]
fn what_a_canary_resets_is_tried_on_the_live_release_if_it_may_be_tried_again() {
    play_by(Sticky::Cookie, async |scene| {
        scene.canary(1, 100);
        let get = scene.ask("GET /reset", &[&client(1)]).await;
        assert_eq!(get.status, 502, "the live release resets it too");
        let heads = (scene.two.heads().len(), scene.one.heads().len());
        assert_eq!(heads, (1, 1), "once each");
        let post = scene
            .ask("POST /reset", &[&client(2), "Content-Length: 0"])
            .await;
        assert_eq!(post.status, 502);
        assert_eq!((scene.two.heads().len(), scene.one.heads().len()), (2, 1));
        assert_eq!(scene.arm("canary", 2).await.errors, 2);
        for _ in 0..2 {
            let mishap = scene.mishap().await;
            assert_eq!(
                (mishap.status, mishap.reason),
                (None, Some("upstream_reset"))
            );
        }
    });
}

#[test]
fn errors_of_both_arms_count_and_only_those_of_the_canary_are_told() {
    play_by(Sticky::None, async |scene| {
        scene.canary(1, 50);
        for _ in 0..40 {
            assert_eq!(scene.ask("GET /fail", &[]).await.status, 500);
        }
        let on = |app: &super::stage::App| app.heads().len() as u64;
        let (canary, control) = (on(&scene.two), on(&scene.one));
        let (canary, control) = (
            scene.arm("canary", canary).await,
            scene.arm("control", control).await,
        );
        assert_eq!(canary.requests + control.requests, 40);
        assert!(canary.requests > 0 && control.requests > 0);
        for arm in [&canary, &control] {
            assert_eq!(
                (arm.errors, arm.units, arm.erred),
                (arm.requests, arm.requests, arm.requests)
            );
            assert_eq!(arm.times.total(), arm.requests);
        }
        for _ in 0..canary.requests {
            assert_eq!(scene.mishap().await.status, Some(500));
        }
        assert!(scene.no_mishap().await);
    });
}

#[test]
fn a_client_that_leaves_counts_and_is_no_error() {
    play_by(Sticky::Cookie, async |scene| {
        scene.canary(1, 100);
        let waiting = scene.say("192.0.2.1", "GET /wait", &[&client(1)]).await;
        scene.two.asked(1).await;
        drop(waiting);
        scene.two.let_go();
        let canary = scene.arm("canary", 1).await;
        assert_eq!((canary.errors, canary.times.total()), (0, 1));
        assert!(scene.no_mishap().await);
    });
}

#[test]
fn what_is_under_way_counts_in_the_round_that_it_began_in() {
    play_by(Sticky::Cookie, async |scene| {
        scene.canary(1, 100);
        let waiting = scene.say("192.0.2.1", "GET /wait", &[&client(1)]).await;
        scene.two.asked(1).await;
        scene.canary(2, 100);
        drop(waiting);
        scene.two.let_go();
        while scene.plane.traffic(&scene.name).in_flight > 0 {
            tokio::task::yield_now().await;
        }
        scene.ask("GET /", &[&client(2)]).await;
        assert_eq!(scene.arm("canary", 1).await.units, 1);
        assert_eq!(scene.plane.arms(&scene.name).unwrap().round, 2);
    });
}

#[test]
fn a_release_that_becomes_the_live_one_goes_on_serving_while_the_old_one_drains() {
    play_by(Sticky::None, async |scene| {
        scene.canary(1, 100);
        assert_eq!(scene.ask("GET /", &[]).await.release(), "two");
        scene.publish(BESIDE, &scene.two);
        scene.split(None);
        scene.plane.close(&scene.name, LIVE, Methods::ALL, false);
        let name = scene.name.clone();
        scene.reported(&Signal::GateEmpty(name, LIVE)).await;
        assert_eq!(scene.plane.arms(&scene.name), None);
        for _ in 0..4 {
            assert_eq!(scene.ask("GET /", &[]).await.release(), "two");
        }
        assert_eq!(scene.plane.traffic(&scene.name).draining, []);
    });
}

#[test]
fn a_live_release_behind_an_older_gate_than_its_predecessor_still_shuts_its_door_when_it_dies() {
    play_by(Sticky::None, async |scene| {
        scene.canary(1, 100);
        scene.publish(GateId(7), &scene.one);
        scene.plane.close(&scene.name, LIVE, Methods::ALL, false);
        scene.publish(BESIDE, &scene.two);
        scene.split(None);
        scene
            .plane
            .close(&scene.name, GateId(7), Methods::ALL, false);
        scene.two.die().await;
        let waiting = scene.say("192.0.2.1", "GET /", &[]).await;
        let name = scene.name.clone();
        scene.reported(&Signal::LiveDown(name, BESIDE)).await;
        assert!(scene.plane.traffic(&scene.name).hold.active);
        drop(waiting);
    });
}
