//! F11 and F17: whoever is at the other end vanishes without a word, as when its machine loses its power. It is in a network
//! of its own, from which nothing comes back any more.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::{Before, able_by_kernel};
use crate::app::{App, Speaks};
use crate::client::{until, until_within};
use crate::daemon::Daemon;

/// Longer than the kernel takes to notice: 15 s for clients, 20 for apps.
const NOTICED: Duration = Duration::from_secs(40);
/// Within so long a client that has vanished is noticed.
const VANISHED: Duration = Duration::from_secs(16);

/// A network with one machine in it, and a way there.
struct Far {
    name: String,
    link: String,
    net: [u8; 3],
}

impl Far {
    /// None where only root may do that, or there is no `ip`.
    fn new() -> Option<Self> {
        let number = fastrand::u16(..);
        // For tests between networks, by RFC 2544: nobody is there.
        let net = [198, fastrand::u8(18..20), fastrand::u8(..)];
        let far = Self {
            name: format!("holdfast-{}-{number:x}", std::process::id()),
            link: format!("hf{number:x}"),
            net,
        };
        let [a, b, c] = net;
        let (link, name) = (&far.link, &far.name);
        let made = ip(&format!("netns add {name}"))
            && ip(&format!(
                "link add {link} type veth peer name far netns {name}"
            ))
            && ip(&format!("addr add {a}.{b}.{c}.1/24 dev {link}"))
            && ip(&format!("link set {link} up"))
            && ip(&format!("-n {name} addr add {a}.{b}.{c}.2/24 dev far"))
            && ip(&format!("-n {name} link set far up"))
            && far.there(takes_packets_without_a_way_back);
        able_by_kernel("make a network", made).then_some(far)
    }

    fn near(&self) -> Ipv4Addr {
        let [a, b, c] = self.net;
        Ipv4Addr::new(a, b, c, 1)
    }

    fn far(&self) -> Ipv4Addr {
        let [a, b, c] = self.net;
        Ipv4Addr::new(a, b, c, 2)
    }

    /// Nothing comes back from there: no packet finds its way, not even a reset.
    fn vanishes(&self) {
        let [a, b, c] = self.net;
        assert!(ip(&format!("-n {} route del {a}.{b}.{c}.0/24", self.name)));
    }

    fn comes_back(&self) {
        let ([a, b, c], name) = (self.net, &self.name);
        assert!(ip(&format!("-n {name} route add {a}.{b}.{c}.0/24 dev far")));
    }

    /// Does something there.
    fn there<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let place = std::fs::File::open(format!("/run/netns/{}", self.name)).unwrap();
        std::thread::scope(|scope| {
            let acting = scope.spawn(|| {
                // On Linux a network is a thread's, and a socket stays where it was made.
                let fd = std::os::fd::AsFd::as_fd(&place);
                move_into_link_name_space(fd, Some(LinkNameSpaceType::Network)).unwrap();
                act()
            });
            acting.join().unwrap()
        })
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        // What was not made cannot be taken away.
        let _ = ip(&format!("link del {}", self.link));
        let _ = ip(&format!("netns del {}", self.name));
    }
}

/// Whether this network does. It has what the machine has, and by default some drop what they could not answer.
fn takes_packets_without_a_way_back() -> bool {
    ["all", "far"].into_iter().all(|link| {
        let filter = format!("/proc/sys/net/ipv4/conf/{link}/rp_filter");
        // In a container nobody may write to it, perhaps, and has no need to.
        let _ = std::fs::write(&filter, "0");
        std::fs::read_to_string(&filter).is_ok_and(|it| it.trim() == "0")
    })
}

fn ip(arguments: &str) -> bool {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    output.is_ok_and(|output| output.status.success())
}

/// Connections of this machine to that one that are open.
fn connections_to(address: SocketAddr) -> usize {
    let SocketAddr::V4(address) = address else {
        return 0;
    };
    let octets = u32::from_ne_bytes(address.ip().octets());
    let remote = format!("{octets:08X}:{:04X}", address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let mut fields = table.lines().map(str::split_whitespace);
    let to_it = fields.by_ref().filter_map(|mut fields| {
        let (remote, state) = (fields.nth(2)?, fields.next()?);
        Some((remote.to_owned(), state.to_owned()))
    });
    to_it
        .filter(|(to, state)| *to == remote && state == "01")
        .count()
}

const HTTP1: &[u8] = b"GET /vanishes HTTP/1.1\r\nHost: x\r\n\r\n";
/// The preface, empty SETTINGS, and the HEADERS of a GET of `/` at `x` (RFC 9113, 3.4 and 6.2).
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\
    \0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01x";

/// All at once, because it takes its time.
#[tokio::test]
async fn f11_f17_whoever_vanishes_is_noticed_frees_its_place_and_is_found_again() {
    let (Some(app), Some(client), Some(other)) = (Far::new(), Far::new(), Far::new()) else {
        return;
    };
    tokio::join!(
        an_app_vanishes(&app),
        a_held_client_vanishes(&client, HTTP1),
        a_held_client_vanishes(&other, HTTP2),
    );
}

/// Its connections are gone by TCP_USER_TIMEOUT, and a POST that was on its way is sent nowhere else.
async fn an_app_vanishes(far: &Far) {
    let listener = far.there(|| std::net::TcpListener::bind((far.far(), 0)).unwrap());
    listener.set_nonblocking(true).unwrap();
    let app = App::listening(
        "a",
        TcpListener::from_std(listener).unwrap(),
        Speaks::default(),
    );
    let keys = "[app.default.probe]\ninterval = \"500ms\"\ntimeout = \"500ms\"\n\
        [app.default.timeouts]\nconnect = \"500ms\"\n[app.default.hold]\nmax_wait = \"120s\"";
    let upstream = format!("--upstream={}", app.address);
    // One, so that all have the same kept connections.
    let flags = [&upstream[..], "--workers=1"];
    let daemon = Daemon::start(&flags, &super::config(keys)).await;
    let before = Before::of(&daemon).await;
    let mut poster = daemon.client().await;
    assert_eq!(poster.post("/first", b"x").await.status, 200);
    far.vanishes();
    // Its octets go on the kept connection and are never acknowledged. It would be 60 s to the response timeout.
    let began = Instant::now();
    let ask = "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx";
    poster.say(ask).await;
    until("it runs", async || {
        daemon.status().await["live"]["in_flight"] == 1
    })
    .await;
    let mut getter = daemon.asking("/get").await;
    daemon.held(1).await;
    let cause = daemon.status().await["hold"]["cause"].clone();
    assert_eq!(cause, "down");
    eprintln!("the GET is held after {:?}", began.elapsed());
    let answer = poster.answer_within(NOTICED).await;
    eprintln!("the POST has its answer after {:?}", began.elapsed());
    assert_eq!(answer.status, 502, "{}", answer.head);
    until_within(NOTICED, "no connection is left", async || {
        connections_to(app.address) == 0
    })
    .await;
    far.comes_back();
    assert_eq!(getter.answer_within(NOTICED).await.text(), "a 0");
    // What was said to it came there; only its answers never came back.
    assert_eq!(app.targets(), ["/first", "/post", "/get"]);
    drop((poster, getter));
    before.is_back(&daemon).await;
}

/// Its place is free by keep-alive, and the app never sees its request.
async fn a_held_client_vanishes(far: &Far, ask: &'static [u8]) {
    let app = App::start("a").await;
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    let keys = super::config("[app.default.hold]\nmax_wait = \"120s\"");
    let upstream = format!("--upstream={}", app.address);
    let daemon = Daemon::start_at(&[&upstream], &keys, any);
    let before = Before::of(&daemon).await;
    daemon.verb("hold", json!({"timeout": "100s"})).await;
    let to = SocketAddr::from((far.near(), daemon.address.port()));
    let vanishing = far.there(|| {
        let mut stream = std::net::TcpStream::connect(to).unwrap();
        std::io::Write::write_all(&mut stream, ask).unwrap();
        stream
    });
    daemon.held(1).await;
    far.vanishes();
    let began = Instant::now();
    until_within(NOTICED, "its place is free", async || {
        daemon.status().await["hold"]["held"] == 0
    })
    .await;
    eprintln!("free after {:?}", began.elapsed());
    daemon.verb("resume", json!({})).await;
    until("the door is open", async || {
        daemon.status().await["phase"] == "steady"
    })
    .await;
    assert!(app.targets().is_empty());
    drop(vanishing);
    before.is_back(&daemon).await;
}

/// The system asks thousands in one moment whether they are there, and drops most of its questions on the way: there is a
/// queue of a thousand for each core. None of them has vanished.
#[tokio::test]
async fn f11_thousands_that_ask_in_one_moment_are_all_held_for_longer_than_one_that_vanishes() {
    const HELD: usize = 4_000;
    let files = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: files.maximum,
        ..files
    };
    setrlimit(Resource::Nofile, all).unwrap();
    let app = App::start("a").await;
    let keys = format!(
        "[limits]\nconnections = {}\n[app.default.hold]\nmax_requests = {HELD}\nmax_share = 1.0\nmax_wait = \"120s\"",
        HELD + 64
    );
    let upstream = format!("--upstream={}", app.address);
    let daemon = Daemon::start(&[&upstream], &super::config(&keys)).await;
    daemon.verb("hold", json!({"timeout": "100s"})).await;
    let to = daemon.address;
    let asking = move || {
        let connect = |_| std::net::TcpStream::connect(to).unwrap();
        let clients: Vec<_> = (0..HELD).map(connect).collect();
        let ask = b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n";
        for mut client in &clients {
            std::io::Write::write_all(&mut client, ask).unwrap();
        }
        clients
    };
    let clients = tokio::task::spawn_blocking(asking).await.unwrap();
    until_within(NOTICED, "all are held", async || {
        daemon.status().await["hold"]["held"] == HELD
    })
    .await;
    let since = Instant::now();
    while since.elapsed() < VANISHED {
        assert_eq!(daemon.status().await["hold"]["held"], HELD);
        // For all of that time nothing is to happen.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    drop(clients);
    until_within(NOTICED, "all places are free", async || {
        daemon.status().await["hold"]["held"] == 0
    })
    .await;
}
