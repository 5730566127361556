//! The least that the load and the origin have to understand of HTTP/1.1. They talk to proxies that are under test and to
//! each other, so what they do not know is an error and never a guess. Nothing of the product uses this.

/// Longer heads are refused.
const HEAD_MAX: usize = 64 * 1024;

/// Whose heads are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The origin reads requests.
    Requests,
    /// The load reads answers.
    Answers,
}

/// What is read of a head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// Of an answer.
    pub(super) status: u16,
    /// Of a request.
    pub(super) target: String,
    /// Of the body that follows.
    pub(super) length: u64,
    /// The connection ends after this.
    pub(super) closes: bool,
    /// A WebSocket is asked for, or granted.
    pub(super) upgrades: bool,
}

/// Why what came is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("a head of more than {HEAD_MAX} octets")]
    TooLong,
    #[error("a first line that is none")]
    FirstLine,
    #[error("a length that is no number")]
    Length,
    #[error("a body in chunks, which is not read here")]
    Chunked,
}

/// One message after the other, in pieces as they come.
#[derive(Debug)]
pub(super) struct Reader {
    side: Side,
    /// The beginning of a head that is not whole.
    begun: Vec<u8>,
    /// The head whose body is being read.
    head: Option<Head>,
    left: u64,
}

impl Reader {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            begun: Vec::new(),
            head: None,
            left: 0,
        }
    }

    /// Whether nothing of a next message has come.
    #[cfg(test)]
    fn is_between(&self) -> bool {
        self.head.is_none() && self.begun.is_empty()
    }

    /// Reads on in `octets`: how many were read, and the head of a message if it is whole with its body.
    pub(super) fn read(&mut self, octets: &[u8]) -> Result<(usize, Option<Head>), Malformed> {
        let mut at = 0;
        if self.head.is_none() {
            let Some((head, read)) = self.head_in(octets)? else {
                return Ok((octets.len(), None));
            };
            self.left = head.length;
            self.head = Some(head);
            at = read;
        }
        let body = usize::try_from(self.left).unwrap_or(usize::MAX);
        let body = body.min(octets.len() - at);
        self.left -= body as u64;
        let whole = if self.left == 0 {
            self.head.take()
        } else {
            None
        };
        Ok((at + body, whole))
    }

    /// The head, and how many of these octets belong to it.
    fn head_in(&mut self, octets: &[u8]) -> Result<Option<(Head, usize)>, Malformed> {
        if self.begun.is_empty() {
            if let Some(end) = head_end(octets) {
                return Ok(Some((parse(self.side, &octets[..end])?, end)));
            }
            self.begun.extend_from_slice(octets);
        } else {
            let before = self.begun.len();
            self.begun.extend_from_slice(octets);
            if let Some(end) = head_end(&self.begun) {
                let head = parse(self.side, &self.begun[..end])?;
                self.begun.clear();
                return Ok(Some((head, end - before)));
            }
        }
        if self.begun.len() > HEAD_MAX {
            return Err(Malformed::TooLong);
        }
        Ok(None)
    }
}

/// Where the empty line is over.
fn head_end(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = octets[at..].iter().position(|octet| *octet == b'\n')?;
        if octets[at..at + line]
            .strip_suffix(b"\r")
            .unwrap_or(&octets[at..at + line])
            == b""
        {
            return Some(at + line + 1);
        }
        at += line + 1;
    }
}

fn parse(side: Side, octets: &[u8]) -> Result<Head, Malformed> {
    let mut lines = octets.split(|octet| *octet == b'\n');
    let first = lines.next().unwrap_or_default();
    let mut words = first.split(|octet| *octet == b' ');
    let second = words.nth(1).and_then(|word| std::str::from_utf8(word).ok());
    let second = second.ok_or(Malformed::FirstLine)?;
    let mut head = Head::default();
    match side {
        Side::Requests => second.clone_into(&mut head.target),
        Side::Answers => {
            let status = second.trim_end().parse();
            head.status = status.map_err(|_| Malformed::FirstLine)?;
        }
    }
    for line in lines {
        // Only these begin the names that matter.
        if !matches!(line.first(), Some(b'c' | b'C' | b't' | b'T' | b'u' | b'U')) {
            continue;
        }
        let Some(colon) = line.iter().position(|octet| *octet == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let number = std::str::from_utf8(value)
                .ok()
                .and_then(|it| it.parse().ok());
            head.length = number.ok_or(Malformed::Length)?;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Err(Malformed::Chunked);
        } else if name.eq_ignore_ascii_case(b"connection") {
            head.closes |= value.eq_ignore_ascii_case(b"close");
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            head.upgrades |= value.eq_ignore_ascii_case(b"websocket");
        }
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello";

    #[test]
    fn a_message_is_read_in_whatever_pieces_it_comes() {
        for cut in 0..ANSWER.len() {
            let mut reader = Reader::new(Side::Answers);
            let (read, whole) = reader.read(&ANSWER[..cut]).unwrap();
            assert_eq!((read, whole), (cut, None), "{cut}");
            let (read, whole) = reader.read(&ANSWER[cut..]).unwrap();
            assert_eq!(read, ANSWER.len() - cut);
            assert_eq!(whole.unwrap().status, 200);
            assert!(reader.is_between());
        }
    }

    #[test]
    fn what_follows_a_message_is_left() {
        let mut reader = Reader::new(Side::Requests);
        let two = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\n\r\n";
        let (read, head) = reader.read(two).unwrap();
        assert_eq!(head.unwrap().target, "/a");
        let (rest, head) = reader.read(&two[read..]).unwrap();
        assert_eq!(head.unwrap().target, "/b");
        assert_eq!(read + rest, two.len());
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for (octets, why) in [
            (&b"HTTP/1.1\r\n\r\n"[..], Malformed::FirstLine),
            (b"HTTP/1.1 abc\r\n\r\n", Malformed::FirstLine),
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
                Malformed::Length,
            ),
            (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
                Malformed::Chunked,
            ),
        ] {
            assert_eq!(Reader::new(Side::Answers).read(octets), Err(why));
        }
    }
}
