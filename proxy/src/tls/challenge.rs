//! tls-alpn-01 (RFC 8737): a handshake in which an authority is shown a certificate made for its question, and nothing
//! else comes after it.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{Acceptor, ClientHello};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::challenges::Challenges;

/// What the protocol is called in a handshake (RFC 8737, 6.2).
const ACME_TLS: &[u8] = b"acme-tls/1";

/// The answer to a question over TLS: the whole of what its handshake uses, so that clients' certificates are not
/// asked of an authority.
#[derive(Clone)]
pub(crate) struct Proof(Arc<ServerConfig>);

/// Shakes hands while something may be asked. None: it was, and is answered.
pub(super) async fn shake(
    stream: TcpStream,
    challenges: &Challenges,
    otherwise: Arc<ServerConfig>,
) -> io::Result<Option<TlsStream<TcpStream>>> {
    let begun = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let Some(Proof(config)) = asked(&begun.client_hello(), challenges) else {
        return begun.into_stream(otherwise).await.map(Some);
    };
    let mut stream = begun.into_stream(config).await?;
    stream.shutdown().await?;
    Ok(None)
}

fn asked(hello: &ClientHello<'_>, challenges: &Challenges) -> Option<Proof> {
    let mut protocols = hello.alpn()?;
    let alone = protocols.next() == Some(ACME_TLS) && protocols.next().is_none();
    challenges.of(hello.server_name().filter(|_| alone)?)
}

#[cfg(feature = "acme")]
mod making {
    use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::sign::{CertifiedKey, SingleCertAndKey};

    use super::{ACME_TLS, Arc, Proof, ServerConfig};

    /// Why there is no proof.
    #[derive(Debug, thiserror::Error)]
    pub(crate) enum NoProof {
        #[error("the certificate for the authority's question cannot be made")]
        Certificate(#[from] rcgen::Error),
        #[error("the certificate for the authority's question cannot be used")]
        Use(#[from] rustls::Error),
        #[error("{0} octets are no SHA-256 digest")]
        Digest(usize),
    }

    impl Proof {
        /// A certificate for `host` with this SHA-256 digest of the key authorization (RFC 8737, 3).
        pub(crate) fn new(host: &str, digest: &[u8]) -> Result<Self, NoProof> {
            if digest.len() != 32 {
                return Err(NoProof::Digest(digest.len()));
            }
            let mut params = CertificateParams::new(vec![host.to_owned()])?;
            params.distinguished_name = DistinguishedName::new();
            params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
            let key = KeyPair::generate()?;
            let certificate = params.self_signed(&key)?;
            let key = PrivatePkcs8KeyDer::from(key.serialize_der());
            let provider = Arc::new(aws_lc_rs::default_provider());
            let key = provider.key_provider.load_private_key(key.into())?;
            // Not `with_single_cert`: its checks do not know the extension, which is critical as it has to be.
            let shown = CertifiedKey::new(vec![certificate.der().clone()], key);
            let mut config = ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
            config.alpn_protocols = vec![ACME_TLS.to_vec()];
            Ok(Self(Arc::new(config)))
        }
    }
}
#[cfg(feature = "acme")]
pub(crate) use making::NoProof;
