//! The answers that we give ourselves: status, reason, `Proxy-Status` (RFC 9209), `Retry-After`, a short body.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use swap_gate::Reason as Shed;

use crate::counters::Loss;
use crate::policy::Refused;

/// Why we answer instead of the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Shed(Shed),
    NoRoute,
    Lost(Loss),
    BadRequest(Refused),
    /// The drain timeout ended it.
    Cut,
    /// The outer balancer's health check, answered while the app is held.
    HeldProbe,
    /// This listener only sends clients to `https`.
    HttpsOnly,
}

impl Reason {
    /// One word for scripts and metrics.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Shed(Shed::Full) => "hold_full",
            Self::Shed(Shed::Bytes) => "hold_bytes",
            Self::Shed(Shed::Share) => "hold_share",
            Self::Shed(Shed::Timeout | Shed::GivenUp) => "hold_timeout",
            Self::NoRoute => "no_route",
            Self::Lost(loss) => loss.word(),
            Self::BadRequest(_) => "bad_request",
            Self::Cut => "cut",
            Self::HeldProbe => "held",
            Self::HttpsOnly => "https_only",
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Shed(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::Lost(Loss::ConnectTimeout | Loss::UpstreamTimeout) => StatusCode::GATEWAY_TIMEOUT,
            Self::Lost(_) | Self::Cut => StatusCode::BAD_GATEWAY,
            Self::BadRequest(refused) => refused.status,
            Self::HeldProbe => StatusCode::OK,
            Self::HttpsOnly => StatusCode::PERMANENT_REDIRECT,
        }
    }

    /// What a person reads.
    fn text(self) -> &'static str {
        match self {
            Self::Shed(Shed::Full) => "too many requests wait for this app already",
            Self::Shed(Shed::Bytes) => "the requests that wait for this app take too much memory",
            Self::Shed(Shed::Share) => "too many requests of this client wait already",
            Self::Shed(Shed::Timeout) => "the app did not come back in time",
            Self::Shed(Shed::GivenUp) => "the app has been away for too long",
            Self::NoRoute => "no app takes this host and path",
            Self::Lost(Loss::ConnectRefused) => "no instance of the app takes connections",
            Self::Lost(Loss::ConnectTimeout) => "connecting to the app took too long",
            Self::Lost(Loss::UpstreamTimeout) => "the app did not answer in time",
            Self::Lost(Loss::UpstreamReset) => "the app ended the connection before its answer",
            Self::Lost(Loss::UpstreamMalformed) => "the app's answer is not valid HTTP",
            Self::Lost(Loss::AnswerCutShort) => "the app's answer broke off",
            Self::Cut => "the app did not answer before its replacement took over for good",
            Self::BadRequest(refused) => refused.detail,
            Self::HeldProbe => "held",
            Self::HttpsOnly => "this address speaks https only",
        }
    }

    /// The error type of RFC 9209, 2.3.
    fn proxy_error(self) -> &'static str {
        match self {
            Self::Shed(_) => "destination_unavailable",
            Self::NoRoute => "destination_not_found",
            Self::Lost(Loss::ConnectRefused) => "connection_refused",
            Self::Lost(Loss::ConnectTimeout) => "connection_timeout",
            Self::Lost(Loss::UpstreamTimeout) => "http_response_timeout",
            Self::Lost(Loss::UpstreamReset) | Self::Cut => "connection_terminated",
            Self::Lost(Loss::UpstreamMalformed) => "http_protocol_error",
            Self::Lost(Loss::AnswerCutShort) => "http_response_incomplete",
            Self::BadRequest(_) => "http_request_error",
            Self::HeldProbe | Self::HttpsOnly => "",
        }
    }
}

/// In how many seconds a retry can help; a second or two apart, so that the excess does not return as one wave.
fn retry_after() -> HeaderValue {
    HeaderValue::from(fastrand::u16(1..=3))
}

/// Whether who asks with these fields accepts JSON. Asked of every request, and browsers name many types: one that is not
/// there is ruled out by a letter.
pub(crate) fn is_json_accepted(fields: &HeaderMap) -> bool {
    let Some(accept) = fields.get(header::ACCEPT) else {
        return false;
    };
    let names_json = |accept: &str| accept.contains("application/json");
    accept.as_bytes().contains(&b'j') && accept.to_str().is_ok_and(names_json)
}

/// The answer for `reason`: JSON, else text.
pub(crate) fn answer(reason: Reason, json: bool) -> Response<Bytes> {
    let word = reason.word();
    let (content_type, body) = if json {
        let object = serde_json::json!({ "reason": word, "detail": reason.text() });
        ("application/json", format!("{object}\n"))
    } else {
        (
            "text/plain; charset=utf-8",
            format!("{word}: {}\n", reason.text()),
        )
    };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = reason.status();
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(status) = proxy_status(reason) {
        fields.insert("proxy-status", status);
    }
    if matches!(reason, Reason::Shed(_)) {
        fields.insert(header::RETRY_AFTER, retry_after());
    }
    response
}

fn proxy_status(reason: Reason) -> Option<HeaderValue> {
    if matches!(reason, Reason::HeldProbe | Reason::HttpsOnly) {
        return None;
    }
    let details = match reason {
        Reason::BadRequest(refused) => refused.detail,
        other => other.word(),
    };
    let value = format!(
        "holdfast; error={}; details=\"{details}\"",
        reason.proxy_error()
    );
    HeaderValue::try_from(value).ok()
}
