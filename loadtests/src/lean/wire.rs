//! As much of HTTP/1.1 as it takes between programs that know each other.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Longer than any answer here.
const ANSWER_MAX: usize = 16 << 10;

/// Where a head ends, if it is whole.
pub(super) fn end_of_head(octets: &[u8]) -> Option<usize> {
    let end = octets.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(end + 4)
}

/// Whether this line is in a head, in whatever case.
pub(super) fn says(head: &[u8], line: &[u8]) -> bool {
    let mut lines = head.split(|octet| *octet == b'\n');
    lines.any(|said| said.trim_ascii_end().eq_ignore_ascii_case(line))
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// And whatever came behind it.
    pub(super) body: Vec<u8>,
}

/// Reads an answer with a `Content-Length`.
pub(super) async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Answer> {
    let mut octets = Vec::with_capacity(1024);
    loop {
        if let Some((status, head, length)) = framing(&octets)
            && octets.len() >= head + length
        {
            let body = octets.split_off(head);
            return Ok(Answer { status, body });
        }
        if octets.len() > ANSWER_MAX || stream.read_buf(&mut octets).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Status, octets of the head, octets of the body.
fn framing(octets: &[u8]) -> Option<(u16, usize, usize)> {
    let end = end_of_head(octets)?;
    let head = std::str::from_utf8(&octets[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_it = name.eq_ignore_ascii_case("content-length");
        is_it.then(|| value.trim().parse().ok()).flatten()
    })?;
    Some((status, end, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_read_to_its_end() {
        let octets = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        let answer = read_answer(&mut &octets[..]).await.unwrap();
        let body = b"abc".to_vec();
        assert_eq!(answer, Answer { status: 200, body });
        assert!(read_answer(&mut &octets[..octets.len() - 1]).await.is_err());
    }

    #[test]
    fn a_line_is_found_in_whatever_case() {
        let head = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
        assert!(says(head, b"connection: close"));
        assert!(!says(head, b"connection: closed"));
    }
}
