//! HTTP to the authority: one connection for each request, over TLS always, everything bounded.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use tokio::net::{TcpStream, lookup_host};
use tokio_util::task::AbortOnDropHandle;

use crate::tls::ToAuthority;

/// A request takes no longer, from the look-up of the name to the end of the answer.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// One address is tried for so long.
const CONNECT_MAX: Duration = Duration::from_secs(8);
/// So many addresses of a name are tried.
const ADDRESSES_MAX: usize = 3;
/// The longest body that is read, in octets.
const BODY_MAX: usize = 256 << 10;
/// An authority that asks us to wait for longer is not believed.
const RETRY_AFTER_MAX: u64 = 24 * 60 * 60;

/// Why there is no answer that could be understood.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("{0} is no https URL")]
    NotHttps(Uri),
    #[error("no connection to {host}")]
    Connect {
        host: String,
        #[source]
        error: io::Error,
    },
    #[error("no TLS with {host}")]
    Tls {
        host: String,
        #[source]
        error: io::Error,
    },
    #[error("the exchange broke off")]
    Broken(#[from] hyper::Error),
    #[error("its answer cannot be read")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("it answered {0}, without a reason")]
    Status(StatusCode),
    #[error("no answer within {0:?}")]
    Late(Duration),
}

/// The way to the authority.
#[derive(Clone)]
pub(super) struct Http(ToAuthority);

impl Http {
    pub(super) fn new(tls: ToAuthority) -> Self {
        Self(tls)
    }

    async fn exchange(self, request: Request<BodyWrapper<Bytes>>) -> Result<Answer, HttpError> {
        let (host, port) = server(request.uri())?;
        let stream = connect(&host, port).await.map_err(|error| {
            let host = host.clone();
            HttpError::Connect { host, error }
        })?;
        let secured = self.0.secure(&host, stream).await;
        let stream = secured.map_err(|error| HttpError::Tls { host, error })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let _driving = AbortOnDropHandle::new(tokio::spawn(connection));
        let answer = sender.send_request(in_origin_form(request)).await?;
        let (mut head, body) = answer.into_parts();
        if !head.status.is_success() && !is_json(&head.headers) {
            return Err(HttpError::Status(head.status));
        }
        let body = Limited::new(body, BODY_MAX).collect().await;
        let body = body.map_err(HttpError::Body)?.to_bytes();
        bound_retry_after(&mut head.headers);
        Ok(Response::from_parts(head, body))
    }
}

type Answer = Response<Bytes>;
type Answering = Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>>;

impl HttpClient for Http {
    fn request(&self, request: Request<BodyWrapper<Bytes>>) -> Answering {
        let exchange = Box::pin(self.clone().exchange(request));
        Box::pin(async {
            let answer = tokio::time::timeout(REQUEST_MAX, exchange).await;
            let answer = answer.unwrap_or(Err(HttpError::Late(REQUEST_MAX)));
            let answer = answer.map_err(|error| instant_acme::Error::Other(Box::new(error)))?;
            let (parts, body) = answer.into_parts();
            let body = Box::new(body);
            Ok(BytesResponse { parts, body })
        })
    }
}

/// Whom to connect to; an IPv6 address without its brackets.
fn server(uri: &Uri) -> Result<(String, u16), HttpError> {
    match (uri.scheme(), uri.host()) {
        (Some(scheme), Some(host)) if *scheme == Scheme::HTTPS => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            Ok((host.to_owned(), uri.port_u16().unwrap_or(443)))
        }
        _ => Err(HttpError::NotHttps(uri.clone())),
    }
}

async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host((host, port)).await?.take(ADDRESSES_MAX) {
        match tokio::time::timeout(CONNECT_MAX, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error,
            Err(late) => failed = late.into(),
        }
    }
    Err(failed)
}

/// As a server wants it (RFC 9112, 3.2.1).
fn in_origin_form<B>(mut request: Request<B>) -> Request<B> {
    let authority = request.uri().authority();
    let host = authority.and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    let target = request.uri().path_and_query().cloned();
    *request.uri_mut() = target
        .unwrap_or_else(|| PathAndQuery::from_static("/"))
        .into();
    let fields = request.headers_mut();
    fields.extend(host.map(|host| (header::HOST, host)));
    fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
    request
}

/// `application/json`, or `application/problem+json` (RFC 9457).
fn is_json(fields: &HeaderMap) -> bool {
    let kind = fields.get(header::CONTENT_TYPE);
    kind.and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.contains("json"))
}

/// The ACME client adds the seconds to the clock, which panics where that has an end.
fn bound_retry_after(fields: &mut HeaderMap) {
    let seconds = fields.get(header::RETRY_AFTER);
    let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    if seconds.is_some_and(|seconds| seconds > RETRY_AFTER_MAX) {
        fields.insert(header::RETRY_AFTER, RETRY_AFTER_MAX.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_is_spoken() {
        let server = |uri: &str| server(&uri.parse().unwrap()).ok();
        assert_eq!(
            server("https://a.example/d"),
            Some(("a.example".into(), 443))
        );
        assert_eq!(server("https://[::1]:14000/d"), Some(("::1".into(), 14000)));
        assert_eq!(server("http://a.example/d"), None);
        assert_eq!(server("/d"), None);
    }

    #[test]
    fn a_request_is_in_origin_form() {
        let request = Request::get("https://a.example:1/d?e=f").body(()).unwrap();
        let request = in_origin_form(request);
        assert_eq!(request.uri(), "/d?e=f");
        assert_eq!(request.headers()[header::HOST], "a.example:1");
    }

    #[test]
    fn an_authority_cannot_make_us_wait_for_ever() {
        for (said, kept) in [
            ("18446744073709551615", "86400"),
            ("3", "3"),
            (
                "Fri, 31 Dec 1999 23:59:59 GMT",
                "Fri, 31 Dec 1999 23:59:59 GMT",
            ),
        ] {
            let mut fields = HeaderMap::new();
            fields.insert(header::RETRY_AFTER, HeaderValue::from_static(said));
            bound_retry_after(&mut fields);
            assert_eq!(fields[header::RETRY_AFTER], kept);
        }
    }
}
