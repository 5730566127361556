//! The target becomes a path, and tells the host together with Host (RFC 9112, 3.2).

use holdfast_config::Limits;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use http::{Method, StatusCode, Version};

use super::{Refused, refuse};

/// Brings the target into origin-form (or `*`), Host into agreement with it, and returns the host for routing.
pub(super) fn settle(head: &mut Parts, limits: &Limits) -> Result<String, Refused> {
    let method = &head.method;
    if *method == Method::CONNECT {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "CONNECT");
    }
    if head.uri.path().len() + head.uri.query().map_or(0, str::len) > limits.target_size {
        return refuse(StatusCode::URI_TOO_LONG, "the target is too long");
    }
    let path = head.uri.path();
    let asterisk = path == "*";
    if asterisk && *method != Method::OPTIONS {
        return refuse(
            StatusCode::BAD_REQUEST,
            "the target * with a method other than OPTIONS",
        );
    }
    if !asterisk && !path.starts_with('/') {
        return refuse(
            StatusCode::BAD_REQUEST,
            "the target is neither a path nor a URL",
        );
    }
    // Every octet, not as far as the first that is none: eight at a time.
    let visible = |text: &str| {
        text.bytes()
            .fold(true, |all, it| all & it.is_ascii_graphic())
    };
    if !visible(path) || !head.uri.query().is_none_or(visible) {
        return refuse(
            StatusCode::BAD_REQUEST,
            "the target has octets that are not visible ASCII",
        );
    }
    let one_host = one_host(head)?;
    match (head.uri.scheme_str(), head.uri.authority()) {
        (None, None) => host_name(one_host),
        (Some("http" | "https"), Some(authority)) => {
            // RFC 9112, 3.2.2: the target's authority replaces what Host says.
            let other = one_host.is_none_or(|host| host != authority.as_str());
            let Ok(value) = other
                .then(|| HeaderValue::from_str(authority.as_str()))
                .transpose()
            else {
                return refuse(
                    StatusCode::BAD_REQUEST,
                    "the target's authority is not valid",
                );
            };
            let name = host_name(value.as_ref().or(one_host))?;
            let target = written_out(head.uri.path_and_query());
            if let Some(value) = value {
                head.headers.insert(header::HOST, value);
            }
            head.uri = Uri::from(target);
            Ok(name)
        }
        _ => refuse(
            StatusCode::BAD_REQUEST,
            "the target is neither a path nor an http URL",
        ),
    }
}

/// A path that is empty reads as `/`, but is written as nothing.
fn written_out(target: Option<&PathAndQuery>) -> PathAndQuery {
    let root = || PathAndQuery::from_static("/");
    match target {
        None => root(),
        // One that a fragment was cut off says so and is empty all the same.
        Some(target) if target.as_str() == "/" => root(),
        Some(target) if target.as_str().starts_with('?') => {
            let written = PathAndQuery::try_from(format!("/{}", target.as_str()));
            written.unwrap_or_else(|_| root())
        }
        Some(target) => target.clone(),
    }
}

fn one_host(head: &Parts) -> Result<Option<&HeaderValue>, Refused> {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let first = hosts.next();
    if hosts.next().is_some() {
        return refuse(StatusCode::BAD_REQUEST, "more than one Host");
    }
    if first.is_none() && head.version >= Version::HTTP_11 {
        return refuse(StatusCode::BAD_REQUEST, "no Host");
    }
    Ok(first)
}

/// Whether it is `uri-host [":" port]`.
pub(crate) fn is_host(text: &str) -> bool {
    HeaderValue::from_str(text).is_ok_and(|value| host_name(Some(&value)).is_ok())
}

/// The routing name of `uri-host [":" port]`; empty for no Host (HTTP/1.0).
fn host_name(value: Option<&HeaderValue>) -> Result<String, Refused> {
    let Some(value) = value else {
        return Ok(String::new());
    };
    let bad = Refused {
        status: StatusCode::BAD_REQUEST,
        detail: "Host is not a valid host",
    };
    let text = value.to_str().map_err(|_| bad)?;
    let (host, port) = match text.strip_prefix('[') {
        Some(literal) => {
            let (address, port) = literal.split_once(']').ok_or(bad)?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| bad)?;
            (&text[..address.len() + 2], port)
        }
        None => {
            let colon = text.bytes().position(|octet| octet == b':');
            text.split_at(colon.unwrap_or(text.len()))
        }
    };
    let port_sound = match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|digit| digit.is_ascii_digit()) && digits.len() <= 5,
        None => port.is_empty(),
    };
    let literal = host.starts_with('[');
    if host.is_empty() || !port_sound || !(literal || host.bytes().all(is_in_names)) {
        return Err(bad);
    }
    Ok(host.to_ascii_lowercase())
}

/// The octets of `reg-name` (RFC 3986, 3.2.2).
fn is_in_names(octet: u8) -> bool {
    let is_other = matches!(
        octet,
        b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&'..=b',' | b';' | b'=' | b'%'
    );
    octet.is_ascii_alphanumeric() || is_other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_form_a_target_has_it_goes_on_as_a_path() {
        for (target, written) in [
            ("/", "/"),
            ("/#f", "/"),
            ("/a?#f", "/a?"),
            ("http://a", "/"),
            ("http://a/", "/"),
            ("http://a#f", "/"),
            ("http://a/#f", "/"),
            ("http://a?", "/?"),
            ("http://a?x#f", "/?x"),
            ("http://a//b", "//b"),
        ] {
            let request = http::Request::get(target).header("host", "a");
            let mut head = request.body(()).unwrap().into_parts().0;
            assert_eq!(settle(&mut head, &Limits::default()).unwrap(), "a");
            assert_eq!(head.uri.to_string(), written, "{target}");
            let target = head.uri.path_and_query().unwrap();
            assert_eq!(target.as_str(), written, "as it is written down to wait");
        }
    }
}
