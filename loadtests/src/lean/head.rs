//! The request that is sent again and again: a GET of about 800 octets in 13 fields, as a browser's are, no two alike.

use http::{Request, Uri};

use super::Kind;

/// The host that everybody asks for, and that the certificate names.
pub(crate) const HOST: &str = "held.test";

/// The target of a request.
pub(super) fn target(id: u32) -> String {
    format!("/held/{id}")
}

/// The id in a head, if it is one of these requests.
pub(super) fn id_of(head: &[u8]) -> Option<u32> {
    let rest = head.strip_prefix(b"GET /held/")?;
    let end = rest.iter().position(|octet| *octet == b' ')?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

/// The body that belongs to it.
pub(super) fn body(id: u32) -> String {
    format!("{id}\n")
}

/// All but `Host`.
fn fields(id: u32) -> [(&'static str, String); 12] {
    let cookie = format!(
        "session={:064x}; consent=1f0c7f2a-{id:012}; theme=dark; seen={:0160}",
        u128::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
        u64::from(id) * 7_919
    );
    let plain = |value: &str| value.to_owned();
    [
        (
            "user-agent",
            plain("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ),
        (
            "accept",
            plain("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ),
        ("accept-language", plain("en-GB,en;q=0.7,de;q=0.3")),
        ("accept-encoding", plain("gzip, deflate, br, zstd")),
        (
            "referer",
            format!("https://{HOST}/catalogue/page/{}", id % 977),
        ),
        ("x-request-id", format!("{id:032x}")),
        ("cookie", cookie),
        ("dnt", plain("1")),
        ("sec-fetch-dest", plain("document")),
        ("sec-fetch-mode", plain("navigate")),
        ("sec-fetch-site", plain("same-origin")),
        ("priority", plain("u=0, i")),
    ]
}

/// The request as it goes over HTTP/1.1.
pub(super) fn text(id: u32) -> Vec<u8> {
    let mut text = format!("GET {} HTTP/1.1\r\nhost: {HOST}\r\n", target(id));
    for (name, value) in fields(id) {
        text.extend([name, ": ", &value, "\r\n"]);
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// The request as it goes over HTTP/2.
pub(super) fn request(kind: Kind, id: u32) -> http::Result<Request<()>> {
    let scheme = if kind.is_tls() { "https" } else { "http" };
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(HOST)
        .path_and_query(target(id))
        .build()?;
    let mut request = Request::get(uri);
    for (name, value) in fields(id) {
        request = request.header(name, value);
    }
    request.body(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_of_a_usual_size_and_tells_its_id() {
        for id in [0, 99_999] {
            let text = text(id);
            assert!((700..900).contains(&text.len()), "{}", text.len());
            assert_eq!(id_of(&text), Some(id));
            let fields = text.iter().filter(|octet| **octet == b'\n').count() - 2;
            assert_eq!(fields, 13);
            assert!(request(Kind::H2, id).is_ok());
        }
        assert_eq!(id_of(b"GET /up HTTP/1.1\r\n\r\n"), None);
    }
}
