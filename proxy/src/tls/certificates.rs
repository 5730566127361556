//! Certificates from files, and which of them a client is shown.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use holdfast_config::{self as config, CertificateFiles};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use super::issued::Issued;
use super::randomness::NoRandomness;
use super::tickets::NoKey;

/// Why there is no TLS: what is wrong with the files of a listener, or with what else it takes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: String },
    #[error("TLS: {0}")]
    Rustls(rustls::Error),
    #[error("TLS, the authorities of clients: {0}")]
    Clients(#[from] std::io::Error),
    #[error("TLS: {0}")]
    Randomness(#[from] NoRandomness),
    #[error("TLS: {0}")]
    Tickets(#[from] NoKey),
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
    /// Names whose certificates come from an authority, and all that it has given.
    asked: Vec<String>,
    issued: Arc<Issued>,
}

/// When a certificate ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expiry {
    /// The first name in it.
    pub(crate) name: String,
    pub(crate) at: SystemTime,
}

/// What a certificate says of itself.
pub(super) struct Said {
    pub(super) names: Vec<String>,
    #[cfg_attr(not(feature = "acme"), expect(dead_code, reason = "for renewals"))]
    pub(super) begins: SystemTime,
    pub(super) expires: SystemTime,
}

impl Certificates {
    pub(super) fn read(
        settings: &config::Tls,
        issued: &Arc<Issued>,
        provider: &CryptoProvider,
    ) -> Result<Self, TlsError> {
        let mut all = Self {
            by_name: HashMap::new(),
            first: None,
            expiries: Vec::new(),
            asked: settings.acme.clone(),
            issued: issued.clone(),
        };
        for files in &settings.certificates {
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
        let Some(Said { names, expires, .. }) = said(leaf) else {
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

    /// The authority's before one of a file. Who names a host that still waits for its own gets the first of the files;
    /// another authority's name would be wrong for sure.
    fn of(&self, host: &str) -> Option<Arc<CertifiedKey>> {
        let host = host.to_ascii_lowercase();
        let is_asked = self.asked.contains(&host);
        let issued = is_asked.then(|| self.issued.of(&host)).flatten();
        let found = issued.or_else(|| self.in_files(&host).cloned());
        match is_asked {
            true => found.or_else(|| self.first.clone()),
            false => found.or_else(|| self.for_nobody()),
        }
    }

    /// For whoever names no host, or one that is not there.
    fn for_nobody(&self) -> Option<Arc<CertifiedKey>> {
        let issued = || self.asked.iter().find_map(|name| self.issued.of(name));
        self.first.clone().or_else(issued)
    }

    fn in_files(&self, host: &str) -> Option<&Arc<CertifiedKey>> {
        let parent = host
            .split_once('.')
            .map(|(_, parent)| format!("*.{parent}"));
        let exact = self.by_name.get(host);
        exact.or_else(|| self.by_name.get(&parent?))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match hello.server_name() {
            Some(host) => self.of(host),
            None => self.for_nobody(),
        }
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
    if are_a_pair(&certified) {
        return Ok(certified);
    }
    let of = files.certificate.display();
    Err(TlsError::new(
        &files.key,
        format!("it is not the key of {of}"),
    ))
}

/// Whether the key is that of the certificate, as far as can be told.
pub(super) fn are_a_pair(certified: &CertifiedKey) -> bool {
    matches!(
        certified.keys_match(),
        Ok(())
            | Err(rustls::Error::InconsistentKeys(
                rustls::InconsistentKeys::Unknown
            ))
    )
}

pub(super) fn said(certificate: &CertificateDer<'_>) -> Option<Said> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let general = alternatives
        .iter()
        .flat_map(|names| &names.value.general_names);
    let names = general.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let at =
        |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    Some(Said {
        names: names.collect(),
        begins: at(certificate.validity().not_before.timestamp()),
        expires: at(certificate.validity().not_after.timestamp()),
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
