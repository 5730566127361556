//! What a browser asks for: a GET with thirteen fields, the small one of every bench.

use h2::client::ResponseFuture;
use http::Request;
use http::request::Parts;

/// Whom it asks.
pub const HOST: &str = "shop.example.com";
/// What for.
pub const TARGET: &str = "/catalogue/garden/tools?page=4";

/// The ten fields of a browser's request that are the same for all, besides `Host`, `Cookie` and `Referer`.
pub(crate) const FIELDS: [(&str, &str); 10] = [
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
    ),
    ("accept-language", "en-GB,en;q=0.7,de;q=0.3"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("cache-control", "max-age=0"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "same-origin"),
    ("upgrade-insecure-requests", "1"),
    ("priority", "u=0, i"),
];
/// The other two.
pub(crate) const COOKIE: &str = "session=4f9c2b7e0a1d48e6b3c5; theme=dark; seen=1763726400";

/// Its fields, in their order.
fn fields() -> impl Iterator<Item = (&'static str, &'static str)> {
    let referer = "http://shop.example.com/catalogue/garden/tools?page=3";
    let first = [("host", HOST)].into_iter();
    first
        .chain(FIELDS)
        .chain([("cookie", COOKIE), ("referer", referer)])
}

/// Its head as a parser hands it on.
#[expect(clippy::expect_used, reason = "every part of it is written above")]
pub fn head() -> Parts {
    let mut request = Request::get(TARGET);
    for (name, value) in fields() {
        request = request.header(name, value);
    }
    request.body(()).expect("a sound request").into_parts().0
}

/// What it asks in HTTP/2, where the target names the host.
#[expect(clippy::expect_used, reason = "every part of it is written above")]
pub(crate) fn http2() -> Request<()> {
    let mut request = Request::from_parts(head(), ());
    request.headers_mut().remove("host");
    let target = format!("http://{HOST}{TARGET}");
    *request.uri_mut() = target.parse().expect("a sound target");
    request
}

/// Its octets; the connection is kept unless it `closes`.
pub fn octets(closes: bool) -> Vec<u8> {
    let mut text = format!("GET {TARGET} HTTP/1.1\r\n");
    for (name, value) in fields() {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if closes {
        text.push_str("connection: close\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// What has come of it in HTTP/2, read to its end: the status, and how long the body is.
pub(crate) async fn whole(answer: ResponseFuture) -> Result<(u16, usize), h2::Error> {
    let (head, mut body) = answer.await?.into_parts();
    let mut octets = 0;
    while let Some(data) = body.data().await {
        let data = data?;
        octets += data.len();
        body.flow_control().release_capacity(data.len())?;
    }
    Ok((head.status.as_u16(), octets))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_browser_says_thirteen_fields() {
        assert_eq!(super::head().headers.len(), 13);
        let text = String::from_utf8(super::octets(false)).unwrap();
        assert_eq!(text.matches(": ").count(), 13);
        assert!(text.ends_with("\r\n\r\n"));
    }
}
