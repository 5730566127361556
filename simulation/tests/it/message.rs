//! HTTP/1.1 as simply as two ends that we both own need it.

use std::collections::BTreeMap;

use http::Response;
use tokio::io::{AsyncRead, AsyncReadExt};

/// A request or an answer; its body is read apart.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Of an answer.
    pub(crate) status: u16,
    fields: BTreeMap<String, String>,
    /// Octets that came behind its head.
    ahead: Vec<u8>,
}

/// The next head. None: there is none, or not a whole one.
pub(crate) async fn read_message<S>(stream: &mut S, read: &mut Vec<u8>) -> Option<Message>
where
    S: AsyncRead + Unpin,
{
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let ahead = read.split_off(end + 4);
            let head = String::from_utf8(std::mem::take(read)).ok()?;
            return Message::parse(&head, ahead);
        }
        if more(stream, read).await == 0 {
            return None;
        }
    }
}

async fn more<S: AsyncRead + Unpin>(stream: &mut S, read: &mut Vec<u8>) -> usize {
    let mut octets = [0; 2048];
    let length = stream.read(&mut octets).await.unwrap_or(0);
    read.extend_from_slice(&octets[..length]);
    length
}

impl Message {
    fn parse(head: &str, ahead: Vec<u8>) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let fields = lines.filter_map(|line| line.split_once(':'));
        let fields = fields.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
        Some(Self {
            status: target.parse().unwrap_or(0),
            method,
            target,
            fields: fields.collect(),
            ahead,
        })
    }

    /// The head of an answer that came otherwise.
    pub(crate) fn of_http2<B>(answer: &Response<B>) -> Self {
        let fields = answer.headers().iter();
        let fields = fields.map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        });
        Self {
            method: String::new(),
            target: String::new(),
            status: answer.status().as_u16(),
            fields: fields.collect(),
            ahead: Vec::new(),
        }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// Which request it is, by its target.
    pub(crate) fn number(&self) -> Option<usize> {
        self.target.strip_prefix("/r/")?.parse().ok()
    }

    /// The body, with its framing taken off. None: it broke off.
    pub(crate) async fn read_body<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
    ) -> Option<Vec<u8>> {
        if self.field("transfer-encoding") == Some("chunked") {
            return self.read_chunks(stream).await;
        }
        let length = self
            .field("content-length")
            .map_or(Some(0), |text| text.parse().ok())?;
        while self.ahead.len() < length {
            if more(stream, &mut self.ahead).await == 0 {
                return None;
            }
        }
        (self.ahead.len() == length).then(|| std::mem::take(&mut self.ahead))
    }

    async fn read_chunks<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            while let Some(end) = self.ahead.windows(2).position(|two| two == b"\r\n") {
                let size = str::from_utf8(&self.ahead[..end]).ok()?;
                let size = usize::from_str_radix(size, 16).ok()?;
                if self.ahead.len() < end + 2 + size + 2 {
                    break;
                }
                body.extend_from_slice(&self.ahead[end + 2..end + 2 + size]);
                self.ahead.drain(..end + 2 + size + 2);
                if size == 0 {
                    return Some(body);
                }
            }
            if more(stream, &mut self.ahead).await == 0 {
                return None;
            }
        }
    }
}
