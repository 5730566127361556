//! Frames and field blocks by hand (RFC 9113, 4 and 6; RFC 7541).

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a sound client says first.
pub(super) fn greeting() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut octets = vec![len[1], len[2], len[3], kind, flags];
    octets.extend(stream.to_be_bytes());
    octets.extend(payload);
    octets
}

pub(super) fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, flags, stream, block)
}

pub(super) const GET: u8 = 0x82;
pub(super) const POST: u8 = 0x83;

/// `/` at `x.test` by `http`, with entries of the static table.
pub(super) fn fields(method: u8) -> Vec<u8> {
    [&[method, 0x86, 0x84, 0x41, 6], &b"x.test"[..]].concat()
}

/// GET, with more fields.
pub(super) fn request(more: &[(&str, &str)]) -> Vec<u8> {
    [fields(GET), literals(more)].concat()
}

/// Literal fields without indexing.
pub(super) fn literals(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// Kind, stream and payload of the next frame; none at the end.
pub(super) async fn next(from: &mut TcpStream) -> Option<(u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    from.read_exact(&mut head).await.ok()?;
    let mut payload = vec![0; number(&[0, head[0], head[1], head[2]]) as usize];
    from.read_exact(&mut payload).await.ok()?;
    Some((head[3], number(&head[5..]), payload))
}

pub(super) fn number(octets: &[u8]) -> u32 {
    u32::from_be_bytes(octets[..4].try_into().unwrap())
}

/// The status of a field block: an entry of the static table, or a literal with its name from there.
pub(super) fn status(block: &[u8]) -> u16 {
    // A change of the table's size may come first.
    let block = if block[0] & 0xe0 == 0x20 {
        &block[1..]
    } else {
        block
    };
    match block[0] {
        0x88 => 200,
        0x8c => 400,
        0x8d => 404,
        0x8e => 500,
        0x48 | 0x08 if block[1] & 0x80 == 0 => {
            String::from_utf8_lossy(&block[2..5]).parse().unwrap()
        }
        _ => 0,
    }
}
