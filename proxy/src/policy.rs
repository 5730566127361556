//! policy: framing, Host and target are sound, hop-by-hop fields are gone; or the request is refused.
//!
//! hyper parses; it does not check what a proxy must. One pure function over the parsed head: no IO, no clock, no
//! table. Running it twice over the same request changes nothing more, because a held request is parsed again.

mod http2;
mod target;

use holdfast_config::Limits;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode, Version};

use crate::fronts;
pub(crate) use target::is_host;

/// Names the request for us and for the app.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Why a request is refused, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) detail: &'static str,
}

/// The framing of its body breaks off, or is none (RFC 9112, 7.1 and 8).
pub(crate) const BROKEN_BODY: Refused = Refused {
    status: StatusCode::BAD_REQUEST,
    detail: "the body ends early or is not framed as announced",
};

/// Its body comes too slowly, or not at all.
pub(crate) const SLOW_BODY: Refused = Refused {
    status: StatusCode::REQUEST_TIMEOUT,
    detail: "the body pauses for too long, or comes too slowly",
};

/// The app is spoken to in HTTP/2, which has no `Upgrade` (RFC 9113, 8.6).
pub(crate) const NO_WEBSOCKET: Refused = Refused {
    status: StatusCode::NOT_IMPLEMENTED,
    detail: "a WebSocket, and this app is spoken to in HTTP/2",
};

/// The app takes it for an ordinary request, which a client in HTTP/2 could not tell from a WebSocket that is open.
pub(crate) const NOT_SWITCHED: Refused = Refused {
    status: StatusCode::BAD_GATEWAY,
    detail: "a WebSocket, and the app answers without one",
};

/// What the rest of the way must know of the fields that are gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The host for routing: lower case, without port.
    pub(crate) host: Box<str>,
    /// The client wants the connection to end after this.
    pub(crate) close: bool,
    /// HTTP/1.0 with `Connection: keep-alive`.
    pub(crate) keep_alive: bool,
    /// A WebSocket is asked for.
    pub(crate) websocket: bool,
    /// It is asked for as HTTP/2 does, without a handshake of its own (RFC 8441).
    pub(crate) connect: bool,
    /// The client takes trailers.
    pub(crate) trailers: bool,
}

/// Checks the head and makes it fit to be forwarded.
pub(crate) fn check(head: &mut Parts, has_body: bool, limits: &Limits) -> Result<Facts, Refused> {
    let connect = head.version == Version::HTTP_2 && http2::translate(head)?;
    let seen = Seen::of(&head.headers);
    check_fields(head, seen, limits)?;
    if seen.hop_by_hop.has(HopByHop::TRANSFER_ENCODING) {
        check_framing(head)?;
    }
    let host = target::settle(head, limits)?;
    let options = Options::of(&head.headers, seen.hop_by_hop);
    let keep_alive = head.version == Version::HTTP_10 && options.keep_alive;
    let websocket = connect || (options.upgrade && wants_websocket(head) && !has_body);
    let te = seen.hop_by_hop.has(HopByHop::TE);
    let trailers = te && lists(&head.headers, header::TE, b"trailers");
    strip(&mut head.headers, seen.hop_by_hop);
    if websocket {
        offer_websocket(&mut head.headers);
    }
    Ok(Facts {
        host: host.into(),
        close: options.close,
        keep_alive,
        websocket,
        connect,
        trailers,
    })
}

/// What a client says of its connection (RFC 9110, 7.6.1), as far as we act on it.
#[derive(Clone, Copy, Default)]
struct Options {
    close: bool,
    keep_alive: bool,
    upgrade: bool,
}

impl Options {
    fn of(fields: &HeaderMap, seen: HopByHop) -> Self {
        let mut options = Self::default();
        if seen.has(HopByHop::CONNECTION) {
            for option in members(fields, header::CONNECTION) {
                options.close |= option.eq_ignore_ascii_case(b"close");
                options.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                options.upgrade |= option.eq_ignore_ascii_case(b"upgrade");
            }
        }
        options
    }
}

/// Which fields are there that have a meaning for us: one look at each that is there, instead of one for each that could
/// be.
#[derive(Clone, Copy, Default)]
struct Seen {
    expect: bool,
    hop_by_hop: HopByHop,
    underscore: bool,
}

impl Seen {
    fn of(fields: &HeaderMap) -> Self {
        let mut seen = Self::default();
        for name in fields.keys() {
            let name = name.as_str();
            seen.hop_by_hop.see(name);
            seen.underscore |= name.as_bytes().contains(&b'_');
            seen.expect |= name == "expect";
        }
        seen
    }
}

/// Takes out the fields that `Connection` names and the fixed hop-by-hop ones (RFC 9110, 7.6.1). Fields that framing,
/// routing or authority rest on stay, whoever names them.
pub(crate) fn strip_hop_by_hop(fields: &mut HeaderMap) {
    let mut seen = HopByHop::default();
    fields.keys().for_each(|name| seen.see(name.as_str()));
    strip(fields, seen);
}

fn strip(fields: &mut HeaderMap, seen: HopByHop) {
    if seen.has(HopByHop::CONNECTION) {
        // Most say nothing else, which names no field (RFC 9110, 18.4).
        let named: Vec<HeaderName> = members(fields, header::CONNECTION)
            .filter(|name| !name.eq_ignore_ascii_case(b"close"))
            .filter_map(|name| HeaderName::from_bytes(name).ok())
            .filter(|name| !KEPT.contains(name))
            .collect();
        named.iter().for_each(|name| drop(fields.remove(name)));
    }
    for (index, name) in HOP_BY_HOP.iter().enumerate() {
        if seen.has(index) {
            fields.remove(name);
        }
    }
}

const KEPT: [HeaderName; 9] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::COOKIE,
    header::AUTHORIZATION,
    header::TRANSFER_ENCODING,
    // A client could else have taken out what a front says of it.
    header::FORWARDED,
    fronts::FORWARDED_FOR,
    fronts::FORWARDED_PROTO,
    fronts::FORWARDED_HOST,
];

const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Which of [`HOP_BY_HOP`] are there, a bit for each.
#[derive(Clone, Copy, Default)]
struct HopByHop(u8);

impl HopByHop {
    const CONNECTION: usize = 0;
    const TE: usize = 4;
    const TRANSFER_ENCODING: usize = 5;

    fn see(&mut self, name: &str) {
        let bit = match name {
            "connection" => 1,
            "keep-alive" => 1 << 1,
            "proxy-connection" => 1 << 2,
            "http2-settings" => 1 << 3,
            "te" => 1 << 4,
            "transfer-encoding" => 1 << 5,
            "upgrade" => 1 << 6,
            _ => 0,
        };
        self.0 |= bit;
    }

    fn has(self, index: usize) -> bool {
        self.0 & (1 << index) != 0
    }
}

/// Takes out of trailers what has no meaning behind a body, or would change one that has been acted on: framing, routing,
/// who the client is (RFC 9110, 6.5.1).
pub(crate) fn strip_trailers(fields: &mut HeaderMap) {
    for name in KEPT.iter().chain(&HOP_BY_HOP).chain(&NEVER_TRAILERS) {
        if fields.contains_key(name) {
            fields.remove(name);
        }
    }
}

const NEVER_TRAILERS: [HeaderName; 6] = [
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::SET_COOKIE,
    header::TRAILER,
];

/// Names the protocol that follows, for the next hop.
pub(crate) fn offer_websocket(fields: &mut HeaderMap) {
    fields.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// Whether `Upgrade` names just the WebSocket protocol.
pub(crate) fn is_websocket(fields: &HeaderMap) -> bool {
    let mut protocols = members(fields, header::UPGRADE);
    protocols
        .next()
        .is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
        && protocols.next().is_none()
}

fn check_fields(head: &Parts, seen: Seen, limits: &Limits) -> Result<(), Refused> {
    if has_too_many(&head.headers, limits) {
        return refuse(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "too many fields",
        );
    }
    // `_` and `-` are one to CGI-like applications: a field that says one thing to us would say another to them.
    if seen.underscore {
        return refuse(StatusCode::BAD_REQUEST, "a field name with an underscore");
    }
    let expected = || head.headers.get(header::EXPECT);
    match seen.expect.then(expected).flatten() {
        Some(value) if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") => refuse(
            StatusCode::EXPECTATION_FAILED,
            "an expectation other than 100-continue",
        ),
        _ => Ok(()),
    }
}

/// Without those that we put in ourselves before a request waits: or one that has passed would have too many when it is
/// parsed once more.
fn has_too_many(fields: &HeaderMap, limits: &Limits) -> bool {
    let of_name = |name| fields.get_all(name).iter().count();
    let ours = || of_name(header::CONNECTION) + of_name(REQUEST_ID) + of_name(header::TE);
    fields.len() > limits.fields && fields.len() - ours() > limits.fields
}

fn check_framing(head: &Parts) -> Result<(), Refused> {
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return Ok(());
    };
    if head.version == Version::HTTP_10 {
        return refuse(StatusCode::BAD_REQUEST, "Transfer-Encoding in HTTP/1.0");
    }
    if codings.next().is_some() {
        return refuse(StatusCode::BAD_REQUEST, "more than one Transfer-Encoding");
    }
    if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return refuse(
            StatusCode::NOT_IMPLEMENTED,
            "a transfer coding other than chunked",
        );
    }
    Ok(())
}

/// Whose `Connection` lists `upgrade`.
fn wants_websocket(head: &Parts) -> bool {
    head.version == Version::HTTP_11 && head.method == Method::GET && is_websocket(&head.headers)
}

fn lists(fields: &HeaderMap, name: HeaderName, member: &[u8]) -> bool {
    members(fields, name).any(|found| found.eq_ignore_ascii_case(member))
}

/// The members of a comma-separated list, over all fields of that name; those that are no text are passed over.
fn members(fields: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    let values = fields
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    values.flat_map(|value| {
        value
            .as_bytes()
            .split(|&octet| octet == b',')
            .map(<[u8]>::trim_ascii)
            .filter(|member| !member.is_empty())
    })
}

fn refuse<T>(status: StatusCode, detail: &'static str) -> Result<T, Refused> {
    Err(Refused { status, detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, target: &str, fields: &[(&str, &str)]) -> Parts {
        let mut builder = http::Request::builder().method(method).uri(target);
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    fn checked(head: &mut Parts) -> Result<Facts, Refused> {
        check(head, false, &Limits::default())
    }

    fn detail(method: &str, target: &str, fields: &[(&str, &str)]) -> (u16, &'static str) {
        let refused = checked(&mut head(method, target, fields)).unwrap_err();
        (refused.status.as_u16(), refused.detail)
    }

    #[test]
    fn the_host_is_the_routing_name() {
        for (value, name) in [
            ("Shop.Test:8080", "shop.test"),
            ("[::1]:80", "[::1]"),
            ("a", "a"),
            ("a:", "a"),
        ] {
            let facts = checked(&mut head("GET", "/", &[("host", value)])).unwrap();
            assert_eq!(*facts.host, *name);
        }
    }

    #[test]
    fn a_wrong_host_is_refused() {
        for value in ["a b", "a/b", "a@b", "", "[::1", "[x]", "a:b", "a:123456"] {
            assert_eq!(
                detail("GET", "/", &[("host", value)]),
                (400, "Host is not a valid host")
            );
        }
        assert_eq!(detail("GET", "/", &[]), (400, "no Host"));
        assert_eq!(
            detail("GET", "/", &[("host", "a"), ("host", "a")]),
            (400, "more than one Host")
        );
    }

    #[test]
    fn an_absolute_target_replaces_host() {
        let mut head = head("GET", "http://b.test/x?y=1", &[("host", "a.test")]);
        assert_eq!(*checked(&mut head).unwrap().host, *"b.test");
        assert_eq!(head.uri, "/x?y=1");
        assert_eq!(head.headers[header::HOST], "b.test");
    }

    #[test]
    fn targets_that_are_no_path_are_refused() {
        let host = [("host", "a")];
        assert_eq!(detail("CONNECT", "a:80", &host).0, 405);
        assert_eq!(detail("GET", "a:80", &host).0, 400);
        assert_eq!(detail("GET", "*", &host).0, 400);
        assert_eq!(detail("GET", "ftp://a/", &host).0, 400);
        let long = format!("/{}", "x".repeat(9000));
        assert_eq!(detail("GET", &long, &host).0, 414);
        checked(&mut head("OPTIONS", "*", &host)).unwrap();
    }

    #[test]
    fn nominated_fields_go_but_never_those_that_framing_rests_on() {
        let fields = [
            ("host", "a"),
            ("connection", "x-secret, Host, content-length, close"),
            ("x-secret", "1"),
            ("content-length", "0"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
        ];
        let mut head = head("POST", "/", &fields);
        let facts = checked(&mut head).unwrap();
        assert!(facts.close);
        let left: Vec<_> = head.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["host", "content-length"]);
    }

    #[test]
    fn framing_that_could_smuggle_is_refused() {
        let te = |value| [("host", "a"), ("transfer-encoding", value)];
        assert_eq!(detail("POST", "/", &te("gzip, chunked")).0, 501);
        assert_eq!(detail("POST", "/", &te("identity")).0, 501);
        let twice = [
            ("host", "a"),
            ("transfer-encoding", "chunked"),
            ("transfer-encoding", "x"),
        ];
        assert_eq!(detail("POST", "/", &twice).0, 400);
        assert_eq!(detail("GET", "/", &[("host", "a"), ("x_y", "1")]).0, 400);
        assert_eq!(
            detail("GET", "/", &[("host", "a"), ("expect", "200-ok")]).0,
            417
        );
    }

    #[test]
    fn only_a_websocket_is_offered_upstream() {
        let ask = |upgrade| {
            let fields = [
                ("host", "a"),
                ("connection", "Upgrade"),
                ("upgrade", upgrade),
            ];
            let mut head = head("GET", "/", &fields);
            let facts = checked(&mut head).unwrap();
            (facts.websocket, head.headers.contains_key(header::UPGRADE))
        };
        assert_eq!(ask("WebSocket"), (true, true));
        assert_eq!(ask("h2c"), (false, false));
        assert_eq!(ask("websocket, h2c"), (false, false));
    }

    #[test]
    fn all_hop_by_hop_fields_are_known_as_such() {
        let seen = |name: &str| {
            let mut seen = HopByHop::default();
            seen.see(name);
            seen.0
        };
        for (index, name) in HOP_BY_HOP.iter().enumerate() {
            assert_eq!(seen(name.as_str()), 1 << index, "{name}");
        }
        assert_eq!(seen("host"), 0);
    }

    #[test]
    fn checking_twice_changes_nothing_more() {
        let mut head = head(
            "GET",
            "http://b.test/x",
            &[("host", "a"), ("connection", "x")],
        );
        let first = checked(&mut head).unwrap();
        let after = (head.uri.clone(), head.headers.clone());
        assert_eq!(checked(&mut head).unwrap(), first);
        assert_eq!((head.uri, head.headers), after);
    }
}
