//! Opening a crowd's connections, one after the other.

use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio_rustls::TlsConnector;

use super::super::head;
use super::Crowd;

/// With TLS or without.
pub(super) type Stream = Box<dyn Io>;

pub(super) trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// The sending half of a connection in HTTP/2.
pub(super) type H2 = h2::client::SendRequest<bytes::Bytes>;

/// A connection that is open. None: it has ended, or somebody has it.
pub(super) enum Connection {
    H1(Option<Stream>),
    H2(Option<H2>),
}

pub(super) async fn all(plan: &Crowd) -> io::Result<Vec<Connection>> {
    let tls = plan.kind.is_tls().then(|| connector(plan)).transpose()?;
    let mut connections = Vec::with_capacity(plan.connections as usize);
    for _ in 0..plan.connections {
        connections.push(one(plan, tls.as_ref()).await?);
    }
    Ok(connections)
}

/// One connection.
pub(super) async fn first(plan: &Crowd) -> io::Result<Connection> {
    let tls = plan.kind.is_tls().then(|| connector(plan)).transpose()?;
    one(plan, tls.as_ref()).await
}

async fn one(plan: &Crowd, tls: Option<&TlsConnector>) -> io::Result<Connection> {
    let stream = TcpStream::connect(plan.address).await?;
    stream.set_nodelay(true)?;
    let stream: Stream = match tls {
        Some(tls) => {
            let name = ServerName::try_from(head::HOST).map_err(io::Error::other)?;
            Box::new(tls.connect(name, stream).await?)
        }
        None => Box::new(stream),
    };
    if !plan.kind.is_h2() {
        return Ok(Connection::H1(Some(stream)));
    }
    let handshake = h2::client::handshake(stream).await;
    let (sender, connection) = handshake.map_err(io::Error::other)?;
    // Its end is seen by the requests on it.
    spawn_local(connection);
    Ok(Connection::H2(Some(sender)))
}

fn connector(plan: &Crowd) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let known = CertificateDer::pem_file_iter(&plan.certificate).map_err(io::Error::other)?;
    for certificate in known {
        let certificate = certificate.map_err(io::Error::other)?;
        roots.add(certificate).map_err(io::Error::other)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    let protocol: &[u8] = if plan.kind.is_h2() {
        b"h2"
    } else {
        b"http/1.1"
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
