//! Where a Prometheus server is: `http://127.0.0.1:9090`, perhaps with a path before its own.

use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;

/// A server that speaks plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerUrl {
    /// For the connect: `host:port`.
    pub(crate) place: String,
    /// For the field `Host`.
    pub(crate) authority: String,
    /// Without a slash at its end.
    prefix: String,
}

impl ServerUrl {
    /// The target that asks for the present value of a query.
    pub(crate) fn target(&self, query: &str) -> String {
        let mut target = format!("{}/api/v1/query?query=", self.prefix);
        for octet in query.bytes() {
            match octet {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    target.push(char::from(octet));
                }
                _ => target.push_str(&format!("%{octet:02X}")),
            }
        }
        target
    }
}

impl FromStr for ServerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "has no URL such as http://127.0.0.1:9090".to_owned();
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        if uri.scheme() == Some(&Scheme::HTTPS) {
            return Err("asks for https, and only plain http is spoken to a Prometheus".to_owned());
        }
        let authority = uri.authority().ok_or_else(wrong)?;
        let is_plain = uri.scheme() == Some(&Scheme::HTTP) && uri.query().is_none();
        if !is_plain || authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(wrong());
        }
        let port = match (authority.port_u16(), authority.port()) {
            (Some(port), _) => port,
            (None, None) => 80,
            (None, Some(_)) => return Err(wrong()),
        };
        Ok(Self {
            place: format!("{}:{port}", authority.host()),
            authority: authority.as_str().to_owned(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_place_and_perhaps_a_path() {
        let url: ServerUrl = "http://metrics:9090/prom/".parse().unwrap();
        assert_eq!(url.place, "metrics:9090");
        assert_eq!(
            url.target(r#"up{a="b c"}"#),
            "/prom/api/v1/query?query=up%7Ba%3D%22b%20c%22%7D"
        );
        let bare: ServerUrl = "http://[::1]".parse().unwrap();
        assert_eq!(bare.place, "[::1]:80");
        assert_eq!(bare.target("1"), "/api/v1/query?query=1");
        for wrong in [
            "",
            "metrics:9090",
            "https://m",
            "ftp://m",
            "http://u@m",
            "http://m/?a=b",
        ] {
            assert!(wrong.parse::<ServerUrl>().is_err(), "{wrong}");
        }
    }
}
