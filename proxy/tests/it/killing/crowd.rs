//! Clients that ask all the while, and remember what they got.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::app::App;
use crate::client::{Client, PATIENCE};

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) target: String,
    /// None: its connection broke, which its client has seen.
    pub(crate) got: Option<Got>,
}

/// Its answer.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) release: Option<String>,
    pub(crate) text: String,
}

/// Clients.
pub(crate) struct Crowd {
    over: watch::Sender<bool>,
    clients: Vec<JoinHandle<Vec<Asked>>>,
}

/// Asks once, on a connection of its own. None: it was refused, or broke.
pub(crate) async fn ask(address: SocketAddr, head: &str, target: &str) -> Option<Got> {
    let mut client = Client::over(TcpStream::connect(address).await.ok()?);
    answer(&mut client, head, target).await
}

async fn answer(client: &mut Client, method: &str, target: &str) -> Option<Got> {
    let length = if method == "POST" { 1 } else { 0 };
    let head =
        format!("{method} {target} HTTP/1.1\r\nHost: x.test\r\nContent-Length: {length}\r\n\r\n");
    client.stream.write_all(head.as_bytes()).await.ok()?;
    client.stream.write_all(&b"x"[..length]).await.ok()?;
    let answer = timeout(PATIENCE, client.try_answer()).await;
    let answer = answer.unwrap_or_else(|_| panic!("{target}: neither an answer nor an end"))?;
    Some(Got {
        status: answer.status,
        release: answer.field("x-release").map(str::to_owned),
        text: answer.text(),
    })
}

impl Crowd {
    /// Two clients that read and write by turns, on connections that they keep, and one that asks for something slow.
    pub(crate) fn come(address: SocketAddr, slow_ms: u64) -> Self {
        let (over, is_over) = watch::channel(false);
        let number = Rc::new(AtomicU64::new(0));
        let busy = (0..2)
            .map(|_| tokio::task::spawn_local(busy(address, number.clone(), is_over.clone())));
        let mut clients: Vec<_> = busy.collect();
        clients.push(tokio::task::spawn_local(async move {
            let target = format!("/slow/{slow_ms}");
            let got = ask(address, "GET", &target).await;
            vec![Asked { target, got }]
        }));
        Self { over, clients }
    }

    /// What they saw, once each has an answer or knows that there is none.
    pub(crate) async fn leave(self) -> Vec<Asked> {
        self.over.send_replace(true);
        let mut all = Vec::new();
        for client in self.clients {
            all.extend(client.await.unwrap());
        }
        all
    }
}

async fn busy(
    address: SocketAddr,
    number: Rc<AtomicU64>,
    mut over: watch::Receiver<bool>,
) -> Vec<Asked> {
    let (mut asked, mut kept) = (Vec::new(), None);
    while !*over.borrow() {
        let number = number.fetch_add(1, Relaxed);
        let method = if number.is_multiple_of(2) {
            "POST"
        } else {
            "GET"
        };
        let target = format!("/{method}/{number}");
        let mut client = match kept.take() {
            Some(client) => client,
            None => match TcpStream::connect(address).await {
                Ok(stream) => Client::over(stream),
                Err(error) => {
                    let got = None;
                    let target = format!("refused: {error}");
                    asked.push(Asked { target, got });
                    pause(&mut over).await;
                    continue;
                }
            },
        };
        let got = answer(&mut client, method, &target).await;
        if got.is_some() {
            kept = Some(client);
        }
        asked.push(Asked { target, got });
        pause(&mut over).await;
    }
    asked
}

/// Some requests a second are enough: what counts is that there are some at each moment.
async fn pause(over: &mut watch::Receiver<bool>) {
    let _ = timeout(Duration::from_millis(5), over.changed()).await;
}

/// Everybody who came was let in.
pub(crate) fn nobody_was_refused(asked: &[Asked]) {
    let refused = asked.iter().find(|it| it.target.starts_with("refused"));
    assert!(refused.is_none(), "{refused:?}");
}

/// Nobody's write was done twice, and one that was answered was done.
pub(crate) fn nothing_was_done_twice(asked: &[Asked], apps: &[&App]) {
    let mut done = BTreeMap::<String, u64>::new();
    for target in apps.iter().flat_map(|app| app.targets()) {
        *done.entry(target).or_default() += 1;
    }
    for Asked { target, got } in asked.iter().filter(|it| it.target.starts_with("/POST")) {
        let times = done.get(target).copied().unwrap_or_default();
        assert!(times <= 1, "{target} was done {times} times");
        let answered = got.as_ref().is_some_and(|got| got.status == 200);
        assert!(!answered || times == 1, "{target} was answered, not done");
    }
}
