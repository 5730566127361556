//! What HTTP/2 says otherwise (RFC 9113, 8.3.1 and 8.2.3). Fields of a connection never get here: the framing layer
//! refuses them (8.2.2).

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use hyper::ext::Protocol;

use super::{Refused, refuse};

/// Makes an HTTP/2 head mean the same in HTTP/1.1: Host from `:authority`, cookies in one field, GET for a WebSocket.
/// Returns whether it is one.
pub(super) fn translate(head: &mut Parts) -> Result<bool, Refused> {
    let websocket = translate_connect(head)?;
    join_authority(head)?;
    join_cookies(head);
    Ok(websocket)
}

/// Extended CONNECT (RFC 8441, 4) asks for what `Upgrade` asks for in HTTP/1.1. Without a protocol it is none, and is
/// refused with its target.
fn translate_connect(head: &mut Parts) -> Result<bool, Refused> {
    let protocol = head.extensions.remove::<Protocol>();
    let Some(protocol) = protocol.filter(|_| head.method == Method::CONNECT) else {
        return Ok(false);
    };
    if protocol.as_str() != "websocket" {
        return refuse(
            StatusCode::NOT_IMPLEMENTED,
            "CONNECT with a protocol other than websocket",
        );
    }
    head.method = Method::GET;
    Ok(true)
}

fn join_authority(head: &mut Parts) -> Result<(), Refused> {
    let Some(authority) = head.uri.authority() else {
        return Ok(());
    };
    let disagrees = |host: &HeaderValue| {
        !host
            .as_bytes()
            .eq_ignore_ascii_case(authority.as_str().as_bytes())
    };
    if head.headers.get(header::HOST).is_some_and(disagrees) {
        return refuse(StatusCode::BAD_REQUEST, ":authority and Host disagree");
    }
    if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
        head.headers.entry(header::HOST).or_insert(host);
    }
    Ok(())
}

fn join_cookies(head: &mut Parts) {
    let crumbs: Vec<&[u8]> = head
        .headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if crumbs.len() > 1
        && let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        head.headers.insert(header::COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use holdfast_config::Limits;
    use http::Version;

    use super::*;
    use crate::policy::check;

    fn connect(protocol: Option<&'static str>) -> Parts {
        let builder = http::Request::builder()
            .method("CONNECT")
            .version(Version::HTTP_2);
        let uri = if protocol.is_some() {
            "https://a.test/chat?x"
        } else {
            "a.test:443"
        };
        let mut head = builder.uri(uri).body(()).unwrap().into_parts().0;
        if let Some(protocol) = protocol {
            head.extensions.insert(Protocol::from_static(protocol));
        }
        head
    }

    #[test]
    fn a_connect_for_a_websocket_is_a_get_that_offers_it() {
        let mut head = connect(Some("websocket"));
        let facts = check(&mut head, false, &Limits::default()).unwrap();
        assert!(facts.websocket && facts.connect);
        assert_eq!(
            (&head.method, head.uri.to_string().as_str()),
            (&Method::GET, "/chat?x")
        );
        assert_eq!(head.headers[header::HOST], "a.test");
        assert_eq!(head.headers[header::UPGRADE], "websocket");
    }

    #[test]
    fn any_other_connect_is_refused() {
        for (protocol, status) in [
            (Some("connect-udp"), 501),
            (Some("WebSocket"), 501),
            (None, 405),
        ] {
            let refused = check(&mut connect(protocol), false, &Limits::default());
            assert_eq!(refused.unwrap_err().status, status, "{protocol:?}");
        }
    }
}
