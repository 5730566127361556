//! Certificates from an ACME authority (RFC 8555): each name that a listener asks for is kept supplied with one, by a
//! task of its own on the daemon's runtime. Requests never wait for any of this.

mod account;
mod failure;
mod http;
mod order;
mod schedule;
mod store;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use holdfast_config::{self as config, Settings};
use instant_acme::Account;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::challenges::Challenges;
use crate::tls::{Certificate, Issued, TlsError, ToAuthority};
use failure::{Failure, whole};
use http::Http;
use order::Order;
use schedule::Retries;
use store::{File, Store, StoreError};

/// Orders under way at once.
const ORDERS_MAX: usize = 4;
/// An order takes no longer, all its steps together.
const ORDER_TIME_MAX: Duration = Duration::from_secs(5 * 60);

/// Why certificates cannot be kept up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("[acme]: {}", whole(.0))]
    Store(#[from] StoreError),
    #[error("[acme]: {0}")]
    Tls(#[from] TlsError),
}

/// What keeps the certificates up, before it is started.
pub(crate) struct Upkeep {
    authority: Option<Arc<Authority>>,
    names: BTreeSet<String>,
}

/// What the tasks of all names share.
struct Authority {
    settings: config::Acme,
    http: Http,
    store: Store,
    challenges: Arc<Challenges>,
    issued: Arc<Issued>,
    /// None until it was needed for the first time.
    account: Mutex<Option<Account>>,
    orders: Semaphore,
}

/// Gets everything ready that does not need the authority: what it gave earlier is installed, so that it is there
/// before the first handshake.
pub(crate) fn open(
    settings: &Settings,
    state_dir: &Path,
    challenges: &Arc<Challenges>,
    issued: &Arc<Issued>,
) -> Result<Upkeep, OpenError> {
    let listeners = settings.listen.iter();
    let asking = listeners.filter_map(|listen| listen.tls.as_ref());
    let names: BTreeSet<_> = asking.flat_map(|tls| tls.acme.iter().cloned()).collect();
    let Some(acme) = settings.acme.as_ref().filter(|_| !names.is_empty()) else {
        return Ok(Upkeep {
            authority: None,
            names: BTreeSet::new(),
        });
    };
    let authority = Authority {
        settings: acme.clone(),
        http: Http::new(ToAuthority::new(acme.root.as_deref())?),
        store: Store::open(state_dir, &acme.directory)?,
        challenges: challenges.clone(),
        issued: issued.clone(),
        account: Mutex::new(None),
        orders: Semaphore::new(ORDERS_MAX),
    };
    for name in &names {
        // One file must not keep everything else from being served.
        if let Err(error) = authority.install_stored(name) {
            let why = whole(&error);
            tracing::error!("{why}; a new certificate of {name} is asked for");
        }
    }
    Ok(Upkeep {
        authority: Some(Arc::new(authority)),
        names,
    })
}

impl Upkeep {
    /// Begins, on the runtime that calls it. The tasks end with that, or when another process keeps them up.
    pub(crate) fn start(self, until: CancellationToken) {
        for name in self.names {
            if let Some(authority) = &self.authority {
                let keeping = keep_up(authority.clone(), name);
                tokio::spawn(until.clone().run_until_cancelled_owned(keeping));
            }
        }
    }
}

impl Authority {
    /// What is damaged is set aside, to be ordered anew.
    fn install_stored(&self, name: &str) -> Result<(), StoreError> {
        let file = File::Certificate(name);
        let Some(text) = self.store.read(file)? else {
            return Ok(());
        };
        match Certificate::read(&text, name) {
            Ok(certificate) => self.issued.install(name, certificate),
            Err(why) => {
                let path = self.store.path(file);
                tracing::error!(
                    "{}: {}; a new certificate is asked for",
                    path.display(),
                    whole(&why)
                );
                self.store.set_aside(file)?;
            }
        }
        Ok(())
    }

    /// Gets a certificate, stores and installs it.
    async fn supply(self: Arc<Self>, name: String) -> Result<Certificate, Failure> {
        // Never closed.
        let _permit = self.orders.acquire().await;
        let supplying = self.supply_now(&name);
        let supplied = tokio::time::timeout(ORDER_TIME_MAX, Box::pin(supplying)).await;
        supplied.map_err(|_| Failure::Late(ORDER_TIME_MAX))?
    }

    async fn supply_now(&self, name: &str) -> Result<Certificate, Failure> {
        let account = self.account().await?;
        let order = Order {
            name,
            challenge: self.settings.challenge,
            challenges: &self.challenges,
        };
        let text = match order.place(&account).await {
            Err(failure) if failure.is_of_unknown_account() => {
                self.forget(&account).await?;
                return Err(failure);
            }
            text => text?,
        };
        let certificate = Certificate::read(&text, name)?;
        // Serves even if it cannot be stored: then only a restart has to ask again.
        self.issued.install(name, certificate.clone());
        let stored = self.store.clone().write(File::Certificate(name), text);
        if let Err(error) = stored.await {
            tracing::error!(
                "the certificate of {name} serves, but is not stored: {}",
                whole(&error)
            );
        }
        Ok(certificate)
    }

    async fn account(&self) -> Result<Account, Failure> {
        let mut known = self.account.lock().await;
        if let Some(account) = &*known {
            return Ok(account.clone());
        }
        let account = account::open(&self.settings, &self.store, &self.http).await?;
        Ok(known.insert(account).clone())
    }

    /// The authority does not know it any more; the next order makes another.
    async fn forget(&self, account: &Account) -> Result<(), StoreError> {
        let mut known = self.account.lock().await;
        // Another order may have come first, and have made the next one already.
        if known.take_if(|known| known.id() == account.id()).is_some() {
            self.store.set_aside(File::Account)?;
        }
        Ok(())
    }
}

/// Sees to it that there is always a good certificate of this name, as far as the authority lets us.
async fn keep_up(authority: Arc<Authority>, name: String) {
    let mut retries = Retries::default();
    let stored = authority.issued.get(&name);
    let mut due = stored.map_or(SystemTime::UNIX_EPOCH, |stored| schedule::renewal(&stored));
    loop {
        schedule::until(due).await;
        // A panic of one order is no end of the others.
        let order = tokio::spawn(authority.clone().supply(name.clone()));
        let supplied = AbortOnDropHandle::new(order).await;
        let supplied = supplied.unwrap_or_else(|error| Err(Failure::Broken(error)));
        match supplied.and_then(|certificate| schedule::next(&certificate)) {
            Ok(next) => {
                retries = Retries::default();
                due = next;
                let ends = jiff::Timestamp::try_from(due).unwrap_or_default();
                tracing::info!(
                    "there is a new certificate of {name}; the next is due at {ends:.0}"
                );
            }
            Err(failure) => {
                let wait = retries.next(failure.counts());
                tracing::error!(
                    "no new certificate of {name}: {}; {}; tried again in {wait:.0?}",
                    whole(&failure),
                    meanwhile(&authority.issued, &name),
                );
                tokio::time::sleep(wait).await;
            }
        }
    }
}

/// What clients get until it works.
fn meanwhile(issued: &Issued, name: &str) -> String {
    match issued.get(name) {
        Some(certificate) => {
            let ends = jiff::Timestamp::try_from(certificate.ends).unwrap_or_default();
            format!("the old one serves, and ends at {ends:.0}")
        }
        None => "there is none so far".to_owned(),
    }
}
