//! Many clients that ask in the same moment: a worker begins a few requests at a time, and the others wait in its lobby.

use rustix::process::Signal;

use crate::app::App;
use crate::client::Client;
use crate::daemon::Daemon;

const CLIENTS: usize = 300;
const ROUNDS: usize = 3;

/// Two requests and half of a third; the other half.
fn asked(client: usize, round: usize) -> (String, &'static str) {
    let head = |method: &str, number: usize| {
        format!("{method} /{client}/{round}/{number} HTTP/1.1\r\nHost: x.test\r\n")
    };
    let (first, second) = (head("GET", 0), head("POST", 1));
    let third = head("POST", 2);
    (
        format!("{first}\r\n{second}Content-Length: 4\r\n\r\nbody{third}Content-"),
        "Length: 4\r\n\r\nbody",
    )
}

/// The daemon stands still while all of them ask, so that it finds them all at once.
async fn ask(daemon: &Daemon, clients: &mut [Client], round: usize) {
    daemon.signal(Signal::STOP);
    for (number, client) in clients.iter_mut().enumerate() {
        client.say(asked(number, round).0).await;
    }
    daemon.signal(Signal::CONT);
    for (number, client) in clients.iter_mut().enumerate() {
        client.say(asked(number, round).1).await;
    }
    for client in clients {
        for _ in 0..3 {
            assert_eq!(client.answer().await.status, 200, "round {round}");
        }
    }
}

#[tokio::test]
async fn all_that_a_crowd_asks_at_once_is_answered_and_comes_to_the_app_in_each_ones_order() {
    let app = App::start("a").await;
    let daemon = Daemon::start(&[&format!("--upstream={}", app.address), "--workers=1"], "").await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(daemon.client().await);
    }
    for round in 0..ROUNDS {
        ask(&daemon, &mut clients, round).await;
    }
    let seen = app.seen();
    for client in 0..CLIENTS {
        let of_client = format!("/{client}/");
        let came = seen.iter().filter(|it| it.target.starts_with(&of_client));
        let expected = (0..ROUNDS)
            .flat_map(|round| (0..3).map(move |number| format!("/{client}/{round}/{number}")));
        assert!(
            came.map(|it| it.target.clone()).eq(expected),
            "client {client}"
        );
    }
}
