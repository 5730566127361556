//! F20: a name of an app changes, does not resolve, or resolves slowly. The daemon lives in a mount namespace whose
//! `resolv.conf` names a server of ours.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::upgrades::Traffic;
use super::{Before, able_by_kernel};
use crate::app::App;
use crate::client::until;
use crate::daemon::{BEFORE, Daemon};

const NAME: &str = "app.holdfast.test";

/// What the server says of the name.
#[derive(Clone, Copy)]
enum Says {
    Address(Ipv4Addr),
    Failure,
    Nothing,
}

struct NameServer {
    says: Arc<Mutex<Says>>,
    asked: Arc<Mutex<usize>>,
    home: TempDir,
}

impl NameServer {
    /// On port 53, which alone can be named in `resolv.conf`, of an address of this machine that nobody else has.
    fn start() -> Option<Self> {
        let mut bound = None;
        for _ in 0..100 {
            let address = Ipv4Addr::new(
                127,
                fastrand::u8(1..),
                fastrand::u8(..),
                fastrand::u8(1..255),
            );
            bound = bound.or_else(|| UdpSocket::bind((address, 53)).ok());
        }
        let may_mount = std::process::Command::new("unshare")
            .args(["-m", "true"])
            .status();
        let is_able = bound.is_some() && may_mount.is_ok_and(|status| status.success());
        if !able_by_kernel("have a name server of its own", is_able) {
            return None;
        }
        let socket = bound.unwrap();
        let home = tempfile::tempdir().unwrap();
        let server = socket.local_addr().unwrap().ip();
        let text = format!("nameserver {server}\noptions timeout:1 attempts:2\n");
        std::fs::write(home.path().join("resolv.conf"), text).unwrap();
        let says = Arc::new(Mutex::new(Says::Failure));
        let asked = Arc::<Mutex<usize>>::default();
        let (saying, counted) = (says.clone(), asked.clone());
        // Ends with the process.
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                *counted.lock().unwrap() += 1;
                let says = *saying.lock().unwrap();
                if let Some(answer) = answer(&question[..length], says) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Some(Self { says, asked, home })
    }

    fn says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }

    /// The flag with which a daemon asks this server.
    fn flag(&self) -> String {
        let file = self.home.path().join("resolv.conf");
        let mount = format!("mount --bind {} /etc/resolv.conf", file.display());
        format!(r#"{BEFORE}exec unshare -m sh -c '{mount} && exec "$0" "$@"' "$0" "$@""#)
    }
}

/// An answer to a question with one name (RFC 1035, 4.1).
fn answer(question: &[u8], says: Says) -> Option<Vec<u8>> {
    let name_len = question[12..].iter().position(|octet| *octet == 0)?;
    let end = 12 + name_len + 5;
    let is_ipv4 = question[end - 4..end - 2] == [0, 1];
    let (code, address) = match says {
        Says::Nothing => return None,
        Says::Failure => (2, None),
        Says::Address(address) => (0, Some(address).filter(|_| is_ipv4)),
    };
    let mut answer = question[..2].to_vec();
    answer.extend([
        0x81,
        0x80 | code,
        0,
        1,
        0,
        u8::from(address.is_some()),
        0,
        0,
        0,
        0,
    ]);
    answer.extend(&question[12..end]);
    if let Some(address) = address {
        // The name of the question, A, IN, 0 s, four octets.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}

#[tokio::test]
async fn f20_a_name_means_what_it_meant_at_the_promote_and_clients_never_wait_for_it() {
    let Some(names) = NameServer::start() else {
        return;
    };
    let (first, one) = (App::start("first").await, App::start("one").await);
    let port = one.address.port();
    let other = SocketAddr::from(([127, 0, 0, 2], port));
    let two = App::start_at("two", other).await;
    let upstream = format!("--upstream={}", first.address);
    let daemon = Daemon::start(&[&upstream, &names.flag()], "").await;
    let before = Before::of(&daemon).await;
    let ask = async |release: &str| {
        let body = json!({"release": release, "instance": [format!("{NAME}:{port}")]});
        daemon.say("POST", "/v1/apps/default/promote", body).await
    };

    names.says(Says::Address(Ipv4Addr::LOCALHOST));
    assert_eq!(ask("v1").await.0, 200);
    assert_eq!(daemon.client().await.get("/").await.text(), "one 0");
    // It changes: nobody is asked again.
    names.says(Says::Address(Ipv4Addr::new(127, 0, 0, 2)));
    let asked = names.asked();
    for _ in 0..50 {
        assert_eq!(daemon.client().await.get("/").await.text(), "one 0");
    }
    assert_eq!(names.asked(), asked);
    assert_eq!(ask("v2").await.0, 200);
    assert_eq!(daemon.client().await.get("/").await.text(), "two 0");
    assert!(names.asked() > asked);

    // It fails, at once and slowly.
    let traffic = Traffic::of(&daemon);
    for says in [Says::Failure, Says::Nothing] {
        names.says(says);
        let asked = names.asked();
        let promote = ask("v3");
        let meanwhile = async {
            until("it is asked for", async || names.asked() > asked).await;
            let began = tokio::time::Instant::now();
            for _ in 0..50 {
                assert_eq!(daemon.client().await.get("/").await.text(), "two 0");
            }
            began.elapsed()
        };
        let ((status, problem), took) = tokio::join!(promote, meanwhile);
        assert_eq!(status, 400, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(NAME), "{detail}");
        eprintln!("50 requests meanwhile took {took:?}: {detail}");
    }
    traffic.lost_nothing().await;
    assert_eq!(daemon.status().await["live"]["release"], "v2");
    assert!(!two.targets().is_empty());
    tokio::time::timeout(Duration::from_secs(60), before.is_back(&daemon))
        .await
        .unwrap();
}
