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
use crate::conformance::origin::Origin;
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
    /// The number of its mutant in the lot.
    author: usize,
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
        crop.gather(&heard.octets, mutants);
    }
    crop.compare_with(mutants);
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
    fn gather(&mut self, mut left: &[u8], mutants: &[Vec<u8>]) {
        while !left.is_empty() {
            match read(left, Unframed::NoBody) {
                Read::Whole(message, len) => {
                    let (octets, rest) = left.split_at(len);
                    self.keep(message, octets, mutants);
                    left = rest;
                }
                Read::Incomplete => return self.count_cut(left),
                Read::Malformed(why) => {
                    self.wrong.push(format!("{why} in {}", left.escape_ascii()));
                    return;
                }
            }
        }
    }

    /// A head has an end in any case, and behind a request without one comes nothing.
    fn count_cut(&mut self, left: &[u8]) {
        self.cut += 1;
        let count = |what: &[u8]| left.windows(what.len()).filter(|it| *it == what).count();
        if count(b"\r\n\r\n") == 0 || count(b"\nx-forwarded-for: 127.") > 1 {
            let left = left.escape_ascii();
            self.wrong
                .push(format!("a request that has no end: {left}"));
        }
    }

    fn keep(&mut self, message: Message, octets: &[u8], mutants: &[Vec<u8>]) {
        if !is_request_line(&message.start) {
            let line = message.start.escape_debug();
            self.wrong.push(format!("the request line {line}"));
        }
        let author = author(&message).filter(|number| *number < mutants.len());
        let Some(author) = author else {
            let octets = octets.escape_ascii();
            self.wrong.push(format!("a request of nobody: {octets}"));
            return;
        };
        self.forwarded.push(Forwarded {
            author,
            mutant: mutants[author].clone(),
            octets: octets.to_vec(),
            message,
        });
    }

    /// What is one request to the strict reader is the same one request behind Holdfast, if any.
    fn compare_with(&mut self, mutants: &[Vec<u8>]) {
        let mut seen = HashSet::new();
        for one in &self.forwarded {
            let Read::Whole(asked, len) = read(&one.mutant, Unframed::NoBody) else {
                continue;
            };
            let is_all = len == mutants[one.author].len();
            if is_all && (!seen.insert(one.author) || !is_same(&asked, &one.message)) {
                let (mutant, octets) = (one.mutant.escape_ascii(), one.octets.escape_ascii());
                self.wrong
                    .push(format!("another request: {octets}\n  mutant    {mutant}"));
            }
        }
    }

    /// How many mutants had a request in them that was forwarded.
    pub(super) fn authors(&self) -> usize {
        let authors: HashSet<_> = self.forwarded.iter().map(|one| one.author).collect();
        authors.len()
    }

    /// Drops what was seen already.
    pub(super) fn keep_new(&mut self, known: &mut HashSet<Vec<u8>>) {
        self.forwarded.retain(|one| known.insert(one.essence()));
    }
}

impl Forwarded {
    /// These octets, to be compared with what the strict reader makes of others.
    pub(super) fn forged(octets: &str, read_as: &str) -> Self {
        let Read::Whole(message, _) = read(read_as.as_bytes(), Unframed::NoBody) else {
            panic!("{read_as:?}");
        };
        Self {
            author: 0,
            mutant: read_as.as_bytes().to_vec(),
            octets: octets.as_bytes().to_vec(),
            message,
        }
    }

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

/// Whether method and body are the same, and the target unless its form is another. A fragment is no part of a target
/// (RFC 9112, 3.2): hyper's parser cuts it off, before anything is decided.
fn is_same(asked: &Message, written: &Message) -> bool {
    let words = |message: &Message| -> Vec<String> {
        message.start.split(' ').map(str::to_owned).collect()
    };
    let (asked_words, written_words) = (words(asked), words(written));
    let is_origin_form = asked_words.get(1).is_some_and(|it| it.starts_with('/'));
    asked.body == written.body
        && asked_words.first() == written_words.first()
        && (!is_origin_form
            || asked_words[1].split('#').next() == written_words.get(1).map(|it| &**it))
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

#[test]
fn what_no_proxy_may_write_is_found_out() {
    let host = "host: x.test\r\n";
    let ours = "host: x.test\r\nx-forwarded-for: 127.1.0.1\r\n";
    for (written, found) in [
        (format!("GET / HTTP/1.1\r\n{ours}\r\n"), false),
        (format!("GET / HTTP/1.1\r\n{host}\r\n"), true),
        (format!("GET / HTTP/1.1\r\n{ours}{ours}\r\n"), true),
        (format!("GET /a b HTTP/1.1\r\n{ours}\r\n"), true),
        (format!("GET / HTTP/1.0\r\n{ours}\r\n"), true),
        (format!("GET / HTTP/1.1\r\n{ours}a: b\n\r\n"), true),
        // The client said no method but GET.
        (format!("HEAD / HTTP/1.1\r\n{ours}\r\n"), true),
        (
            format!("GET / HTTP/1.1\r\n{ours}content-length: 1\r\n\r\nx"),
            true,
        ),
        // Nor did it say that twice.
        (format!("GET / HTTP/1.1\r\n{ours}\r\n").repeat(2), true),
        // Its body has no end, and yet something comes behind it.
        (
            format!(
                "PUT / HTTP/1.1\r\n{ours}content-length: 999\r\n\r\nGET / HTTP/1.1\r\n{ours}\r\n"
            ),
            true,
        ),
    ] {
        let mutants = [b"GET / HTTP/1.1\r\nHost: x.test\r\n\r\n".to_vec()];
        let mut crop = Crop::default();
        crop.gather(written.as_bytes(), &mutants);
        crop.compare_with(&mutants);
        assert_eq!(
            !crop.wrong.is_empty(),
            found,
            "{written:?} {:?}",
            crop.wrong
        );
    }
}
