//! A head that fits HTTP/1.1, as HTTP/2 says it (RFC 9113, 8.3.1): scheme and authority stand in the target.

use http::header::{self, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Request, Version};
use swap_core::Address;

/// `scheme` is that of the connection. A request without a host (HTTP/1.0) is for the instance.
pub(super) fn to_http2<B>(
    request: &mut Request<B>,
    scheme: Scheme,
    instance: &Address,
    trailers: bool,
) {
    *request.version_mut() = Version::HTTP_2;
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

    #[test]
    fn without_a_host_it_is_the_instance() {
        assert_eq!(translated("/", None).uri(), "http://[::1]:3000/");
        assert_eq!(translated("*", None).uri().path(), "*");
    }
}
