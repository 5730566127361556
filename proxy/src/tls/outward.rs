//! TLS to an app's instances: who they have to be, and who we are.

use std::fmt;
use std::io;
use std::sync::Arc;

use holdfast_config::{Protocol, UpstreamTls};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use swap_core::Address;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificates::{TlsError, authorities, chain, private_key};
use super::{HTTP_2, randomness};

/// The way in TLS to the instances of one app.
pub(crate) struct Outward {
    config: Arc<ClientConfig>,
    /// None: each instance's own address.
    name: Option<ServerName<'static>>,
    protocol: Protocol,
}

impl Outward {
    /// Reads all files.
    pub(crate) fn open(settings: &UpstreamTls, protocol: Protocol) -> Result<Self, TlsError> {
        randomness::begin()?;
        let UpstreamTls { ca, name, shown } = settings;
        let name = name.clone().map(ServerName::try_from).transpose();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::of_rustls)?
            .with_root_certificates(authorities(ca)?);
        let mut config = match shown {
            None => builder.with_no_client_auth(),
            Some(files) => {
                let (chain, key) = (chain(&files.certificate)?, private_key(&files.key)?);
                let wrong = |error| TlsError::new(&files.certificate, format!("{error}"));
                builder.with_client_auth_cert(chain, key).map_err(wrong)?
            }
        };
        config.alpn_protocols = vec![match protocol {
            Protocol::Http1 => b"http/1.1".to_vec(),
            Protocol::Http2 => HTTP_2.to_vec(),
        }];
        Ok(Self {
            config: Arc::new(config),
            name: name.map_err(|error| TlsError::new(ca, format!("tls.name: {error}")))?,
            protocol,
        })
    }

    /// Shakes hands.
    pub(crate) async fn secure<S>(&self, stream: S, instance: &Address) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = match (&self.name, instance) {
            (Some(name), _) => name.clone(),
            (None, Address::Tcp(address)) => ServerName::IpAddress(address.ip().into()),
            (None, Address::Unix(_)) => {
                ServerName::try_from("localhost").map_err(io::Error::other)?
            }
        };
        let connector = TlsConnector::from(self.config.clone());
        let stream = connector.connect(name, stream).await?;
        let agreed = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
        if self.protocol == Protocol::Http2 && !agreed {
            return Err(io::Error::other("it does not agree to speak HTTP/2"));
        }
        Ok(stream)
    }
}

impl fmt::Debug for Outward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outward")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
