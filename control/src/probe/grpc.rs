//! The health check that gRPC servers share (`grpc.health.v1`): its one request and its one answer are small enough to
//! be written out.

use http::header::{CONTENT_TYPE, HeaderMap, TE, USER_AGENT};
use http::{HeaderValue, Request};
use http_body_util::{Collected, Full};
use hyper::body::Bytes;

use super::ask::{AGENT, absolute};

const PATH: &str = "/grpc.health.v1.Health/Check";
/// In front of each message: not compressed, and four octets of length.
const PREFIX: usize = 5;
/// Field 1 with a length, of `HealthCheckRequest`: the service.
const SERVICE: u8 = 1 << 3 | 2;
/// Field 1 with a number, of `HealthCheckResponse`: the status.
const STATUS: u8 = 1 << 3;

/// Asks whether `service` serves; an empty one is the whole server.
pub(super) fn request(authority: &str, service: &str) -> Result<Request<Full<Bytes>>, http::Error> {
    Request::post(absolute(authority, PATH)?)
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, AGENT)
        .body(Full::new(message(service).into()))
}

/// `HealthCheckRequest`, framed.
fn message(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    // The configuration knows no longer ones, so one octet holds the length.
    if let Ok(len @ 1..=127) = u8::try_from(service.len()) {
        message.extend([SERVICE, len]);
        message.extend(service.as_bytes());
    }
    let len = u32::try_from(message.len()).unwrap_or(0);
    let mut framed = vec![0];
    framed.extend(len.to_be_bytes());
    framed.extend(message);
    framed
}

/// Whether the answer says `SERVING`; else what it says.
pub(super) fn judge(head: &HeaderMap, body: Collected<Bytes>) -> Result<(), String> {
    let trailers = body.trailers().unwrap_or(head);
    let said = |name| {
        trailers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    match said("grpc-status") {
        Some("0") => {}
        Some(status) => {
            let words = said("grpc-message").unwrap_or_default();
            return Err(format!("grpc-status {status} {words}")
                .trim_end()
                .to_owned());
        }
        None => return Err("without grpc-status".to_owned()),
    }
    match status(&body.to_bytes()) {
        Some(1) => Ok(()),
        Some(0) => Err("UNKNOWN".to_owned()),
        Some(2) => Err("NOT_SERVING".to_owned()),
        Some(3) => Err("SERVICE_UNKNOWN".to_owned()),
        _ => Err("with no health in it".to_owned()),
    }
}

/// The number in a framed `HealthCheckResponse`; a number that is left out is 0.
fn status(framed: &[u8]) -> Option<u8> {
    let (prefix, message) = framed.split_at_checked(PREFIX)?;
    let len = u32::from_be_bytes(prefix[1..].try_into().ok()?);
    if prefix[0] != 0 || usize::try_from(len) != Ok(message.len()) {
        return None;
    }
    match message {
        [] => Some(0),
        [STATUS, status] => Some(*status),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_names_the_service() {
        assert_eq!(message(""), [0, 0, 0, 0, 0]);
        assert_eq!(message("a.B"), *b"\0\0\0\0\x05\x0a\x03a.B");
    }

    #[test]
    fn the_answer_is_a_number_in_a_frame() {
        assert_eq!(status(b"\0\0\0\0\x02\x08\x01"), Some(1));
        assert_eq!(status(b"\0\0\0\0\0"), Some(0));
        for broken in [
            &b""[..],
            b"\0\0\0",
            b"\0\0\0\0\x05\x08\x01",
            b"\x01\0\0\0\x02\x08\x01",
        ] {
            assert_eq!(status(broken), None, "{broken:?}");
        }
    }
}
