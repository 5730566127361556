//! `[app.NAME.upstream]`

use super::tls::file;
use crate::host::parse_name;
use crate::table::Table;
use crate::{CertificateFiles, Protocol, Upstream, UpstreamTls};

pub(super) fn read(mut table: Table<'_>) -> Upstream {
    let protocol = table.value("protocol", r#""http2""#).parsed(protocol);
    let tls = tls(table.table("tls"));
    table.end();
    Upstream {
        protocol: protocol.unwrap_or_default(),
        tls,
    }
}

fn protocol(text: &str) -> Result<Protocol, &'static str> {
    match text {
        "http1" => Ok(Protocol::Http1),
        "http2" => Ok(Protocol::Http2),
        _ => Err("an app speaks \"http1\" or \"http2\""),
    }
}

fn tls(mut table: Table<'_>) -> Option<UpstreamTls> {
    const CA: &str = r#""ca.pem""#;
    if !table.is_present() {
        return None;
    }
    table.needs("ca", CA);
    let ca = table.value("ca", CA).parsed(file);
    let name = table.value("name", r#""app.internal""#).parsed(parse_name);
    let certificate = table.value("certificate", r#""cert.pem""#);
    let key = table.value("key", r#""key.pem""#);
    match (certificate.place(), key.place()) {
        (Some(_), None) => drop(certificate.wrong::<()>("needs `key` beside it")),
        (None, Some(_)) => drop(key.wrong::<()>("needs `certificate` beside it")),
        _ => {}
    }
    let shown = certificate.parsed(file).zip(key.parsed(file));
    table.end();
    Some(UpstreamTls {
        ca: ca?,
        name,
        shown: shown.map(|(certificate, key)| CertificateFiles { certificate, key }),
    })
}
