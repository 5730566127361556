//! One order, from the question to the certificate (RFC 8555, 7.4 and 7.5).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use holdfast_config::Challenge;
use instant_acme::{
    Account, AuthorizationHandle, AuthorizationStatus, ChallengeType, Error, Identifier,
    KeyAuthorization, NewOrder, OrderStatus, RetryPolicy,
};

use super::failure::{Failure, shortened};
use crate::challenges::{Challenges, Pending};
use crate::tls::{NoProof, Proof};

/// How long the authority may take to look at our proof, and again to make the certificate.
const PATIENCE: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_secs(120));

/// What is asked for.
pub(super) struct Order<'a> {
    pub(super) name: &'a str,
    pub(super) challenge: Challenge,
    pub(super) challenges: &'a Arc<Challenges>,
}

impl Order<'_> {
    /// Proves that the name is ours, and returns a new key and the chain for it, both PEM.
    pub(super) async fn place(&self, account: &Account) -> Result<String, Failure> {
        let identifiers = [Identifier::Dns(self.name.to_owned())];
        let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
        // The authority may ask until it has made up its mind.
        let mut pending = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            pending.extend(self.offer_proof(authorization?).await?);
        }
        match order.poll_ready(&PATIENCE).await {
            Ok(OrderStatus::Ready) => {}
            Ok(_) | Err(Error::Api(_)) => return Err(self.not_proven(&mut order).await),
            Err(error) => return Err(error.into()),
        }
        drop(pending);
        let key = order.finalize().await?;
        let chain = order.poll_certificate(&PATIENCE).await?;
        Ok(format!("{key}{chain}"))
    }

    /// None: the authority remembers an earlier proof.
    async fn offer_proof(
        &self,
        mut authorization: AuthorizationHandle<'_>,
    ) -> Result<Option<Pending>, Failure> {
        match authorization.status {
            AuthorizationStatus::Valid => return Ok(None),
            AuthorizationStatus::Pending => {}
            status => return Err(Failure::Authorization(status)),
        }
        let offered = authorization.challenges.iter();
        let offered: Vec<_> = offered.map(|c| format!("{:?}", c.r#type)).collect();
        let kind = match self.challenge {
            Challenge::Http01 => ChallengeType::Http01,
            Challenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
        };
        let Some(mut challenge) = authorization.challenge(kind) else {
            return Err(Failure::NotOffered {
                wanted: self.challenge.word(),
                offered: shortened(&offered.join(", ")),
            });
        };
        let pending = self.prepare(&challenge.token, &challenge.key_authorization())?;
        challenge.set_ready().await?;
        Ok(Some(pending))
    }

    fn prepare(&self, token: &str, proof: &KeyAuthorization) -> Result<Pending, NoProof> {
        match self.challenge {
            Challenge::Http01 => {
                let content = proof.as_str().to_owned();
                Ok(self.challenges.resource(token, content))
            }
            Challenge::TlsAlpn01 => {
                let proof = Proof::new(self.name, proof.digest().as_ref())?;
                Ok(self.challenges.certificate(self.name, proof))
            }
        }
    }

    /// What the authority has against our proof.
    async fn not_proven(&self, order: &mut instant_acme::Order) -> Failure {
        let of_order = order.state().error.iter().map(ToString::to_string);
        // Mostly the order's is that of its authorization.
        let mut why: BTreeSet<_> = of_order.collect();
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            if let Ok(state) = authorization.refresh().await {
                let errors = state.challenges.iter().filter_map(|c| c.error.as_ref());
                why.extend(errors.map(ToString::to_string));
            }
        }
        if why.is_empty() {
            why.insert("it does not say why".to_owned());
        }
        Failure::NotProven {
            challenge: self.challenge.word(),
            why: shortened(&Vec::from_iter(why).join("; ")),
        }
    }
}
