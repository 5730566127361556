//! A client that says what the case says, and writes down what comes back.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::message::{Message, Read, Unframed, read};

/// What a client got.
#[derive(Clone, Debug, Default)]
pub(super) struct Got {
    pub(super) octets: Vec<u8>,
    /// The connection has ended, with a FIN or otherwise.
    pub(super) closed: bool,
    /// It ended with a reset.
    pub(super) reset: bool,
}

/// One connection.
pub(super) struct Talk {
    stream: TcpStream,
    pub(super) got: Got,
    is_head: bool,
}

impl Talk {
    /// Sends these octets, and ends the sending side if asked. What the other side refuses to take does not matter.
    pub(super) async fn begin(to: SocketAddr, octets: &[u8], half_close: bool) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        let mut talk = Self {
            stream,
            got: Got::default(),
            is_head: octets.starts_with(b"HEAD "),
        };
        talk.say(octets).await;
        if half_close {
            let _ = talk.stream.shutdown().await;
        }
        talk
    }

    /// Sends more; reads meanwhile, so that neither side waits for the other.
    pub(super) async fn say(&mut self, octets: &[u8]) {
        let (mut reader, mut writer) = self.stream.split();
        let mut piece = vec![0; 65_536];
        let writing = writer.write_all(octets);
        tokio::pin!(writing);
        loop {
            tokio::select! {
                _ = &mut writing => return,
                read = reader.read(&mut piece) => match read {
                    Ok(len) if len > 0 => self.got.octets.extend_from_slice(&piece[..len]),
                    _ => return,
                },
            }
        }
    }

    /// Reads until the connection ends or so many final answers are there, for so long at most.
    pub(super) async fn until(&mut self, answers: usize, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut piece = vec![0; 65_536];
        while !self.got.closed && self.answers().len() < answers {
            let left = deadline.saturating_duration_since(Instant::now());
            match timeout(left, self.stream.read(&mut piece)).await {
                Err(_) => return,
                Ok(Ok(0)) => self.got.closed = true,
                Ok(Ok(len)) => self.got.octets.extend_from_slice(&piece[..len]),
                Ok(Err(_)) => (self.got.closed, self.got.reset) = (true, true),
            }
        }
    }

    /// The whole final answers so far.
    pub(super) fn answers(&self) -> Vec<Message> {
        let (mut answers, mut from) = (Vec::new(), 0);
        loop {
            let octets = &self.got.octets[from..];
            let unframed = match octets.get(9..12) {
                _ if self.is_head => Unframed::NoBody,
                Some([b'1', ..] | b"204" | b"304") => Unframed::NoBody,
                _ => Unframed::UntilClose {
                    closed: self.got.closed,
                },
            };
            if octets.is_empty() {
                return answers;
            }
            match read(octets, unframed) {
                Read::Whole(message, len) => {
                    from += len;
                    if message.status() >= 200 {
                        answers.push(message);
                    }
                }
                Read::Incomplete | Read::Malformed(_) => return answers,
            }
        }
    }

    /// Whether something began that did not become a whole answer.
    pub(super) fn is_broken_off(&self) -> bool {
        let whole: usize = self.answers().len();
        let starts = self
            .got
            .octets
            .windows(7)
            .filter(|it| it == b"HTTP/1.")
            .count();
        starts > whole
    }
}
