//! Another configuration while clients are served: listeners come, change and go, and the others are not touched.

use std::net::{SocketAddr, TcpListener};

use serde_json::json;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;

use crate::app::App;
use crate::client::{Client, until, until_refused, until_shut};
use crate::daemon::Daemon;
use crate::tls::{Authority, ask, shake_over};

/// An address that nobody else gets. Whoever shares ports, as the daemon does, may listen there.
struct Reserved {
    _socket: Socket,
    address: SocketAddr,
}

impl Reserved {
    fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.set_reuse_port(true).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        socket.bind(&any.into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self {
            _socket: socket,
            address,
        }
    }
}

/// Listeners at these addresses, each with more lines, before an app.
fn config(listeners: &[(SocketAddr, &str)], app: &App) -> String {
    let listen = listeners
        .iter()
        .map(|(address, more)| format!("[[listen]]\naddress = \"{address}\"\n{more}\n"));
    let listen: String = listen.collect();
    let release = format!("id = \"r1\", instances = [\"{}\"]", app.address);
    format!("{listen}[app.default]\nrelease = {{ {release} }}\n")
}

/// A daemon at the first of two addresses.
async fn at_the_first() -> (App, [Reserved; 2], Daemon) {
    let app = App::start("a").await;
    let places = [Reserved::new(), Reserved::new()];
    let daemon = Daemon::start_as_configured(&[], &config(&[(places[0].address, "")], &app));
    (app, places, daemon)
}

async fn served(at: SocketAddr) {
    assert_eq!(Client::connect(at).await.get("/").await.status, 200);
}

#[tokio::test]
async fn a_listener_comes_and_goes_and_the_clients_of_others_do_not_notice() {
    let (app, [first, second], daemon) = at_the_first().await;
    let mut early = daemon.client().await;
    assert_eq!(early.get("/").await.status, 200);
    assert!(TcpStream::connect(second.address).await.is_err());

    let both = config(&[(second.address, ""), (first.address, "")], &app);
    let (status, said) = daemon.reload(&both).await;
    assert_eq!(status, 200, "{said}");
    assert!(
        said.to_string().contains(&second.address.to_string()),
        "{said}"
    );
    assert!(!said.to_string().contains("restart"), "{said}");
    // Each worker has a socket there: some clients come to each.
    for _ in 0..16 {
        served(second.address).await;
    }

    let mut there = Client::connect(second.address).await;
    there
        .say("GET /wait HTTP/1.1\r\nHost: x.test\r\n\r\n")
        .await;
    let crowd: Vec<_> = (0..8).map(|_| until_refused(second.address)).collect();
    let asked = async || app.targets().iter().any(|it| it == "/wait");
    until("the slow one is at the app", asked).await;
    let (status, said) = daemon.reload(&config(&[(first.address, "")], &app)).await;
    assert_eq!(status, 200, "{said}");
    for client in crowd {
        client.await.unwrap();
    }
    app.let_go();
    let last = there.answer().await;
    assert_eq!(last.status, 200);
    assert_eq!(
        last.field("connection"),
        Some("close"),
        "its listener has gone"
    );
    served(first.address).await;
    let kept = early.get("/").await;
    assert_eq!((kept.status, kept.field("connection")), (200, None));

    let (status, said) = daemon.reload(&both).await;
    assert_eq!(status, 200, "{said}");
    served(second.address).await;
}

#[tokio::test]
async fn a_reload_that_cannot_listen_everywhere_changes_nothing() {
    let (app, [first, second], daemon) = at_the_first().await;
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap();
    let listeners = [(second.address, ""), (taken, ""), (first.address, "")];
    let hold = "[app.default.hold]\nmax_requests = 7\n";
    let (status, said) = daemon.reload(&(config(&listeners, &app) + hold)).await;
    assert_eq!(
        (status, &said["code"]),
        (400, &json!("configuration")),
        "{said}"
    );
    let detail = format!("{taken} is in use by another process");
    assert!(said.to_string().contains(&detail), "{said}");
    until_shut(second.address).await;
    served(first.address).await;
    assert_ne!(daemon.status().await["hold"]["max_requests"], 7);
}

#[tokio::test]
async fn sixty_listeners_come_at_once_and_one_port_may_be_had_for_both_versions_of_ip() {
    let (app, [first, second], daemon) = at_the_first().await;
    let many: Vec<_> = (0..60).map(|_| Reserved::new()).collect();
    let port = second.address.port();
    let both = ["[::]", "0.0.0.0"].map(|any| format!("{any}:{port}").parse().unwrap());
    let all = many.iter().map(|it| it.address).chain(both);
    let all: Vec<_> = all.chain([first.address]).map(|it| (it, "")).collect();
    let (status, said) = daemon.reload(&config(&all, &app)).await;
    assert_eq!(status, 200, "{said}");
    served(many[59].address).await;
    served(second.address).await;
    let (status, said) = daemon.reload(&config(&[(first.address, "")], &app)).await;
    assert_eq!(status, 200, "{said}");
    until_shut(many[0].address).await;
    served(first.address).await;
}

#[tokio::test]
async fn what_clients_meet_at_an_address_changes_for_those_who_connect_from_now_on() {
    let (app, [first, _], daemon) = at_the_first().await;
    let authority = Authority::new();
    authority.issue("web", "localhost");
    let mut early = daemon.client().await;
    assert_eq!(early.get("/").await.status, 200);
    let tls = authority.tls(&["web"], "");
    let (status, said) = daemon.reload(&config(&[(first.address, &tls)], &app)).await;
    assert_eq!(status, 200, "{said}");
    let stream = TcpStream::connect(first.address).await.unwrap();
    let shaken = shake_over(stream, authority.client(None), "localhost").await;
    ask(&mut shaken.unwrap(), "localhost").await.unwrap();
    assert_eq!(early.get("/").await.status, 200, "as it has begun");

    let limits = "[limits]\ntarget_size = \"256B\"\n";
    let (status, said) = daemon
        .reload(&(limits.to_owned() + &config(&[(first.address, "")], &app)))
        .await;
    assert_eq!(status, 200, "{said}");
    let long = format!("/{}", "x".repeat(300));
    assert_eq!(daemon.client().await.get(&long).await.status, 414);
    assert_eq!(early.get(&long).await.status, 200, "as it has begun");
}

#[tokio::test]
async fn an_upgrade_hands_on_the_listeners_of_the_last_reload() {
    let (app, [first, second], mut daemon) = at_the_first().await;
    let (status, said) = daemon.reload(&config(&[(second.address, "")], &app)).await;
    assert_eq!(status, 200, "{said}");
    until_shut(first.address).await;
    let crowd = tokio::spawn(async move {
        for _ in 0..200 {
            served(second.address).await;
        }
    });
    let (status, said) = daemon.say("POST", "/v1/upgrade", json!({})).await;
    assert_eq!(status, 200, "{said}");
    daemon.succeeded_by(said["pid"].as_u64().unwrap());
    crowd.await.unwrap();
    assert!(daemon.predecessor_ended().await.success());
    served(second.address).await;
    assert!(TcpStream::connect(first.address).await.is_err());
}
