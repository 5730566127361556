//! TLS to an ACME authority's own server: it has to show a certificate that the system trusts, or one of an authority
//! that the configuration names.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificates::{TlsError, authorities};

/// How connections to the authority are secured.
#[derive(Clone)]
pub(crate) struct ToAuthority(TlsConnector);

impl ToAuthority {
    /// `root`: PEM of whom to trust besides those the system does.
    pub(crate) fn new(root: Option<&Path>) -> Result<Self, TlsError> {
        let mut roots = root.map_or_else(|| Ok(RootCertStore::empty()), authorities)?;
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            tracing::debug!(%error, "an authority of the system is passed over");
        }
        roots.add_parsable_certificates(system.certs);
        if roots.is_empty() {
            tracing::warn!(
                "the system trusts no authorities (is ca-certificates installed?): the ACME \
                 server's certificate cannot be checked"
            );
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::of_rustls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Shakes hands with the server of this name.
    pub(crate) async fn secure(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        self.0.connect(name, stream).await
    }
}
