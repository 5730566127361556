//! A head that fits both versions of HTTP, as each of them says it.

use http::header::{self, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Request, Version};
use http_body::Body;
use swap_core::Address;

/// Names a host, even if it says nothing (RFC 9112, 3.2): a client of HTTP/1.0 need not. And says that a body of unknown
/// length comes in chunks: unasked, hyper leaves that of a GET or HEAD away.
pub(crate) fn to_http1<B: Body>(request: &mut Request<B>) {
    let fields = request.headers_mut();
    fields
        .entry(header::HOST)
        .or_insert(HeaderValue::from_static(""));
    let has_length = request.body().size_hint().exact().is_some();
    if !has_length && !request.headers().contains_key(header::CONTENT_LENGTH) {
        let chunked = HeaderValue::from_static("chunked");
        let fields = request.headers_mut();
        fields.insert(header::TRANSFER_ENCODING, chunked);
    }
}

/// Scheme and authority stand in the target (RFC 9113, 8.3.1), and no field says how the body is framed. `scheme` is
/// that of the connection. A request without a host (HTTP/1.0) is for the instance.
pub(super) fn to_http2<B>(
    request: &mut Request<B>,
    scheme: Scheme,
    instance: &Address,
    trailers: bool,
) {
    *request.version_mut() = Version::HTTP_2;
    // It may have been on its way to an app in HTTP/1.1 before.
    request.headers_mut().remove(header::TRANSFER_ENCODING);
    let host = request.headers().get(header::HOST);
    let named = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    if named.is_some() {
        request.headers_mut().remove(header::HOST);
    }
    let mut target = Uri::default().into_parts();
    target.scheme = Some(scheme);
    target.authority = Some(named.unwrap_or_else(|| authority(instance)));
    let path = request.uri().path_and_query().cloned();
    target.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    if let Ok(target) = Uri::from_parts(target) {
        *request.uri_mut() = target;
    }
    if trailers {
        // The only thing that TE may say here (8.2.2), and gRPC asks for it.
        let trailers = HeaderValue::from_static("trailers");
        request.headers_mut().insert(header::TE, trailers);
    }
}

fn authority(instance: &Address) -> Authority {
    let localhost = Authority::from_static("localhost");
    match instance {
        Address::Tcp(address) => address.to_string().parse().unwrap_or(localhost),
        Address::Unix(_) => localhost,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::{Frame, SizeHint};

    use super::*;

    fn translated(target: &str, host: Option<&str>) -> Request<()> {
        let mut request = Request::builder().uri(target).body(()).unwrap();
        if let Some(host) = host {
            let host = host.parse().unwrap();
            request.headers_mut().insert(header::HOST, host);
        }
        let instance = Address::Tcp("[::1]:3000".parse().unwrap());
        to_http2(&mut request, Scheme::HTTP, &instance, true);
        request
    }

    #[test]
    fn the_host_becomes_the_authority() {
        let request = translated("/a?b=c", Some("shop.test:8080"));
        assert_eq!(request.uri(), "http://shop.test:8080/a?b=c");
        assert!(!request.headers().contains_key(header::HOST));
        assert_eq!(request.headers()[header::TE], "trailers");
    }

    /// A body that may know its length.
    struct Sized(SizeHint);

    impl Body for Sized {
        type Data = bytes::Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
            Poll::Ready(None)
        }

        fn size_hint(&self) -> SizeHint {
            self.0
        }
    }

    #[test]
    fn only_http1_says_that_a_body_comes_in_chunks() {
        let instance = Address::Tcp("[::1]:3000".parse().unwrap());
        for (size, chunked) in [(SizeHint::new(), true), (SizeHint::with_exact(5), false)] {
            let mut request = Request::new(Sized(size));
            to_http1(&mut request);
            let is_said = |it: &Request<_>| it.headers().contains_key(header::TRANSFER_ENCODING);
            assert_eq!(is_said(&request), chunked);
            to_http2(&mut request, Scheme::HTTP, &instance, false);
            assert!(!is_said(&request));
        }
    }

    #[test]
    fn without_a_host_it_is_the_instance() {
        assert_eq!(translated("/", None).uri(), "http://[::1]:3000/");
        assert_eq!(translated("*", None).uri().path(), "*");
    }
}
