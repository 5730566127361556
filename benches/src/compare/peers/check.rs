//! Whether a proxy does the work that all have to do: one request, and what the origin saw of it.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(10);

/// What it does otherwise, one sentence each.
pub(super) fn differs(proxy: SocketAddr, host: &str) -> Vec<String> {
    match ask(proxy, host) {
        Ok(text) => found_in(&text, host),
        Err(why) => vec![format!("does not answer: {why}")],
    }
}

fn ask(proxy: SocketAddr, host: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(proxy)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let request = format!(
        "GET /echo HTTP/1.1\r\nhost: {host}\r\nx-forwarded-for: 6.6.6.6\r\nkeep-alive: x\r\n\
         connection: close, keep-alive\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// `answer` has the request, as the origin saw it, as its body.
fn found_in(answer: &str, host: &str) -> Vec<String> {
    let (answer, request) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let value = |head: &str, name: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        let found = fields.find(|(it, _)| it.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().to_owned())
    };
    let mut differs = Vec::new();
    let mut expect = |holds: bool, words: &str| {
        if !holds {
            differs.push(words.to_owned());
        }
    };
    let asked = |name: &str| value(request, name);
    expect(answer.starts_with("HTTP/1.1 200"), "does not answer 200");
    expect(value(answer, "x-release").is_some(), "no X-Release");
    expect(asked("host").as_deref() == Some(host), "Host is changed");
    expect(
        asked("x-forwarded-for").as_deref() == Some("127.0.0.1"),
        "X-Forwarded-For is not made anew",
    );
    expect(
        asked("x-forwarded-proto").as_deref() == Some("http"),
        "no X-Forwarded-Proto",
    );
    expect(
        asked("x-forwarded-host").as_deref() == Some(host),
        "no X-Forwarded-Host",
    );
    let id = asked("x-request-id");
    expect(
        id.is_some_and(|id| id.len() >= 16),
        "no X-Request-Id of its own",
    );
    expect(asked("keep-alive").is_none(), "Keep-Alive goes through");
    differs
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "GET /echo HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 127.0.0.1\r\n\
        X-Forwarded-Proto: http\r\nX-Forwarded-Host: a.test\r\nX-Request-Id: 0123456789abcdef\r\n";

    #[test]
    fn one_who_does_all_of_it_does_not_differ() {
        let answer = format!("HTTP/1.1 200 OK\r\nX-Release: v1\r\n\r\n{REQUEST}");
        assert!(found_in(&answer, "a.test").is_empty());
    }

    #[test]
    fn what_is_not_done_is_said() {
        let request = REQUEST.replace("127.0.0.1", "6.6.6.6, 127.0.0.1");
        let answer = format!("HTTP/1.1 200 OK\r\n\r\n{request}Keep-Alive: x\r\n");
        assert_eq!(
            found_in(&answer, "a.test"),
            [
                "no X-Release",
                "X-Forwarded-For is not made anew",
                "Keep-Alive goes through"
            ]
        );
    }
}
