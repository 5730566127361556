//! The text of one line. Its first half is written when the request sets out, while all of it is there; so nothing of
//! the request is kept for the log but text.

use std::net::IpAddr;
use std::time::Duration;

use http::{Method, StatusCode};
use serde::Serialize;
use swap_core::{AppName, ReleaseId};

/// A line that waits for the end of its request.
#[derive(Debug)]
pub(crate) struct Line {
    began: Box<[u8]>,
}

/// What is known of a request that sets out.
pub(crate) struct Began<'t> {
    pub(crate) client: IpAddr,
    pub(crate) method: &'t Method,
    pub(crate) host: &'t str,
    pub(crate) path: &'t str,
    pub(crate) request_id: &'t [u8],
}

/// What is known of it when it has ended.
pub(crate) struct Ended<'t> {
    pub(crate) app: Option<&'t AppName>,
    pub(crate) release: Option<&'t ReleaseId>,
    /// None: the client left.
    pub(crate) status: Option<StatusCode>,
    pub(crate) reason: Option<&'static str>,
    pub(crate) took: Duration,
    pub(crate) held: Duration,
    pub(crate) bytes: u64,
}

impl Line {
    pub(crate) fn begin(began: &Began<'_>) -> Self {
        let Began {
            client,
            method,
            host,
            path,
            request_id,
        } = began;
        let mut text = Vec::with_capacity(128 + host.len() + path.len() + request_id.len());
        put(&mut text, r#","client":"#, client);
        put(&mut text, r#","method":"#, method.as_str());
        put(&mut text, r#","host":"#, host);
        put(&mut text, r#","path":"#, path);
        let request_id = String::from_utf8_lossy(request_id);
        put(&mut text, r#","request_id":"#, &*request_id);
        Self {
            began: text.into_boxed_slice(),
        }
    }

    /// Puts the whole line onto a page. `second` and `microsecond` are now, in UTC.
    pub(super) fn end(
        &self,
        page: &mut Vec<u8>,
        second: &str,
        microsecond: u32,
        ended: &Ended<'_>,
    ) {
        page.extend_from_slice(br#"{"at":""#);
        page.extend_from_slice(second.as_bytes());
        put_fraction(page, microsecond, 6);
        page.extend_from_slice(br#"Z""#);
        page.extend_from_slice(&self.began);
        put(page, r#","app":"#, &ended.app);
        put(page, r#","release":"#, &ended.release);
        let status = ended.status.map(|status| status.as_u16());
        put(page, r#","status":"#, &status);
        put(page, r#","reason":"#, &ended.reason);
        put_millis(page, r#","took_ms":"#, ended.took);
        put_millis(page, r#","held_ms":"#, ended.held);
        put(page, r#","bytes":"#, &ended.bytes);
        page.extend_from_slice(b"}\n");
    }
}

fn put(text: &mut Vec<u8>, name: &'static str, value: &(impl Serialize + ?Sized)) {
    text.extend_from_slice(name.as_bytes());
    // Neither memory nor these values can refuse.
    let _ = serde_json::to_writer(text, value);
}

/// Milliseconds with three decimals.
fn put_millis(text: &mut Vec<u8>, name: &'static str, duration: Duration) {
    put(text, name, &(duration.as_micros() / 1000));
    put_fraction(text, duration.subsec_micros() % 1000, 3);
}

/// `.000128`: a point, and so many digits.
fn put_fraction(text: &mut Vec<u8>, number: u32, digits: usize) {
    let start = text.len();
    text.resize(start + 1 + digits, b'.');
    let mut rest = number;
    for digit in text[start + 1..].iter_mut().rev() {
        // A remainder of 10 is one digit.
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_is_one_json_object_whatever_the_request_says() {
        let line = Line::begin(&Began {
            client: [127, 0, 0, 1].into(),
            method: &Method::GET,
            host: "shop.test",
            path: "/\"\\\u{7f}ü",
            request_id: b"a\xff\"",
        });
        let (app, release): (AppName, ReleaseId) =
            ("shop".parse().unwrap(), "41c8".parse().unwrap());
        let ended = Ended {
            app: Some(&app),
            release: Some(&release),
            status: Some(StatusCode::OK),
            reason: None,
            took: Duration::from_micros(61_002_048),
            held: Duration::from_nanos(999),
            bytes: 128,
        };
        let mut page = Vec::new();
        line.end(&mut page, "2026-11-21T19:40:08", 42, &ended);
        assert_eq!(page.iter().filter(|octet| **octet == b'\n').count(), 1);
        let object: serde_json::Value = serde_json::from_slice(&page).unwrap();
        let expected = json!({
            "at": "2026-11-21T19:40:08.000042Z",
            "client": "127.0.0.1",
            "method": "GET",
            "host": "shop.test",
            "path": "/\"\\\u{7f}ü",
            "request_id": "a\u{fffd}\"",
            "app": "shop",
            "release": "41c8",
            "status": 200,
            "reason": null,
            "took_ms": 61002.048,
            "held_ms": 0.0,
            "bytes": 128,
        });
        assert_eq!(object, expected);
    }
}
