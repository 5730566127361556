//! The account at the authority: the one that is stored, or a new one.

use holdfast_config as config;
use instant_acme::{Account, AccountCredentials, Error, NewAccount};

use super::failure::{Failure, whole};
use super::http::Http;
use super::store::{File, Store};

/// Uses the stored account, or makes one and stores it.
pub(super) async fn open(
    settings: &config::Acme,
    store: &Store,
    http: &Http,
) -> Result<Account, Failure> {
    let stored = store.read(File::Account)?;
    if let Some(text) = stored {
        match restore(&text, settings, http).await {
            Err(Damaged::Because(why)) => {
                let path = store.path(File::Account);
                tracing::error!("{}: {why}; a new account is made", path.display());
                store.set_aside(File::Account)?;
            }
            Err(Damaged::Not(failure)) => return Err(failure),
            Ok(account) => return Ok(account),
        }
    }
    register(settings, store, http).await
}

/// Whether it is the file's fault.
enum Damaged {
    Because(String),
    Not(Failure),
}

async fn restore(text: &str, settings: &config::Acme, http: &Http) -> Result<Account, Damaged> {
    let because = |error: serde_json::Error| Damaged::Because(error.to_string());
    let said: serde_json::Value = serde_json::from_str(text).map_err(because)?;
    if said["directory"] != settings.directory.as_str() {
        return Err(Damaged::Because("it is another authority's".to_owned()));
    }
    let credentials: AccountCredentials = serde_json::from_value(said).map_err(because)?;
    let builder = Account::builder_with_http(Box::new(http.clone()));
    let restored = builder.from_credentials(credentials).await;
    restored.map_err(|error| match error {
        error @ Error::KeyRejected => Damaged::Because(whole(&error)),
        error => Damaged::Not(error.into()),
    })
}

async fn register(settings: &config::Acme, store: &Store, http: &Http) -> Result<Account, Failure> {
    let contact: Vec<_> = settings.contact.iter().map(String::as_str).collect();
    let account = NewAccount {
        contact: &contact,
        // Without `agree = true` there are no settings.
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let builder = Account::builder_with_http(Box::new(http.clone()));
    let directory = settings.directory.clone();
    let (account, credentials) = builder.create(&account, directory, None).await?;
    let text = serde_json::to_string_pretty(&credentials).map_err(Error::Json)?;
    store.clone().write(File::Account, text).await?;
    tracing::info!("a new account at the ACME authority: {}", account.id());
    Ok(account)
}
