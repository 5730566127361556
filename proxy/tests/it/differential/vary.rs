//! Sound requests in many shapes: other targets, methods, fields and bodies, so that more than refusals is compared.
//!
//! What a change makes is mostly well-formed; the other mutations of a mutant see to it that it is not always.

use fastrand::Rng;

const METHODS: [&str; 14] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "TRACE",
    "PROPFIND",
    "M-SEARCH",
    "QUERY",
    "get",
    "X!#$%&'*+-.^_`|~",
    "CONNECT",
];
/// What targets are made of.
const STEPS: [&str; 36] = [
    "/", "/", "//", "a", "b", "1", ".", "..", "/../", "/./", "%2F", "%2f", "%2e%2e", "%00",
    "%0d%0a", "%20", "%C3%A9", "%zz", "%", "?", "?x=1", "&y=", "=", ";p=1", ":", "@", "+", "~",
    "*", "|", "\\", "\"", "<>", "{}", "^`", "#f",
];
/// Fields that somebody may take for more than text.
const FIELDS: [&str; 38] = [
    "Accept: */*",
    "Authorization: Basic YTpi",
    "Connection: close",
    "Connection: close, x-a",
    "Connection: content-length, host",
    "Connection: keep-alive",
    "Connection: transfer-encoding",
    "Content-Encoding: gzip",
    "Content-Length: 0",
    "Content-Length: 5",
    "Content-Type: application/x-www-form-urlencoded",
    "Content-Type: multipart/form-data; boundary=x",
    "Cookie: a=b; c=\"d\"",
    "Expect: 100-continue",
    "Forwarded: for=192.0.2.1;host=y.test",
    "Host: y.test",
    "If-Match: *",
    "If-Modified-Since: Sat, 29 Oct 1994 19:43:31 GMT",
    "Keep-Alive: timeout=1, max=1",
    "Max-Forwards: 0",
    "Proxy-Connection: keep-alive",
    "Range: bytes=0-1",
    "Referer: http://x.test/",
    "TE: trailers",
    "Trailer: Content-Length",
    "Transfer-Encoding: chunked",
    "Upgrade: h2c",
    "Upgrade: websocket",
    "Via: 1.0 x",
    "X-A: \u{e9}\u{80}\u{ff}",
    "X-A:",
    "X-A: \t b\t ",
    "X-A: b: c, \"d\\\"\"",
    "X-Forwarded-For: 192.0.2.1",
    "X-Forwarded-Host: y.test",
    "X-HTTP-Method-Override: DELETE",
    "X-Original-URL: /other",
    "~!#$%&'*+-.^`|: x",
];
/// What bodies are made of: some look like the end of this request, or like the next one.
const PIECES: [&[u8]; 12] = [
    b"hello",
    b"a=1&b=2",
    b"\r\n",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"1\r\nZ\r\n",
    b"\n",
    b"\0\xff\x80",
    b"GET /next HTTP/1.1\r\nHost: x.test\r\n\r\n",
    b"POST /x HTTP/1.1\r\nHost: x.test\r\nContent-Length: 9\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"--x--\r\n",
];
const TRAILERS: [&str; 4] = [
    "X-T: 1\r\n",
    "Content-Length: 3\r\n",
    "Host: y.test\r\n",
    "x: \r\n",
];
const EXTENSIONS: [&str; 4] = [";a", ";a=b", ";a=\"b;c\"", " ; a = b"];
const STEPS_MAX: usize = 6;
const PIECES_MAX: usize = 5;
/// The longest body that is repeated to be longer than one read of anybody.
const LONG: usize = 20_000;

fn any<'t, T: ?Sized>(of: &[&'t T], random: &mut Rng) -> &'t T {
    of[random.usize(..of.len())]
}

/// Where the first line's words begin and end: method and target.
fn words(octets: &[u8]) -> Option<(usize, usize)> {
    let line = octets.split(|octet| *octet == b'\r').next()?;
    let method = line.iter().position(|octet| *octet == b' ')?;
    let target = line[method + 1..].iter().position(|octet| *octet == b' ')?;
    Some((method, method + 1 + target))
}

pub(super) fn another_method(octets: &mut Vec<u8>, random: &mut Rng) {
    if let Some((method, _)) = words(octets) {
        octets.splice(..method, any(&METHODS, random).bytes());
    }
}

pub(super) fn another_target(octets: &mut Vec<u8>, random: &mut Rng) {
    let Some((method, target)) = words(octets) else {
        return;
    };
    let mut written =
        String::from(["/", "/", "/", "http://x.test/", "http://y.test?"][random.usize(..5)]);
    for _ in 0..random.usize(..=STEPS_MAX) {
        written.push_str(any(&STEPS, random));
    }
    octets.splice(method + 1..target, written.into_bytes());
}

/// One field more, behind the first line or the last.
pub(super) fn another_field(octets: &mut Vec<u8>, random: &mut Rng) {
    let find = |what: &[u8]| octets.windows(what.len()).position(|it| it == what);
    let end = if random.bool() {
        find(b"\r\n")
    } else {
        find(b"\r\n\r\n")
    };
    let Some(at) = end else { return };
    let line = any(&FIELDS, random).chars().map(|octet| octet as u8);
    let line: Vec<u8> = b"\r\n".iter().copied().chain(line).collect();
    octets.splice(at..at, line);
}

/// A body that is framed as it should be, in place of what stands behind the head.
pub(super) fn another_body(octets: &mut Vec<u8>, random: &mut Rng) {
    let Some(end) = octets.windows(4).position(|it| it == b"\r\n\r\n") else {
        return;
    };
    octets.truncate(end + 2);
    drop_framing(octets);
    let body = some_body(random);
    if random.bool() {
        octets.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        octets.extend_from_slice(&body);
    } else {
        octets.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        write_chunks(octets, &body, random);
    }
}

fn drop_framing(head: &mut Vec<u8>) {
    let frames = |line: &[u8]| {
        let line = line.to_ascii_lowercase();
        line.starts_with(b"content-length:") || line.starts_with(b"transfer-encoding:")
    };
    let lines = head.split_inclusive(|octet| *octet == b'\n');
    *head = lines
        .filter(|line| !frames(line))
        .collect::<Vec<_>>()
        .concat();
}

fn some_body(random: &mut Rng) -> Vec<u8> {
    let pieces = (0..random.usize(..=PIECES_MAX)).map(|_| any(&PIECES, random));
    let body = pieces.collect::<Vec<_>>().concat();
    match body.len() {
        len @ 1.. if random.u8(..32) == 0 => body.repeat(LONG / len),
        _ => body,
    }
}

fn write_chunks(octets: &mut Vec<u8>, body: &[u8], random: &mut Rng) {
    let mut left = body;
    while !left.is_empty() {
        let (chunk, rest) = left.split_at(random.usize(1..=left.len()));
        octets.extend_from_slice(size(chunk.len(), random).as_bytes());
        octets.extend_from_slice(chunk);
        octets.extend_from_slice(b"\r\n");
        left = rest;
    }
    octets.extend_from_slice(size(0, random).as_bytes());
    if random.u8(..4) == 0 {
        octets.extend_from_slice(any(&TRAILERS, random).as_bytes());
    }
    octets.extend_from_slice(b"\r\n");
}

/// The line before a chunk.
fn size(len: usize, random: &mut Rng) -> String {
    let extension = match random.u8(..8) {
        0 => any(&EXTENSIONS, random),
        _ => "",
    };
    match random.u8(..4) {
        0 => format!("{len:X}{extension}\r\n"),
        1 => format!("{len:03x}{extension}\r\n"),
        _ => format!("{len:x}{extension}\r\n"),
    }
}
