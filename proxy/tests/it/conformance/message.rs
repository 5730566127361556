//! HTTP/1.1 messages, read strictly: what stands between two other programs must be well-formed.

/// The head of a message and where its body is.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The first line.
    pub(crate) start: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Where reading ended.
#[derive(Debug)]
pub(crate) enum Read {
    /// A message, and what follows it.
    Whole(Message, usize),
    /// More octets may make one.
    Incomplete,
    /// No octets could.
    Malformed(String),
}

/// How a body without a length ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unframed {
    /// There is none (a request, an answer to HEAD).
    NoBody,
    /// By the end of the connection, which has come, or has not.
    UntilClose { closed: bool },
}

impl Message {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.as_str())
    }

    fn count(&self, name: &str) -> usize {
        self.fields
            .iter()
            .filter(|(known, _)| known == name)
            .count()
    }

    /// The status of an answer.
    pub(crate) fn status(&self) -> u16 {
        let words = self.start.split(' ').nth(1);
        words.and_then(|word| word.parse().ok()).unwrap_or(0)
    }
}

/// Reads the first message of these octets.
pub(crate) fn read(octets: &[u8], unframed: Unframed) -> Read {
    let Some(end) = find(octets, b"\r\n\r\n") else {
        return Read::Incomplete;
    };
    let text = characters(&octets[..end]);
    let mut lines = text.split("\r\n");
    let start = lines.next().unwrap_or_default().to_owned();
    let mut message = Message {
        start,
        fields: Vec::new(),
        body: Vec::new(),
    };
    for line in lines {
        match field(line) {
            Some(field) => message.fields.push(field),
            None => return Read::Malformed(format!("the line {line:?}")),
        }
    }
    if message.start.contains(['\r', '\n', '\0']) {
        return Read::Malformed(format!("the line {:?}", message.start));
    }
    body(message, octets, end + 4, unframed)
}

fn field(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let is_token = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet);
    let sound =
        !name.is_empty() && name.bytes().all(is_token) && !value.contains(['\r', '\n', '\0']);
    sound.then(|| {
        (
            name.to_ascii_lowercase(),
            value.trim_matches([' ', '\t']).to_owned(),
        )
    })
}

fn body(mut message: Message, octets: &[u8], from: usize, unframed: Unframed) -> Read {
    if message.count("content-length") + message.count("transfer-encoding") > 1 {
        return Read::Malformed("framed twice".to_owned());
    }
    if let Some(coding) = message.field("transfer-encoding") {
        if !coding.eq_ignore_ascii_case("chunked") {
            return Read::Malformed(format!("a body in {coding:?}"));
        }
        return chunked(message, octets, from);
    }
    let Some(len) = message.field("content-length") else {
        return match unframed {
            Unframed::NoBody => Read::Whole(message, from),
            Unframed::UntilClose { closed: false } => Read::Incomplete,
            Unframed::UntilClose { closed: true } => {
                message.body = octets[from..].to_vec();
                Read::Whole(message, octets.len())
            }
        };
    };
    let Some(len) = number(len, 10) else {
        return Read::Malformed(format!("a length of {len:?}"));
    };
    let end = match unframed {
        Unframed::NoBody if message.start.starts_with("HTTP/") => from,
        _ => from.saturating_add(len),
    };
    if octets.len() < end {
        return Read::Incomplete;
    }
    message.body = octets[from..end].to_vec();
    Read::Whole(message, end)
}

fn chunked(mut message: Message, octets: &[u8], mut from: usize) -> Read {
    loop {
        let Some(line) = find(&octets[from..], b"\r\n") else {
            return Read::Incomplete;
        };
        let size = std::str::from_utf8(&octets[from..from + line]).unwrap_or("?");
        let Some(size) = number(size, 16) else {
            return Read::Malformed(format!("a chunk of {size:?}"));
        };
        from += line + 2;
        if size == 0 {
            break;
        }
        let end = from.saturating_add(size);
        if octets.len() < end.saturating_add(2) {
            return Read::Incomplete;
        }
        message.body.extend_from_slice(&octets[from..end]);
        if &octets[end..end + 2] != b"\r\n" {
            return Read::Malformed("a chunk of another length".to_owned());
        }
        from = end + 2;
    }
    // Trailers, if there are any.
    loop {
        let Some(line) = find(&octets[from..], b"\r\n") else {
            return Read::Incomplete;
        };
        let text = characters(&octets[from..from + line]);
        from += line + 2;
        if line == 0 {
            return Read::Whole(message, from);
        }
        if field(&text).is_none() {
            return Read::Malformed(format!("the trailer {text:?}"));
        }
    }
}

/// obs-text (RFC 9110 5.5): each octet a character.
fn characters(octets: &[u8]) -> String {
    octets.iter().map(|octet| char::from(*octet)).collect()
}

/// Digits and nothing else: `parse` takes a sign, too.
fn number(text: &str, radix: u32) -> Option<usize> {
    let digits = text.chars().all(|it| it.is_digit(radix));
    usize::from_str_radix(text, radix).ok().filter(|_| digits)
}

fn find(octets: &[u8], what: &[u8]) -> Option<usize> {
    octets.windows(what.len()).position(|window| window == what)
}

#[test]
fn what_leaves_room_for_doubt_is_malformed() {
    for doubtful in [
        "Content-Length: +1\r\n\r\nx",
        "Content-Length: 0x1\r\n\r\nx",
        "Content-Length: 1, 1\r\n\r\nx",
        "Content-Length:\r\n\r\n",
        "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: identity\r\n\r\n",
        "Transfer-Encoding: x, chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n+1\r\nx\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1;a\r\nx\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\nno field\r\n\r\n",
        "A: b\nc\r\n\r\n",
        "A : b\r\n\r\n",
        " folded\r\n\r\n",
    ] {
        let octets = format!("POST / HTTP/1.1\r\n{doubtful}");
        let read = read(octets.as_bytes(), Unframed::NoBody);
        assert!(matches!(read, Read::Malformed(_)), "{doubtful:?}: {read:?}");
    }
}
