//! What Holdfast writes to an app when mutants come in: octets, cut into the requests that the strict reader finds.
//!
//! Every client has an address of its own, and Holdfast says it in `X-Forwarded-For`: so each request at the app is
//! known by the mutant that it comes from, though many are under way at once. A request without that field, or with
//! two of them, was not written by Holdfast but smuggled through it.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::client::until;
use crate::conformance::message::{Message, Read, Unframed, read};
use crate::conformance::origin::{Heard, Origin};
use crate::daemon::Daemon;

/// How many clients talk at once.
const CLIENTS: usize = 96;
/// A client that hears nothing for so long leaves: its mutant has no end, or has been answered.
const QUIET: Duration = Duration::from_millis(300);
/// A client's address is this and the number of its mutant.
const FIRST_CLIENT: u32 = 0x7f01_0001;

/// One whole request that Holdfast wrote.
#[derive(Clone, Debug)]
pub(super) struct Forwarded {
    /// What the client said.
    pub(super) mutant: Vec<u8>,
    /// What the app got.
    pub(super) octets: Vec<u8>,
    /// How the strict reader understands that.
    pub(super) message: Message,
}

/// What became of a lot of mutants.
#[derive(Default)]
pub(super) struct Crop {
    pub(super) forwarded: Vec<Forwarded>,
    /// Requests of which an app got only the beginning, because the client's had no end.
    pub(super) cut: usize,
    /// What Holdfast must never write.
    pub(super) wrong: Vec<String>,
}

/// Sends these mutants through a Holdfast of their own.
pub(super) async fn forward(mutants: &[Vec<u8>]) -> Crop {
    let origin = Origin::start().await;
    let upstream = format!("--upstream={}", origin.address);
    let daemon = Daemon::start(&[&upstream, "--workers=1"], "").await;
    let mut clients = JoinSet::new();
    for (number, mutant) in mutants.iter().enumerate() {
        if clients.len() == CLIENTS {
            clients.join_next().await.unwrap().unwrap();
        }
        clients.spawn(talk(address_of(number), daemon.address, mutant.clone()));
    }
    clients.join_all().await;
    drop(daemon);
    until("the app has read everything", async || origin.is_deserted()).await;
    let mut crop = Crop::default();
    for heard in origin.take() {
        crop.gather(&heard, mutants);
    }
    crop
}

fn address_of(number: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(FIRST_CLIENT + u32::try_from(number).unwrap())
}

/// Says the mutant, and listens until nothing more comes.
async fn talk(from: Ipv4Addr, to: SocketAddr, mutant: Vec<u8>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    // Mutants are smaller than any socket's buffer. Whoever refuses one may close before it is written.
    let _ = writer.write_all(&mutant).await;
    let mut piece = vec![0; 4096];
    while let Ok(Ok(1..)) = timeout(QUIET, reader.read(&mut piece)).await {}
}

impl Crop {
    /// Cuts what came over one connection into requests.
    fn gather(&mut self, heard: &Heard, mutants: &[Vec<u8>]) {
        let mut left = &heard.octets[..];
        while !left.is_empty() {
            match read(left, Unframed::NoBody) {
                Read::Whole(message, len) => {
                    let (octets, rest) = left.split_at(len);
                    self.keep(message, octets, mutants);
                    left = rest;
                }
                Read::Incomplete => {
                    self.cut += 1;
                    return;
                }
                Read::Malformed(why) => {
                    self.wrong.push(format!("{why} in {}", left.escape_ascii()));
                    return;
                }
            }
        }
    }

    fn keep(&mut self, message: Message, octets: &[u8], mutants: &[Vec<u8>]) {
        if !is_request_line(&message.start) {
            let line = message.start.escape_debug();
            self.wrong.push(format!("the request line {line}"));
        }
        let Some(mutant) = author(&message).and_then(|number| mutants.get(number)) else {
            let octets = octets.escape_ascii();
            self.wrong.push(format!("a request of nobody: {octets}"));
            return;
        };
        self.forwarded.push(Forwarded {
            mutant: mutant.clone(),
            octets: octets.to_vec(),
            message,
        });
    }

    /// Drops what was seen already.
    pub(super) fn keep_new(&mut self, known: &mut HashSet<Vec<u8>>) {
        self.forwarded.retain(|one| known.insert(one.essence()));
    }
}

impl Forwarded {
    /// Its octets but for the fields that differ from one request to the next in any case.
    fn essence(&self) -> Vec<u8> {
        let lines = self.octets.split_inclusive(|octet| *octet == b'\n');
        let differs = |line: &&[u8]| {
            [&b"x-forwarded-for:"[..], b"x-request-id:"]
                .iter()
                .any(|name| line.starts_with(name))
        };
        lines
            .filter(|line| !differs(line))
            .collect::<Vec<_>>()
            .concat()
    }
}

/// Method, target, version, with one space between them.
fn is_request_line(line: &str) -> bool {
    let words: Vec<_> = line.split(' ').collect();
    words.len() == 3
        && words[2] == "HTTP/1.1"
        && words.iter().all(|word| !word.is_empty())
        && line.chars().all(|it| it == ' ' || it.is_ascii_graphic())
}

/// The number of the mutant that a request comes from.
fn author(message: &Message) -> Option<usize> {
    let mut named = message.fields.iter();
    let mut named = named.by_ref().filter(|(name, _)| name == "x-forwarded-for");
    let (_, address) = named.next()?;
    if named.next().is_some() {
        return None;
    }
    let address: Ipv4Addr = address.parse().ok()?;
    let number = address.to_bits().checked_sub(FIRST_CLIENT)?;
    usize::try_from(number).ok()
}
