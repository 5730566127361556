//! The smallest pingora proxy that does the same work on fields as Holdfast. `compare` starts it:
//! `compare-pingora LISTEN ORIGIN [h2c-front] [h2c-back] [tls=CERTIFICATE,KEY] [hosts=FILE]`.
//!
//! One thread, as every proxy there has. Hop-by-hop fields are pingora's own business.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use http::header::{self, HeaderValue};
use pingora::Result;
use pingora::apps::HttpServerOptions;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::listeners::tls::TlsSettings;
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;
use uuid::Uuid;

/// Idle connections to the origin that are kept: more than any workload has.
const KEPT: usize = 20_000;

struct Proxy {
    origin: SocketAddr,
    http2_to_origin: bool,
    tls: bool,
    /// The hosts that are taken. None: all.
    hosts: Option<HashSet<String>>,
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn request_filter(&self, session: &mut Session, _: &mut ()) -> Result<bool> {
        let Some(hosts) = &self.hosts else {
            return Ok(false);
        };
        if hosts.contains(host(session.req_header())) {
            return Ok(false);
        }
        session.respond_error(404).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, _: &mut Session, _: &mut ()) -> Result<Box<HttpPeer>> {
        let mut peer = HttpPeer::new(self.origin, false, String::new());
        if self.http2_to_origin {
            peer.options.set_http_version(2, 2);
            peer.options.max_h2_streams = 100;
        }
        Ok(Box::new(peer))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        _: &mut (),
    ) -> Result<()> {
        let address = session.client_addr().and_then(|address| address.as_inet());
        let client = address.map_or(IpAddr::from([0, 0, 0, 0]), |address| address.ip());
        let asked = match request.headers.get(header::HOST) {
            Some(asked) => Some(asked.clone()),
            None => HeaderValue::from_str(host(session.req_header())).ok(),
        };
        request.remove_header("forwarded");
        request.insert_header("x-forwarded-for", client.to_string())?;
        let scheme = if self.tls { "https" } else { "http" };
        request.insert_header("x-forwarded-proto", scheme)?;
        if let Some(asked) = asked {
            request.insert_header("x-forwarded-host", asked)?;
        }
        if !request.headers.contains_key("x-request-id") {
            request.insert_header("x-request-id", Uuid::new_v4().simple().to_string())?;
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        _: &mut Session,
        answer: &mut ResponseHeader,
        _: &mut (),
    ) -> Result<()> {
        answer.insert_header("x-release", "v1")
    }
}

/// Whom the request asks, without the port.
fn host(request: &RequestHeader) -> &str {
    let field = request.headers.get(header::HOST);
    let said = field.and_then(|value| value.to_str().ok());
    let said = said.or_else(|| request.uri.host()).unwrap_or_default();
    said.split(':').next().unwrap_or_default()
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(listen), Some(Ok(origin))) = (
        arguments.next(),
        arguments.next().map(|text| text.parse::<SocketAddr>()),
    ) else {
        eprintln!(
            "usage: compare-pingora LISTEN ORIGIN [h2c-front] [h2c-back] [tls=C,K] [hosts=F]"
        );
        return ExitCode::from(2);
    };
    let options: Vec<String> = arguments.collect();
    let value = |key: &str| options.iter().find_map(|it| it.strip_prefix(key));
    let flag = |name: &str| options.iter().any(|it| it == name);
    let hosts = value("hosts=").and_then(|path| std::fs::read_to_string(path).ok());
    let tls = value("tls=").and_then(|files| files.split_once(','));

    let mut conf = ServerConf::new().unwrap_or_default();
    conf.threads = 1;
    conf.upstream_keepalive_pool_size = KEPT;
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let proxy = Proxy {
        origin,
        http2_to_origin: flag("h2c-back"),
        tls: tls.is_some(),
        hosts: hosts.map(|text| text.lines().map(str::to_owned).collect()),
    };
    let mut service = http_proxy_service(&Arc::clone(&server.configuration), proxy);
    if flag("h2c-front")
        && let Some(logic) = service.app_logic_mut()
    {
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        logic.server_options = Some(options);
    }
    match tls {
        None => service.add_tcp(&listen),
        Some((certificate, key)) => match TlsSettings::intermediate(certificate, key) {
            Ok(settings) => service.add_tls_with_settings(&listen, None, settings),
            Err(why) => {
                eprintln!("tls: {why}");
                return ExitCode::from(2);
            }
        },
    }
    server.add_service(service);
    server.run_forever();
}
