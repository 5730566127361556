//! Clients that ask once each and wait, in a process of their own: connections are opened, the requests sent one after the
//! other at a rate, and what became of each is written down.

mod burst;
mod open;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use holdfast_load::clock::Moment;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::timeout;

use super::book::{self, Outcome, Sent};
use super::{CROWD, Child, Ear, Kind, expect, head, tell, wire};
use crate::trouble::Trouble;
use open::{Connection, H2, Stream};

/// Between two looks at what is due.
const TICK: Duration = Duration::from_millis(1);

/// Who asks, how, and for what.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Crowd {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    /// Whom to trust, with TLS.
    pub(crate) certificate: PathBuf,
    pub(crate) connections: u32,
    /// Numbered from 0; request `n` goes on connection `n % connections`.
    pub(crate) requests: u32,
    /// So many are sent each time that it is told to go on.
    pub(crate) batch: u32,
    /// A second.
    pub(crate) rate: f64,
    /// All connect and ask at once, instead of one after the other.
    pub(crate) burst: bool,
    /// Where it is written down.
    pub(crate) book: PathBuf,
}

impl Crowd {
    /// Starts it. It says `open` when all are connected; told `go`, it sends the next batch and says `sent`; when all requests have
    /// ended, `done`. Its connections stay open until its input ends.
    pub(crate) fn start(&self) -> Result<Child, Trouble> {
        // Numbers and text, so it cannot fail.
        let plan = serde_json::to_string(self).unwrap_or_default();
        Child::start(CROWD, &plan, None)
    }
}

pub(super) async fn run(plan: String, mut ear: Ear) -> io::Result<()> {
    let plan: Crowd = serde_json::from_str(&plan)?;
    if plan.burst {
        return burst::run(plan, ear).await;
    }
    let mut connections = open::all(&plan).await?;
    tell("open")?;
    let mut asked = Vec::with_capacity(plan.requests as usize);
    while asked.len() < plan.requests as usize {
        expect(&mut ear, "go").await?;
        let (began, before) = (Moment::now(), asked.len());
        let upto = (before + plan.batch as usize).min(plan.requests as usize);
        while asked.len() < upto {
            let due = Moment::now().since(began).as_secs_f64() * plan.rate + 1.0;
            while ((asked.len() - before) as f64) < due && asked.len() < upto {
                let id = asked.len() as u32;
                let place = asked.len() % connections.len();
                asked.push(ask(&plan, &mut connections[place], id).await);
            }
            tokio::time::sleep(TICK).await;
        }
        tell("sent")?;
    }
    let mut sent = Vec::with_capacity(asked.len());
    let mut streams = Vec::new();
    for one in asked {
        let (one, stream) = one.await.map_err(io::Error::other)?;
        sent.push(one);
        streams.push(stream);
    }
    for (one, stream) in sent.iter_mut().zip(&mut streams) {
        if says_more(stream.as_mut()).await {
            one.outcome = Outcome::Wrong;
        }
    }
    book::write_sent(&plan.book, &sent)?;
    tell("done")?;
    // Its input's end is the process's.
    while ear.recv().await.is_some() {}
    drop((streams, connections));
    Ok(())
}

/// What became of it, and its connection if that is its own.
type Asked = JoinHandle<(Sent, Option<Stream>)>;

/// Sends a request, and says where its end will be known.
async fn ask(plan: &Crowd, connection: &mut Connection, id: u32) -> Asked {
    let (kind, mut sent) = (
        plan.kind,
        Sent {
            id,
            at: Moment::now(),
            ended: Moment::default(),
            outcome: Outcome::Lost,
        },
    );
    match connection {
        Connection::H1(stream) => {
            let mut stream = stream.take();
            let written = match &mut stream {
                Some(stream) => stream.write_all(&head::text(id)).await,
                None => Err(io::ErrorKind::NotConnected.into()),
            };
            let flushed = match &mut stream {
                Some(stream) if written.is_ok() => stream.flush().await,
                _ => written,
            };
            spawn_local(async move {
                if let (Some(stream), Ok(())) = (&mut stream, flushed) {
                    sent.outcome = h1_outcome(stream, id).await;
                }
                sent.ended = Moment::now();
                (sent, stream)
            })
        }
        Connection::H2(sender) => {
            let answer = h2_send(kind, sender, id).await;
            spawn_local(async move {
                if let Some(answer) = answer {
                    sent.outcome = h2_outcome(answer, id).await.unwrap_or(Outcome::Lost);
                }
                sent.ended = Moment::now();
                (sent, None)
            })
        }
    }
}

async fn h1_outcome(stream: &mut Stream, id: u32) -> Outcome {
    match wire::read_answer(stream).await {
        Ok(answer) => judge(answer.status, &answer.body, id),
        Err(_) => Outcome::Lost,
    }
}

async fn h2_send(
    kind: Kind,
    sender: &mut Option<H2>,
    id: u32,
) -> Option<h2::client::ResponseFuture> {
    let mut ready = sender.take()?.ready().await.ok()?;
    let request = head::request(kind, id).ok()?;
    let answer = ready.send_request(request, true);
    *sender = Some(ready);
    answer.ok().map(|(answer, _)| answer)
}

async fn h2_outcome(answer: h2::client::ResponseFuture, id: u32) -> Result<Outcome, h2::Error> {
    let (head, mut body) = answer.await?.into_parts();
    let mut octets = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        octets.extend_from_slice(&chunk);
        body.flow_control().release_capacity(chunk.len())?;
    }
    Ok(judge(head.status.as_u16(), &octets, id))
}

fn judge(status: u16, body: &[u8], id: u32) -> Outcome {
    match status {
        200 if body == head::body(id).as_bytes() => Outcome::Answered,
        200 => Outcome::Wrong,
        status => Outcome::Refused(status),
    }
}

/// Whether there is something behind the answer.
async fn says_more(stream: Option<&mut Stream>) -> bool {
    let Some(stream) = stream else { return false };
    let read = timeout(Duration::ZERO, stream.read_u8()).await;
    matches!(read, Ok(Ok(_)))
}
