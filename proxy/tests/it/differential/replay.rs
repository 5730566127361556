//! Says to an app what Holdfast wrote, and judges whether the app reads it as the strict reader does.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::forwarded::Forwarded;
use crate::conformance::message::{Message, Read, Unframed, read};

/// Nothing takes longer, but an answer that never comes.
const PATIENCE: Duration = Duration::from_secs(10);
/// The request behind each request.
const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: next.test\r\n\r\n";

/// What a server may answer by itself, without asking its app.
const SELF_ANSWERED: [&str; 2] = ["OPTIONS", "TRACE"];

/// Who is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct App {
    pub(super) address: SocketAddr,
    /// It takes methods for their upper case.
    pub(super) folds_methods: bool,
}

/// How an app took a request that it did not misread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It said what it saw.
    Told,
    /// It refused with this status, or answered without saying what it saw.
    Untold(u16),
    /// It ended the connection instead of answering.
    Dropped,
}

/// What an app did, and whether the request behind could be put to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) taken: Taken,
    pub(super) next_told: bool,
}

/// A request as an app saw it.
#[derive(Debug, PartialEq, Eq)]
struct Saw {
    method: String,
    target: String,
    /// Of its body.
    len: usize,
    crc: u32,
}

/// Plays one request, and another behind it if the connection allows. The error is a disagreement.
pub(super) async fn replay(one: &Forwarded, to: App) -> Result<Verdict, String> {
    let mut line = Line::open(to.address).await;
    let mut wanted = Saw::by_reader(&one.message);
    if to.folds_methods {
        wanted.method.make_ascii_uppercase();
    }
    line.say(&one.octets).await;
    let first = match line.next(&wanted.method).await {
        Next::Answer(answer) => answer,
        Next::Ended => return Ok(Verdict::last(Taken::Dropped)),
        Next::Silence => return Err("waits for more than the request".to_owned()),
        Next::Nonsense(why) => return Err(format!("answers nonsense: {why}")),
    };
    let taken = compare(&first, &wanted)?;
    // aiohttp refuses before it knows that it was a HEAD, with content: how much comes when is its own affair.
    let refused_head = wanted.method == "HEAD" && matches!(taken, Taken::Untold(400..));
    if refused_head && !line.left.starts_with(b"HTTP/") {
        return Ok(Verdict::last(taken));
    }
    if !line.left.is_empty() {
        return Err(format!("says more: {}", line.left.escape_ascii()));
    }
    let next_told = line.is_next_read_right(&first).await?;
    Ok(Verdict { taken, next_told })
}

impl Verdict {
    fn last(taken: Taken) -> Self {
        let next_told = false;
        Self { taken, next_told }
    }
}

/// Whether the app saw what the strict reader sees, if it tells.
fn compare(answer: &Message, wanted: &Saw) -> Result<Taken, String> {
    if answer.status() == 101 {
        return Err("switches protocols".to_owned());
    }
    match Saw::by_app(answer) {
        None if answer.status() >= 400 || SELF_ANSWERED.contains(&&*wanted.method) => {
            Ok(Taken::Untold(answer.status()))
        }
        None => Err(format!("answers {} by itself", answer.start)),
        Some(saw) if saw == *wanted => Ok(Taken::Told),
        Some(saw) => Err(format!("saw {saw:?} instead of {wanted:?}")),
    }
}

impl Saw {
    fn by_reader(message: &Message) -> Self {
        let mut words = message.start.split(' ').map(str::to_owned);
        Self {
            method: words.next().unwrap_or_default(),
            target: words.next().unwrap_or_default(),
            len: message.body.len(),
            crc: crc32fast::hash(&message.body),
        }
    }

    /// `X-Saw: METHOD TARGET LENGTH CRC32`
    fn by_app(answer: &Message) -> Option<Self> {
        let words: Vec<_> = answer.field("x-saw")?.split(' ').collect();
        let [method, target, len, crc] = words[..] else {
            return None;
        };
        Some(Self {
            method: method.to_owned(),
            target: target.to_owned(),
            len: len.parse().ok()?,
            crc: u32::from_str_radix(crc, 16).ok()?,
        })
    }
}

/// What comes next on a connection.
enum Next {
    Answer(Message),
    Ended,
    Silence,
    Nonsense(String),
}

/// A connection to an app.
struct Line {
    stream: TcpStream,
    left: Vec<u8>,
    closed: bool,
}

impl Line {
    async fn open(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            left: Vec::new(),
            closed: false,
        }
    }

    /// What is not taken does not matter: the answer tells.
    async fn say(&mut self, octets: &[u8]) {
        let _ = timeout(PATIENCE, self.stream.write_all(octets)).await;
    }

    /// Puts a plain request behind the first, unless the first answer ends the connection.
    async fn is_next_read_right(&mut self, first: &Message) -> Result<bool, String> {
        let ends = first
            .field("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if !ends {
            self.say(NEXT).await;
        }
        match self.next("GET").await {
            Next::Ended => Ok(false),
            Next::Silence if ends => Ok(false),
            Next::Answer(answer) if !ends => self.judge_next(&answer),
            Next::Silence => Err("swallows the next request".to_owned()),
            Next::Answer(answer) => Err(format!("answers once more: {}", answer.start)),
            Next::Nonsense(why) => Err(format!("goes on with nonsense: {why}")),
        }
    }

    fn judge_next(&self, answer: &Message) -> Result<bool, String> {
        let wanted = Saw {
            method: "GET".to_owned(),
            target: "/next".to_owned(),
            len: 0,
            crc: 0,
        };
        match Saw::by_app(answer) {
            Some(saw) if saw == wanted && self.left.is_empty() => Ok(true),
            saw => Err(format!(
                "saw {saw:?} as the next request, answered {}",
                answer.start
            )),
        }
    }

    /// The next final answer, to a request of this method.
    async fn next(&mut self, method: &str) -> Next {
        loop {
            match self.take(method) {
                Read::Whole(answer, _) if is_interim(&answer) => {}
                Read::Whole(answer, _) => return Next::Answer(answer),
                Read::Malformed(why) => return Next::Nonsense(why),
                Read::Incomplete if !self.closed => {
                    if timeout(PATIENCE, self.more()).await.is_err() {
                        return Next::Silence;
                    }
                }
                Read::Incomplete if self.left.is_empty() => return Next::Ended,
                Read::Incomplete => return Next::Nonsense(self.left.escape_ascii().to_string()),
            }
        }
    }

    /// Takes a whole answer off what has come.
    fn take(&mut self, method: &str) -> Read {
        let unframed = match self.left.get(9..12) {
            _ if method == "HEAD" => Unframed::NoBody,
            Some([b'1', ..] | b"204" | b"304") => Unframed::NoBody,
            _ => Unframed::UntilClose {
                closed: self.closed,
            },
        };
        let taken = read(&self.left, unframed);
        if let Read::Whole(_, len) = taken {
            self.left.drain(..len);
        }
        taken
    }

    async fn more(&mut self) {
        let mut piece = vec![0; 16_384];
        match self.stream.read(&mut piece).await {
            Ok(len @ 1..) => self.left.extend_from_slice(&piece[..len]),
            _ => self.closed = true,
        }
    }
}

fn is_interim(answer: &Message) -> bool {
    matches!(answer.status(), 100 | 102..=199)
}
