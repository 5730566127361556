//! One request and its answer: what is sent, what must come back, and what did.

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::names::Names;
use super::outgoing::Outgoing;
use crate::payload::{APP_RELEASE, BODY_CHECKSUM, REQUEST_ID, acknowledgement, payload, spell};
use crate::run::{Ending, Kind, Loss};

/// What a request is, apart from its connection.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    /// Octets that are sent, or asked for.
    pub(crate) size: usize,
    pub(crate) chunked: bool,
    /// How long the answer shall take, where it shall.
    pub(crate) slowness_ms: u128,
    /// The body's seed.
    pub(crate) seed: u64,
}

/// What the answer must be.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    id: String,
    len: u64,
    /// Where it is known beforehand; else the answer says it.
    checksum: Option<u32>,
}

impl Ask {
    /// The request, and what its answer must be.
    pub(crate) fn request(&self, template: &HeaderMap) -> (Request<Outgoing>, Expected) {
        let (method, path) = self.line();
        let (body, expected) = self.body(&method);
        let mut request = Request::new(body);
        *request.method_mut() = method;
        // Made of letters and numbers here, so it always parses.
        *request.uri_mut() = path.parse().unwrap_or_default();
        *request.headers_mut() = template.clone();
        if let Ok(id) = HeaderValue::from_str(&self.id) {
            request.headers_mut().insert(REQUEST_ID, id);
        }
        (request, expected)
    }

    fn line(&self) -> (Method, String) {
        let Self {
            size, slowness_ms, ..
        } = self;
        match self.kind {
            Kind::Get | Kind::Watched | Kind::Download | Kind::LargeDownload => {
                (Method::GET, format!("/?size={size}"))
            }
            Kind::Post | Kind::Upload | Kind::LargeUpload => (Method::POST, "/".to_owned()),
            Kind::Slow => (Method::GET, format!("/slow?ms={slowness_ms}&size={size}")),
            Kind::Streamed => (Method::GET, format!("/stream?ms={slowness_ms}&size={size}")),
            Kind::Tunnel => (Method::GET, "/ws".to_owned()),
        }
    }

    fn body(&self, method: &Method) -> (Outgoing, Expected) {
        let id = self.id.clone();
        if method != Method::POST {
            let len = self.size as u64;
            let checksum = None;
            return (Outgoing::none(), Expected { id, len, checksum });
        }
        let body = payload(self.seed, self.size);
        let answer = acknowledgement(body.len() as u64, crc32fast::hash(&body));
        let expected = Expected {
            id,
            len: answer.len() as u64,
            checksum: Some(crc32fast::hash(answer.as_bytes())),
        };
        (Outgoing::new(body, self.chunked), expected)
    }
}

/// What a browser sends with each request, about 800 octets in 11 fields; the id is the twelfth.
pub(crate) fn template(host: &str) -> HeaderMap {
    let mut fields = HeaderMap::new();
    let mut add = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            fields.append(name, value);
        }
    };
    add(header::HOST, host);
    add(
        header::USER_AGENT,
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    );
    add(
        header::ACCEPT,
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    );
    add(header::ACCEPT_LANGUAGE, "en-GB,en;q=0.8,de;q=0.5,fr;q=0.3");
    add(header::ACCEPT_ENCODING, "gzip, deflate, br, zstd");
    add(
        header::REFERER,
        "https://shop.example.com/catalogue/garden/tools?sort=price&page=4",
    );
    add(header::COOKIE, COOKIE);
    add(header::CACHE_CONTROL, "no-cache");
    add(HeaderName::from_static("dnt"), "1");
    add(HeaderName::from_static("sec-fetch-mode"), "navigate");
    add(HeaderName::from_static("sec-fetch-site"), "same-origin");
    fields
}

const COOKIE: &str = "session=8f14e45fceea167a5a36dedd4bea2543c9f0f895fb98ab9159f51fd0297e236d; \
    basket=45c48cce2e2d7fbdea1afc51c7c6ad26; consent=necessary-only-2026-11; ab=b17; \
    visitor=d3d9446802a44259755d38e6d163e820; theme=dark; currency=EUR";

/// What came of it.
pub(crate) struct Verdict {
    pub(crate) ending: Ending,
    /// Whether the connection can carry another request.
    pub(crate) keep: bool,
}

/// Reads the answer to its end, and judges it.
pub(crate) async fn judge(
    response: Response<Incoming>,
    expected: &Expected,
    names: &Names,
) -> Verdict {
    let (head, body) = response.into_parts();
    let close = announces_close(&head.headers);
    let Ok(received) = Received::all_of(body).await else {
        return Verdict {
            ending: Ending::Lost(Loss::Truncated),
            keep: false,
        };
    };
    let ending = match head.headers.get(APP_RELEASE) {
        Some(release) => match received.check(&head.headers, expected) {
            Ok(()) => Ending::App {
                release: names.name(release),
                status: head.status.as_u16(),
            },
            Err(loss) => Ending::Lost(loss),
        },
        None => by_proxy(head.status.as_u16(), &head.headers, names),
    };
    Verdict {
        ending,
        keep: !close,
    }
}

fn announces_close(fields: &HeaderMap) -> bool {
    let values = fields.get_all(header::CONNECTION).iter();
    let mut words = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    words.any(|word| word.trim().eq_ignore_ascii_case("close"))
}

/// An answer that is not the app's: the proxy's, if it says so.
pub(crate) fn by_proxy(status: u16, fields: &HeaderMap, names: &Names) -> Ending {
    let says = fields.get("proxy-status").and_then(|it| it.to_str().ok());
    match says.and_then(reason) {
        Some(reason) => Ending::Proxy {
            status,
            reason: names.text(reason),
            retry_after: fields.contains_key(header::RETRY_AFTER),
        },
        None => Ending::Lost(Loss::Unsigned(status)),
    }
}

/// `details`, else `error`, of a `Proxy-Status` (RFC 9209).
fn reason(says: &str) -> Option<&str> {
    let parameters = says.split(';').filter_map(|it| it.trim().split_once('='));
    let find = |wanted: &str| {
        let mut found = parameters.clone().filter(|(name, _)| *name == wanted);
        found.next().map(|(_, value)| value.trim_matches('"'))
    };
    find("details").or_else(|| find("error"))
}

/// An answer's body, of which only length and checksum are kept.
struct Received {
    len: u64,
    checksum: u32,
}

impl Received {
    async fn all_of(mut body: Incoming) -> Result<Self, hyper::Error> {
        let mut len = 0;
        let mut checksum = crc32fast::Hasher::new();
        while let Some(frame) = body.frame().await {
            if let Some(data) = frame?.data_ref() {
                len += data.len() as u64;
                checksum.update(data);
            }
        }
        let checksum = checksum.finalize();
        Ok(Self { len, checksum })
    }

    fn check(&self, fields: &HeaderMap, expected: &Expected) -> Result<(), Loss> {
        if !says(fields, REQUEST_ID, &expected.id) {
            return Err(Loss::MixedUp);
        }
        let whole = self.len == expected.len
            && expected.checksum.is_none_or(|it| it == self.checksum)
            && says(fields, BODY_CHECKSUM, &spell(self.checksum));
        if whole { Ok(()) } else { Err(Loss::Corrupt) }
    }
}

/// Whether this field has exactly this value.
pub(crate) fn says(fields: &HeaderMap, name: &str, value: &str) -> bool {
    fields.get(name).is_some_and(|it| it == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_says_why() {
        let full = r#"holdfast; error=destination_unavailable; details="hold_full""#;
        assert_eq!(reason(full), Some("hold_full"));
        assert_eq!(reason("other; error=dns_error"), Some("dns_error"));
        assert_eq!(reason("passed-through"), None);
    }

    #[test]
    fn a_request_has_twelve_fields() {
        let ask = Ask {
            id: "r1-1".into(),
            kind: Kind::Get,
            size: 10,
            chunked: false,
            slowness_ms: 0,
            seed: 1,
        };
        let (request, _) = ask.request(&template("shop.example.com"));
        let fields = request.headers();
        let octets: usize = fields
            .iter()
            .map(|(n, v)| n.as_str().len() + v.len() + 4)
            .sum();
        assert_eq!(fields.len(), 12);
        assert!((700..900).contains(&octets), "{octets} octets");
    }
}
