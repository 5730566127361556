//! TLS on the clients' side: they believe one authority, and say by ALPN what they speak.

use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::plan::Secure;
use super::wire::Wire;

/// What a connection is spoken over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// How handshakes are made. Sessions are resumed.
pub(crate) struct Trust {
    name: ServerName<'static>,
    http1: TlsConnector,
    http2: TlsConnector,
}

impl Trust {
    pub(crate) fn new(secure: &Secure) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        let known = CertificateDer::pem_file_iter(&secure.authority).map_err(io::Error::other)?;
        for certificate in known {
            let certificate = certificate.map_err(io::Error::other)?;
            roots.add(certificate).map_err(io::Error::other)?;
        }
        let name = ServerName::try_from(secure.name.clone()).map_err(io::Error::other)?;
        Ok(Self {
            name,
            http1: connector(&roots, b"http/1.1")?,
            http2: connector(&roots, b"h2")?,
        })
    }

    pub(crate) async fn shake_hands(&self, wire: Wire, http2: bool) -> io::Result<Box<dyn Stream>> {
        let connector = if http2 { &self.http2 } else { &self.http1 };
        let stream = connector.connect(self.name.clone(), wire).await?;
        Ok(Box::new(stream))
    }
}

fn connector(roots: &RootCertStore, protocol: &[u8]) -> io::Result<TlsConnector> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let mut config = config
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
