//! Certificates from files, and which of them a client is shown.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use holdfast_config::CertificateFiles;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

/// What is wrong with the files of a listener.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: String },
    #[error("TLS: {0}")]
    Rustls(rustls::Error),
}

impl TlsError {
    pub(super) fn new(path: &Path, why: impl Into<String>) -> Self {
        Self::File {
            path: path.to_owned(),
            why: why.into(),
        }
    }

    pub(super) fn of_rustls(error: rustls::Error) -> Self {
        Self::Rustls(error)
    }
}

/// All certificates of a listener.
pub(super) struct Certificates {
    /// By host, `*.suffix` among them, in lower case.
    by_name: HashMap<String, Arc<CertifiedKey>>,
    /// For whoever names no host, or one that is not there.
    first: Option<Arc<CertifiedKey>>,
    expiries: Vec<Expiry>,
}

/// When a certificate ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expiry {
    /// The first name in it.
    pub(crate) name: String,
    pub(crate) at: SystemTime,
}

/// What a certificate says of itself.
struct Said {
    names: Vec<String>,
    expires: SystemTime,
}

impl Certificates {
    pub(super) fn read(
        files: &[CertificateFiles],
        provider: &CryptoProvider,
    ) -> Result<Self, TlsError> {
        let mut all = Self {
            by_name: HashMap::new(),
            first: None,
            expiries: Vec::new(),
        };
        for files in files {
            all.add(files, provider)?;
        }
        Ok(all)
    }

    fn add(&mut self, files: &CertificateFiles, provider: &CryptoProvider) -> Result<(), TlsError> {
        let chain = chain(&files.certificate)?;
        let wrong = |why| TlsError::new(&files.certificate, why);
        let Some(leaf) = chain.first() else {
            return Err(wrong("there is no certificate in it"));
        };
        let Some(Said { names, expires }) = said(leaf) else {
            return Err(wrong("its first certificate is not valid X.509"));
        };
        let certified = Arc::new(certified(chain, files, provider)?);
        let name = names
            .first()
            .cloned()
            .unwrap_or_else(|| "unnamed".to_owned());
        self.expiries.push(Expiry { name, at: expires });
        for name in names {
            // The first of two with the same name wins, as in the file.
            self.by_name
                .entry(name)
                .or_insert_with(|| certified.clone());
        }
        self.first.get_or_insert(certified);
        Ok(())
    }

    pub(super) fn expiries(&self) -> Vec<Expiry> {
        self.expiries.clone()
    }

    fn of(&self, host: &str) -> Option<&Arc<CertifiedKey>> {
        let host = host.to_ascii_lowercase();
        let parent = host
            .split_once('.')
            .map(|(_, parent)| format!("*.{parent}"));
        let exact = self.by_name.get(&host);
        exact.or_else(|| self.by_name.get(&parent?))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|host| self.of(host));
        named.or(self.first.as_ref()).cloned()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |error| TlsError::new(path, format!("{error}"));
    let certificates = CertificateDer::pem_file_iter(path).map_err(wrong)?;
    certificates.collect::<Result<_, _>>().map_err(wrong)
}

pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| TlsError::new(path, format!("{error}")))
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    files: &CertificateFiles,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let key = provider
        .key_provider
        .load_private_key(private_key(&files.key)?);
    let key = key.map_err(|error| TlsError::new(&files.key, format!("{error}")))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(certified)
        }
        Err(_) => {
            let of = files.certificate.display();
            Err(TlsError::new(
                &files.key,
                format!("it is not the key of {of}"),
            ))
        }
    }
}

fn said(certificate: &CertificateDer<'_>) -> Option<Said> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let general = alternatives
        .iter()
        .flat_map(|names| &names.value.general_names);
    let names = general.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let expires = certificate.validity().not_after.timestamp();
    Some(Said {
        names: names.collect(),
        expires: SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(expires).unwrap_or(0)),
    })
}

/// Those who sign clients' certificates.
pub(super) fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(path)? {
        let added = roots.add(certificate);
        added.map_err(|error| TlsError::new(path, format!("{error}")))?;
    }
    if roots.is_empty() {
        return Err(TlsError::new(path, "there is no certificate in it"));
    }
    Ok(roots)
}
