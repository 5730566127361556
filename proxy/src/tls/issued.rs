//! Certificates that an authority has given, by their names. They change while listeners go on: a handshake takes the
//! one that is there.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::sign::CertifiedKey;

use super::certificates::Expiry;

/// Those of all listeners.
#[derive(Default)]
pub(crate) struct Issued(RwLock<HashMap<String, Certificate>>);

/// A certificate with its key, ready to be shown.
#[derive(Clone)]
pub(crate) struct Certificate {
    key: Arc<CertifiedKey>,
    #[cfg_attr(not(feature = "acme"), expect(dead_code, reason = "for renewals"))]
    pub(crate) begins: SystemTime,
    pub(crate) ends: SystemTime,
}

impl Issued {
    pub(super) fn of(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.look(name, |certificate| certificate.key.clone())
    }

    pub(super) fn expiry(&self, name: &str) -> Option<Expiry> {
        self.look(name, |certificate| Expiry {
            name: name.to_owned(),
            at: certificate.ends,
        })
    }

    fn look<R>(&self, name: &str, look: impl FnOnce(&Certificate) -> R) -> Option<R> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(name).map(look)
    }
}

#[cfg(feature = "acme")]
mod taking {
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::pem::{self, PemObject};
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    use super::super::certificates::{Said, are_a_pair, said};
    use super::{Arc, Certificate, CertifiedKey, Issued, PoisonError, SystemTime};

    /// Why a text is no certificate of ours.
    #[derive(Debug, thiserror::Error)]
    pub(crate) enum NotOurs {
        #[error("it is no PEM")]
        Pem(#[from] pem::Error),
        #[error("there is no certificate in it")]
        Empty,
        #[error("its first certificate is not valid X.509")]
        Malformed,
        #[error("it is not for {0}")]
        OtherName(String),
        #[error("its key cannot be used")]
        Key(#[from] rustls::Error),
        #[error("its key is another certificate's")]
        OtherKey,
        #[error("it has expired")]
        Expired,
    }

    impl Certificate {
        /// Reads a key and, from its own certificate on, a chain, all PEM; they have to be good for `name` now.
        pub(crate) fn read(text: &str, name: &str) -> Result<Self, NotOurs> {
            let chain = CertificateDer::pem_slice_iter(text.as_bytes());
            let chain: Vec<_> = chain.collect::<Result<_, _>>()?;
            let leaf = chain.first().ok_or(NotOurs::Empty)?;
            let Said {
                names,
                begins,
                expires,
            } = said(leaf).ok_or(NotOurs::Malformed)?;
            if !names.iter().any(|found| found == name) {
                return Err(NotOurs::OtherName(name.to_owned()));
            }
            if expires <= SystemTime::now() {
                return Err(NotOurs::Expired);
            }
            let key = PrivateKeyDer::from_pem_slice(text.as_bytes())?;
            let provider = aws_lc_rs::default_provider();
            let key = provider.key_provider.load_private_key(key)?;
            let key = CertifiedKey::new(chain, key);
            if !are_a_pair(&key) {
                return Err(NotOurs::OtherKey);
            }
            Ok(Self {
                key: Arc::new(key),
                begins,
                ends: expires,
            })
        }
    }

    impl Issued {
        /// New handshakes for `name` use it; connections that exist go on.
        pub(crate) fn install(&self, name: &str, certificate: Certificate) {
            let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
            all.insert(name.to_owned(), certificate);
        }

        pub(crate) fn get(&self, name: &str) -> Option<Certificate> {
            self.look(name, Certificate::clone)
        }
    }
}
#[cfg(feature = "acme")]
pub(crate) use taking::NotOurs;
